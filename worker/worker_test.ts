import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, createLogger } from "@brokkr/common";
import { digestOf, encodeDirectory, SHA256 } from "@brokkr/cas/client";
import {
  type ActionResult,
  LeaseResult_Outcome as Outcome,
  PreconditionFailureCodec,
  ResourceUsageCodec,
  StageUpdate_Stage as Stage,
} from "@brokkr/proto";
import { encoder, type Files, processesNamed, sh, startTestWorker, TestGrid } from "./_test_grid.ts";
import { ENVIRONMENT, startWorker } from "./worker.ts";

const FAILED = Outcome.FAILED as number;
const CANCELLED = Outcome.CANCELLED as number;

/** Waits until a condition holds; what it waits for is another process or the other side of a socket. */
async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Waited 5 s in vain until ${what}`);
}

/** Input roots that are there. */
function leftovers(dataDir: string): string[] {
  return [...Deno.readDirSync(`${dataDir}/work`)].flatMap(({ name }) =>
    [...Deno.readDirSync(`${dataDir}/work/${name}`)].map((entry) => entry.name).filter((entry) =>
      entry === "root"
    )
  );
}

Deno.test("Worker says who it is and what it offers, and loudly that nothing is isolated", async () => {
  const lines: string[] = [];
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid, {
    platform: { Pool: ["fast"] },
    log: createLogger({ write: (line) => lines.push(line) }),
  });
  const [hello] = grid.hellos;
  assertEquals(hello.workerId, "w1");
  assertEquals([hello.protocolVersion, hello.minProtocolVersion, hello.slots], [1, 1, 4]);
  assertEquals(hello.environment, ENVIRONMENT);
  assertEquals(hello.platform?.properties, [
    { name: "ISA", value: Deno.build.arch === "aarch64" ? "aarch64" : "x86-64" },
    { name: "OSFamily", value: "linux" },
    { name: "Pool", value: "fast" },
  ]);
  assert((hello.resources?.memoryBytes ?? 0) > 0 && (hello.resources?.diskBytes ?? 0) > 0);
  const warning = lines.find((line) => line.includes("NOTHING IS ISOLATED")) ?? "";
  assertStringIncludes(warning, "WARN");
  assertStringIncludes(warning, "network");
});

Deno.test("Worker keeps the name it made in its data directory", async () => {
  const dataDir = await Deno.makeTempDir();
  await using grid = await TestGrid.start();
  const ids: string[] = [];
  for (let i = 0; i < 2; i++) {
    await using worker = await startTestWorker(grid, { dataDir, id: undefined });
    ids.push(worker.handle.id);
  }
  assertEquals(ids[0], ids[1]);
  assertStringIncludes(ids[0], Deno.hostname().replace(/[^A-Za-z0-9.-]/g, "-"));
  await Deno.remove(dataDir, { recursive: true });
});

function timesOf(action: ActionResult): number[] {
  const m = action.executionMetadata;
  return [
    m?.queuedTimestamp,
    m?.workerStartTimestamp,
    m?.inputFetchStartTimestamp,
    m?.inputFetchCompletedTimestamp,
    m?.executionStartTimestamp,
    m?.executionCompletedTimestamp,
    m?.outputUploadStartTimestamp,
    m?.outputUploadCompletedTimestamp,
    m?.workerCompletedTimestamp,
  ].map((time) => (time?.seconds ?? NaN) * 1000 + (time?.nanos ?? NaN) / 1e6);
}

Deno.test("Worker tells every time, its name and what the action used", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid);
  const before = Date.now();
  const { action } = await grid.run(sh("cat f; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"), {
    f: "12345",
  });
  const metadata = action.executionMetadata;
  assertEquals(metadata?.worker, "w1");
  const times = timesOf(action);
  for (let i = 1; i < times.length; i++) {
    assert(times[i] >= times[i - 1], `Time ${i} comes after ${i - 1}: ${times}`);
  }
  assert(Math.abs(times[1] - times[0] - 5) < 0.01, "It was queued for 5 ms");
  assert(times[1] >= before - 1000 && times[8] <= Date.now() + 1000);
  const { seconds, nanos } = metadata?.virtualExecutionDuration ?? { seconds: 0, nanos: 0 };
  assert(seconds * 1e9 + nanos > 1e6);
  const [{ typeUrl, value }] = metadata?.auxiliaryMetadata ?? [];
  assertEquals(typeUrl, "type.googleapis.com/brokkr.v1.ResourceUsage");
  const usage = ResourceUsageCodec.decode(value);
  assertEquals([usage.isolation, usage.inputFetchedBlobs], ["none", 2]);
  assert(usage.maxRssBytes > 100_000 && (usage.cpuUser?.nanos ?? 0) > 0);
  assertEquals(grid.stages.map(({ stage }) => stage), [Stage.FETCHING_INPUTS, Stage.EXECUTING]);
});

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
  assertEquals(grid.calls.get("writer"), 1, "The large one is a stream");
  assertEquals(grid.calls.get("put"), 51, "Fifty files and a tree; what the store had did not travel");
  assertEquals(grid.stages.map(({ stage }) => stage), [Stage.EXECUTING, Stage.UPLOADING_OUTPUTS]);
});

Deno.test("Worker runs as many actions at once as it has slots and refuses more", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid, { slots: 2 });
  const dir = await Deno.makeTempDir();
  const root = await grid.tree({});
  const gate = sh(`mktemp -p ${dir}; while [ ! -e ${dir}/go ]; do sleep 0.01; done`);
  const leases = [grid.lease(gate, root), grid.lease(gate, root), grid.lease(gate, root)];
  for (const lease of leases) grid.send({ lease });
  const refused = await grid.finished(leases[2].leaseId);
  assertEquals(refused.result.outcome, Outcome.WORKER_FAULT as number);
  assertStringIncludes(refused.result.status?.message ?? "", "slot");
  await until("both run", () => [...Deno.readDirSync(dir)].length === 2);
  await Deno.writeTextFile(`${dir}/go`, "");
  for (const lease of leases.slice(0, 2)) {
    const { result } = await grid.finished(lease.leaseId);
    assertEquals(result.outcome, Outcome.COMPLETED as number);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("Worker kills a cancelled action with all it started and says so", async () => {
  await using grid = await TestGrid.start();
  await using worker = await startTestWorker(grid);
  const mark = `2000.${Deno.pid}1`;
  const lease = grid.lease(sh(`(setsid sleep ${mark} &); sleep ${mark}`), await grid.tree({}));
  grid.send({ lease });
  await until("it runs", () => processesNamed(mark).length >= 2);
  grid.send({ cancel: { leaseId: lease.leaseId, reason: "Not needed any more" } });
  const { result } = await grid.finished(lease.leaseId);
  assertEquals([result.outcome, result.status?.message], [CANCELLED, "Not needed any more"]);
  assertEquals(processesNamed(mark), []);
  await until("nothing is left", () => leftovers(worker.dataDir).length === 0);
});

Deno.test("Worker names its leases in heartbeats", async () => {
  await using grid = await TestGrid.start({ heartbeatMs: 20 });
  await using _worker = await startTestWorker(grid);
  const lease = grid.lease(sh(`sleep 30`), await grid.tree({}));
  grid.send({ lease });
  await until("a heartbeat names it", () => grid.heartbeats.some((leases) => leases.includes(lease.leaseId)));
  grid.send({ cancel: { leaseId: lease.leaseId, reason: "" } });
  await grid.finished(lease.leaseId);
  await until("heartbeats leave it out", () => grid.heartbeats.at(-1)?.length === 0);
});

Deno.test("Worker keeps an action through a lost stream and names it when it comes back", async () => {
  await using grid = await TestGrid.start({ heartbeatMs: 50 });
  await using _worker = await startTestWorker(grid);
  const dir = await Deno.makeTempDir();
  const command = sh(`touch ${dir}/started; while [ ! -e ${dir}/go ]; do sleep 0.01; done; echo survived`);
  const lease = grid.lease(command, await grid.tree({}));
  grid.send({ lease });
  await until("it runs", () => [...Deno.readDirSync(dir)].length === 1);
  const hello = grid.nextHello();
  grid.breakStream();
  assertEquals((await hello).liveLeases, [lease.leaseId]);
  await Deno.writeTextFile(`${dir}/go`, "");
  const { action } = await grid.finished(lease.leaseId);
  assertEquals(await grid.text(action.stdoutDigest), "survived\n");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("Worker sends a result again until it is acknowledged", async () => {
  let acknowledge = false;
  await using grid = await TestGrid.start({ heartbeatMs: 50, acknowledge: () => acknowledge });
  await using _worker = await startTestWorker(grid);
  const first = await grid.run(sh("echo once"));
  assertEquals(grid.acked, []);
  acknowledge = true;
  const hello = grid.nextHello();
  grid.breakStream();
  assertEquals((await hello).liveLeases, [first.result.leaseId]);
  const second = await grid.finished(first.result.leaseId);
  assertEquals(second.result, first.result);
  assertEquals(grid.acked, [first.result.leaseId]);
});

Deno.test("Worker kills its actions before their leases run out when control is gone", async () => {
  const mark = `3000.${Deno.pid}1`;
  const grid = await TestGrid.start({ heartbeatMs: 50, ttlMs: 600 });
  await using worker = await startTestWorker(grid);
  grid.send({ lease: grid.lease(sh(`sleep ${mark}`), await grid.tree({})) });
  await until("it runs", () => processesNamed(mark).length > 0);
  const goneMs = performance.now();
  await grid[Symbol.asyncDispose]();
  await until("it is killed", () => processesNamed(mark).length === 0);
  assert(performance.now() - goneMs < 600 + 200, "Before the lease ran out");
  await until("nothing is left", () => leftovers(worker.dataDir).length === 0);
});

Deno.test("Worker finishes what runs when control drains it, takes no more, and ends", async () => {
  await using grid = await TestGrid.start();
  const dataDir = await Deno.makeTempDir();
  const worker = await startTestWorker(grid, { dataDir });
  const dir = await Deno.makeTempDir();
  const root = await grid.tree({});
  const running = grid.lease(
    sh(`touch ${dir}/on; while [ ! -e ${dir}/go ]; do sleep 0.01; done; echo end`),
    root,
  );
  grid.send({ lease: running });
  await until("it runs", () => [...Deno.readDirSync(dir)].length === 1);
  grid.send({ drain: { reason: "Maintenance" } });
  const late = grid.lease(sh("true"), root);
  grid.send({ lease: late });
  assertEquals((await grid.finished(late.leaseId)).result.outcome, Outcome.WORKER_FAULT as number);
  await Deno.writeTextFile(`${dir}/go`, "");
  const { action } = await grid.finished(running.leaseId);
  assertEquals(await grid.text(action.stdoutDigest), "end\n");
  await worker.handle.done;
  await worker.handle.shutdown();
  for (const path of [dir, dataDir]) await Deno.remove(path, { recursive: true });
});

Deno.test("Worker gives running actions back to the queue when its time to end is up", async () => {
  await using grid = await TestGrid.start();
  const worker = await startTestWorker(grid);
  const mark = `4000.${Deno.pid}1`;
  const lease = grid.lease(sh(`sleep ${mark}`), await grid.tree({}));
  grid.send({ lease });
  await until("it runs", () => processesNamed(mark).length > 0);
  await worker.handle.shutdown({ graceMs: 50 });
  const { result } = await grid.finished(lease.leaseId);
  assertEquals([result.outcome, result.status?.code], [Outcome.WORKER_FAULT as number, Code.UNAVAILABLE]);
  assertEquals(processesNamed(mark), []);
  await worker[Symbol.asyncDispose]();
});

Deno.test("Worker removes what a killed one left, keeps its cache, and refuses a directory in use", async () => {
  const dataDir = await Deno.makeTempDir();
  await using grid = await TestGrid.start();
  const files: Files = { "a/b": "cached" };
  {
    await using _worker = await startTestWorker(grid, { dataDir });
    await grid.run(sh("cat a/b"), files);
    const error = await assertRejects(() => startWorker({ control: grid.endpoint, dataDir }), BrokkrError);
    assertEquals(error.code, Code.FAILED_PRECONDITION);
  }
  await Deno.mkdir(`${dataDir}/work/7/root/sub`, { recursive: true });
  await Deno.chmod(`${dataDir}/work/7/root/sub`, 0o000);
  await Deno.writeTextFile(`${dataDir}/cache/tmp/left`, "half");
  grid.reads.clear();
  const worker = await startTestWorker(grid, { dataDir });
  assertEquals([leftovers(dataDir), [...Deno.readDirSync(`${dataDir}/cache/tmp`)]], [[], []]);
  const { action } = await grid.run(sh("cat a/b"), files);
  assertEquals(await grid.text(action.stdoutDigest), "cached");
  assertEquals(grid.reads.size, 0, "Nothing was fetched again");
  await worker[Symbol.asyncDispose]();
  await Deno.remove(dataDir, { recursive: true });
});

Deno.test("Worker process tells when it is ready and ends with 0 on SIGTERM", async () => {
  await using grid = await TestGrid.start();
  const dataDir = await Deno.makeTempDir();
  const main = new URL("./main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, "--data-dir", dataDir, "--control", grid.endpoint, "--id", "proc"],
    stdout: "piped",
    stderr: "piped",
    env: { BROKKR_PARENT_PIPE: "" },
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await reader.read()).value, 'READY {"id":"proc"}\n');
  const { action } = await grid.run(sh("echo from a process"));
  assertEquals(await grid.text(action.stdoutDigest), "from a process\n");
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 0, await stderr);
  await reader.cancel();
  await Deno.remove(dataDir, { recursive: true });
});
