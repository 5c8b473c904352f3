/**
 * Pins that operators asked for: remembered in the metadata store with the digests they cover, told to the store when the
 * process starts, and told again before it lets go of them.
 *
 * The store itself forgets pins with its process, and keeps one time for each blob, however many pins cover it. It is never
 * told the whole time of a pin, only as much as lies well beyond the next time it is told: what is told again counts as
 * used, so that the next process finds it among what goes last, before it has told its own store.
 *
 * @module
 */

import {
  batchOf,
  type BlobStore,
  type Digest,
  type DigestBatch,
  type DigestFunction,
  type MetadataChange,
  type MetadataStore,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type Logger,
  notFound,
  scopeOf,
  sleep,
  Slices,
  type TimerHandle,
} from "@brokkr/common";
import {
  chunkKeys,
  decodeChunk,
  decodePin,
  encodeChunk,
  encodePin,
  idOf,
  type Pin,
  type PinRecord,
} from "./_pin_record.ts";

/** A pin, and what the store makes of it. */
export interface PinState extends Pin {
  /** Why the store does not keep it, although it should; undefined when all is well. */
  readonly problem: string | undefined;
}

/** What {@linkcode Pins} works with. */
export interface PinsOptions {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the store keeps what it promises, in milliseconds: pins must reach beyond. */
  readonly promiseMs: number;
  /** Counts a use of an action's result, so that it does not go for want of any. */
  readonly useResult: (instance: string, action: Digest) => Promise<void>;
}

/** Pins at once. */
export const MAX_PINS = 1000;
const PREFIX = new TextEncoder().encode("control/pin/");
const ID_BYTES = 32;
const KEY_BYTES = PREFIX.length + ID_BYTES;
/** Digests in one value of the metadata store, and told to the store in one go; some 2 ms. */
const CHUNK = 8192;
/** How often the store is told. */
const RENEW_MS = 3_600_000;
/** How far beyond promises a pin reaches: past the next time it is told, and once more should that fail. */
const BEYOND_MS = 2.5 * RENEW_MS;
/** How long the end of what is under way is waited for. */
const STOP_MS = 2000;

interface Kept extends PinRecord {
  readonly key: Uint8Array;
  problem: string | undefined;
}

/** Remembers pins and tells the store of them. */
export class Pins {
  readonly #options: PinsOptions;
  readonly #pins = new Map<string, Kept>();
  #timer: TimerHandle | undefined;
  /** One change after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #stopped = false;

  private constructor(options: PinsOptions) {
    this.#options = options;
  }

  /** Reads what was remembered; {@linkcode Pins.start} tells the store. */
  static async open(options: PinsOptions): Promise<Pins> {
    const pins = new Pins(options);
    let after: Uint8Array | undefined;
    for (;;) {
      const page = await options.metadata.list({ prefix: PREFIX, after, limit: 1 });
      if (page.length === 0) return pins;
      const [{ key, value }] = page;
      pins.#remember(key, value);
      // Past the digests of this pin, which are read when they are needed.
      after = new Uint8Array([...key.subarray(0, KEY_BYTES), 0xff]);
    }
  }

  /** Tells the store of all pins in the background, now and from time to time. */
  start(): void {
    this.#inTurn(() => this.#renew()).catch((error: unknown) => {
      if (!this.#stopped) this.#options.log.error("Pins cannot be renewed; trying again", { error });
    }).finally(() => {
      if (!this.#stopped) this.#timer = this.#options.clock.setTimer(RENEW_MS, () => this.start());
    });
  }

  /** Ends renewing. Pins stay remembered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const waiting = new AbortController();
    // A store that is still being loaded pins nothing before it is, and that ends when the store is closed.
    const late = sleep(this.#options.clock, STOP_MS, waiting.signal).catch(() => undefined);
    await Promise.race([this.#last, late]);
    waiting.abort();
  }

  /** All pins in order of their names. */
  list(): readonly PinState[] {
    const nowMs = this.#options.clock.wallMs();
    return [...this.#pins.values()].filter(({ untilMs }) => untilMs > nowMs)
      .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.instance < b.instance ? -1 : 1);
  }

