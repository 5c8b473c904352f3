import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  type Action,
  ActionCache,
  Admin,
  type Command,
  DirectoryCodec,
  type Init,
  type ListWorkersResponse,
} from "@brokkr/proto";
import type { StartGridOptions } from "@brokkr/cli/up";
import { assertFailure, failure, sh, TestGrid } from "./_grid.ts";
import { commandLine, noProcessOf, plainEnvironment, processesOf, run } from "./_processes.ts";
import { testUnless } from "../_skip.ts";
import { TcpProxy } from "./_tcp_proxy.ts";

type WorkerInfo = ListWorkersResponse["workers"][number];

/** A grid without a sandbox, and a directory that its actions reach. */
interface Field {
  readonly grid: TestGrid;
  readonly path: string;
}

/** Runs `use` with a grid of its own; afterwards no process may have anything to do with its directory. */
async function withGrid(options: StartGridOptions, use: (field: Field) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-e2e-workers-" });
  try {
    {
      await using grid = await TestGrid.startOnHost({ dataDir: `${path}/grid`, ...options });
      await use({ grid, path });
    }
    await noProcessOf(path);
  } finally {
    await new Deno.Command("chmod", { args: ["-R", "u+w", path], stderr: "null" }).output();
    await Deno.remove(path, { recursive: true });
  }
}

const LIMIT_MS = 120_000;

/** Waits for what other processes do and nobody tells of. */
async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const untilMs = performance.now() + LIMIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > untilMs) throw new Error(`It never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function lines(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

function durationMs(duration: { readonly seconds: number; readonly nanos: number } | undefined): number {
  return duration === undefined ? 0 : duration.seconds * 1000 + duration.nanos / 1e6;
}

async function workersOf({ grid }: Field): Promise<readonly WorkerInfo[]> {
  return (await grid.channel.unary(Admin.listWorkers, {}, { retries: 100 })).workers;
}

/** How many tries of an action run at this moment. */
async function alive({ path }: Field, name: string): Promise<number> {
  const processes = await processesOf(path);
  return processes.filter(({ command }) => command.startsWith(`/bin/sh -c echo try >> ${path}/${name}.tries`))
    .length;
}

/** A command that notes in `name.tries` that it began, and ends when `name.go` is there. */
function waits(path: string, name: string, more: Init<Command> = {}): Init<Command> {
  const file = `${path}/${name}`;
  return sh(`echo try >> ${file}.tries; until [ -e ${file}.go ]; do sleep 0.05; done; echo ${name} > out`, {
    outputPaths: ["out"],
    ...more,
  });
}

async function start(field: Field, name: string, more: Init<Command> = {}, action: Init<Action> = {}) {
  return field.grid.execute(await field.grid.action(waits(field.path, name, more), action));
}

function go({ path }: Field, name: string): Promise<void> {
  return Deno.writeTextFile(`${path}/${name}.go`, "");
}

function tries({ path }: Field, name: string): Promise<string[]> {
  return lines(`${path}/${name}.tries`);
}

async function assertDone(followed: Awaited<ReturnType<typeof start>>): Promise<string> {
  const { result, status } = await followed.response();
  assertEquals([status?.code ?? 0, status?.message ?? "", result?.exitCode], [0, "", 0]);
  assertEquals(result?.outputFiles.map(({ path }) => path), ["out"]);
  return result?.executionMetadata?.worker ?? "";
}

/** A worker of the test's own, which nobody starts again. */
class OwnWorker implements AsyncDisposable {
  readonly id: string;
  readonly #child: Deno.ChildProcess;

  constructor({ path }: Field, id: string, control: string, ...flags: readonly string[]) {
    this.id = id;
    const [program, ...args] = commandLine("worker", [
      `--data-dir=${path}/${id}`,
      `--id=${id}`,
      `--control=grpc://${control}`,
      "--slots=1",
      "--no-sandbox",
      ...flags,
    ]);
    this.#child = new Deno.Command(program, {
      args,
      env: plainEnvironment(),
      clearEnv: true,
      cwd: path,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Waits until control has it. */
  async connected(field: Field): Promise<this> {
    await eventually(`worker ${this.id} is connected`, async () => {
      return (await workersOf(field)).some(({ workerId, connected }) => workerId === this.id && connected);
    });
    return this;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends it in good order; tells its exit code. */
  async end(): Promise<number> {
    this.kill("SIGTERM");
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGCONT");
      this.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#child.status;
  }
}

