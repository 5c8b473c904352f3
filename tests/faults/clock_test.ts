import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "@brokkr/common";
import { type ControlHandle, startControl } from "@brokkr/control";
import { ActionCache } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { startWorker, type WorkerHandle } from "@brokkr/worker";
import { execute, get, noise, put, run, storeAction } from "./_client.ts";
import { withDir } from "./_running.ts";

const HOUR_MS = 3_600_000;

/** The machine's clock, whose wall time can be set; its monotonic time goes on, as the kernel's does. */
class SetClock implements Clock {
  offsetMs = 0;
  readonly monotonicMs = systemClock.monotonicMs;
  readonly setTimer = systemClock.setTimer;
  wallMs(): number {
    return systemClock.wallMs() + this.offsetMs;
  }
}

function control(dir: string, clock: Clock): Promise<ControlHandle> {
  return startControl({ dataDir: `${dir}/data`, listen: "127.0.0.1:0", clock });
}

/** Starts a worker whose actions see `dir/pipes` as /pipes: whoever sees a pipe may write into it. */
async function worker(dir: string, { grpcEndpoint }: ControlHandle, clock: Clock): Promise<WorkerHandle> {
  await Deno.mkdir(`${dir}/pipes`, { recursive: true });
  const binds = ["default", `${dir}/pipes:/pipes`];
  return await startWorker({
    control: grpcEndpoint,
    dataDir: `${dir}/worker`,
    slots: 2,
    clock,
    sandbox: { binds },
  });
}

for (const [what, jumpMs] of [["back an hour", -HOUR_MS], ["forward a day", 24 * HOUR_MS]] as const) {
  Deno.test(`A clock set ${what} in the middle of an action and an upload changes neither`, async () => {
    await withDir(async (dir) => {
      const clock = new SetClock();
      await using grid = await control(dir, clock);
      await using hands = await worker(dir, grid, clock);
      await hands.ready;
      await using channel = connect(grid.grpcEndpoint);
      const [begun, go] = [`${dir}/pipes/begun`, `${dir}/pipes/go`];
      const pipes = new Deno.Command("mkfifo", { args: ["--mode=666", begun, go] });
      assert((await pipes.output()).success);
      const action = await storeAction(
        channel,
        "echo > /pipes/begun && read x < /pipes/go && echo $x",
        undefined,
        600,
      );
      const running = execute(channel, action);
      // An action that cannot say that it has begun has a result to say why.
      const early = running.then(({ result, status }) => {
        throw new Error(`It ended early: ${status?.message ?? new TextDecoder().decode(result?.stderrRaw)}`);
      });
      early.catch(() => {}); // raced below; afterwards it ends as it should
      await Promise.race([Deno.readTextFile(begun), early]);
      clock.offsetMs = jumpMs;
      await Deno.writeTextFile(go, "through\n");
      const { result, status } = await running;
      assertEquals([status?.code ?? 0, result?.exitCode], [0, 0], status?.message);
      const meta = result?.executionMetadata;
      const moments = [
        meta?.queuedTimestamp,
        meta?.workerStartTimestamp,
        meta?.inputFetchStartTimestamp,
        meta?.executionStartTimestamp,
        meta?.executionCompletedTimestamp,
        meta?.workerCompletedTimestamp,
      ].map((at) => (at?.seconds ?? NaN) * 1000 + (at?.nanos ?? NaN) / 1e6);
      for (const [i, at] of moments.entries()) {
        assert(i === 0 || at >= moments[i - 1], `Moments of a result go forward: ${moments}`);
      }
      // A run that was an hour long, or minus an hour, was neither.
      assert(moments[moments.length - 1] - moments[0] < HOUR_MS / 2, `${moments}`);
      const data = noise(3 << 20);
      const blob = await put(channel, data);
      clock.offsetMs = 0;
      assertEquals(await get(channel, blob), data);
      assertEquals((await run(channel, "true")).result?.exitCode, 0);
    });
  });

  Deno.test(`A control plane started with the clock set ${what} has its blobs, results and a later epoch`, async () => {
    await withDir(async (dir) => {
      const clock = new SetClock();
      const data = noise(3 << 20);
      let blob, action;
      {
        await using grid = await control(dir, clock);
        await using hands = await worker(dir, grid, clock);
        await hands.ready;
        await using channel = connect(grid.grpcEndpoint);
        blob = await put(channel, data);
        action = await storeAction(channel, "echo before > out");
        assertEquals((await execute(channel, action)).cachedResult, false);
      }
      clock.offsetMs = jumpMs;
      await using grid = await control(dir, clock);
      await using channel = connect(grid.grpcEndpoint);
      assertEquals(await get(channel, blob), data);
      const request = { instanceName: "main", actionDigest: action };
      assertEquals((await channel.unary(ActionCache.getActionResult, request)).exitCode, 0);
      await using hands = await worker(dir, grid, clock);
      await hands.ready;
      assertEquals((await execute(channel, action)).cachedResult, true);
      assertEquals((await run(channel, "true")).result?.exitCode, 0);
    });
  });
}
