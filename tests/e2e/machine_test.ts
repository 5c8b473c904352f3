import { assert, assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, codeName } from "@brokkr/common";
import { connectGrid } from "@brokkr/cli";
import { ActionCodec, Admin, ContentAddressableStorage as Cas, type GetStatusResponse } from "@brokkr/proto";
import { assertFailure, digest, sh, TestGrid, utf8, type WireDigest } from "./_grid.ts";
import { everythingBelow, noProcessOf, processesOf } from "./_processes.ts";
import { rawDirectory } from "./_trees.ts";
import { testUnless } from "../_skip.ts";

interface Machine {
  /** Where the grid's state is. */
  readonly dataDir: string;
  /** A directory that actions reach where they have no sandbox. */
  readonly host: string;
  /** Makes a FIFO in it and gives its path. */
  fifo(name: string): Promise<string>;
}

/** Runs `use` with directories of its own; afterwards no process may have anything to do with them. */
async function withMachine(use: (machine: Machine) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-e2e-machine-" });
  const host = `${path}/host`;
  await Deno.mkdir(host);
  try {
    await use({
      dataDir: `${path}/grid`,
      host,
      fifo: async (name) => {
        const { success } = await new Deno.Command("mkfifo", { args: [`${host}/${name}`] }).output();
        assert(success);
        return `${host}/${name}`;
      },
    });
    await noProcessOf(path);
  } finally {
    await new Deno.Command("chmod", { args: ["-R", "u+w", path], stderr: "null" }).output();
    await Deno.remove(path, { recursive: true });
  }
}

function statusOf(grid: TestGrid): Promise<GetStatusResponse> {
  return grid.channel.unary(Admin.getStatus, {});
}

/** Kills control and waits until it serves again. */
async function killControl(grid: TestGrid): Promise<void> {
  const { pid } = grid.grid.control;
  grid.expectedDeaths++;
  grid.grid.control.kill("SIGKILL");
  await grid.channel.unary(Admin.getStatus, {}, { retries: 100 });
  assert(grid.grid.control.pid !== pid, "Another control serves now");
}

/** Nothing of any action is left in the worker's directory. */
async function assertNoWorkLeft(dataDir: string): Promise<void> {
  assertEquals(await everythingBelow(`${dataDir}/worker/work`), []);
}

/** What can be read at once; `""` at the end. */
async function readSome(file: Deno.FsFile): Promise<string> {
  const buffer = new Uint8Array(4096);
  return new TextDecoder().decode(buffer.subarray(0, await file.read(buffer) ?? 0));
}

const QUICK = ["--lease-ttl=3s", "--heartbeat-interval=500ms"];

Deno.test("A worker that is killed in mid-action costs a try and nothing else", async () => {
  await withMachine(async ({ dataDir, host, fifo }) => {
    {
      await using grid = await TestGrid.startOnHost({ dataDir, controlFlags: QUICK });
      const [alive, go] = [await fifo("alive"), await fifo("go")];
      const followed = grid.execute(
        await grid.action(
          sh(
            `echo try >> ${host}/tries; exec 3> ${alive}; echo begun >&3; read word < ${go}; echo $word > out; echo $word`,
            { outputPaths: ["out"] },
          ),
        ),
      );
      using first = await Deno.open(alive);
      assertEquals(await readSome(first), "begun\n");
      grid.expectedDeaths = 1;
      const [, worker] = grid.grid.pids;
      grid.grid.workers[0].kill("SIGKILL");
      // The FIFO ends when the last process of the action has: it did not outlive its worker.
      assertEquals(await readSome(first), "");
      using second = await Deno.open(alive);
      assertEquals(await readSome(second), "begun\n");
      await Deno.writeTextFile(go, "survived\n");
      const { result, status, cachedResult } = await followed.response();
      assertEquals([status?.code ?? 0, cachedResult], [0, false], status?.message);
      assertEquals(await grid.text(result?.stdoutDigest), "survived\n");
      assertEquals(await Deno.readTextFile(`${host}/tries`), "try\ntry\n");
      assertEquals(grid.grid.pids.includes(worker), false);
      await grid.assertGood();
    }
    await assertNoWorkLeft(dataDir);
  });
});

