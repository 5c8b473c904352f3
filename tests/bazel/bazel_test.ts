import { assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { connect } from "@brokkr/proto/rpc/client";
import { Admin, type GetStatusResponse } from "@brokkr/proto";
import { startGrid } from "@brokkr/cli/up";
import { type BazelClient, debianBazel, npmBazel } from "./clients.ts";
import { generated, openWorkspace, SMALL, type Workspace } from "./workspace.ts";
import { testUnless } from "../_skip.ts";

interface TestGrid extends AsyncDisposable {
  readonly endpoint: string;
  status(): Promise<GetStatusResponse>;
}

/** A grid of real processes; disposing of it checks that all of them lived to the end and exit with 0. */
async function openGrid(): Promise<TestGrid> {
  const deaths: string[] = [];
  const log: string[] = [];
  const grid = await startGrid({
    slots: 4,
    onDeath: (message) => deaths.push(message),
    onLog: (process, line) => log.push(`${process}: ${line}`),
  });
  return {
    endpoint: grid.endpoint,
    async status() {
      await using channel = connect(grid.endpoint);
      return await channel.unary(Admin.getStatus, {});
    },
    async [Symbol.asyncDispose]() {
      const ends = await grid.stop();
      assertEquals(deaths, [], log.join("\n"));
      assertEquals(
        ends.map(({ name, code }) => `${name} ${code}`),
        ["worker 0", "control 0"],
        log.join("\n"),
      );
    },
  };
}

function remote(grid: TestGrid): string[] {
  return ["--config=grid", `--remote_executor=${grid.endpoint}`, "--remote_instance_name=main"];
}

async function outputs(workspace: Workspace, names: readonly string[]): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const name of names) {
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(await workspace.output(name)));
    all[name] = new Uint8Array(digest).toHex();
  }
  return all;
}

async function build(workspace: Workspace, ...args: string[]): Promise<string> {
  const { code, text } = await workspace.bazel("build", ...args);
  assertEquals(code, 0, text);
  return text;
}

async function clean(workspace: Workspace): Promise<void> {
  assertEquals((await workspace.bazel("clean")).code, 0);
}

/** Actions that Bazel says came from the remote cache. */
function cacheHits(text: string): number {
  return Number(/(\d+) remote cache hit/.exec(text)?.[1] ?? 0);
}

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
  await using workspace = await openWorkspace(client, generated(200));
  await using grid = await openGrid();
  await build(workspace, "//:app");
  const local = await outputs(workspace, ["app"]);
  await clean(workspace);
  await build(workspace, ...remote(grid), "//:app");
  assertEquals(await outputs(workspace, ["app"]), local);
  const cold = await grid.status();
  assertGreater(cold.actionsExecuted, 200);
  await clean(workspace);
  const text = await build(workspace, ...remote(grid), "//:app");
  assertEquals(await outputs(workspace, ["app"]), local);
  assertEquals((await grid.status()).actionsExecuted, cold.actionsExecuted);
  assertGreater(cacheHits(text), 200, text);
}

const noCompiler = await new Deno.Command("gcc", { args: ["--version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success ? undefined : "gcc does not work", () => "there is no gcc");

for (
  const [name, found] of [["Bazel 2.1.0", await npmBazel()], ["Bazel 4.2.3", await debianBazel()]] as const
) {
  const reason = "reason" in found ? found.reason : noCompiler;
  const withClient =
    (fn: (client: BazelClient, t: Deno.TestContext) => Promise<void>) => (t: Deno.TestContext) => {
      if (!("client" in found)) throw new Error("unreachable");
      return fn(found.client, t);
    };
  testUnless(reason, `${name} builds and tests every rule on the grid`, withClient(everyRule));
  testUnless(reason, `${name} shares results through the grid as a cache alone`, withClient(cacheOnly));
  testUnless(reason, `${name} builds 200 generated files on the grid, cold and warm`, withClient(manyFiles));
}
