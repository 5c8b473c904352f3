/**
 * The database of the index on a {@linkcode SimulatedDisk}: changes are atomic, in order, and durable when they are
 * acknowledged, as LMDB's are. Between two openings it can be lost, damaged, or older than it should be.
 *
 * @module
 */

import { BrokkrError, Code, yieldToEventLoop } from "@brokkr/common";
import type { MetadataChange } from "../metadata_store.ts";
import { type Fault, type FileOperation, systemError } from "./_faulty_files.ts";
import type { IndexEntry, IndexEnv, OpenIndexEnv } from "./_index_env.ts";
import type { Execute, SimulatedDisk } from "./_simulated_disk.ts";

/** Entries in one slice: few, so that much happens in between. */
const SLICE_ENTRIES = 16;

/** What a database holds, and how it came to hold it. */
export class IndexState {
  readonly #commits: (readonly MetadataChange[])[] = [];
  #entries = new Map<string, Uint8Array>();
  /** Whether opening it fails. */
  damaged = false;

  /** How often it was changed. */
  get commits(): number {
    return this.#commits.length;
  }

  /** The value of a key in hex. */
  get(key: string): Uint8Array | undefined {
    return this.#entries.get(key);
  }

  /** Keys in hex, in order. */
  keys(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Makes changes. */
  commit(changes: readonly MetadataChange[]): void {
    // Whoever made them may use their bytes again.
    this.#commits.push(
      changes.map((change) =>
        change.op === "put"
          ? { op: "put", key: change.key.slice(), value: change.value.slice() }
          : { op: "delete", key: change.key.slice() }
      ),
    );
    for (const change of changes) {
      if (change.op === "put") this.#entries.set(change.key.toHex(), change.value.slice());
      else this.#entries.delete(change.key.toHex());
    }
  }

  /** A copy of what it was after its first `commits` changes. */
  at(commits: number): IndexState {
    const copy = new IndexState();
    for (const changes of this.#commits.slice(0, commits)) copy.commit(changes);
    copy.damaged = this.damaged;
    return copy;
  }
}

/** What {@linkcode simulatedIndex} is made with. */
export interface SimulatedIndexOptions {
  readonly disk: SimulatedDisk;
  readonly execute: Execute;
  readonly fault?: (operation: FileOperation, path: string) => Fault | undefined;
}

/** The state of the database in a directory; undefined when there is none. */
export function indexStateAt(disk: SimulatedDisk, path: string): IndexState | undefined {
  const tag = disk.fileAt(`${path}/data.mdb`)?.tag;
  return tag instanceof IndexState ? tag : undefined;
}

/** Puts another state in the place of the database in a directory. */
export function setIndexState(disk: SimulatedDisk, path: string, state: IndexState): void {
  const file = disk.fileAt(`${path}/data.mdb`);
  if (file !== undefined) file.tag = state;
}

/** Opens databases on a disk. */
export function simulatedIndex(options: SimulatedIndexOptions): OpenIndexEnv {
  return (path) => {
    const file = options.disk.makeFile(`${path}/data.mdb`);
    if (!(file.tag instanceof IndexState)) file.tag = new IndexState();
    const state = file.tag as IndexState;
    if (state.damaged) {
      throw new BrokkrError(Code.DATA_LOSS, `LMDB data file ${path}/data.mdb is damaged: it is simulated`);
    }
    return new SimulatedIndex(options, path, state);
  };
}

interface Commit {
  readonly changes: readonly MetadataChange[];
  readonly done: PromiseWithResolvers<void>;
}

class SimulatedIndex implements IndexEnv {
  readonly #options: SimulatedIndexOptions;
  readonly #path: string;
  readonly #state: IndexState;
  /** Commits happen in the order they were asked for, whichever operation the disk runs first. */
  readonly #queue: Commit[] = [];
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(options: SimulatedIndexOptions, path: string, state: IndexState) {
    this.#options = options;
    this.#path = path;
    this.#state = state;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#check();
    return this.#state.get(key.toHex())?.slice();
  }

  apply(changes: readonly MetadataChange[]): Promise<void> {
    this.#check();
    const commit = { changes, done: Promise.withResolvers<void>() };
    this.#queue.push(commit);
    this.#options.execute("commit", this.#path, () => this.#commitNext()).catch(() => {});
    const running = commit.done.promise.finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  async *entries(prefix: Uint8Array, after?: Uint8Array, limit = Infinity): AsyncGenerator<IndexEntry[]> {
    const start = prefix.toHex();
    let last = after?.toHex() ?? "";
    for (let left = limit; left > 0;) {
      this.#check();
      const keys = this.#state.keys().filter((key) => key.startsWith(start) && key > last)
        .slice(0, Math.min(left, SLICE_ENTRIES));
      if (keys.length === 0) return;
      yield keys.map((key) => ({
        key: Uint8Array.fromHex(key),
        value: this.#state.get(key)?.slice() ?? new Uint8Array(0),
      }));
      left -= keys.length;
      last = keys[keys.length - 1];
      await yieldToEventLoop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  #commitNext(): void {
    const commit = this.#queue.shift();
    if (commit === undefined) return;
    const fault = this.#options.fault?.("commit", this.#path);
    if (fault !== undefined) {
      const cause = systemError("ENOSPC", `commit ${this.#path}`);
      const message = `Cannot write metadata to ${this.#path}: ${cause.message}`;
      commit.done.reject(new BrokkrError(Code.RESOURCE_EXHAUSTED, message, { cause }));
      return;
    }
    this.#state.commit(commit.changes);
    commit.done.resolve();
  }

  #check(): void {
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, `The database in ${this.#path} is closed`);
  }
}