/** Which of the grid's processes a worker is. */
async function indexOf({ path, grid }: Field, workerId: string): Promise<number> {
  for (const index of grid.grid.workers.keys()) {
    const directory = index === 0 ? "worker" : `worker-${index + 1}`;
    if ((await Deno.readTextFile(`${path}/grid/${directory}/worker-id`)).trim() === workerId) return index;
  }
  throw new Error(`No process is worker ${workerId}`);
}

function addressOf({ grid }: Field): string {
  return grid.grid.endpoint.slice("grpc://".length);
}

const QUICK = ["--lease-ttl=3s", "--heartbeat-interval=500ms"];
/** Long enough for whatever a busy machine does to a test, and never waited for. */
const PATIENT = ["--lease-ttl=2m", "--heartbeat-interval=500ms"];

Deno.test("Work is spread evenly, and what a killed worker had runs again and is reported once", async () => {
  await withGrid({ workers: 4, slots: 2, controlFlags: PATIENT }, async (field) => {
    const names = Array.from({ length: 8 }, (_, i) => `a${i}`);
    const running = await Promise.all(names.map((name) => start(field, name)));
    await Promise.all(running.map((each) => each.until("EXECUTING")));
    const workers = await workersOf(field);
    assertEquals(workers.map(({ slotsUsed }) => slotsUsed), [2, 2, 2, 2]);

    field.grid.expectedDeaths = 1;
    field.grid.grid.workers[1].kill("SIGKILL");
    // It is started again and comes back without its leases, which is how control learns of it at once.
    await eventually("two actions began anew", async () => {
      const counts = await Promise.all(names.map(async (name) => (await tries(field, name)).length));
      return counts.reduce((sum, count) => sum + count) === 10;
    });
    await Promise.all(names.map((name) => go(field, name)));
    const ran = await Promise.all(running.map(assertDone));
    assertEquals(ran.every((worker) => workers.some(({ workerId }) => workerId === worker)), true);
    const counts = await Promise.all(names.map(async (name) => (await tries(field, name)).length));
    assertEquals(counts.toSorted(), [1, 1, 1, 1, 1, 1, 2, 2]);
    const after = await workersOf(field);
    assertEquals(after.reduce((sum, { completed }) => sum + completed, 0), 8);
  });
});

Deno.test("A stopped worker loses its lease; when it goes on, its action is killed and nothing is reported twice", async () => {
  await withGrid({ workers: 0, controlFlags: QUICK }, async (field) => {
    await using first = await new OwnWorker(field, "first", addressOf(field)).connected(field);
    const followed = await start(field, "a");
    await eventually("it began", async () => await alive(field, "a") === 1);
    await using second = await new OwnWorker(field, "second", addressOf(field)).connected(field);
    first.kill("SIGSTOP");
    await followed.untilCount("EXECUTING", 2);
    await eventually("it began again", async () => await alive(field, "a") === 2);
    first.kill("SIGCONT");
    await eventually("the first try is killed", async () => await alive(field, "a") === 1);
    await go(field, "a");
    assertEquals(await assertDone(followed), second.id);
    await first.connected(field);
    assertEquals((await tries(field, "a")).length, 2);
    const done = (await workersOf(field)).map(({ workerId, completed }) => [workerId, completed]);
    assertEquals(Object.fromEntries(done), { first: 0, second: 1 });
  });
});

