/**
 * Runs stories: text scripts of events with the effects that each must have. Used by tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { LeaseId, OperationName, WorkerId } from "@brokkr/common";
import { codeName } from "@brokkr/common";
import { Scheduler } from "./scheduler.ts";
import type {
  PlatformProperty,
  ResultOutcome,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerLimits,
} from "./types.ts";

type Event = SchedulerEvent<string, string, string>;
type Effect = SchedulerEffect<string, string, string>;

function show(effect: Effect): string {
  switch (effect.type) {
    case "lease":
      return `lease ${effect.leaseId} ${effect.payload} to ${effect.worker} attempt ${effect.attempt}`;
    case "cancelLease":
      return `cancel ${effect.leaseId} on ${effect.worker}: ${effect.reason}`;
    case "ack":
      return `${effect.accepted ? "accept" : "refuse"} ${effect.leaseId} of ${effect.worker}`;
    case "drain":
      return effect.over
        ? `end the drain of ${effect.worker}`
        : `drain ${effect.worker}${effect.end ? " and end it" : ""}`;
    case "close":
      return `close ${effect.worker}#${effect.session}: ${effect.error.codeName}`;
    case "stage":
      return `${effect.operation} ${effect.stage}${
        effect.worker === undefined ? "" : ` on ${effect.worker}`
      }`;
    case "refuse":
      return `refuse ${effect.operation}: ${effect.error.codeName}`;
    case "settle":
      return `settle ${effect.leaseId} ${effect.outcome}`;
    case "salvage":
      return `salvage ${effect.leaseId} of ${effect.worker}`;
    case "finish":
      return "outcome" in effect.end
        ? `finish ${effect.operation}: ${effect.end.outcome}`
        : `finish ${effect.operation}: ${codeName(effect.end.error.code)}: ${effect.end.error.message}`;
    case "forgetOperation":
      return `forget ${effect.operation}`;
    case "forgetWorker":
      return `forget ${effect.worker}`;
    case "lost":
      return `lost ${effect.leaseId}`;
  }
}

/** The story's commands, one scheduler, and a clock moved by `wait`. */
export class Story {
  readonly scheduler: Scheduler<string, string, string>;
  #nowMs = 0;
  #session = 0;
  readonly #sessions = new Map<string, number>();

  constructor(limits: Partial<SchedulerLimits> = {}) {
    this.scheduler = new Scheduler(7, limits);
  }

  /**
   * Runs lines of the form `command arguments`, each followed by the effects it must have as `> effect`. Time is moved
   * by `wait <seconds>`, which ticks once at the end.
   */
  tell(script: string): void {
    const lines = script.split("\n").map((line) => line.trim()).filter((line) =>
      line !== "" && !line.startsWith("#")
    );
    for (let i = 0; i < lines.length;) {
      const command = lines[i++];
      const expected: string[] = [];
      while (lines[i]?.startsWith(">")) expected.push(lines[i++].slice(1).trim());
      const actual = this.#do(command).map(show);
      assertEquals(actual, expected, `after "${command}"`);
      this.scheduler.check();
    }
  }

  #do(command: string): readonly Effect[] {
    const [verb, ...words] = command.split(/\s+/);
    if (verb === "wait") {
      this.#nowMs += Number(words[0]) * 1000;
      return this.scheduler.step({ type: "tick" }, this.#nowMs);
    }
    return this.scheduler.step(this.#event(verb, words), this.#nowMs);
  }

  #event(verb: string, words: readonly string[]): Event {
    const options = new Map(words.filter((word) => word.includes("=")).map(split));
    const plain = words.filter((word) => !word.includes("="));
    const operation = plain[0] as OperationName;
    const worker = plain[0] as WorkerId;
    const session = this.#sessions.get(plain[0]) ?? 0;
    switch (verb) {
      case "submit":
        return {
          type: "submit",
          operation,
          twinKey: options.get("key"),
          platform: properties(options.get("needs")),
          environments: options.get("in")?.split(","),
          priority: Number(options.get("priority") ?? 0),
          timeoutMs: 60_000,
          sizeBytes: 10,
          payload: options.get("action") ?? operation,
        };
      case "cached":
        return { type: "cached", operation, sizeBytes: 10 };
      case "watch":
      case "unwatch":
        return { type: verb, operation };
      case "cancel":
        return { type: "cancel", operation, reason: "Asked to" };
      case "connect": {
        this.#sessions.set(worker, ++this.#session);
        const spec = {
          id: worker,
          slots: Number(options.get("slots") ?? 1),
          platform: properties(options.get("offers")),
          grants: properties(options.get("grants")).map(({ name, value }) =>
            /^\d+$/.test(value)
              ? { name, words: [], most: Number(value) }
              : { name, words: value.split("|"), most: 0 }
          ),
          environment: options.get("in") ?? "test",
        };
        const liveLeases = options.get("live")?.split(",") ?? [];
        const leaving = plain.includes("leaving");
        return { type: "connect", session: this.#session, worker: spec, liveLeases, leaving };
      }
      case "disconnect":
      case "goodbye":
        return { type: verb, session, worker };
      case "beat":
        return { type: "heartbeat", session, worker, leases: plain.slice(1) };
      case "stage":
        return { type: "stage", session, worker, leaseId: plain[1] };
      case "result": {
        const outcome = plain[2] as ResultOutcome;
        const base = { worker, leaseId: plain[1], outcome, why: "no room", result: "bytes" };
        return { type: "result", session: Number(options.get("session") ?? session), ...base };
      }
      case "settled": {
        const verdict = plain[1] === "fault"
          ? { kind: "fault", why: "outputs are missing" } as const
          : { kind: "finish", outcome: plain[1], sizeBytes: 10 } as const;
        return { type: "settled", leaseId: plain[0] as LeaseId, verdict };
      }
      case "salvaged":
        return { type: "salvaged", worker, leaseId: plain[1], accepted: plain[2] === "kept" };
      case "drain":
        return { type: "drainWorker", worker, reason: "Asked to", end: plain[1] === "end" };
      case "resume":
        return { type: "resumeWorker", worker };
      case "shutdown":
        return { type: "shutdown", abort: plain[0] === "abort" };
    }
    throw new Error(`No such command in a story: ${verb}`);
  }
}

function split(word: string): [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

/** `OSFamily:linux,ISA:avx2` as properties. */
function properties(text: string | undefined): PlatformProperty[] {
  if (text === undefined) return [];
  return text.split(",").map((word) => ({ name: word.split(":")[0], value: word.split(":")[1] }));
}
