import { assert } from "@std/assert";
import { fuzzPlan, hexOf, minimised, Mutator } from "./_mutator.ts";
import { checkBlame, type Target, TARGETS } from "./_targets.ts";

/** What `deno task test` tries; the rest of the million comes over the wire, and in `deno task soak`. */
const COUNT = 900_000;
/** No input of this size takes long on any machine; this is what a hang would look like. */
const HANG_MS = 10_000;

interface Tally {
  cases: number;
  taken: number;
  slowestMs: number;
}

function shown(input: Uint8Array | string): string {
  return typeof input === "string" ? JSON.stringify(input).slice(0, 4096) : hexOf(input);
}

/** Whether an input is no message for this target and said to be none; what it throws otherwise is the finding. */
async function blames(run: () => void | Promise<void>): Promise<boolean> {
  try {
    const ran = run();
    if (ran instanceof Promise) await ran;
    return false;
  } catch (error) {
    checkBlame(error);
    return true;
  }
}

async function report(
  target: Target,
  seed: number,
  index: number,
  input: Uint8Array | string,
  error: unknown,
) {
  let least = input;
  const { again } = target;
  if (again !== undefined && input instanceof Uint8Array) {
    const fails = (bytes: Uint8Array) =>
      blames(() => again(bytes, new Mutator(seed, index))).then(() => false, () => true);
    if (await fails(input)) least = await minimised(input, fails);
  }
  const told = error instanceof Error ? error.stack ?? error.message : String(error);
  throw new Error(
    `${target.name}, seed ${seed}, case ${index}: ${told}\ninput: ${shown(input)}\nleast: ${shown(least)}`,
    { cause: error },
  );
}

async function fuzz(target: Target, seed: number, from: number, count: number): Promise<Tally> {
  const tally: Tally = { cases: count, taken: 0, slowestMs: 0 };
  let pause = performance.now() + 50;
  for (let index = from; index < from + count; index++) {
    const mutator = new Mutator(seed, index);
    let input: Uint8Array | string = "";
    const startMs = performance.now();
    try {
      const ran = target.run(mutator, (made) => input = made);
      if (ran instanceof Promise) await ran;
      tally.taken++;
    } catch (error) {
      try {
        checkBlame(error);
      } catch (finding) {
        await report(target, seed, index, input, finding);
      }
    }
    const endMs = performance.now();
    tally.slowestMs = Math.max(tally.slowestMs, endMs - startMs);
    if (endMs > pause) {
      await new Promise((resolve) => setTimeout(resolve));
      pause = performance.now() + 50;
    }
  }
  return tally;
}

Deno.test("Whatever is read takes damaged messages, names and trees as the sender's fault", async (t) => {
  const { seed, count } = fuzzPlan(COUNT);
  console.log(`BROKKR_FUZZ_SEED=${seed} BROKKR_FUZZ_COUNT=${count}`);
  const weights = TARGETS.reduce((sum, { weight }) => sum + weight, 0);
  let from = 0;
  for (const target of TARGETS) {
    const share = Math.max(1, Math.round(count * target.weight / weights));
    const start = from;
    from += share;
    await t.step(`${target.name}: ${share} cases from seed ${seed}`, async () => {
      const { taken, slowestMs } = await fuzz(target, seed, start, share);
      assert(slowestMs < HANG_MS, `One took ${slowestMs} ms`);
      // Damage that nobody would take finds nothing behind the first check, and none that all take is no damage.
      if (share > 1000) assert(taken > 0 && taken <= share, `${taken} of ${share} were taken`);
      console.log(`${target.name}: ${taken} of ${share} taken, slowest ${slowestMs.toFixed(1)} ms`);
    });
  }
});
