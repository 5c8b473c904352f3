/** Real Bazel with another digest function than its own. Those there are know SHA1 beside SHA256, and nothing else. */

import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { connectGrid } from "@brokkr/cli";
import type { BazelClient } from "./clients.ts";
import { build, cacheHits, clean, openGrid, outputs, remote, testEachBazel } from "./_grid.ts";
import { openWorkspace, SMALL } from "./workspace.ts";

const OUTPUTS = ["out.txt", "app"];
const TARGETS = ["//:gen", "//:app"];

async function sha1(client: BazelClient, t: Deno.TestContext): Promise<void> {
  await using workspace = await openWorkspace(client, SMALL, { startupFlags: ["--digest_function=SHA1"] });
  await using grid = await openGrid();
  const cache = [
    `--remote_cache=${grid.endpoint}`,
    "--remote_instance_name=sha1",
    "--remote_upload_local_results",
  ];
  await build(workspace, ...cache, ...TARGETS);
  const local = await outputs(workspace, OUTPUTS);

  await t.step("builds are answered from the cache", async () => {
    await clean(workspace);
    const text = await build(workspace, ...cache, ...TARGETS);
    assertGreater(cacheHits(text), 2, text);
    assertEquals(await outputs(workspace, OUTPUTS), local);
  });
  await t.step("the blobs are of SHA1", async () => {
    await using admin = connectGrid(grid.endpoint);
    const { functions } = await (await admin.store()).usage();
    assertEquals(
      functions.filter(({ count }) => (count?.blobs ?? 0) > 0).map(({ digestFunction }) => digestFunction),
      [2],
    );
  });
  await t.step(
    "for execution these clients go by the singular field, which is SHA256, and say so",
    async () => {
      await clean(workspace);
      const { code, text } = await workspace.bazel("build", ...remote(grid), ...TARGETS);
      assertEquals(code === 0, false, text);
      assertStringIncludes(text, "Cannot use hash function SHA1 with remote execution");
    },
  );
}

testEachBazel("shares results through the grid in SHA1", sha1);