for (const how of ["cut", "pause"] as const) {
  Deno.test(`A network that is away (${how}) for less than a lease's life costs nothing`, async () => {
    await withGrid({ workers: 0, controlFlags: PATIENT }, async (field) => {
      await using proxy = new TcpProxy(addressOf(field));
      await using _worker = await new OwnWorker(field, "far", proxy.address).connected(field);
      const followed = await start(field, "a");
      await followed.until("EXECUTING");
      proxy[how]();
      if (how === "cut") {
        await eventually("control noticed", async () => !(await workersOf(field))[0].connected);
      }
      // It ends while nobody can be told.
      await go(field, "a");
      proxy.restore();
      assertEquals(await assertDone(followed), "far");
      assertEquals((await tries(field, "a")).length, 1);
    });
  });
}

Deno.test("A network that is away for longer costs a try on another worker", async () => {
  await withGrid({ workers: 0, controlFlags: QUICK }, async (field) => {
    await using proxy = new TcpProxy(addressOf(field));
    await using far = await new OwnWorker(field, "far", proxy.address).connected(field);
    const followed = await start(field, "a");
    await eventually("it began", async () => await alive(field, "a") === 1);
    await using near = await new OwnWorker(field, "near", addressOf(field)).connected(field);
    proxy.pause();
    await followed.untilCount("EXECUTING", 2);
    // Control gave the lease to another only after its worker had killed the action.
    await eventually("it began again", async () => (await tries(field, "a")).length === 2);
    assertEquals(await alive(field, "a"), 1);
    proxy.restore();
    await far.connected(field);
    await go(field, "a");
    assertEquals(await assertDone(followed), near.id);
    assertEquals((await tries(field, "a")).length, 2);
  });
});

Deno.test("What workers finished while control was killed and started anew is not done again", async () => {
  await withGrid({ workers: 2, slots: 2, controlFlags: PATIENT }, async (field) => {
    const { grid, path } = field;
    const acknowledged = await grid.action(sh("echo before", {}));
    await grid.execute(acknowledged).response();
    // One whose outputs must be uploaded, and one that has none.
    const commands = {
      outputs: sh(
        `echo >> ${path}/outputs.tries; until [ -e ${path}/all.go ]; do sleep 0.05; done; echo made > out; echo; ` +
          `echo > ${path}/outputs.done`,
        { outputPaths: ["out"] },
      ),
      nothing: sh(
        `echo >> ${path}/nothing.tries; until [ -e ${path}/all.go ]; do sleep 0.05; done; echo > ${path}/nothing.done`,
      ),
    };
    const names = ["outputs", "nothing"] as const;
    const actions = await Promise.all(names.map((name) => grid.action(commands[name])));
    const running = actions.map((action) => grid.execute(action));
    await Promise.all(running.map((each) => each.until("EXECUTING")));

    grid.expectedDeaths = 1;
    // While it is stopped it takes no result and no upload.
    grid.grid.control.kill("SIGSTOP");
    await go(field, "all");
    for (const name of names) await eventually(`${name} ended`, () => exists(`${path}/${name}.done`));
    grid.grid.control.kill("SIGKILL");
    for (const each of running) assertEquals((await failure(() => each.response())).code, Code.UNAVAILABLE);
    await workersOf(field);

    for (const [i, action] of actions.entries()) {
      await eventually(`the result of ${names[i]} is kept`, async () => {
        const request = { instanceName: grid.instance, actionDigest: action };
        return await grid.channel.unary(ActionCache.getActionResult, request).then(() => true, (error) => {
          assertEquals(error.code, Code.NOT_FOUND);
          return false;
        });
      });
      const { cachedResult, result } = await grid.execute(action).response();
      assertEquals([cachedResult, result?.exitCode], [true, 0]);
      assertEquals(await Deno.readTextFile(`${path}/${names[i]}.tries`), "\n");
    }
    assertEquals((await grid.execute(acknowledged).response()).cachedResult, true);
    await eventually("no lease is left", async () => {
      const workers = await workersOf(field);
      return workers.length === 2 &&
        workers.every(({ connected, slotsUsed }) => connected && slotsUsed === 0);
    });
    await grid.assertGood();
  });
});

