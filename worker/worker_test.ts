import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, createLogger, ManualClock } from "@brokkr/common";
import {
  type ActionResult,
  LeaseResult_Outcome as Outcome,
  ResourceUsageCodec,
  StageUpdate_Stage as Stage,
} from "@brokkr/proto";
import { killMarginMs } from "./lease_table.ts";
import {
  type Files,
  leftovers,
  processesNamed,
  sh,
  startTestWorker,
  TestGrid,
  until,
  whyNoSandbox,
} from "./_test_grid.ts";
import { UNSANDBOXED_ENVIRONMENT } from "./isolation.ts";
import { startWorker } from "./worker.ts";

/** For actions that wait for files of the test's. */
const MEETS_THE_HOST = { sandbox: false } as const;
const CANCELLED = Outcome.CANCELLED as number;

Deno.test("Worker says who it is and what it offers, and without a sandbox loudly that nothing is isolated", async () => {
  const lines: string[] = [];
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid, {
    platform: { Pool: ["fast"] },
    sandbox: false,
    log: createLogger({ write: (line) => lines.push(line) }),
  });
  const [hello] = grid.hellos;
  assertEquals(hello.workerId, "w1");
  assertEquals([hello.protocolVersion, hello.minProtocolVersion, hello.slots], [1, 1, 4]);
  assertEquals([hello.environment, hello.sandboxGrants], [UNSANDBOXED_ENVIRONMENT, []]);
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
  const isolation = await whyNoSandbox() === undefined ? "sandbox" : "none";
  assertEquals([usage.isolation, usage.inputFetchedBlobs], [isolation, 2]);
  assert(usage.maxRssBytes > 100_000 && (usage.cpuUser?.nanos ?? 0) > 0);
  assertEquals(grid.stages.map(({ stage }) => stage), [Stage.FETCHING_INPUTS, Stage.EXECUTING]);
});

Deno.test("Worker runs as many actions at once as it has slots and refuses more", async () => {
  await using grid = await TestGrid.start();
  await using _worker = await startTestWorker(grid, { slots: 2, ...MEETS_THE_HOST });
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
  await using _worker = await startTestWorker(grid, MEETS_THE_HOST);
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
  const clock = new ManualClock();
  const ttlMs = 600_000;
  const grid = await TestGrid.start({ ttlMs });
  await using worker = await startTestWorker(grid, { clock });
  grid.send({ lease: grid.lease(sh(`sleep ${mark}`), await grid.tree({}), { timeoutMs: 10 * ttlMs }) });
  await until("it runs", () => processesNamed(mark).length > 0);
  await grid[Symbol.asyncDispose]();
  await until("the worker knows that control is gone", () => !worker.handle.connected);
  clock.advance(ttlMs - killMarginMs(ttlMs) - 1);
  assert(processesNamed(mark).length > 0, "Not before");
  clock.advance(killMarginMs(ttlMs) / 2);
  await until("it is killed", () => processesNamed(mark).length === 0);
  await until("nothing is left", () => leftovers(worker.dataDir).length === 0);
});

Deno.test("Worker finishes what runs when control drains it, takes no more, and ends", async () => {
  await using grid = await TestGrid.start();
  const dataDir = await Deno.makeTempDir();
  const worker = await startTestWorker(grid, { dataDir, ...MEETS_THE_HOST });
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

Deno.test("Worker that control drains ends sooner when it is told to", async () => {
  await using grid = await TestGrid.start();
  const worker = await startTestWorker(grid);
  const mark = `5000.${Deno.pid}1`;
  const lease = grid.lease(sh(`sleep ${mark}`), await grid.tree({}));
  grid.send({ lease });
  await until("it runs", () => processesNamed(mark).length > 0);
  grid.send({ drain: { reason: "Maintenance" } });
  const late = grid.lease(sh("true"), await grid.tree({}));
  grid.send({ lease: late });
  await grid.finished(late.leaseId);
  await worker.handle.shutdown({ graceMs: 10 });
  const { result } = await grid.finished(lease.leaseId);
  assertEquals([result.outcome, result.status?.code], [Outcome.WORKER_FAULT as number, Code.UNAVAILABLE]);
  await worker[Symbol.asyncDispose]();
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
