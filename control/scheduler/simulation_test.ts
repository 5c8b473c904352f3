import { assert } from "@std/assert";
import { Simulation, type SimulationStat } from "./_simulation.ts";

/** `BROKKR_SIM_SEED=<n>` runs that one seed; `BROKKR_SIM_RUNS=<n>` runs more. */
const SEED = Deno.env.get("BROKKR_SIM_SEED");
const RUNS = Number(Deno.env.get("BROKKR_SIM_RUNS") ?? 40);
const CHAOS_MS = 30_000;

function run(seed: number): SimulationStat {
  const simulation = new Simulation(seed);
  try {
    simulation.run(CHAOS_MS);
  } catch (error) {
    throw new Error(`Simulation failed; repeat it with BROKKR_SIM_SEED=${seed}`, { cause: error });
  }
  return simulation.stat;
}

Deno.test("Scheduler keeps its promises in grids that crash, stall and repeat themselves", () => {
  if (SEED !== undefined) return void run(Number(SEED));
  const first = (Date.now() % 1e6) * 1000;
  console.log(`seeds ${first} to ${first + RUNS - 1}`);
  const sum: Record<string, number> = {};
  for (let i = 0; i < RUNS; i++) {
    for (const [name, count] of Object.entries(run(first + i))) sum[name] = (sum[name] ?? 0) + count;
  }
  console.log(JSON.stringify(sum));
  for (
    const name of [
      "finished",
      "failed",
      "lost",
      "faults",
      "lateResults",
      "refused",
      "restarts",
      "drains",
      "goodbyes",
      "salvaged",
    ]
  ) {
    assert(sum[name] > 0, `The simulations had no case of ${name}`);
  }
});

Deno.test("Simulation gives the same run for the same seed", () => {
  assert(JSON.stringify(run(42)) === JSON.stringify(run(42)));
});