Deno.test("An action that kills its workers is given up after three of them, and the grid lives", async () => {
  await withGrid({ workers: 4, slots: 1, controlFlags: PATIENT }, async (field) => {
    const { grid } = field;
    grid.expectedDeaths = 3;
    const followed = await start(field, "poison");
    for (let count = 1; count <= 3; count++) {
      await followed.untilCount("EXECUTING", count);
      await eventually("it began", async () => (await tries(field, "poison")).length === count);
      const worker = await eventually("a worker has it", async () => {
        return (await workersOf(field)).find(({ connected, leases }) => connected && leases.length > 0);
      });
      // What an action does that takes all of a machine's memory.
      const index = await indexOf(field, worker.workerId);
      grid.grid.workers[index].kill("SIGKILL");
    }
    const error = await followed.error();
    assertFailure(
      error,
      Code.FAILED_PRECONDITION,
      "after 3 workers were lost",
      "attempt 1: worker",
      "attempt 3: worker",
    );
    assertEquals((await tries(field, "poison")).length, 3);
    await eventually("all workers are back", async () => {
      return (await workersOf(field)).filter(({ connected }) => connected).length === 4;
    });
    await grid.assertGood();
  });
});

Deno.test("Actions wait for a worker of their platform, with a word why, and go to no other", async () => {
  await withGrid({ workers: 0, controlFlags: PATIENT }, async (field) => {
    const { grid } = field;
    const own = (id: string, ...flags: string[]) => new OwnWorker(field, id, addressOf(field), ...flags);
    await using a = own("a", "--platform=Pool=a", "--platform=ISA=x86-64", "--platform=ISA=avx2");
    await using b = own("b", "--platform=Pool=b", "--platform=ISA=x86-64");
    await a.connected(field);
    await b.connected(field);
    const needs = (properties: Record<string, string | readonly string[]>) => ({
      platform: {
        properties: Object.entries(properties).flatMap(([name, values]) =>
          [values].flat().map((value) => ({ name, value }))
        ),
      },
    });
    const cases: readonly [string, Parameters<typeof needs>[0], string][] = [
      ["pool-a", { Pool: "a" }, "a"],
      ["pool-b", { Pool: "b" }, "b"],
      ["every-isa", { ISA: ["x86-64", "avx2"] }, "a"],
      ["one-isa", { OSFamily: "linux", ISA: "x86-64", Pool: "b" }, "b"],
    ];
    for (const [name, properties, worker] of cases) {
      await go(field, name);
      assertEquals(await assertDone(await start(field, name, {}, needs(properties))), worker, name);
    }
    const waiting: readonly [string, Parameters<typeof needs>[0], string][] = [
      ["pool-c", { Pool: "c" }, "offers Pool=c; offered are"],
      ["unknown", { "made-up": "yes" }, "offers made-up=yes; none offers any made-up"],
      ["not-together", { Pool: "b", ISA: "avx2" }, "No one connected worker offers all of"],
      ["exact", { OSFamily: "Linux" }, "offers OSFamily=Linux; offered are linux"],
    ];
    const queued = [];
    for (const [name, properties, why] of waiting) {
      await go(field, name);
      const followed = await start(field, name, {}, needs(properties));
      await followed.until("QUEUED");
      const { records: [record] } = await grid.channel.unary(Admin.getAction, {
        operationName: followed.name,
      });
      assertStringIncludes(record.status?.message ?? "", why);
      queued.push(followed);
    }
    const { warnings } = await grid.channel.unary(Admin.getStatus, {});
    assert(warnings.some((warning) => warning.includes("Pool=c")), warnings.join("\n"));
    assertEquals(queued.every(({ stages }) => !stages.includes("EXECUTING")), true);
    await using c = own(
      "c",
      "--platform=Pool=b",
      "--platform=Pool=c",
      "--platform=ISA=avx2",
      "--platform=OSFamily=Linux",
      "--platform=made-up=yes",
    );
    for (const followed of queued) assertEquals(await assertDone(followed), c.id);
  });
});

