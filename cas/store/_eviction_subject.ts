/**
 * A store under the cases of eviction, and what is done with it.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, type Code, ManualClock, scopeOf } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";

/** How a store of the cases is set up. */
export interface EvictionStoreOptions {
  /** Most bytes, with what the store needs besides the blobs. */
  readonly maxBytes: number;
  /** Most blobs; any number by default. */
  readonly maxBlobs?: number;
  /** How long promises last; three hours by default. */
  readonly promiseMs?: number;
  /** Time. */
  readonly clock: ManualClock;
}

/** A kind of store. */
export interface EvictionKind {
  /** Its name. */
  readonly name: string;
  /** Makes an empty one. */
  make(dir: string, options: EvictionStoreOptions): Promise<BlobStore>;
  /** Resolves when all is done that the store does by itself. */
  settle(store: BlobStore): Promise<void>;
}

/** Of all of them. */
export const SCOPE = scopeOf("");
/** Bytes. */
export const MIB = 1 << 20;
/** Milliseconds. */
export const MINUTE = 60_000;
/** Milliseconds. */
export const HOUR = 60 * MINUTE;
/** What a store of the cases may take. */
export const MAX_BYTES = 8 * MIB;
/** Some 80 of them fill a store. */
const BLOB_BYTES = 100_000;

/** A blob and its digest. */
export interface Blob {
  readonly data: Uint8Array;
  readonly digest: Digest;
}

/** A blob that differs from those of other seeds. */
export function blob(seed: number, size = BLOB_BYTES + seed): Blob {
  const data = new Uint8Array(size);
  for (let i = 0, state = seed * 2654435761 + 1; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = state >>> 24;
  }
  return { data, digest: digestOf(SHA256, data) };
}

/** Blobs of seeds in a row. */
export function blobs(count: number, firstSeed = 0, size?: number): Blob[] {
  return Array.from({ length: count }, (_, i) => blob(firstSeed + i, size));
}

/** One store and what is done with it. */
export class Subject implements AsyncDisposable {
  readonly store: BlobStore;
  readonly clock: ManualClock;
  readonly maxBytes: number;
  readonly #kind: EvictionKind;

  private constructor(kind: EvictionKind, store: BlobStore, clock: ManualClock, maxBytes: number) {
    this.#kind = kind;
    this.store = store;
    this.clock = clock;
    this.maxBytes = maxBytes;
  }

  static async make(
    kind: EvictionKind,
    dir: string,
    options: Partial<EvictionStoreOptions> = {},
  ): Promise<Subject> {
    const { clock = new ManualClock(), maxBytes = MAX_BYTES } = options;
    return new Subject(kind, await kind.make(dir, { ...options, clock, maxBytes }), clock, maxBytes);
  }

  async put(...all: readonly Blob[]): Promise<void> {
    for (const { digest, data } of all) await this.store.put(SCOPE, digest, data);
  }

  /** Puts others, one a minute, calling `between` before each. */
  async fill(count: number, firstSeed: number, between?: () => Promise<unknown>): Promise<Blob[]> {
    const others = blobs(count, firstSeed);
    for (const other of others) {
      this.clock.advance(MINUTE);
      await between?.();
      await this.put(other);
      await this.checkLimit();
    }
    await this.#kind.settle(this.store);
    return others;
  }

  async settle(): Promise<void> {
    await this.#kind.settle(this.store);
  }

  async checkLimit(): Promise<void> {
    const { bytes, diskBytes } = await this.store.stat();
    assert(Math.max(bytes, diskBytes) <= this.maxBytes, `${bytes} bytes, ${diskBytes} on disk`);
  }

  /** Which of them are there, without keeping them. */
  async left(all: readonly Blob[]): Promise<number[]> {
    const batch = batchOf(SHA256, all.map(({ digest }) => digest));
    const gone = new Set(await this.store.missing(SCOPE, batch, { peek: true }));
    return all.map((_, i) => i).filter((i) => !gone.has(i));
  }

  /** Asks for them, which promises them. */
  async ask(all: readonly Blob[]): Promise<number> {
    return (await this.store.missing(SCOPE, batchOf(SHA256, all.map(({ digest }) => digest)))).length;
  }

  async pin(all: readonly Blob[], durationMs: number): Promise<void> {
    await this.store.pin(SCOPE, batchOf(SHA256, all.map(({ digest }) => digest)), durationMs);
  }

  async assertHolds(all: readonly Blob[]): Promise<void> {
    assertEquals((await this.left(all)).length, all.length, "some went that should have stayed");
    for (const { digest, data } of all) assertEquals(await this.store.get(SCOPE, digest), data);
  }

  async assertGone(all: readonly Blob[]): Promise<void> {
    assertEquals(await this.left(all), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
  }
}

/** The error that a call ends with. */
export async function rejectsWith(code: Code, run: () => Promise<unknown>): Promise<BrokkrError> {
  const error = await assertRejects(run, BrokkrError);
  assertEquals(error.codeName, new BrokkrError(code, "").codeName, error.message);
  return error;
}

/** Reads all of a blob. */
export async function drain(store: BlobStore, digest: Digest): Promise<void> {
  for await (const _ of store.read(SCOPE, digest));
}

/** Puts blobs and has them promised until one is refused; the refusal. */
export async function fillWithPromises(subject: Subject, all: readonly Blob[]): Promise<BrokkrError> {
  for (const one of all) {
    try {
      await subject.put(one);
    } catch (error) {
      assert(error instanceof BrokkrError, String(error));
      assertEquals(error.codeName, "RESOURCE_EXHAUSTED");
      assert(error.details.some(({ kind }) => kind === "retryInfo"));
      return error;
    }
    await subject.ask([one]);
    await subject.checkLimit();
  }
  throw new Error("Nothing was refused");
}
