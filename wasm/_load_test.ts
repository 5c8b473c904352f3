import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { kernelModule, simdBuild } from "./_load.ts";

const SCRIPT = new URL("./_load.ts", import.meta.url).href;

/** What a process of its own says of the build that it takes. */
async function buildOf(env: Record<string, string>, ...flags: string[]): Promise<string> {
  const code = `import { simdBuild } from ${JSON.stringify(SCRIPT)}; console.log(simdBuild());`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...flags, "-"],
    env: { ...env, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { stdout, stderr } = await process.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("The environment forces a build, and a wrong value is refused", async () => {
  assertEquals(await buildOf({ BROKKR_WASM: "simd" }, "-A"), "simd\n");
  assertEquals(await buildOf({ BROKKR_WASM: "relaxed" }, "-A"), "relaxed\n");
  assertMatch(
    await buildOf({ BROKKR_WASM: "fast" }, "-A"),
    /BROKKR_WASM is fast, but only simd and relaxed exist/,
  );
});

Deno.test("Without the permission to read the environment the engine decides", async () => {
  assertEquals(await buildOf({ BROKKR_WASM: "simd" }, "--allow-read"), "relaxed\n");
});

Deno.test("A kernel is compiled once", () => {
  assert(kernelModule("sha256", "simd") === kernelModule("sha256", "simd"));
  assert(kernelModule("blake3") === kernelModule("blake3", simdBuild()));
});

Deno.test("A kernel that is not there is missed with what would bring it", () => {
  assertThrows(() => kernelModule("nothing", "simd"), TypeError, "--include wasm/kernels");
});

Deno.test("This engine has relaxed SIMD, and is found to have it", () => {
  assertEquals(simdBuild(), Deno.env.get("BROKKR_WASM") === "simd" ? "simd" : "relaxed");
});
