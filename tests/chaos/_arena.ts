/**
 * A grid that is struck: its processes, the strikes, and what must be left of it: nothing.
 *
 * @module
 */

import { Admin, type GetStatusResponse } from "@brokkr/proto";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { type Grid, startGrid, type SupervisedProcess } from "@brokkr/cli/up";
import { everythingBelow, noProcessOf } from "../e2e/_processes.ts";
import { groupsLeft, processesLeft, sessionsOf } from "./_leftovers.ts";
import { CONTROL_FLAGS, type Plan, type Strike } from "./_plan.ts";

/** Nothing takes so long, even on a slow machine. */
const LIMIT_MS = 120_000;

/** Above those of `brokk up` and of other tests. */
const UID_BASE = 1_920_000_000;
const IDS_OF_A_WORKER = 4096;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Directories of a round. */
export interface Place extends AsyncDisposable {
  readonly path: string;
  /** State of the grid. */
  readonly dataDir: string;
  /** TMPDIR of its processes. */
  readonly tmp: string;
}

/** Makes the directories of a round. */
export async function openPlace(): Promise<Place> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-chaos-" });
  await Deno.mkdir(`${path}/tmp`);
  return {
    path,
    dataDir: `${path}/grid`,
    tmp: `${path}/tmp`,
    async [Symbol.asyncDispose]() {
      // Cached directories are read-only.
      await new Deno.Command("chmod", { args: ["-R", "u+w", path], stderr: "null" }).output();
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** A running grid under strikes. */
export class Arena {
  readonly grid: Grid;
  /** The last lines of all processes. */
  readonly lines: string[];
  readonly #channel: Channel;
  readonly #place: Place;
  /** Sessions of all processes of the grid there ever were: what they start stays in them. */
  readonly #sessions = new Set<number>();
  /** Ids of its workers, after which their control groups are named. */
  readonly #workerIds = new Set<string>();
  /** Longest time between a strike that ended control and its next READY, in milliseconds. */
  longestOutageMs = 0;
  /** Strikes done, by kind. */
  readonly struck: Record<string, number> = {};

  private constructor(grid: Grid, lines: string[], place: Place) {
    this.grid = grid;
    this.lines = lines;
    this.#channel = connect(grid.endpoint);
    this.#place = place;
  }

  async #noteSessions(): Promise<void> {
    for (const session of await sessionsOf(this.grid.pids)) this.#sessions.add(session);
  }

  /** Starts a grid in a place. */
  static async start(
    place: Place,
    plan: Pick<Plan, "workers" | "slots">,
    controlFlags: readonly string[] = [],
  ): Promise<Arena> {
    const lines: string[] = [];
    const before = Deno.env.get("TMPDIR");
    // Processes inherit it, so that what they leave there is found.
    Deno.env.set("TMPDIR", place.tmp);
    try {
      const grid = await startGrid({
        dataDir: place.dataDir,
        workers: plan.workers,
        slots: plan.slots,
        controlFlags: [...CONTROL_FLAGS, ...controlFlags],
        // Workers that share a machine have different users for their slots, as under `brokk up`.
        workerFlags: (worker) => [
          "--shutdown-grace=500ms",
          `--sandbox-uid-base=${UID_BASE + worker * IDS_OF_A_WORKER}`,
        ],
        stopGraceMs: 60_000,
        onDeath: (message) => lines.push(`supervisor: ${message}`),
        onLog: (process, line) => {
          lines.push(`${process}: ${line}`);
          if (lines.length > 3000) lines.splice(0, 1000);
        },
      });
      return new Arena(grid, lines, place);
    } finally {
      if (before === undefined) Deno.env.delete("TMPDIR");
      else Deno.env.set("TMPDIR", before);
    }
  }

  /** Brings all strikes of a plan down; resolves when the last stopped process goes on. */
  async strike(plan: Pick<Plan, "control" | "worker">): Promise<void> {
    await Promise.all([
      this.#strikes(this.grid.control, plan.control),
      ...plan.worker.map((strikes, i) => this.#strikes(this.grid.workers[i], strikes)),
    ]);
  }

  async #strikes(process: SupervisedProcess, strikes: readonly Strike[]): Promise<void> {
    for (const { afterMs, blow, holdMs } of strikes) {
      await pause(afterMs);
      await this.#noteSessions();
      const what = process.pid === undefined ? `${blow} in vain` : blow;
      this.struck[what] = (this.struck[what] ?? 0) + 1;
      if (blow !== "stop") {
        const before = process.ready;
        const start = performance.now();
        process.kill(blow === "kill" ? "SIGKILL" : "SIGTERM");
        if (process === this.grid.control) await this.#back(before, start);
        continue;
      }
      process.kill("SIGSTOP");
      await pause(holdMs);
      process.kill("SIGCONT");
    }
  }

  /** Waits until control has said READY once more, so that strikes do not merely hit its start again and again. */
  async #back(before: unknown, start: number): Promise<void> {
    while (this.grid.control.ready === before) {
      if (performance.now() - start > LIMIT_MS) throw new Error(`Control did not come back:\n${this.log()}`);
      await pause(10);
    }
    this.longestOutageMs = Math.max(this.longestOutageMs, performance.now() - start);
  }

  /** Waits until all processes serve, and no action is queued or runs. */
  async settle(): Promise<void> {
    const until = performance.now() + LIMIT_MS;
    let status: GetStatusResponse | undefined;
    for (;;) {
      status = await this.#channel.unary(Admin.getStatus, {}, { retries: 100, timeoutMs: LIMIT_MS });
      const { workers } = await this.#channel.unary(Admin.listWorkers, {}, {
        retries: 100,
        timeoutMs: LIMIT_MS,
      });
      for (const { workerId } of workers) this.#workerIds.add(workerId);
      const idle = workers.filter(({ connected, slotsUsed, leases }) =>
        connected && slotsUsed === 0 && leases.length === 0
      );
      const settled = status.ready && status.queued === 0 && status.running === 0 &&
        idle.length === this.grid.workers.length;
      if (settled) return;
      if (performance.now() > until) {
        throw new Error(`The grid does not settle: ${JSON.stringify({ status, workers })}\n${this.log()}`);
      }
      await pause(50);
    }
  }

  /** Stops the grid; gives what it left behind that it must not. */
  async stop(): Promise<string[]> {
    await this.#noteSessions();
    await this.#channel.close();
    const ends = await this.grid.stop();
    const left = ends.filter(({ code }) => code !== 0).map((end) =>
      `an end that is not clean: ${JSON.stringify(end)}`
    );
    await noProcessOf(this.#place.path);
    const { dataDir, tmp, path } = this.#place;
    const empty = [tmp, `${dataDir}/control/cas/tmp`];
    for (let i = 0; i < this.grid.workers.length; i++) {
      const worker = `${dataDir}/${i === 0 ? "worker" : `worker-${i + 1}`}`;
      empty.push(`${worker}/work`, `${worker}/cache/tmp`);
    }
    for (const directory of empty) left.push(...await everythingBelow(directory));
    const mounts = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n");
    left.push(...mounts.filter((line) => line.includes(path)));
    left.push(...await processesLeft(this.#sessions), ...await groupsLeft(this.#workerIds));
    return left;
  }

  /** The last lines, for whoever must understand a failure. */
  log(): string {
    return this.lines.slice(-80).join("\n");
  }
}
