/**
 * Lives of a disk store on a {@linkcode Machine}: callers do what callers do, the disk fails as disks do, and again and
 * again the power goes, or the process, between any two operations. Each time the store must open and have kept every
 * promise that its callers know of (see `_crash_model.ts`).
 *
 * @module
 */

import { createLogger, type Random, seededRandom } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import { actOnce, ask, type Clients, overhear, readBlob, settled } from "./_crash_clients.ts";
import { Machine, Stopped } from "./_crash_machine.ts";
import { CrashModel, Violation } from "./_crash_model.ts";
import type { Fault, FileOperation } from "./_faulty_files.ts";
import { indexStateAt, setIndexState, simulatedIndex } from "./_simulated_index.ts";
import { pick, type Survival } from "./_simulated_file.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import type { DiskBlobStoreOptions } from "./disk_store_options.ts";
import type { FileLayer } from "./file_layer.ts";

/** Where the store lies. */
const DIR = "/data/cas";
const INDEX = `${DIR}/index`;

/** How a life is lived. */
export interface LifeOptions {
  /** Decides on everything. */
  readonly seed: number;
  /** What the store has instead of the disk itself, to see whether a disk that lies is found out. */
  readonly layer?: (files: FileLayer) => FileLayer;
  /** The store may take little, so that it evicts. */
  readonly evicts?: boolean;
  /** How often the machine stops. */
  readonly stops?: number;
}

/** One life after the other of one store, from one seed. */
export class CrashLife {
  readonly #options: LifeOptions;
  readonly #random: Random;
  readonly #model: CrashModel;
  /** Of the store itself. */
  readonly #storeRandom: Random;
  #machine: Machine;
  /** Whether a segment went, and tombstones with it: then a new index may find again what was deleted. */
  #forgets = false;
  /** Whether the index is older than it should be. */
  #aged = false;
  /** How often each thing happened. */
  readonly counts: Record<string, number> = {};

  /** Begins with an empty disk. */
  constructor(options: LifeOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#storeRandom = seededRandom(options.seed + 1_000_003);
    this.#model = new CrashModel(this.#random, { evicts: options.evicts ?? false });
    this.#machine = new Machine({ random: this.#random });
    this.#machine.disk.makeOld("/data");
  }

  /** What happened, the newest last. */
  get history(): readonly string[] {
    return this.#machine.lines;
  }

  /**
   * Lives it.
   *
   * @throws {Violation} when the store breaks a promise.
   */
  async run(): Promise<void> {
    // What cuts its work into slices looks at the time, which here must be the same for the same seed.
    let nowMs = 0;
    Object.defineProperty(performance, "now", { value: () => nowMs += 0.002, configurable: true });
    try {
      await this.#live();
    } finally {
      Reflect.deleteProperty(performance, "now");
    }
  }

