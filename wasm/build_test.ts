import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { kernelFile, listKernels } from "./build.ts";

const HERE = new URL(".", import.meta.url).pathname;
const KERNELS = new URL("./kernels/", import.meta.url);
const kernels = await listKernels();

/** Builds as `deno task wasm` does. */
async function build(...args: string[]) {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", `--lock=${HERE}compiler.lock`, "--frozen", "-A", `${HERE}build.ts`, ...args],
    stdout: "null",
  }).output();
  return { success, said: new TextDecoder().decode(stderr) };
}

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-wasm-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("building the kernels again gives the committed bytes", () =>
  withDir(async (dir) => {
    const { success, said } = await build(`--to=${dir}`);
    assert(success, said);
    for (const kernel of kernels) {
      for (const each of kernel.builds) {
        const name = kernelFile(kernel, each);
        const committed = await Deno.readFile(new URL(name, KERNELS));
        const compiled = await Deno.readFile(`${dir}/${name}`);
        assert(
          committed.length === compiled.length && committed.every((byte, i) => byte === compiled[i]),
          `${name} is not what its source gives: run \`deno task wasm\` and commit the result`,
        );
      }
    }
  }));

Deno.test("there is no kernel without a source", async () => {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(KERNELS)) found.push(name);
  const expected = kernels.flatMap((kernel) => kernel.builds.map((build) => kernelFile(kernel, build)));
  assertEquals(found.sort(), expected.sort());
});

Deno.test("a kernel with a mistake is refused with the compiler's words", () =>
  withDir(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/wrong.ts`,
      `export const KERNEL = {
        name: "wrong", builds: ["simd"], initialPages: 1, source: () => "export const x: i32 = nothing;",
      };`,
    );
    const { success, said } = await build(`--to=${dir}/out`, `${dir}/wrong.ts`);
    assert(!success);
    assertStringIncludes(said, "Cannot find name 'nothing'");
  }));