Deno.test("What control acknowledged is there after kill -9, under a later epoch", async () => {
  await withMachine(async ({ dataDir }) => {
    await using grid = await TestGrid.startOnHost({ dataDir });
    const small = Array.from({ length: 200 }, (_, i) => utf8(`blob ${i} ${crypto.randomUUID()}`));
    const large = crypto.getRandomValues(new Uint8Array(60_000));
    const blobs = [...small, large, new Uint8Array(3_000_000).fill(7)];
    const digests = await grid.putAll(blobs.slice(0, -1));
    digests.push(await grid.put(blobs[blobs.length - 1]));
    const action = await grid.action(sh("echo kept > out; echo kept", { outputPaths: ["out"] }));
    const first = grid.execute(action);
    await first.response();
    const { bootEpoch } = await statusOf(grid);

    await killControl(grid);

    assertEquals(await grid.missing(digests), []);
    for (const [i, each] of digests.entries()) assertEquals(await grid.read(each), blobs[i]);
    const second = grid.execute(action);
    const { cachedResult, result } = await second.response();
    assertEquals([cachedResult, result], [true, (await first.response()).result]);
    assertGreater((await statusOf(grid)).bootEpoch, bootEpoch);
    assertFailure(await grid.wait(first.name).error(), Code.UNAVAILABLE, "execute the action again");
    await grid.assertGood();
  });
});

Deno.test("A client of the SDK sees its action through a kill -9 of control", async () => {
  await withMachine(async ({ dataDir, host, fifo }) => {
    {
      await using grid = await TestGrid.startOnHost({ dataDir, controlFlags: QUICK });
      await using client = connectGrid(grid.grid.endpoint, { retries: 20 });
      const [begun, go] = [await fifo("begun"), await fifo("go")];
      const resumed: string[] = [];
      const running = client.run({
        argv: [
          "/bin/sh",
          "-c",
          `echo run >> ${host}/runs; echo begun > ${begun}; read word < ${go}; echo $word`,
        ],
        onResume: ({ codeName }) => resumed.push(codeName),
      });
      await Deno.readTextFile(begun);
      grid.expectedDeaths = 1;
      grid.grid.control.kill("SIGKILL");
      // The action may run once or twice, as the worker's lease is or is not known again; each reads a line.
      let done = false;
      const ended = running.finally(() => done = true);
      // An action that is killed leaves its end of a FIFO: the pipe breaks, also after nobody waits for it any more.
      const again = async (transfer: () => Promise<unknown>) => {
        while (!done) await Promise.race([transfer().catch(() => {}), ended.catch(() => {})]);
      };
      const feed = again(() => Deno.writeTextFile(go, "through\n"));
      const drain = again(() => Deno.readTextFile(begun));
      const result = await ended;
      assertEquals(new TextDecoder().decode(result.stdout), "through\n");
      assertEquals([result.exitCode, result.error], [0, undefined]);
      assertEquals(resumed.length > 0, true);
      // What still waits at a FIFO's end is let go.
      for (const path of [begun, go]) {
        const other = await Deno.open(path, { read: true, write: true });
        await other.write(utf8("end\n"));
        setTimeout(() => other.close(), 100);
      }
      await Promise.all([feed, drain]);
      await grid.assertGood();
    }
    await assertNoWorkLeft(dataDir);
  });
});

Deno.test("SIGTERM during an action: it gets its grace, is given back, and nothing of it is left", async (t) => {
  await t.step("one that ends within the grace is answered", async () => {
    await withMachine(async ({ dataDir, fifo }) => {
      const grid = await TestGrid.startOnHost({ dataDir });
      const begun = await fifo("begun");
      const followed = grid.execute(await grid.action(sh(`echo begun > ${begun}; sleep 0.5; echo ended`)));
      await Deno.readTextFile(begun);
      const ends = grid.grid.stop();
      const { result } = await followed.response();
      assertEquals(result?.exitCode, 0);
      await ends;
      await grid[Symbol.asyncDispose]();
      await assertNoWorkLeft(dataDir);
    });
  });
  await t.step("one that does not is killed, and its client is told to come again", async () => {
    await withMachine(async ({ dataDir, fifo }) => {
      const grid = await TestGrid.startOnHost({
        dataDir,
        controlFlags: ["--shutdown-grace=1s"],
        workerFlags: ["--shutdown-grace=500ms"],
      });
      const begun = await fifo("begun");
      const followed = grid.execute(
        await grid.action(sh(`echo begun > ${begun}; mkdir d; echo > d/f; sleep 1000`)),
      );
      await Deno.readTextFile(begun);
      const ends = grid.grid.stop();
      assertFailure(await followed.error(), Code.UNAVAILABLE, "shutting down", "again");
      assertEquals(followed.stages, ["CACHE_CHECK", "QUEUED", "EXECUTING", "QUEUED", "COMPLETED"]);
      await ends;
      await grid[Symbol.asyncDispose]();
      await assertNoWorkLeft(dataDir);
    });
  });
});

