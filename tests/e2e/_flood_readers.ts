/**
 * Clients that hold the grid to its word while others flood it: what an action result names can be read at once, what
 * FindMissingBlobs said to be there can be read as long as the promise lasts.
 *
 * @module
 */

import { BrokkrError, Code, type Random } from "@brokkr/common";
import {
  ActionCache,
  type ActionResult,
  ByteStream,
  ContentAddressableStorage as Cas,
  TreeCodec,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc/client";
import { FreshBytes, Latencies, pause, putBatch, putStream } from "./_flood.ts";
import { digest, type WireDigest } from "./_grid.ts";

/** Blobs of which some are asked for. */
const CANDIDATES = 40;

/** What both readers are given. */
export interface ReaderOptions {
  readonly channel: Channel;
  readonly instance: string;
  readonly random: Random;
}

/** Reads a blob whole; false when it is not there or not right. */
export async function isReadable(channel: Channel, instance: string, blob: WireDigest): Promise<boolean> {
  const whole = new Uint8Array(blob.sizeBytes);
  let at = 0;
  const resourceName = `${instance}/blobs/${blob.hash}/${blob.sizeBytes}`;
  try {
    for await (const { data } of channel.serverStream(ByteStream.read, { resourceName })) {
      whole.set(data, at);
      at += data.length;
    }
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) return false;
    throw error;
  }
  return at === blob.sizeBytes && digest(whole).hash === blob.hash;
}

/** Stores action results and asks for them: of what it is handed nothing may be missing. */
export class ResultReader {
  readonly #options: ReaderOptions;
  readonly #fresh: FreshBytes;
  /** Results stored, which may be gone by now. */
  readonly #actions: WireDigest[] = [];
  /** Bytes that a second of this stores; what it was told is promised. */
  readonly #bytesPerSecond: number;
  /** Results asked for. */
  hits = 0;
  /** Results that were gone. */
  gone = 0;
  /** Blobs that results named. */
  read = 0;
  /** Those of them that could not be read. */
  readonly violations: string[] = [];
  readonly updates = new Latencies();

  constructor(options: ReaderOptions, bytesPerSecond: number) {
    this.#options = options;
    this.#fresh = new FreshBytes(options.random);
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Goes on until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const start = performance.now();
    for (let bytes = 0; !signal.aborted;) {
      if (bytes <= this.#bytesPerSecond * (performance.now() - start) / 1000) bytes += await this.#store();
      await this.#ask();
      await pause(20);
    }
  }

  /** Stores a result with a file, a directory and what it printed; gives its bytes. */
  async #store(): Promise<number> {
    const { channel, instance } = this.#options;
    const large = this.#fresh.take(1_500_000);
    const small = [this.#fresh.take(3000), this.#fresh.take(40_000), this.#fresh.take(100_000)];
    const tree = TreeCodec.encode({
      root: { files: small.map((data, i) => ({ name: `f${i}`, digest: digest(data) })) },
    });
    const stdout = this.#fresh.take(20_000);
    const action = digest(this.#fresh.take(64));
    await this.updates.of(() => putStream(channel, instance, large));
    await this.updates.of(() => putBatch(channel, instance, [...small, tree, stdout]));
    try {
      await channel.unary(ActionCache.updateActionResult, {
        instanceName: instance,
        actionDigest: action,
        actionResult: {
          outputFiles: [{ path: "large", digest: digest(large) }],
          outputDirectories: [{ path: "dir", treeDigest: digest(tree) }],
          stdoutDigest: digest(stdout),
        },
      });
    } catch (error) {
      // They were not promised to anybody until now; a worker would upload them again.
      if (error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION) return 0;
      throw error;
    }
    this.#actions.push(action);
    return large.length + 200_000;
  }

  async #ask(): Promise<void> {
    const { channel, instance, random } = this.#options;
    // Lately stored ones rather than others, so that some are never asked for, and go.
    const back = Math.floor(Math.min(this.#actions.length, 40) * random.next() ** 2);
    const action = this.#actions.at(-1 - back);
    if (action === undefined) return;
    let result: ActionResult;
    try {
      result = await channel.unary(ActionCache.getActionResult, {
        instanceName: instance,
        actionDigest: action,
      });
    } catch (error) {
      if (!(error instanceof BrokkrError) || error.code !== Code.NOT_FOUND) throw error;
      this.gone++;
      this.#actions.splice(this.#actions.indexOf(action), 1);
      return;
    }
    this.hits++;
    const named = [...result.outputFiles.map((file) => file.digest), result.stdoutDigest];
    const trees = result.outputDirectories.map(({ treeDigest }) => treeDigest);
    for (const each of [...named, ...trees]) await this.#check(each, "An action result named");
    for (const tree of trees) await this.#checkTree(tree);
  }

  async #checkTree(tree: WireDigest | undefined): Promise<void> {
    if (tree === undefined) return;
    const { channel, instance } = this.#options;
    const { responses } = await channel.unary(Cas.batchReadBlobs, {
      instanceName: instance,
      digests: [tree],
    });
    const { root } = TreeCodec.decode(responses[0]?.data ?? new Uint8Array());
    for (const file of root?.files ?? []) await this.#check(file.digest, "A tree of an action result named");
  }

  async #check(blob: WireDigest | undefined, who: string): Promise<void> {
    if (blob === undefined) return;
    const { channel, instance } = this.#options;
    this.read++;
    if (await isReadable(channel, instance, blob)) return;
    this.violations.push(`${who} ${blob.hash}/${blob.sizeBytes}, which cannot be read`);
  }
}

interface Promised {
  readonly blob: WireDigest;
  readonly untilMs: number;
}

/** Asks which of the flood's blobs are there, and reads later what was said to be. */
export class PromiseReader {
  readonly #options: ReaderOptions;
  readonly #promiseMs: number;
  readonly #bytesPerSecond: number;
  #candidates: WireDigest[] = [];
  #promised: Promised[] = [];
  #askedBytes = 0;
  /** Blobs asked for, and those that were there. */
  asked = 0;
  there = 0;
  /** Promises that were checked. */
  read = 0;
  readonly violations: string[] = [];