Deno.test("A drained worker finishes what it has and gets nothing until it is resumed", async () => {
  await withGrid({ workers: 2, slots: 1, controlFlags: PATIENT }, async (field) => {
    const { grid, path } = field;
    const brokk = async (...args: string[]) => {
      const ended = await run("cli", { args: [...args, `--endpoint=${grid.grid.endpoint}`], cwd: path });
      assertEquals(ended.code, 0, ended.stderr);
      return ended;
    };
    const first = await start(field, "first");
    const second = await start(field, "second");
    await Promise.all([first.until("EXECUTING"), second.until("EXECUTING")]);
    const [worker] = await workersOf(field);
    const id = worker.workerId;
    const { stderr } = await brokk("workers", "drain", id, "--reason", "new disk");
    assertStringIncludes(stderr, "1 action is left");
    const list = (await brokk("workers")).stdout;
    assertStringIncludes(list, "draining");
    assertStringIncludes(list, `${id} is drained: new disk\n`);

    const third = await start(field, "third");
    await third.until("QUEUED");
    const drained = brokk("workers", "drain", "--wait", id);
    await go(field, "first");
    await go(field, "second");
    const ran = await Promise.all([first, second].map(assertDone));
    await drained;
    await go(field, "third");
    const other = await assertDone(third);
    assertEquals([other === id, ran.toSorted()], [false, [id, other].toSorted()]);

    // Whatever is started anew: it stays as the operator left it.
    grid.expectedDeaths = 3;
    for (const each of grid.grid.workers) each.kill("SIGKILL");
    await eventually("both are back", () => grid.deaths.length === 2 && grid.grid.pids.length === 3);
    grid.grid.control.kill("SIGKILL");
    const [again] = await eventually("all is back", async () => {
      const workers = (await workersOf(field)).filter(({ connected }) => connected);
      return grid.deaths.length === 3 && workers.length === 2 &&
        workers.filter(({ workerId }) => workerId === id);
    });
    assertEquals([again.draining, again.leaving, again.drainReason], [
      true,
      false,
      "An operator asked for it",
    ]);
    for (const name of ["x", "y", "z"]) {
      await go(field, name);
      assertEquals(await assertDone(await start(field, name)), other);
    }
    await brokk("workers", "resume", id);
    const both = await Promise.all(["p", "q"].map((name) => start(field, name)));
    await Promise.all(both.map((each) => each.until("EXECUTING")));
    await Promise.all([go(field, "p"), go(field, "q")]);
    assertEquals((await Promise.all(both.map(assertDone))).toSorted(), [id, other].toSorted());
    assertFailure(
      await failure(() => grid.channel.unary(Admin.drainWorker, { workerId: "nobody" })),
      Code.NOT_FOUND,
      '"nobody"',
      "brokk workers",
    );
  });
});

Deno.test("A worker that moves much data keeps its lease and says so in time", async () => {
  const flags = ["--lease-ttl=4s", "--heartbeat-interval=500ms"];
  await withGrid({ workers: 1, slots: 2, controlFlags: flags }, async (field) => {
    const { grid } = field;
    const action = await grid.action(
      sh("for i in 1 2 3 4; do head -c 60000000 /dev/zero > o$i; echo $i >> o$i; done", {
        outputPaths: ["o1", "o2", "o3", "o4"],
      }),
    );
    const followed = grid.execute(action);
    await followed.until("EXECUTING");
    let ended = false;
    const response = followed.response().finally(() => ended = true);
    let silentMs = 0;
    await eventually("it ended", async () => {
      const [{ lastHeartbeatAgo }] = await workersOf(field);
      silentMs = Math.max(silentMs, durationMs(lastHeartbeatAgo));
      return ended;
    });
    const { result, status } = await response;
    assertEquals([status?.code ?? 0, result?.exitCode, result?.outputFiles.length], [0, 0, 4]);
    console.log(`longest silence: ${Math.round(silentMs)} ms, heartbeats every 500 ms`);
    assert(silentMs < 4000, `The worker was silent for ${silentMs} ms`);
    // Four of them are inputs of the next.
    const files = (result?.outputFiles ?? []).map(({ digest, path: name }) => ({ name, digest }));
    const [root] = await grid.putAll([DirectoryCodec.encode({ files })]);
    const next = await grid.run(sh("cat o1 o2 o3 o4 | wc -c"), { inputRootDigest: root });
    assertEquals(await grid.text(next.result?.stdoutDigest), "240000008\n");
    assertEquals(grid.lines.filter((line) => /Lease lost|out of reach/.test(line)), []);
  });
});

