/**
 * Blobs on disk: small ones in a segment log, large ones in files of their own, LMDB as an index over both, and an exact
 * table in memory that answers what is there.
 *
 * What is acknowledged is synced. What is visible was verified. What is damaged is found when it is read and counts as
 * missing from then on, so that a client can upload it again.
 *
 * A disk that fails is lived with: when the directory, or a part of it, is removed under the store, it opens it again,
 * which finds what is left and makes what is not; until then it answers UNAVAILABLE. While a disk cannot be written, the
 * store goes on reading, says so to {@linkcode DiskBlobStoreOptions.onHealth}, and tries now and then.
 *
 * @module
 */

import { BrokkrError, Code, randomHex, unavailable } from "@brokkr/common";
import type { Scope, TimerHandle } from "@brokkr/common";
import type {
  BlobStoreStat,
  BlobWriter,
  ChunkList,
  DigestBatch,
  MissingOptions,
  ReadRange,
  UploadId,
  UploadStore,
} from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import type { KeptBlobStore, StoreKeeper, StorePressure } from "../store_keeper.ts";
import { type DiskCore, openDiskCore } from "./_disk_core.ts";
import { isGoneCode } from "./_presence.ts";
import { watchFiles } from "./_watched_files.ts";
import { type DiskBlobStoreOptions, type SettledOptions, settleOptions } from "./disk_store_options.ts";
import { writeAll } from "./file_layer.ts";

/** How often it is looked whether the directory is there, and whether a disk that failed can be written. */
const LOOK_MS = 5000;

/** Codes that say that a disk cannot be written, for a while at least. A full one is not among them. */
const UNWRITABLE: Readonly<Record<string, string>> = {
  EROFS: "its file system is read-only",
  EIO: "the disk reports an error",
  EACCES: "its permissions forbid it",
  EPERM: "its permissions forbid it",
};

/**
 * Opens the store in `dir`, making it when the directory is new. The caller's process must own the directory (see
 * `openDataDirectory`). After a crash the log is read from where the index left off.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the directory has another format or is something else.
 */
export async function openDiskBlobStore(
  dir: string,
  options: DiskBlobStoreOptions = {},
): Promise<KeptBlobStore> {
  const settled = settleOptions(options);
  const store = new DiskBlobStore(dir, settled);
  await store.open();
  return store;
}

/** Of a store that is not open. */
const NO_PRESSURE: StorePressure = {
  maxBytes: undefined,
  retentionSeconds: undefined,
  leftBytes: undefined,
  warning: undefined,
};

/** A store that opens its directory again when it is lost. */
class DiskBlobStore implements KeptBlobStore {
  readonly #dir: string;
  readonly #options: SettledOptions;
  #core: DiskCore | undefined;
  /** Why there is no core. */
  #lost = "it is being opened";
  #unwritable: string | undefined;
  #timer: TimerHandle | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #closing: Promise<void> | undefined;
  #closed = false;
  #reported: string | undefined;
  readonly #uploads: UploadStore;
  /** See {@linkcode StoreKeeper}. */
  readonly keeper: StoreKeeper;

