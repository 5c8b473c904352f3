import { assertEquals } from "@std/assert";
import { sh, startTestWorker, TestGrid } from "./_test_grid.ts";

Deno.test("Worker runs an action and uploads what it left", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const { result, action } = await grid.run(
    sh("cat in/a.txt; echo oops >&2; mkdir -p out && cp in/a.txt out/b.txt; exit 3", {
      outputPaths: ["out/b.txt", "missing"],
    }),
    { "in/a.txt": "hello" },
  );
  assertEquals(result.status, undefined);
  assertEquals(result.outcome, 1);
  assertEquals(action.exitCode, 3);
  assertEquals(await grid.text(action.stdoutDigest), "hello");
  assertEquals(await grid.text(action.stderrDigest), "oops\n");
  assertEquals(action.outputFiles.map((file) => file.path), ["out/b.txt"]);
  assertEquals(await grid.text(action.outputFiles[0].digest), "hello");
});
