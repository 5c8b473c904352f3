import { assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import type { BazelClient } from "./clients.ts";
import { build, cacheHits, clean, countFor, openGrid, outputs, remote, testEachBazel } from "./_grid.ts";
import { generated, openWorkspace, SMALL } from "./workspace.ts";

const OUTPUTS = ["out.txt", "app", "liblib.a"];
const TARGETS = ["//:gen", "//:app", "//:lib"];

async function everyRule(client: BazelClient, t: Deno.TestContext): Promise<void> {
  await using workspace = await openWorkspace(client, SMALL);
  await using grid = await openGrid();
  await build(workspace, ...TARGETS);
  const local = await outputs(workspace, OUTPUTS);
  await clean(workspace);

  await t.step("a cold remote build gives byte for byte what a local build gives", async () => {
    await build(workspace, ...remote(grid), ...TARGETS);
    assertEquals(await outputs(workspace, OUTPUTS), local);
    const status = await grid.status();
    assertGreater(status.actionsExecuted, 3);
    assertEquals(status.actionsCached, 0);
  });
  await t.step("a warm remote build runs nothing and gives the same", async () => {
    const before = await grid.status();
    await clean(workspace);
    const text = await build(workspace, ...remote(grid), ...TARGETS);
    assertEquals(await outputs(workspace, OUTPUTS), local);
    assertEquals((await grid.status()).actionsExecuted, before.actionsExecuted);
    assertGreater(cacheHits(text), 3, text);
  });
  await t.step("a passing and a failing sh_test are told apart", async () => {
    const { code, text } = await workspace.bazel(
      "test",
      ...remote(grid),
      "--test_output=all",
      "//:passes",
      "//:fails",
    );
    assertEquals(code, 3, text);
    assertMatch(text, /\/\/:passes\s+PASSED/);
    assertMatch(text, /\/\/:fails\s+FAILED/);
    assertStringIncludes(text, "this test fails on purpose");
  });
  await t.step("a failed test is run again, a passed one answered from the cache", async () => {
    const { code, text } = await workspace.bazel(
      "test",
      ...remote(grid),
      "--cache_test_results=no",
      "//:passes",
    );
    assertEquals(code, 0, text);
    const again = await workspace.bazel("test", ...remote(grid), "//:fails");
    assertEquals(again.code, 3, again.text);
  });
}

async function cacheOnly(client: BazelClient): Promise<void> {
  await using workspace = await openWorkspace(client, SMALL);
  await using grid = await openGrid();
  const cache = [
    `--remote_cache=${grid.endpoint}`,
    "--remote_instance_name=cache/only",
    "--remote_upload_local_results",
  ];
  await build(workspace, ...cache, ...TARGETS);
  const local = await outputs(workspace, OUTPUTS);
  await clean(workspace);
  const text = await build(workspace, ...cache, ...TARGETS);
  assertGreater(cacheHits(text), 3, text);
  assertEquals(await outputs(workspace, OUTPUTS), local);
  assertEquals((await grid.status()).actionsExecuted, 0);
  // Another instance name is another scope: nothing of the first one answers there.
  await clean(workspace);
  const other = await build(workspace, ...cache, "--remote_instance_name=other", ...TARGETS);
  assertEquals(cacheHits(other), 0, other);
}

async function manyFiles(client: BazelClient): Promise<void> {
  const count = countFor(client, "4.2.3", 200);
  await using workspace = await openWorkspace(client, generated(count));
  await using grid = await openGrid();
  await build(workspace, "//:app");
  const local = await outputs(workspace, ["app"]);
  await clean(workspace);
  await build(workspace, ...remote(grid), "//:app");
  assertEquals(await outputs(workspace, ["app"]), local);
  const cold = await grid.status();
  assertGreater(cold.actionsExecuted, count);
  await clean(workspace);
  const text = await build(workspace, ...remote(grid), "//:app");
  assertEquals(await outputs(workspace, ["app"]), local);
  assertEquals((await grid.status()).actionsExecuted, cold.actionsExecuted);
  assertGreater(cacheHits(text), count, text);
}

testEachBazel("builds and tests every rule on the grid", everyRule);
testEachBazel("shares results through the grid as a cache alone", cacheOnly);
testEachBazel("builds many generated files on the grid, cold and warm", manyFiles);