  constructor(dir: string, options: SettledOptions) {
    this.#dir = dir;
    const files = watchFiles(options.files, (code, changes) => this.#onFault(code, changes));
    this.#options = { ...options, files };
    const { metrics } = options;
    metrics.gauge("brokkr_cas_blobs", "Blobs held", [], () => this.#core?.blobs ?? 0);
    metrics.gauge("brokkr_cas_bytes", "Bytes of the blobs held", [], () => this.#core?.bytes ?? 0);
    metrics.gauge(
      "brokkr_cas_stored_bytes",
      "Bytes of the blobs held as they are kept, compressed or not",
      [],
      () => this.#core?.storedBytes ?? 0,
    );
    metrics.gauge(
      "brokkr_cas_interrupted_uploads",
      "Interrupted uploads kept to go on",
      [],
      () => this.#uploads.stat().kept,
    );
    metrics.gauge(
      "brokkr_cas_interrupted_upload_bytes",
      "Bytes of interrupted uploads",
      [],
      () => this.#uploads.stat().keptBytes,
    );
    const keeper = () => this.#live().keeper;
    this.keeper = {
      get departures() {
        return keeper().departures;
      },
      usage: async () => await keeper().usage(),
      collect: async (options) => await keeper().collect(options),
      verify: (options) => keeper().verify(options),
      whyGone: async (digest) => await keeper().whyGone(digest),
      pressure: () => this.#core?.keeper.pressure?.() ?? NO_PRESSURE,
      logSinceMs: async () => await keeper().logSinceMs?.(),
    };
    const uploads = () => this.#live().uploads;
    this.#uploads = {
      keptBytes: async (id: UploadId) => await uploads().keptBytes(id),
      begin: async (id: UploadId, signal?: AbortSignal) => await uploads().begin(id, signal),
      resume: async (id: UploadId, offset: number, signal?: AbortSignal) =>
        await uploads().resume(id, offset, signal),
      stat: () => this.#core?.uploads.stat() ?? { kept: 0, keptBytes: 0 },
    };
  }

  /** Opens it for the first time. */
  async open(): Promise<void> {
    this.#core = await openDiskCore(this.#dir, this.#options);
    this.#reportLoading(this.#core);
    this.#schedule();
  }

  /** Says that not everything can be answered yet, and when it can. */
  #reportLoading(core: DiskCore): void {
    this.#report();
    // Never fails.
    core.settled().then(() => this.#report());
  }

  get uploads(): UploadStore {
    return this.#uploads;
  }

  missing(scope: Scope, batch: DigestBatch, options?: MissingOptions): Uint32Array | Promise<Uint32Array> {
    return this.#live().missing(scope, batch, options);
  }

  sizeOf(scope: Scope, fn: DigestFunction, hash: string): number | undefined | Promise<number | undefined> {
    return this.#live().sizeOf(scope, fn, hash);
  }

  get(scope: Scope, digest: Digest): Promise<Uint8Array> {
    return this.#core?.get(scope, digest) ?? Promise.reject(this.#unavailable());
  }

  read(scope: Scope, digest: Digest, range?: ReadRange, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#core?.read(scope, digest, range, signal) ?? failing(this.#unavailable());
  }

  frame(scope: Scope, digest: Digest): Promise<Uint8Array | undefined> {
    return this.#core?.frame(scope, digest) ?? Promise.reject(this.#unavailable());
  }

  put(scope: Scope, digest: Digest, data: Uint8Array): Promise<void> {
    return this.#core?.put(scope, digest, data) ?? Promise.reject(this.#unavailable());
  }

  writer(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<BlobWriter> {
    return this.#core?.writer(scope, digest, signal) ?? Promise.reject(this.#unavailable());
  }

  pin(scope: Scope, batch: DigestBatch, durationMs: number): Promise<void> {
    return this.#core?.pin(scope, batch, durationMs) ?? Promise.reject(this.#unavailable());
  }

  splice(scope: Scope, digest: Digest, list: ChunkList, signal?: AbortSignal): Promise<"kept" | "known"> {
    return this.#core?.splice(scope, digest, list, signal) ?? Promise.reject(this.#unavailable());
  }

  split(scope: Scope, digest: Digest, signal?: AbortSignal): Promise<ChunkList | undefined> {
    return this.#core?.split(scope, digest, signal) ?? Promise.reject(this.#unavailable());
  }

  delete(scope: Scope, digest: Digest): Promise<boolean> {
    return this.#core?.delete(scope, digest) ?? Promise.reject(this.#unavailable());
  }

  stat(): Promise<BlobStoreStat> {
    return this.#core?.stat() ?? Promise.reject(this.#unavailable());
  }

  /** Closes once; whoever asks again waits for that, since the directory may be removed when it is through. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#looking;
    await this.#core?.[Symbol.asyncDispose]();
  }

  #live(): DiskCore {
    if (this.#core === undefined) throw this.#unavailable();
    return this.#core;
  }

  #unavailable(): BrokkrError {
    if (this.#closed) return new BrokkrError(Code.UNAVAILABLE, `The blob store in ${this.#dir} is closed`);
    return unavailable(`The blob store cannot be used now: ${this.#lost}`, LOOK_MS);
  }

  #onFault(code: string, changes: boolean): void {
    if (changes && code in UNWRITABLE) {
      this.#unwritable ??= `The blob store in ${this.#dir} cannot be written: ${UNWRITABLE[code]}`;
      this.#report();
    } else if (isGoneCode(code) && this.#core !== undefined) {
      this.#look();
    }
  }

  #report(): void {
    const reason = this.#core === undefined
      ? `The blob store cannot be used: ${this.#lost}`
      : this.#unwritable ?? this.#core.problem;
    if (this.#closed || reason === this.#reported) return;
    if (reason === undefined) this.#options.log.info("The blob store works again", { dir: this.#dir });
    else this.#options.log.error("The blob store is not ready", { reason });
    this.#reported = reason;
    this.#options.onHealth(reason);
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(LOOK_MS, () => this.#look());
  }

  /** Looks whether all is well, and makes it so where it is not. */
  #look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = this.#mend()
      .catch((error) => this.#options.log.error("Cannot look after the blob store", { error }))
      .finally(() => {
        this.#looking = undefined;
        const again = this.#lookAgain;
        this.#lookAgain = false;
        if (again && this.#core !== undefined) this.#look();
        else this.#schedule();
      });
  }

  async #mend(): Promise<void> {
    if (this.#core !== undefined) await this.#checkPresence(this.#core);
    if (this.#core === undefined && !this.#closed) await this.#reopen();
    if (this.#unwritable !== undefined && this.#core !== undefined) await this.#probe();
    this.#report();
  }

  async #checkPresence(core: DiskCore): Promise<void> {
    let gone: string | undefined;
    try {
      gone = await core.missingPart();
    } catch (error) {
      // A disk that cannot be read says nothing of what is on it.
      this.#options.log.warn("Cannot see whether the blob store is there", { dir: this.#dir, error });
      return;
    }
    if (gone === undefined) return;
    this.#core = undefined;
    this.#lost = gone;
    this.#report();
    await core.abandon();
  }

  async #reopen(): Promise<void> {
    const { log } = this.#options;
    try {
      this.#core = await openDiskCore(this.#dir, this.#options);
      log.warn("Opened the blob store again", { why: this.#lost, blobs: this.#core.blobs });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      log.error("Cannot open the blob store again", { why: this.#lost, error });
      // The reason of the first time stays in front of what stands in the way.
      this.#lost = `${this.#lost.split("; ")[0]}; ${problem}`;
    }
  }

  /** Writes and removes a file, to see whether the disk takes it. */
  async #probe(): Promise<void> {
    const { files, random } = this.#options;
    const path = `${this.#dir}/tmp/probe-${randomHex(random, 8)}`;
    const before = this.#unwritable;
    this.#unwritable = undefined;
    try {
      const file = await files.open(path, "create");
      try {
        await writeAll(file, new Uint8Array(1), 0);
        await file.syncData();
      } finally {
        file.close();
      }
      await files.remove(path);
    } catch {
      // The watch over the files has taken note; what it does not know is no reason to be unready.
      if (this.#unwritable !== undefined) this.#unwritable = before;
    }
  }
}

// deno-lint-ignore require-yield -- it only fails, on the first pull.
async function* failing(error: Error): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  throw error;
}
