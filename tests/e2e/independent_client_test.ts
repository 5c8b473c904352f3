import { assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import { TestGrid } from "./_grid.ts";
import { testUnless } from "../_skip.ts";

// To run this: `python3 -m pip install grpcio grpcio-tools`; BROKKR_TEST_PYTHON names another python3.
const PYTHON = Deno.env.get("BROKKR_TEST_PYTHON") ?? "python3";

async function pythonProblem(): Promise<string | undefined> {
  try {
    const { success } = await new Deno.Command(PYTHON, {
      args: ["-c", "import grpc, grpc_tools.protoc, google.protobuf"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success ? undefined : `${PYTHON} has no grpcio-tools; pip install grpcio grpcio-tools`;
  } catch {
    return `there is no ${PYTHON}`;
  }
}

testUnless(
  await pythonProblem(),
  "A client in Python, which shares no code with the grid, builds on it",
  async () => {
    await using grid = await TestGrid.start();
    const here = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);
    const { success, stdout, stderr } = await new Deno.Command(PYTHON, {
      args: [
        "-B",
        here("independent_client.py"),
        here("../../proto"),
        grid.grid.endpoint.replace("grpc://", ""),
        "snake/case",
      ],
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(success, true, said);
    const { absent, ...told } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals(told, {
      api: [2, 11],
      exec: true,
      missing: 5,
      updated: [0, 0, 0, 0],
      committed: 5_120_000,
      stages: ["CACHE_CHECK", "QUEUED", "EXECUTING", "COMPLETED"],
      names: 1,
      status: 0,
      stdout: "from python\n".repeat(3),
      copied: true,
      files: ["copy"],
      tree: ["e"],
      cached: true,
      failed: [Code.FAILED_PRECONDITION, [absent]],
      refused: "INVALID_ARGUMENT",
    });
    await grid.assertGood();
  },
);
