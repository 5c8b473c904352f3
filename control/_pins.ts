/**
 * Pins that operators asked for: remembered in the metadata store with the digests they cover, told to the store when the
 * process starts, and told again before it lets go of them.
 *
 * The store itself forgets pins with its process, and cannot be asked to end one. So it is never told the whole time of a
 * pin, only as much as lies well beyond the next time it is told: what is unpinned becomes ordinary soon.
 *
 * @module
 */

import {
  batchOf,
  type BlobStore,
  type Digest,
  type DigestBatch,
  type DigestFunction,
  digestFunctionByValue,
  formatDigest,
  makeDigest,
  type MetadataChange,
  type MetadataStore,
  SHA256,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  type Clock,
  Code,
  type Logger,
  notFound,
  scopeOf,
  Slices,
  type TimerHandle,
} from "@brokkr/common";

/** A pin. */
export interface Pin {
  /** Its name; one instance has one pin of a name. */
  readonly name: string;
  /** Instance on whose behalf it was made. */
  readonly instance: string;
  /** Function of all its digests. */
  readonly fn: DigestFunction;
  /** The action, when it covers an action's closure. */
  readonly action: Digest | undefined;
  /** Blobs it covers. */
  readonly blobs: number;
  /** Their bytes. */
  readonly bytes: number;
  /** When it was made, in milliseconds of wall time. */
  readonly createdMs: number;
  /** When it ends. */
  readonly untilMs: number;
}

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
}

/** Pins at once. */
export const MAX_PINS = 1000;
const PREFIX = new TextEncoder().encode("control/pin/");
const ID_BYTES = 32;
const KEY_BYTES = PREFIX.length + ID_BYTES;
const VERSION = 1;
/** Digests in one value of the metadata store, and told to the store in one go; some 2 ms. */
const CHUNK = 8192;
/** How often the store is told. */
const RENEW_MS = 3_600_000;
/** How far beyond promises a pin reaches: past the next time it is told, and once more should that fail. */
const BEYOND_MS = 2.5 * RENEW_MS;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface Kept extends Pin {
  readonly key: Uint8Array;
  readonly chunks: number;
  problem: string | undefined;
  /** When the store was told last, on the monotonic clock. */
  toldMs: number;
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
      this.#options.log.error("Pins cannot be renewed; trying again", { error });
    }).finally(() => {
      if (!this.#stopped) this.#timer = this.#options.clock.setTimer(RENEW_MS, () => this.start());
    });
  }

  /** Ends renewing. Pins stay remembered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#last.catch(() => undefined); // whoever asked for it was told
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
      const kept: Kept = { ...pin, key, chunks, problem: undefined, toldMs: 0 };
      const changes: MetadataChange[] = [{ op: "put", key, value: encodePin(kept) }];
      const slices = new Slices();
      for (let chunk = 0; chunk < chunks; chunk++) {
        if (slices.spent) await slices.next();
        const batch = batchOf(pin.fn, digests.slice(chunk * CHUNK, (chunk + 1) * CHUNK));
        await this.#tell(pin, batch);
        changes.push({ op: "put", key: chunkKey(key, chunk), value: encodeChunk(batch) });
      }
      kept.toldMs = this.#options.clock.monotonicMs();
      for (let chunk = chunks; chunk < (before?.chunks ?? 0); chunk++) {
        changes.push({ op: "delete", key: chunkKey(key, chunk) });
      }
      await this.#options.metadata.write(changes);
      this.#pins.set(id.toHex(), kept);
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
      await this.#forget(pin);
      const sinceMs = this.#options.clock.monotonicMs() - pin.toldMs;
      return { pin, keptMs: Math.max(0, this.#options.promiseMs + BEYOND_MS - sinceMs) };
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
        toldMs: this.#options.clock.monotonicMs(),
      });
    } catch (error) {
      // A grid without one of its pins is better than none.
      this.#options.log.error("A pin cannot be read and does not hold; pin it again", { error });
    }
  }

  async #forget(pin: Kept): Promise<void> {
    const changes: MetadataChange[] = [{ op: "delete", key: pin.key }];
    for (let chunk = 0; chunk < pin.chunks; chunk++) {
      changes.push({ op: "delete", key: chunkKey(pin.key, chunk) });
    }
    await this.#options.metadata.write(changes);
    this.#pins.delete(pin.key.subarray(PREFIX.length).toHex());
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#options;
    for (const pin of [...this.#pins.values()]) {
      if (this.#stopped) return;
      if (pin.untilMs <= clock.wallMs()) {
        log.info("A pin has ended", { pin: pin.name, instance: pin.instance });
        await this.#forget(pin);
        continue;
      }
      try {
        const missing = await this.#renewOne(pin);
        pin.problem = missing === 0
          ? undefined
          : `${missing} of its ${pin.blobs} blobs ${missing === 1 ? "is" : "are"} not there`;
        pin.toldMs = clock.monotonicMs();
      } catch (error) {
        pin.problem = asBrokkrError(error).message;
      }
      if (pin.problem !== undefined) {
        log.warn("A pin is not kept", { pin: pin.name, instance: pin.instance, problem: pin.problem });
      }
    }
  }

  /** Tells the store of a pin again; gives how many of its blobs are gone. */
  async #renewOne(pin: Kept): Promise<number> {
    const { metadata, blobs } = this.#options;
    const scope = scopeOf(pin.instance);
    const slices = new Slices();
    let missing = 0;
    for (let chunk = 0; chunk < pin.chunks; chunk++) {
      if (slices.spent) await slices.next();
      const value = await metadata.get(chunkKey(pin.key, chunk));
      if (value === undefined) {
        throw new BrokkrError(Code.DATA_LOSS, "Some of its digests are lost; pin it again");
      }
      const batch = decodeChunk(pin.fn, value);
      missing += (await blobs.missing(scope, batch, { peek: true })).length;
      await this.#tell(pin, batch);
    }
    return missing;
  }

  async #tell(pin: Pin, batch: DigestBatch): Promise<void> {
    const { blobs, promiseMs } = this.#options;
    await blobs.pin(scopeOf(pin.instance), batch, promiseMs + BEYOND_MS);
  }
}