  async #live(): Promise<void> {
    for (let stop = 0; stop < (this.#options.stops ?? 4); stop++) {
      const clients = await this.#open();
      await this.#check(clients);
      await this.#work(clients);
    }
    await this.#check(await this.#open());
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  #storeOptions(machine: Machine): DiskBlobStoreOptions {
    const { layer = (files) => files, evicts } = this.#options;
    return {
      clock: machine.clock,
      random: this.#storeRandom,
      log: createLogger({ write: (line) => machine.note(`  log: ${line.trim()}`), level: "warn" }),
      files: layer(machine.disk),
      openIndex: simulatedIndex({
        disk: machine.disk,
        execute: machine.execute,
        fault: (operation, path) => machine.decide(operation, path),
      }),
      segmentBytes: evicts ? 150_000 : pick([60_000, 400_000, 4 << 20], this.#random),
      cacheBytes: pick([1, 100_000], this.#random),
      compression: pick(["zstd", "off"], this.#random),
      headroomBytes: 0,
      ...(this.#model.evicts ? { maxBytes: 3 << 20 } : {}),
    };
  }

  /** Opens the store, through faults and more stops, until it is open. */
  async #open(): Promise<Clients> {
    // Without a limit first: then all that was there must be.
    this.#model.evicts = (this.#options.evicts ?? false) && this.#random.next() < 0.5;
    for (let attempt = 0;; attempt++) {
      const machine = this.#machine;
      const before = indexStateAt(machine.disk, INDEX);
      machine.onRemoved = (path) => this.#forgets ||= path.endsWith(".seg");
      const troubled = attempt < 3 && this.#random.next() < 0.35;
      if (troubled && this.#random.next() < 0.5) machine.fault = this.#weather();
      else if (troubled) machine.stopAt = machine.operations + Math.floor(this.#random.next() * 60);
      machine.stepMs = pick([0, 0, 3, 20, 90], this.#random);
      machine.note(`open, attempt ${attempt}`);
      try {
        const store = await machine.drive(openDiskBlobStore(DIR, this.#storeOptions(machine)));
        machine.stopAt = Infinity;
        machine.fault = () => undefined;
        const isNew = before === undefined || before !== indexStateAt(machine.disk, INDEX);
        if (this.#forgets && (isNew || this.#aged)) this.#model.forget();
        return this.#clients(store, false);
      } catch (error) {
        if (error instanceof Stopped) this.#count("stopped while opening");
        else if (machine.faults > 0) this.#count("could not open");
        else throw new Violation("The store does not open", { cause: error });
        this.#stop();
      }
    }
  }

  #clients(store: BlobStore, mayFail: boolean): Clients {
    return {
      store,
      mayFail,
      model: this.#model,
      machine: this.#machine,
      random: this.#random,
      uploads: new Set(),
      count: (what) => this.#count(what),
    };
  }

  /** Looks whether all promises were kept. */
  async #check(clients: Clients): Promise<void> {
    const { machine, store } = clients;
    machine.note("check");
    await machine.drive(ask(clients));
    await machine.drive(settled(clients));
    await machine.drive(this.#look(clients));
    const stat = await machine.drive(store.stat());
    const there = this.#model.blobs.filter(({ state }) => state === "present");
    const bytes = there.reduce((sum, { data }) => sum + data.length, 0);
    if (stat.blobs !== there.length || stat.bytes !== bytes) {
      throw new Violation(
        `The store counts ${stat.blobs} blobs of ${stat.bytes} bytes, but has ${there.length} of ${bytes}`,
      );
    }
  }

  async #look(clients: Clients): Promise<void> {
    await ask(clients);
    for (const blob of this.#model.blobs) await readBlob(clients, blob);
  }

  /** Lets callers work until the machine stops or the store is closed. */
  async #work(opened: Clients): Promise<void> {
    const machine = this.#machine;
    const random = this.#random;
    const stormy = random.next() < 0.5;
    const clients = this.#clients(opened.store, stormy);
    if (stormy) machine.fault = this.#weather();
    // A few lives are lived on a disk that cannot be read now and then, and what it refuses is given up.
    this.#model.mayLose = stormy && random.next() < 0.2;
    const ends = random.next() < 0.3;
    if (!ends) machine.stopAt = machine.operations + Math.floor(random.next() ** 2 * 250);
    const steps = 2 + Math.floor(random.next() * 14);
    const caller = async () => {
      for (let step = 0; step < steps; step++) await actOnce(clients);
    };
    try {
      await machine.drive(Promise.all(Array.from({ length: 1 + Math.floor(random.next() * 5) }, caller)));
      if (random.next() < 0.5) machine.clock.advance(2 * this.#patienceMs());
      await machine.drive(Promise.resolve(opened.store[Symbol.asyncDispose]()));
      machine.note("closed");
      this.#count("closed");
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      this.#count("stopped");
    }
    this.#stop(clients);
  }

  #patienceMs(): number {
    return this.#options.evicts ? this.#random.next() * 2 * 3_600_000 : this.#random.next() * 8000;
  }

  /** The process ends or the power goes; what is on the disk of the index may be what nobody expects. */
  #stop(clients?: Clients): void {
    const random = this.#random;
    if (clients !== undefined) overhear(clients);
    if (random.next() < 0.25) {
      this.#machine.note("KILLED");
      this.#count("killed");
      this.#machine = this.#machine.afterKill();
    } else {
      const survival: Survival = pick(["lost", "kept", "mixed", "mixed", "mixed"], random);
      this.#machine.note(`POWER CUT, unsynced: ${survival}`);
      this.#count(`cut, ${survival}`);
      this.#machine = this.#machine.afterCut(survival);
    }
    this.#model.stopped();
    this.#model.mayLose = false;
    this.#tamper();
  }

  #tamper(): void {
    const { disk } = this.#machine;
    this.#aged = false;
    const state = indexStateAt(disk, INDEX);
    if (state === undefined) return;
    const dice = this.#random.next();
    // A copy, since the process before may still have it.
    let left = state.at(state.commits);
    if (dice < 0.1) {
      disk.vanish(INDEX);
      this.#machine.note("the index is lost");
      return this.#count("index lost");
    } else if (dice < 0.25) {
      left = state.at(Math.floor(this.#random.next() * (state.commits + 1)));
      this.#machine.note(`the index is as it was ${state.commits - left.commits} commits ago`);
      this.#aged = true;
      this.#count("index stale");
    } else if (dice < 0.35) {
      left.damaged = true;
      this.#machine.note("the index is damaged");
      this.#count("index damaged");
    }
    setIndexState(disk, INDEX, left);
  }

  /** What the disk does wrong in the life of a process. */
  #weather(): (operation: FileOperation, path: string) => Fault | undefined {
    const random = this.#random;
    const chance = pick([0.01, 0.05, 0.2], random);
    const only = pick<readonly FileOperation[] | undefined>(
      [undefined, undefined, ["write"], ["syncData"], ["syncData", "truncate"], ["commit"]],
      random,
    );
    return (operation) => {
      if (operation === "size" || operation === "list") return undefined;
      if (operation === "read" && !this.#model.mayLose) return undefined;
      if (only !== undefined && !only.includes(operation)) return undefined;
      // What cannot be synced can hardly be cut.
      if (random.next() >= (operation === "truncate" ? Math.sqrt(chance) : chance)) return undefined;
      if (operation === "write") return pick<Fault>(["ENOSPC", "EIO", "short", "partial", "late"], random);
      if (operation === "read" || operation === "syncData") return "EIO";
      return pick<Fault>(["EIO", "late", "ENOSPC"], random);
    };
  }
}
