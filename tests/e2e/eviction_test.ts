import { assert, assertEquals, assertLess } from "@std/assert";
import { seededRandom } from "@brokkr/common";
import { FreshBytes, Latencies, pause, putBatch } from "./_flood.ts";
import { floodGrid } from "./_flooded.ts";
import { sh, TestGrid } from "./_grid.ts";

const MIB = 1 << 20;
const LIMIT_BYTES = Number(Deno.env.get("BROKKR_FLOOD_LIMIT_MIB") ?? 64) * MIB;
const TIMES = Number(Deno.env.get("BROKKR_FLOOD_TIMES") ?? 10);
const PROMISE_MS = 60_000;

/** Puts small blobs one after the other, as a client does that waits for each. */
async function probe(grid: TestGrid, signal: AbortSignal, latencies: Latencies): Promise<void> {
  const fresh = new FreshBytes(seededRandom(7));
  while (!signal.aborted) {
    await latencies.of(() => putBatch(grid.channel, grid.instance, [fresh.take(4096)]));
    await pause(20);
  }
}

/** Runs actions that read what was made by the one before. */
async function work(grid: TestGrid, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (; !signal.aborted; count++) {
    const { result, status } = await grid.run(sh(`echo ${count} > out; head -c 20000 /dev/urandom >> out`, {
      outputPaths: ["out"],
    }));
    assertEquals([status?.code ?? 0, result?.exitCode], [0, 0], status?.message);
    assertEquals((await grid.read(result?.outputFiles[0]?.digest)).length > 20_000, true);
    await pause(200);
  }
  return count;
}

function envNumber(name: string): number | undefined {
  const value = Deno.env.get(name);
  return value === undefined ? undefined : Number(value);
}

Deno.test("uploads of ten times what the store may hold break no promise, and stall nobody", async () => {
  const seed = envNumber("BROKKR_FLOOD_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0];
  console.log(`BROKKR_FLOOD_SEED=${seed}`);
  await using grid = await TestGrid.start({
    controlFlags: [`--cas-max-size=${LIMIT_BYTES}B`, `--cas-promise-time=${PROMISE_MS / 1000}s`],
  });
  const small = new Latencies();
  const flooded = await floodGrid({
    grid: grid.grid,
    instance: grid.instance,
    channel: grid.channel,
    limitBytes: LIMIT_BYTES,
    totalBytes: TIMES * LIMIT_BYTES,
    promiseMs: PROMISE_MS,
    seed,
    others: (signal) => [probe(grid, signal, small), work(grid, signal)],
  });
  const told = `${flooded.text()}; small ${small.text()}`;
  console.log(told);
  flooded.check();
  assert(flooded.results.read > 20 && flooded.promises.read > 10, told);
  // What waits for room at most; usually it is a tenth of a second, but this machine may be busy.
  assertLess(small.max, 10_000, told);
});