  constructor(options: ReaderOptions, promiseMs: number, bytesPerSecond: number) {
    this.#options = options;
    this.#promiseMs = promiseMs;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Tells of a blob that was stored. */
  note(blob: WireDigest): void {
    this.#candidates.push(blob);
    // Of those stored lately: others may be gone.
    if (this.#candidates.length > 2 * CANDIDATES) this.#candidates = this.#candidates.slice(-CANDIDATES);
  }

  /** Goes on until `signal` is aborted, then reads all that is promised still. */
  async run(signal: AbortSignal): Promise<void> {
    const start = performance.now();
    while (!signal.aborted) {
      if (this.#askedBytes <= this.#bytesPerSecond * (performance.now() - start) / 1000) await this.#ask();
      await this.#readOne();
      await pause(20);
    }
    for (const promised of this.#promised) await this.#read(promised);
  }

  async #ask(): Promise<void> {
    const { channel, instance, random } = this.#options;
    const blobDigests: WireDigest[] = [];
    for (let i = 0; i < 20 && this.#candidates.length > 0; i++) {
      const at = Math.floor(random.next() * this.#candidates.length);
      blobDigests.push(...this.#candidates.splice(at, 1));
    }
    if (blobDigests.length === 0) return;
    const untilMs = performance.now() + this.#promiseMs;
    const { missingBlobDigests } = await channel.unary(Cas.findMissingBlobs, {
      instanceName: instance,
      blobDigests,
    });
    const missing = new Set(missingBlobDigests.map(({ hash }) => hash));
    this.asked += blobDigests.length;
    for (const blob of blobDigests) {
      if (missing.has(blob.hash)) continue;
      this.there++;
      this.#askedBytes += blob.sizeBytes;
      this.#promised.push({ blob, untilMs });
    }
  }

  /** Reads one of what was promised, now and then again and again, or as late as it may be. */
  async #readOne(): Promise<void> {
    // A tick of pins is a second; what was promised for less than that more may go.
    const lateMs = performance.now() + 3000;
    const late = this.#promised.find(({ untilMs }) => untilMs < lateMs);
    const at = Math.floor(this.#options.random.next() * this.#promised.length);
    const promised = late ?? this.#promised.at(at);
    if (promised === undefined) return;
    await this.#read(promised);
    // What is read was used: that would keep it for other reasons than the promise.
    this.#promised = this.#promised.filter((each) => each !== promised);
  }

  async #read({ blob, untilMs }: Promised): Promise<void> {
    const { channel, instance } = this.#options;
    if (performance.now() > untilMs - 1000) return;
    this.read++;
    if (await isReadable(channel, instance, blob)) return;
    const leftS = ((untilMs - performance.now()) / 1000).toFixed(1);
    this.violations.push(`${blob.hash}/${blob.sizeBytes} is gone ${leftS} s before its promise ends`);
  }
}