  /**
   * Adds a pin that covers `digests`, or replaces the one of its name; durable when it resolves.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when pins would take more than their share of the store;
   * FAILED_PRECONDITION when there are too many.
   */
  add(pin: Pin, digests: readonly Digest[]): Promise<PinState> {
    return this.#inTurn(async () => {
      const id = idOf(pin.instance, pin.name);
      const before = this.#pins.get(id.toHex());
      if (before === undefined && this.#pins.size >= MAX_PINS) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `There are ${MAX_PINS} pins already; "brokk cache unpin" ends one`,
        );
      }
      const key = new Uint8Array([...PREFIX, ...id]);
      const chunks = Math.ceil(digests.length / CHUNK);
      const kept: Kept = { ...pin, key, chunks, problem: undefined };
      if (before !== undefined) await this.#release(before);
      let added = false;
      try {
        await this.#options.metadata.write([
          { op: "put", key, value: encodePin(kept) },
          ...await this.#tellAll(kept, digests),
          ...chunkKeys(key, chunks, before?.chunks ?? 0).map((old) => ({ op: "delete", key: old }) as const),
        ]);
        this.#pins.set(id.toHex(), kept);
        added = true;
      } finally {
        // The store may have been told of a part: nobody could end that.
        if (!added) await this.#letGo(kept, batchesOf(pin.fn, digests));
        // What was covered before the change still is, by this pin or by others.
        if (!added || before !== undefined) await this.#renew();
      }
      return kept;
    });
  }

  /**
   * Ends a pin, and tells for how long the store keeps what it covers at most, in milliseconds.
   *
   * @throws {BrokkrError} NOT_FOUND when there is none of that name.
   */
  remove(instance: string, name: string): Promise<{ readonly pin: PinState; readonly keptMs: number }> {
    return this.#inTurn(async () => {
      const pin = this.#pins.get(idOf(instance, name).toHex());
      if (pin === undefined) {
        const elsewhere = [...this.#pins.values()].find((each) => each.name === name)?.instance;
        throw notFound(
          `No pin ${JSON.stringify(name)} in instance ${JSON.stringify(instance)}; ` +
            (elsewhere === undefined
              ? '"brokk cache pins" lists all'
              : `instance ${JSON.stringify(elsewhere)} has one`),
        );
      }
      await this.#release(pin);
      await this.#forget(pin);
      // What other pins cover as well stays pinned.
      await this.#renew();
      return { pin, keptMs: this.#options.promiseMs };
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done.catch(() => undefined); // whoever asked for it is told
    return done;
  }

  #remember(key: Uint8Array, value: Uint8Array): void {
    try {
      const pin = decodePin(value);
      if (key.length !== KEY_BYTES) throw new BrokkrError(Code.DATA_LOSS, "Its beginning is missing");
      this.#pins.set(key.subarray(PREFIX.length).toHex(), {
        ...pin,
        key: key.slice(),
        problem: "The store has not been told of it yet",
      });
    } catch (error) {
      // A grid without one of its pins is better than none.
      this.#options.log.error("A pin cannot be read and does not hold; pin it again", { error });
    }
  }

  async #forget(pin: Kept): Promise<void> {
    const keys = [pin.key, ...chunkKeys(pin.key, 0, pin.chunks)];
    await this.#options.metadata.write(keys.map((key) => ({ op: "delete", key })));
    this.#pins.delete(pin.key.subarray(PREFIX.length).toHex());
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#options;
    // First, since what other pins cover as well is told again below.
    for (const pin of [...this.#pins.values()]) {
      if (pin.untilMs > clock.wallMs()) continue;
      log.info("A pin has ended", { pin: pin.name, instance: pin.instance });
      await this.#release(pin);
      await this.#forget(pin);
    }
    for (const pin of [...this.#pins.values()]) {
      if (this.#stopped) return;
      try {
        const missing = await this.#renewOne(pin);
        pin.problem = missing === 0
          ? undefined
          : `${missing} of its ${pin.blobs} blobs ${missing === 1 ? "is" : "are"} not there`;
      } catch (error) {
        pin.problem = asBrokkrError(error).message;
      }
      if (pin.problem !== undefined && !this.#stopped) {
        log.warn("A pin is not kept", { pin: pin.name, instance: pin.instance, problem: pin.problem });
      }
    }
  }

  /** Tells the store of a new pin; gives what to remember of its digests. */
  async #tellAll(pin: Kept, digests: readonly Digest[]): Promise<MetadataChange[]> {
    const changes: MetadataChange[] = [];
    const slices = new Slices();
    const keys = chunkKeys(pin.key, 0, pin.chunks);
    for (const batch of batchesOf(pin.fn, digests)) {
      if (slices.spent) await slices.next();
      await this.#tell(pin, batch);
      changes.push({ op: "put", key: keys[changes.length], value: encodeChunk(batch) });
    }
    return changes;
  }

  /** Has the store treat what a pin covers as promised: somebody may be building with it. */
  #release(pin: Kept): Promise<void> {
    return this.#letGo(pin, this.#batches(pin));
  }

  async #letGo(pin: Kept, batches: AsyncIterable<DigestBatch> | Iterable<DigestBatch>): Promise<void> {
    const { blobs, promiseMs, log } = this.#options;
    const scope = scopeOf(pin.instance);
    const slices = new Slices();
    try {
      for await (const batch of batches) {
        if (slices.spent) await slices.next();
        // Both at once: nothing may go between the two.
        await Promise.all([blobs.pin(scope, batch, 0), blobs.pin(scope, batch, promiseMs)]);
      }
    } catch (error) {
      // The store lets go of it by itself before long.
      log.warn("A pin cannot be ended at once", { pin: pin.name, instance: pin.instance, error });
    }
  }

  /** The digests of a pin. */
  async *#batches(pin: Kept): AsyncGenerator<DigestBatch, void, undefined> {
    for (const key of chunkKeys(pin.key, 0, pin.chunks)) {
      const value = await this.#options.metadata.get(key);
      if (value === undefined) {
        throw new BrokkrError(Code.DATA_LOSS, "Some of its digests are lost; pin it again");
      }
      yield decodeChunk(pin.fn, value);
    }
  }

  /** Tells the store of a pin again; gives how many of its blobs are gone. */
  async #renewOne(pin: Kept): Promise<number> {
    const { blobs } = this.#options;
    const scope = scopeOf(pin.instance);
    const slices = new Slices();
    let missing = 0;
    for await (const batch of this.#batches(pin)) {
      if (this.#stopped) break;
      if (slices.spent) await slices.next();
      missing += (await blobs.missing(scope, batch, { peek: true })).length;
      await this.#tell(pin, batch);
    }
    if (pin.action !== undefined) await this.#options.useResult(pin.instance, pin.action);
    return missing;
  }

  async #tell(pin: Pin, batch: DigestBatch): Promise<void> {
    const { blobs, promiseMs } = this.#options;
    await blobs.pin(scopeOf(pin.instance), batch, promiseMs + BEYOND_MS);
  }
}

/** Digests as they are told to the store, and remembered. */
function* batchesOf(fn: DigestFunction, digests: readonly Digest[]): Generator<DigestBatch> {
  for (let at = 0; at < digests.length; at += CHUNK) yield batchOf(fn, digests.slice(at, at + CHUNK));
}