/** Names may be longer than a key. */
function idOf(instance: string, name: string): Uint8Array {
  return Uint8Array.fromHex(SHA256.hash(encoder.encode(`${instance.length}:${instance}${name}`)));
}

function chunkKey(key: Uint8Array, chunk: number): Uint8Array {
  const out = new Uint8Array(key.length + 4);
  out.set(key);
  new DataView(out.buffer).setUint32(key.length, chunk);
  return out;
}

/** Sizes (8 bytes each, float64, little-endian), then hashes. */
function encodeChunk({ fn, length, hashes, sizes }: DigestBatch): Uint8Array {
  const out = new Uint8Array(length * (8 + fn.hashBytes));
  const view = new DataView(out.buffer);
  for (let i = 0; i < length; i++) view.setFloat64(i * 8, sizes[i], true);
  out.set(hashes, length * 8);
  return out;
}

function decodeChunk(fn: DigestFunction, value: Uint8Array): DigestBatch {
  const length = value.length / (8 + fn.hashBytes);
  if (!Number.isInteger(length)) {
    throw new BrokkrError(Code.DATA_LOSS, "Some of its digests are damaged; pin it again");
  }
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const sizes = new Float64Array(length);
  for (let i = 0; i < length; i++) sizes[i] = view.getFloat64(i * 8, true);
  // Copied: hashes of a batch begin on a 4-byte boundary.
  return { fn, length, hashes: value.slice(length * 8), sizes };
}

function encodePin(
  { name, instance, fn, action, blobs, bytes, createdMs, untilMs, chunks }: Kept,
): Uint8Array {
  return encoder.encode(JSON.stringify({
    version: VERSION,
    name,
    instance,
    fn: fn.value,
    ...(action === undefined ? {} : { action: [action.hash, action.sizeBytes] }),
    blobs,
    bytes,
    createdMs,
    untilMs,
    chunks,
  }));
}

/** @throws {BrokkrError} DATA_LOSS when it is none. */
function decodePin(value: Uint8Array): Pin & { readonly chunks: number } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(value));
  } catch (cause) {
    throw new BrokkrError(Code.DATA_LOSS, "A pin is no JSON", { cause });
  }
  const record: Record<string, unknown> = typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  const number = (field: string) => {
    const found = record[field];
    if (typeof found === "number" && Number.isFinite(found) && found >= 0) return found;
    throw new BrokkrError(Code.DATA_LOSS, `The ${field} of a pin is ${JSON.stringify(found)}`);
  };
  const { name, instance, action } = record;
  const fn = digestFunctionByValue(number("fn"));
  if (
    number("version") !== VERSION || typeof name !== "string" || typeof instance !== "string" ||
    fn === undefined
  ) {
    throw new BrokkrError(Code.DATA_LOSS, "A pin has no name, no instance, or is of another version");
  }
  const [hash, sizeBytes]: unknown[] = Array.isArray(action) ? action : [];
  return {
    name,
    instance,
    fn,
    action: typeof hash === "string" && typeof sizeBytes === "number"
      ? makeDigest(fn, hash, sizeBytes)
      : undefined,
    blobs: number("blobs"),
    bytes: number("bytes"),
    createdMs: number("createdMs"),
    untilMs: number("untilMs"),
    chunks: number("chunks"),
  };
}

/** What a pin is named when nobody names it. */
export function defaultPinName(digest: Digest): string {
  return formatDigest(digest);
}