Deno.test("A worker that is told to end says so, finishes what it can, and gives back the rest without blame", async () => {
  await withGrid({ workers: 0, controlFlags: PATIENT }, async (field) => {
    const ending = new OwnWorker(field, "ending", addressOf(field), "--slots=2", "--shutdown-grace=3s");
    await using _ending = await ending.connected(field);
    const quick = await start(field, "quick");
    const slow = await start(field, "slow");
    await Promise.all([quick.until("EXECUTING"), slow.until("EXECUTING")]);
    const ended = ending.end();
    await eventually("control knows", async () => (await workersOf(field)).some(({ leaving }) => leaving));
    const later = await start(field, "later");
    await go(field, "quick");
    assertEquals(await assertDone(quick), "ending");
    assertEquals(await ended, 0);
    // It left in good order, so nobody waits for it.
    await eventually("it is forgotten", async () => (await workersOf(field)).length === 0);
    assertEquals([await tries(field, "later"), (await tries(field, "slow")).length], [[], 1]);
    await using _heir = await new OwnWorker(field, "heir", addressOf(field), "--slots=2").connected(field);
    await go(field, "slow");
    await go(field, "later");
    assertEquals([await assertDone(slow), await assertDone(later)], ["heir", "heir"]);
    assertEquals((await tries(field, "slow")).length, 2);
  });
});

const notRoot = Deno.uid() === 0 ? undefined : "mounting needs root";

testUnless(
  notRoot,
  "A worker whose disk is full hands the action on, and when all are full the client is told so",
  async () => {
    await withGrid({ workers: 0, controlFlags: PATIENT }, async (field) => {
      const { grid, path } = field;
      const mounts: string[] = [];
      try {
        for (const id of ["small-1", "small-2"]) {
          await Deno.mkdir(`${path}/${id}`);
          const args = ["-t", "tmpfs", "-o", "size=24m,mode=700", "none", `${path}/${id}`];
          const { success } = await new Deno.Command("mount", { args, stderr: "null" }).output();
          if (!success) return console.log("Skipped: a tmpfs cannot be mounted here");
          mounts.push(`${path}/${id}`);
        }
        await using _first = await new OwnWorker(field, "small-1", addressOf(field)).connected(field);
        await using _second = await new OwnWorker(field, "small-2", addressOf(field)).connected(field);
        const big = await grid.putAll([new Uint8Array(3_900_000).fill(1)]);
        const files = Array.from({ length: 12 }, (_, i) => ({ name: `f${i}`, digest: big[0] }));
        const [root] = await grid.putAll([DirectoryCodec.encode({ files })]);
        const inputs = () => grid.action(sh("cat f* | wc -c"), { inputRootDigest: root });
        const told = await grid.execute(await inputs()).error();
        assertFailure(told, Code.UNAVAILABLE, "after 3 faults", "worker small-", "No space left");
        // It does not care whether its output was written; a client that got the rest of it would.
        const careless = sh("head -c 30000000 /dev/zero > junk; echo cut off; exit 0");
        const why = await grid.execute(await grid.action(careless)).error();
        assertFailure(why, Code.UNAVAILABLE, "after 3 faults", "No space left on the worker's disk");
        await grid.assertGood();
        await using _large = await new OwnWorker(field, "large", addressOf(field)).connected(field);
        const { result, status } = await grid.execute(await inputs()).response();
        assertEquals([status?.message ?? "", result?.executionMetadata?.worker], ["", "large"]);
        assertEquals(await grid.text(result?.stdoutDigest), "46800000\n");
      } finally {
        for (const mount of mounts) await new Deno.Command("umount", { args: ["-l", mount] }).output();
      }
    });
  },
);
