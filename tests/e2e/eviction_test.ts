import { assert, assertEquals, assertLess, assertNotEquals, assertStringIncludes } from "@std/assert";
import { seededRandom } from "@brokkr/common";
import { FreshBytes, Latencies, pause, putBatch } from "./_flood.ts";
import { floodGrid } from "./_flooded.ts";
import { sh, TestGrid } from "./_grid.ts";
import { run } from "./_processes.ts";

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

Deno.test("brokk run says soon that the store is smaller than what it needs, and what to raise", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-too-small-" });
  try {
    const fresh = new FreshBytes(seededRandom(3));
    await Deno.mkdir(`${dir}/in`);
    for (let i = 0; i < 400; i++) await Deno.writeFile(`${dir}/in/f${i}`, fresh.take(30_000));
    await using grid = await TestGrid.start({ controlFlags: ["--cas-max-size=8MiB"] });
    const brokk = async (...args: string[]) => {
      const { code, stderr } = await run("cli", {
        args,
        cwd: dir,
        env: { BROKKR_CLIENT_ENDPOINT: grid.grid.endpoint },
      });
      return { code, said: stderr };
    };
    const inputs = await brokk("run", "--input=in", "--", "/bin/true");
    assertNotEquals(inputs.code, 0);
    assertStringIncludes(inputs.said, "What is needed at once takes");
    assertStringIncludes(inputs.said, "8MiB (cas_max_size): raise it to several times what a build needs");
    const make = "for i in 1 2 3 4; do head -c 3000000 /dev/urandom > out$i; done";
    const flags = [1, 2, 3, 4].map((i) => `--output=out${i}`);
    const outputs = await brokk("run", ...flags, "--", "/bin/sh", "-c", make);
    assertNotEquals(outputs.code, 0);
    assertStringIncludes(outputs.said, "the store cannot take its outputs");
    assertStringIncludes(outputs.said, "cas_max_size");
    await grid.assertGood();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
