import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { digestOf, encodeDirectory, SHA256 } from "@brokkr/cas/client";
import {
  LeaseResult_Outcome as Outcome,
  PreconditionFailureCodec,
  ResourceUsageCodec,
  StageUpdate_Stage as Stage,
} from "@brokkr/proto";
import { encoder, leftovers, sh, startTestWorker, TestGrid, until } from "./_test_grid.ts";

const FAILED = Outcome.FAILED as number;

Deno.test("Worker names every missing input, files and directories", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const gone = [1, 2, 3].map((n) => digestOf(SHA256, encoder.encode(`gone ${n}`)));
  const big = { ...digestOf(SHA256, encoder.encode("large")), sizeBytes: 3_000_000 };
  const there = await grid.put("there");
  const root = encodeDirectory({
    files: [
      { name: "a", digest: gone[0], executable: false },
      { name: "b", digest: gone[1], executable: false },
      { name: "big", digest: big, executable: false },
      { name: "there", digest: there, executable: false },
    ],
    directories: [{ name: "d", digest: gone[2] }],
    symlinks: [],
  });
  const { result } = await grid.run(sh("true"), await grid.put(root));
  assertEquals(
    [result.outcome, result.status?.code],
    [FAILED, Code.FAILED_PRECONDITION],
    result.status?.message,
  );
  const detail = result.status?.details[0];
  assertEquals(detail?.typeUrl, "type.googleapis.com/google.rpc.PreconditionFailure");
  const { violations } = PreconditionFailureCodec.decode(detail?.value ?? new Uint8Array());
  assertEquals(
    violations.map(({ type, subject }) => `${type} ${subject}`).sort(),
    [...gone, big].map(({ hash, sizeBytes }) => `MISSING blobs/${hash}/${sizeBytes}`).sort(),
  );
});

Deno.test("Worker names a missing input root and fetches it once it is there", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const bytes = encodeDirectory({ files: [], directories: [], symlinks: [{ name: "l", target: "t" }] });
  const root = digestOf(SHA256, bytes);
  const first = await grid.run(sh("true"), root);
  assertEquals(first.result.status?.code, Code.FAILED_PRECONDITION);
  await grid.put(bytes);
  const second = await grid.run(sh("readlink l"), root);
  assertEquals(await grid.text(second.action.stdoutDigest), "t\n");
});

Deno.test("Worker refuses hostile trees by name", async (t) => {
  await using grid = await TestGrid.start();
  await using worker = await startTestWorker(grid);
  const file = await grid.put("x");
  /** A Directory with one file, whose name is given as bytes. */
  const withName = (name: Uint8Array, copies = 1) => {
    const digest = [0x0a, 64, ...encoder.encode(file.hash), 0x10, file.sizeBytes];
    const node = [0x0a, name.length, ...name, 0x12, digest.length, ...digest];
    return new Uint8Array(Array.from({ length: copies }, () => [0x0a, node.length, ...node]).flat());
  };
  const cases: [string, Uint8Array, string][] = [
    ["a name of ..", withName(encoder.encode("..")), '".."'],
    ["a name of .", withName(encoder.encode(".")), '"."'],
    ["an absolute name", withName(encoder.encode("/etc/x")), '"/etc/x"'],
    ["a name with a slash", withName(encoder.encode("a/b")), '"a/b"'],
    ["an empty name", withName(new Uint8Array()), '""'],
    ["a name with a NUL", withName(encoder.encode("a\0b")), "NUL"],
    ["a name that is not UTF-8", withName(new Uint8Array([0x61, 0xff])), "\\xff"],
    ["a name that comes twice", withName(encoder.encode("twin"), 2), '"twin"'],
    ["no Directory at all", encoder.encode("\xff\xff not a message"), "Directory"],
  ];
  for (const [name, bytes, words] of cases) {
    await t.step(name, async () => {
      const { result } = await grid.run(sh("true"), await grid.put(bytes));
      assertEquals(
        [result.outcome, result.status?.code],
        [FAILED, Code.INVALID_ARGUMENT],
        result.status?.message,
      );
      assertStringIncludes(result.status?.message ?? "", words);
    });
  }
  await t.step("more paths than any disk holds", async () => {
    let inner = await grid.put(withName(encoder.encode("f")));
    for (let depth = 0; depth < 40; depth++) {
      inner = await grid.put(encodeDirectory({
        files: [],
        directories: [{ name: "a", digest: inner }, { name: "b", digest: inner }],
        symlinks: [],
      }));
    }
    const { result } = await grid.run(sh("true"), inner);
    assertEquals(result.status?.code, Code.INVALID_ARGUMENT);
    assertStringIncludes(result.status?.message ?? "", "files, directories and links; at most 1000000");
  });
  await t.step("directories deeper than the limit", async () => {
    let inner = await grid.put(withName(encoder.encode("f")));
    for (let depth = 0; depth < 300; depth++) {
      const directories = [{ name: "d", digest: inner }];
      inner = await grid.put(encodeDirectory({ files: [], directories, symlinks: [] }));
    }
    const { result } = await grid.run(sh("true"), inner);
    assertEquals(result.status?.code, Code.INVALID_ARGUMENT);
    assertStringIncludes(result.status?.message ?? "", "directories below one another");
  });
  await until("nothing is left", () => leftovers(worker.dataDir).length === 0);
});