Deno.test("A temporary grid leaves no process, and no file where it was", async () => {
  let dataDir: string;
  {
    await using grid = await TestGrid.startOnHost();
    dataDir = grid.grid.dataDir;
    await grid.assertGood();
    assertEquals((await processesOf(dataDir)).length >= 2, true);
  }
  await noProcessOf(dataDir);
  assertEquals(await Deno.stat(dataDir).then(() => "there", () => "gone"), "gone");
});

const notRoot = Deno.uid() !== 0 ? "mounting needs root" : await new Deno.Command("unshare", {
  args: ["-m", "mount", "-t", "tmpfs", "none", "/mnt"],
  stderr: "null",
})
  .output().then(
    ({ success }) => success ? undefined : "nothing can be mounted here",
    () => "there is no unshare",
  );

async function command(name: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(name, { args, stdout: "null" }).output();
  if (!success) throw new Error(`${name} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** A small disk at `path`. */
async function mountDisk(
  path: string,
  size: string,
): Promise<AsyncDisposable & { grow(size: string): Promise<void> }> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  await command("mount", "-t", "tmpfs", "-o", `size=${size},mode=700`, "none", path);
  return {
    grow: (size) => command("mount", "-o", `remount,size=${size}`, path),
    [Symbol.asyncDispose]: () => command("umount", path),
  };
}

/** Uploads a blob of `sizeBytes` and gives its digest, or how it failed. */
async function tryPut(grid: TestGrid, sizeBytes: number): Promise<WireDigest | BrokkrError> {
  const data = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65536) {
    crypto.getRandomValues(data.subarray(at, Math.min(sizeBytes, at + 65536)));
  }
  const own = digest(data);
  try {
    const { responses: [{ status }] } = await grid.channel.unary(Cas.batchUpdateBlobs, {
      instanceName: grid.instance,
      requests: [{ digest: own, data }],
    }, { retries: 0 });
    return status === undefined || status.code === 0
      ? own
      : new BrokkrError(status.code as Code, status.message);
  } catch (error) {
    if (error instanceof BrokkrError) return error;
    throw error;
  }
}

testUnless(
  notRoot,
  "A full disk under the store refuses what is new, and keeps and serves what is old",
  async () => {
    await withMachine(async ({ dataDir, fifo }) => {
      await using disk = await mountDisk(`${dataDir}/control`, "96m");
      await using grid = await TestGrid.startOnHost({ dataDir });
      const action = await grid.action(sh("echo before the flood"));
      await grid.execute(action).response();
      const ran = await fifo("ran");
      const floodAction = await grid.action(
        sh(`echo ran > ${ran}; head -c 3500000 /dev/urandom > out`, { outputPaths: ["out"] }),
      );
      const { commandDigest } = ActionCodec.decode(await grid.read(floodAction));
      assert(commandDigest !== undefined);
      assertEquals(await grid.missing([floodAction, commandDigest]), []);
      const kept: WireDigest[] = [];
      let full: BrokkrError | undefined;
      for (const sizeBytes of [3_500_000, 300_000, 5000]) {
        for (let i = 0; i < 2000; i++) {
          const put = await tryPut(grid, sizeBytes);
          if (!(put instanceof BrokkrError)) {
            kept.push(put);
            // What a client was told to be there does not make room for others.
            assertEquals(await grid.missing([put]), []);
            continue;
          }
          full = put;
          break;
        }
      }
      assertFailure(full, Code.RESOURCE_EXHAUSTED, "pace");
      assertGreater(kept.length, 10);
      assertEquals(await grid.missing(kept), [], "What was acknowledged is there");
      for (const each of kept) assertEquals(digest(await grid.read(each)), each);
      const { cachedResult } = await grid.execute(action).response();
      assertEquals(cachedResult, true, "The action cache goes on answering");
      // An action whose outputs find no room is tried again, and ends well once there is some.
      const flood = grid.execute(floodAction);
      await Deno.readTextFile(ran);
      await disk.grow("256m");
      // It runs again when its upload has given up, and tells so.
      const again = Deno.open(ran, { read: true, write: true });
      const { result, status } = await flood.response();
      (await again).close();
      assertEquals(
        [status?.code ?? 0, result?.outputFiles[0]?.digest?.sizeBytes],
        [0, 3_500_000],
        status?.message,
      );
      await grid.assertGood();
      assertEquals(await grid.missing(kept), []);
    });
  },
);

testUnless(notRoot, "A store whose disk was full starts again with all that it acknowledged", async () => {
  await withMachine(async ({ dataDir }) => {
    await using _disk = await mountDisk(`${dataDir}/control`, "80m");
    const kept: WireDigest[] = [];
    {
      await using grid = await TestGrid.startOnHost({ dataDir, workers: 0 });
      for (const sizeBytes of [3_500_000, 100_000, 1000]) {
        for (let i = 0; i < 2000; i++) {
          const put = await tryPut(grid, sizeBytes);
          if (put instanceof BrokkrError) break;
          kept.push(put);
          assertEquals(await grid.missing([put]), []);
        }
      }
      await killControl(grid);
      assertEquals(await grid.missing(kept), []);
      for (const each of kept) assertEquals(digest(await grid.read(each)), each);
    }
    await using again = await TestGrid.startOnHost({ dataDir, workers: 0 });
    assertEquals(await again.missing(kept), []);
  });
});

testUnless(
  notRoot,
  "A full disk under the worker fails what does not fit, and the worker goes on",
  async (t) => {
    await withMachine(async ({ dataDir }) => {
      await using _disk = await mountDisk(`${dataDir}/worker`, "24m");
      await using grid = await TestGrid.startOnHost({ dataDir, workerFlags: ["--cache-size=64MiB"] });
      await grid.assertGood();

      await t.step("an action that fills the disk is told so by its own command", async () => {
        const { result, status } = await grid.run(
          sh("head -c 100000000 /dev/zero > big", { outputPaths: ["big"] }),
        );
        assertEquals(status?.code ?? 0, 0, status?.message);
        // Its standard error lies on the same disk, so that there may have been no room for words.
        assertGreater(result?.exitCode ?? 0, 0);
        await grid.assertGood();
      });

      await t.step("inputs that do not fit are no fault of the action's, and say what is full", async () => {
        const blobs = await Promise.all(Array.from({ length: 12 }, () => tryPut(grid, 3_500_000)));
        const entries = blobs.map((blob, i) => {
          assert(!(blob instanceof BrokkrError));
          return { file: `f${i}`, digest: blob };
        });
        const inputRootDigest = await grid.put(rawDirectory(...entries));
        // Back in the queue each time, since another worker may have a larger disk; that nobody has takes some tries.
        const { status } = await grid.run(sh("ls"), { inputRootDigest });
        assertEquals(codeName(status?.code ?? 0), "UNAVAILABLE", status?.message);
        assertMatch(status?.message ?? "", /No space left/);
        await grid.assertGood();
      });

      await t.step(
        "output to standard output that does not fit is an error and not a shorter output",
        async () => {
          const followed = grid.execute(
            await grid.action(sh("head -c 60000000 /dev/zero && echo all written >&2")),
          );
          const { result, status } = await followed.response();
          const told = `${codeName(status?.code ?? 0)} ${status?.message} exit ${result?.exitCode}`;
          assert(
            (status?.code ?? 0) !== 0 || result?.exitCode !== 0 || result?.stdoutDigest?.sizeBytes !== 0,
            told,
          );
          await grid.assertGood();
        },
      );
      assertStringIncludes(grid.lines.join("\n"), "NOTHING IS ISOLATED");
    });
  },
);
