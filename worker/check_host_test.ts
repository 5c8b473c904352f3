import { assertEquals, assertMatch } from "@std/assert";

const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);

async function worker(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", MAIN, ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("brokkr-worker --check-host prints what it found and does not serve", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "brokkr_check_" });
  try {
    const { code, stdout } = await worker("--check-host", `--data-dir=${dataDir}`);
    const works = /^The sandbox works here: /m.test(stdout);
    assertEquals(code, works ? 0 : 1);
    assertMatch(stdout, / FAIL\n$/);
    const json = await worker("--json", "--check-host", `--data-dir=${dataDir}`);
    assertEquals(json.code, code);
    assertMatch(JSON.parse(json.stdout)[0].id, /^[a-z-]+$/);
    assertEquals([...Deno.readDirSync(dataDir)], []);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("brokkr-worker --check-host refuses settings that are wrong", async () => {
  const { code, stderr } = await worker("--check-host", "--slots=many");
  assertEquals(code, 2);
  assertMatch(stderr, /^brokkr-worker: --slots: /);
});
