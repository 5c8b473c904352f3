/**
 * What happens to the processes of a grid, and when: drawn from a seed.
 *
 * @module
 */

import { seededRandom } from "@brokkr/common";

/** How a process is struck: SIGKILL, SIGTERM, or SIGSTOP with SIGCONT after a while. */
export type Blow = "kill" | "end" | "stop";

/** One strike. Times in milliseconds. */
export interface Strike {
  /** Pause before it, after the last one at the same process has passed. */
  readonly afterMs: number;
  readonly blow: Blow;
  /** How long a stopped process stays so; 0 for others. */
  readonly holdMs: number;
}

/** What one seed does. */
export interface Plan {
  readonly seed: number;
  /** How many workers the grid has. */
  readonly workers: number;
  /** Slots of each of them. */
  readonly slots: number;
  /** Strikes at control, in order. */
  readonly control: readonly Strike[];
  /** Strikes at each worker, in order. */
  readonly worker: readonly (readonly Strike[])[];
}

/** Leases end after this time without a heartbeat. */
export const LEASE_TTL_MS = 2000;

/** Flags of control that make for short leases and quick ends. */
export const CONTROL_FLAGS: readonly string[] = [
  `--lease-ttl=${LEASE_TTL_MS}ms`,
  "--heartbeat-interval=400ms",
  "--shutdown-grace=500ms",
];

/** The plan of a seed. Some stops outlast a lease, others do not. */
export function planOf(seed: number): Plan {
  const random = seededRandom(seed);
  const int = (from: number, to: number) => from + Math.floor(random.next() * (to - from + 1));
  const strike = (blows: readonly Blow[]): Strike => {
    const blow = blows[int(0, blows.length - 1)];
    const long = random.next() < 0.4;
    const held = long ? int(LEASE_TTL_MS + 200, LEASE_TTL_MS + 1500) : int(50, LEASE_TTL_MS - 500);
    return { afterMs: int(100, 1800), blow, holdMs: blow === "stop" ? held : 0 };
  };
  const strikes = (count: number, blows: readonly Blow[]) =>
    Array.from({ length: count }, () => strike(blows));
  const workers = int(2, 3);
  const control = strikes(int(1, 3), ["kill", "kill", "kill", "stop", "end"]);
  const worker = Array.from(
    { length: workers },
    () => strikes(int(0, 2), ["kill", "kill", "stop", "stop", "end"]),
  );
  // Every seed hits both kinds of process.
  if (worker.every((each) => each.length === 0)) worker[0] = strikes(1, ["kill", "stop"]);
  return { seed, workers, slots: int(1, 3), control, worker };
}

/** A plan in words, for whoever must understand a failure. */
export function planText(plan: Plan): string {
  const line = (name: string, strikes: readonly Strike[]) =>
    `  ${name}: ${
      strikes.map(({ afterMs, blow, holdMs }) =>
        `+${afterMs} ms ${blow}${holdMs > 0 ? ` for ${holdMs} ms` : ""}`
      )
        .join(", ") || "left alone"
    }`;
  return [
    `seed ${plan.seed}, ${plan.workers} workers with ${plan.slots} slots`,
    line("control", plan.control),
    ...plan.worker.map((strikes, i) => line(`worker ${i + 1}`, strikes)),
  ].join("\n");
}
