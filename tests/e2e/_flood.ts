/**
 * Uploads without end, of bytes that nobody asks for again: what a store of a fixed size has to make room for.
 *
 * @module
 */

import { BrokkrError, Code, type Random } from "@brokkr/common";
import { ByteStream, ContentAddressableStorage as Cas } from "@brokkr/proto";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { digest, type WireDigest } from "./_grid.ts";

const KIB = 1024;
const MIB = 1 << 20;
const MIN_BYTES = KIB;
const MAX_BYTES = 8 * MIB;
/** Larger blobs go through ByteStream. */
const BATCHED_BYTES = 256 * KIB;
const BATCH_BYTES = MIB;
const CHUNK_BYTES = 256 * KIB;
/** How long a lane waits that found no room. */
const REFUSED_MS = 500;

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** How long calls took, in milliseconds. */
export class Latencies {
  readonly #all: number[] = [];

  /** Runs `call` and notes how long it took, also when it fails. */
  async of<T>(call: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await call();
    } finally {
      this.#all.push(performance.now() - start);
    }
  }

  get count(): number {
    return this.#all.length;
  }

  get max(): number {
    return this.#all.reduce((most, each) => Math.max(most, each), 0);
  }

  /** What so large a share of all calls did not exceed. */
  quantile(share: number): number {
    const sorted = this.#all.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  /** For reports. */
  text(): string {
    const [p50, p99, max] = [this.quantile(0.5), this.quantile(0.99), this.max].map((ms) => ms.toFixed(0));
    return `${this.#all.length} calls, p50 ${p50} ms, p99 ${p99} ms, longest ${max} ms`;
  }

  /** Begins anew. */
  clear(): void {
    this.#all.length = 0;
  }
}

/** Blobs that no two calls make alike, at the price of a copy. */
export class FreshBytes {
  readonly #random: Random;
  readonly #pool = new Uint8Array(2 * MAX_BYTES);
  #count = 0;
  readonly #own = crypto.randomUUID().replaceAll("-", "");

  constructor(random: Random) {
    this.#random = random;
    for (let at = 0; at < this.#pool.length; at += 65_536) {
      crypto.getRandomValues(this.#pool.subarray(at, at + 65_536));
    }
  }

  /** A blob of `sizeBytes`, from 64 bytes to 8 MiB. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const from = Math.floor(this.#random.next() * (this.#pool.length - sizeBytes));
    const blob = this.#pool.slice(from, from + sizeBytes);
    blob.set(new TextEncoder().encode(`${this.#own} ${this.#count++}`).subarray(0, sizeBytes));
    return blob;
  }

  /** A size from 1 KiB to 8 MiB, as many below any as the logarithm says. */
  size(): number {
    return Math.floor(MIN_BYTES * (MAX_BYTES / MIN_BYTES) ** this.#random.next());
  }
}

/** Uploads a blob through ByteStream. */
export async function putStream(channel: Channel, instance: string, data: Uint8Array): Promise<WireDigest> {
  const own = digest(data);
  const resourceName = `${instance}/uploads/${crypto.randomUUID()}/blobs/${own.hash}/${own.sizeBytes}`;
  async function* messages() {
    for (let at = 0; at < data.length; at += CHUNK_BYTES) {
      const chunk = data.subarray(at, at + CHUNK_BYTES);
      yield { resourceName, writeOffset: at, data: chunk, finishWrite: at + chunk.length === data.length };
    }
  }
  await channel.clientStream(ByteStream.write, messages(), { timeoutMs: 120_000 });
  return own;
}

/** Uploads blobs in one batch. @throws {BrokkrError} of the first that was refused. */
export async function putBatch(
  channel: Channel,
  instance: string,
  blobs: readonly Uint8Array[],
): Promise<WireDigest[]> {
  const digests = blobs.map(digest);
  const { responses } = await channel.unary(Cas.batchUpdateBlobs, {
    instanceName: instance,
    requests: blobs.map((data, i) => ({ digest: digests[i], data })),
  }, { timeoutMs: 120_000 });
  for (const { status } of responses) {
    if ((status?.code ?? Code.OK) !== Code.OK) {
      throw new BrokkrError((status?.code ?? Code.UNKNOWN) as Code, status?.message ?? "A blob was refused");
    }
  }
  return digests;
}

/** What a {@linkcode Flood} is given. */
export interface FloodOptions {
  readonly endpoint: string;
  readonly instance: string;
  /** When it ends. */
  readonly totalBytes: number;
  readonly lanes: number;
  readonly random: Random;
  /** Told of each blob, now and then one of which is asked for later. */
  readonly onStored?: (blob: WireDigest) => void;
  /** Most bytes a second; as many as the store takes by default. */
  readonly bytesPerSecond?: number;
}

/** Lanes that upload until so much was taken. */
export class Flood {
  readonly #options: FloodOptions;
  readonly #fresh: FreshBytes;
  readonly #startMs = performance.now();
  #begunBytes = 0;
  /** Acknowledged. */
  storedBytes = 0;
  storedBlobs = 0;
  /** How often there was no room. */
  refusals = 0;
  /** What was said then, last. */
  refusal = "";
  readonly batches = new Latencies();
  readonly streams = new Latencies();

  constructor(options: FloodOptions) {
    this.#options = options;
    this.#fresh = new FreshBytes(options.random);
  }

  /** Floods. @throws {BrokkrError} of an upload that ended otherwise than for lack of room. */
  async run(signal?: AbortSignal): Promise<void> {
    await using channel = connect(this.#options.endpoint, { retry: { retries: 0 } });
    await Promise.all(Array.from({ length: this.#options.lanes }, () => this.#lane(channel, signal)));
  }

  async #lane(channel: Channel, signal: AbortSignal | undefined): Promise<void> {
    const { totalBytes, bytesPerSecond = Infinity } = this.#options;
    while (this.#begunBytes < totalBytes && signal?.aborted !== true) {
      const blobs = this.#next();
      const bytes = blobs.reduce((sum, { length }) => sum + length, 0);
      this.#begunBytes += bytes;
      const aheadMs = 1000 * this.#begunBytes / bytesPerSecond - (performance.now() - this.#startMs);
      if (aheadMs > 0) await pause(Math.min(aheadMs, 10_000));
      if (!await this.#put(channel, blobs)) {
        this.#begunBytes -= bytes;
        await pause(REFUSED_MS);
        continue;
      }
      this.storedBytes += bytes;
      this.storedBlobs += blobs.length;
    }
  }

  /** A large blob, or a batch of small ones. */
  #next(): Uint8Array[] {
    const first = this.#fresh.size();
    const blobs = [this.#fresh.take(first)];
    for (let bytes = first; bytes < BATCH_BYTES && first <= BATCHED_BYTES;) {
      const size = Math.min(this.#fresh.size(), BATCHED_BYTES);
      blobs.push(this.#fresh.take(size));
      bytes += size;
    }
    return blobs;
  }

  async #put(channel: Channel, blobs: readonly Uint8Array[]): Promise<boolean> {
    const { instance, onStored } = this.#options;
    try {
      const digests = blobs.length === 1
        ? [await this.streams.of(() => putStream(channel, instance, blobs[0]))]
        : await this.batches.of(() => putBatch(channel, instance, blobs));
      if (onStored !== undefined) digests.forEach(onStored);
      return true;
    } catch (error) {
      if (!(error instanceof BrokkrError) || error.code !== Code.RESOURCE_EXHAUSTED) throw error;
      this.refusals++;
      this.refusal = error.message;
      return false;
    }
  }
}
