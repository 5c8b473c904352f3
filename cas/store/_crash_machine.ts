/**
 * A computer that a crash simulation runs a store on: it does one operation of the disk at a time, in an order that a
 * seed decides, moves time when nothing else happens, and can lose power or its process between any two operations.
 *
 * @module
 */

import { ManualClock, type Random, yieldToEventLoop } from "@brokkr/common";
import type { Fault, FileOperation } from "./_faulty_files.ts";
import { type Execute, SimulatedDisk, type SimulatedDiskOptions } from "./_simulated_disk.ts";
import type { Survival } from "./_simulated_file.ts";

/** The machine stopped. */
export class Stopped extends Error {
  /** After how many operations. */
  constructor(operations: number) {
    super(`The machine stopped after ${operations} operations`);
  }
}

interface Operation {
  readonly text: string;
  /** Does it and tells who asked. */
  readonly run: () => void;
  /** Does it and tells nobody. */
  readonly effect: () => unknown;
}

/** Turns of the event loop without any operation after which a wait counts as for ever. */
const MAX_IDLE_TURNS = 3000;
/** Lines of history kept for the report of a failure. */
const MAX_LINES = 4000;

/** What a {@linkcode Machine} is made with. */
export interface MachineOptions {
  readonly random: Random;
  /** Runs operations in the order they came, so that the same number of them is always the same moment. */
  readonly inOrder?: boolean;
  readonly capacityBytes?: number;
  /** Where it wrote its history before; a machine that was started again goes on with it. */
  readonly lines?: string[];
  readonly clock?: ManualClock;
}

/** One run of one process on the machine. */
export class Machine {
  readonly #options: MachineOptions;
  #queue: Operation[] = [];
  #dead = false;
  /** Time. */
  readonly clock: ManualClock;
  /** The disk. */
  readonly disk: SimulatedDisk;
  /** What happened, the newest last. */
  readonly lines: string[];
  /** Operations done. */
  operations = 0;
  /** After so many operations it stops. */
  stopAt = Infinity;
  /** Decides on each operation. */
  fault: (operation: FileOperation, path: string) => Fault | undefined = () => undefined;
  /** Told of each file that was removed. */
  onRemoved: (path: string) => void = () => {};
  /** How far time goes when all wait for it, in milliseconds. */
  idleMs: () => number = () => 250;
  /** How long an operation takes, in milliseconds. */
  stepMs = 0;
  /** How often a fault was injected, */
  faults = 0;
  /** and into a read. */
  readFaults = 0;

  /** A machine with an empty disk, or with what `disk` makes. */
  constructor(options: MachineOptions, disk?: (options: SimulatedDiskOptions) => SimulatedDisk) {
    this.#options = options;
    this.clock = options.clock ?? new ManualClock();
    this.lines = options.lines ?? [];
    const { random, capacityBytes } = options;
    const settled = {
      random,
      execute: this.execute,
      fault: (operation: FileOperation, path: string) => this.decide(operation, path),
      onRemoved: (path: string) => this.onRemoved(path),
      wallMs: () => this.clock.wallMs(),
      ...(capacityBytes === undefined ? {} : { capacityBytes }),
    };
    this.disk = disk?.(settled) ?? new SimulatedDisk(settled);
  }

  /** Takes an operation of the disk and does it some time. */
  readonly execute: Execute = (operation, path, run) => {
    if (this.#dead) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      this.#queue.push({
        text: `${operation} ${path}`,
        effect: run,
        run: () => {
          try {
            resolve(run());
          } catch (error) {
            this.note(`  ${error instanceof Error ? error.message : error}`);
            reject(error);
          }
        },
      });
    });
  };

  /** Adds a line to the history. */
  note(line: string): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.splice(0, MAX_LINES / 2);
  }

  /**
   * Does what is asked of the disk until `promise` settles.
   *
   * @throws {Stopped} when it stops before.
   */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(() => settled = true, () => settled = true);
    for (let idle = 0;;) {
      await yieldToEventLoop();
      if (settled) return await promise;
      if (this.operations >= this.stopAt) {
        this.#dead = true;
        throw new Stopped(this.operations);
      }
      if (this.#queue.length > 0) {
        idle = 0;
        this.#step();
        this.clock.advance(this.stepMs);
      } else if (++idle > MAX_IDLE_TURNS) {
        throw new Error("All wait, and for nothing that the disk or time could bring");
      } else if (idle > 3) {
        this.clock.advance(this.idleMs());
      }
    }
  }

  /** The machine after its process was killed. What the disk was asked for may be done or not. */
  afterKill(): Machine {
    this.#end(0.5);
    return new Machine(this.#next(), (options) => this.disk.afterKill(options));
  }

  /** The machine after the power was cut. */
  afterCut(survival: Survival): Machine {
    this.#end(survival === "lost" ? 0 : survival === "kept" ? 1 : 0.5);
    return new Machine(this.#next(), (options) => this.disk.afterCut(options, survival));
  }

  #next(): MachineOptions {
    return { ...this.#options, lines: this.lines, clock: new ManualClock(this.clock.wallMs()) };
  }

  /** What was under way happens with this probability; nobody hears of it. */
  #end(probability: number): void {
    this.#dead = true;
    const { random } = this.#options;
    this.fault = () => undefined;
    for (const { text, effect } of this.#queue) {
      if (random.next() >= probability) continue;
      this.note(`${text} (as it stopped)`);
      try {
        effect();
      } catch (error) {
        this.note(`  ${error instanceof Error ? error.message : error}`);
      }
    }
    this.#queue = [];
  }

  #step(): void {
    const { random, inOrder } = this.#options;
    const at = inOrder ? 0 : Math.floor(random.next() * this.#queue.length);
    const [operation] = this.#queue.splice(at, 1);
    this.operations++;
    this.note(operation.text);
    operation.run();
  }

  /** What of a fault an operation meets. */
  decide(operation: FileOperation, path: string): Fault | undefined {
    const fault = this.fault(operation, path);
    if (fault === undefined) return undefined;
    this.faults++;
    if (operation === "read") this.readFaults++;
    this.note(`  fault: ${fault}`);
    return fault;
  }
}