Deno.test("Worker fetches each blob once for two actions that want it at the same time", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const files: Record<string, string | Uint8Array> = {};
  for (let i = 0; i < 300; i++) files[`d${i % 7}/f${i}`] = `content ${i}`;
  files["large"] = new Uint8Array(3_000_000).fill(7);
  const root = await grid.tree(files);
  const script = sh("find . -type f | wc -l; cat d0/f0; wc -c < large");
  const both = await Promise.all([grid.run(script, root), grid.run(script, root)]);
  for (const { action } of both) {
    assertEquals(await grid.text(action.stdoutDigest), "301\ncontent 03000000\n");
  }
  const counts = [...grid.reads.values()].slice(0, 309);
  assertEquals(counts.filter((count) => count !== 1), [], "Each was read from the store once");
  const again = await grid.run(sh("cat d3/f3"), root);
  const usage = ResourceUsageCodec.decode(
    again.action.executionMetadata?.auxiliaryMetadata[0].value ?? new Uint8Array(),
  );
  assertEquals([usage.inputFetchedBlobs, usage.inputFetchedBytes], [0, 0]);
});

Deno.test("Worker uploads a small result with one batch call and no question before", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const command = sh("echo out; echo err >&2; echo 1 > f", { outputPaths: ["f"] });
  await grid.run(command);
  assertEquals([grid.calls.get("missing"), grid.calls.get("put")], [undefined, 3]);
});

Deno.test("Worker uploads many outputs after asking which are missing", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  await grid.put("shared\n");
  grid.calls.clear();
  const script =
    "mkdir o; for i in $(seq 50); do echo $i > o/$i; done; echo shared > o/s; head -c 3000000 /dev/zero > o/big";
  const { action } = await grid.run(sh(script, { outputPaths: ["o"] }));
  assert(action.outputDirectories[0].treeDigest !== undefined);
  assertEquals(grid.calls.get("begin"), 1, "The large one is a stream");
  assertEquals(grid.calls.get("put"), 51, "Fifty files and a tree; what the store had did not travel");
  assertEquals(grid.stages.map(({ stage }) => stage), [Stage.EXECUTING, Stage.UPLOADING_OUTPUTS]);
});

Deno.test("Worker tells the store which trace its calls belong to", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const root = await grid.tree({ small: "x", large: new Uint8Array(3_000_000).fill(1) });
  const script = "head -c 3000000 /dev/zero > big; echo printed";
  const lease = grid.lease(sh(script, { outputPaths: ["big"] }), root);
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  grid.send({ lease: { ...lease, traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
  const { result } = await grid.finished(lease.leaseId);
  assertEquals(result.outcome, Outcome.COMPLETED as number, result.status?.message);
  const transfers = ["BatchReadBlobs", "Read", "FindMissingBlobs", "BatchUpdateBlobs", "Write"];
  for (const method of transfers) {
    const traces = new Set(grid.traces.filter(([name]) => name === method).map(([, trace]) => trace));
    assertEquals([...traces], [traceId], method);
  }
});
