/**
 * One client on the bare API. Whatever it is told is written into the ledger; whatever it must never be told is a
 * violation there.
 *
 * @module
 */

import { BrokkrError, Code, type Random } from "@brokkr/common";
import {
  ActionCache,
  type ActionResult,
  ByteStream,
  ContentAddressableStorage as Cas,
  type ExecuteResponse,
  Execution,
  type WriteRequest,
} from "@brokkr/proto";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { Followed } from "../e2e/_followed.ts";
import { digest, type WireDigest } from "../e2e/_grid.ts";
import { type ChaosAction, lostWorkers } from "./_actions.ts";
import { keyOf, type Ledger } from "./_ledger.ts";

/** Nothing takes so long, whatever is struck: a call that does has hung. */
const HANG_MS = 120_000;
const CHUNK_BYTES = 256 << 10;
const INSTANCE = "chaos";

/** Ends of a call that a client must expect of a grid whose processes die, and answers by trying again. */
const PASSING: readonly Code[] = [Code.UNAVAILABLE];

/** Bytes that a seed and an index make, `sizeBytes` of them; no two seeds make the same. */
export function chaosBytes(random: Random, sizeBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  // One draw for each blob, then xorshift32 (George Marsaglia, 2003): a draw for each byte would stop the event loop.
  let state = (random.next() * 2 ** 32) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A client that survives what it is there to see. */
export class ChaosClient implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #ledger: Ledger;
  readonly #random: Random;

  constructor(endpoint: string, ledger: Ledger, random: Random) {
    this.#channel = connect(endpoint, { retry: { retries: 0 }, defaultTimeoutMs: HANG_MS });
    this.#ledger = ledger;
    this.#random = random;
  }

  /** Uploads by one batch; true when all of it was acknowledged. */
  async putBatch(blobs: readonly Uint8Array[]): Promise<boolean> {
    const digests = blobs.map(digest);
    this.#ledger.attempt(...digests);
    const answer = await this.#try(() =>
      this.#channel.unary(Cas.batchUpdateBlobs, {
        instanceName: INSTANCE,
        requests: blobs.map((data, i) => ({ digest: digests[i], data })),
      }), "BatchUpdateBlobs");
    if (answer === undefined) return false;
    let all = answer.responses.length === blobs.length;
    for (const { digest: of, status } of answer.responses) {
      if ((status?.code ?? 0) === 0 && of !== undefined) this.#ledger.stored(of);
      else {
        all = false;
        if (!PASSING.includes(status?.code as Code)) {
          this.#ledger.violated(`A blob of a batch was refused: ${status?.code} ${status?.message}`);
        }
      }
    }
    return all;
  }

  /** Uploads by ByteStream, breaking off after `breakAt` bytes when that is given; true when it was acknowledged. */
  async putStream(data: Uint8Array, breakAt = Infinity): Promise<boolean> {
    const own = digest(data);
    this.#ledger.attempt(own);
    const resourceName = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${own.hash}/${own.sizeBytes}`;
    if (breakAt === Infinity) return await this.#write(resourceName, own, data, 0, Infinity);
    await this.#write(resourceName, own, data, 0, breakAt);
    this.#ledger.count("uploads broken off");
    // As a client with a memory does: go on from where the server says.
    const status = await this.#try(
      () => this.#channel.unary(ByteStream.queryWriteStatus, { resourceName }),
      "QueryWriteStatus",
      Code.NOT_FOUND,
    );
    if (status === undefined) return false;
    if (status.complete) {
      this.#ledger.stored(own);
      return true;
    }
    if (status.committedSize > data.length) {
      this.#ledger.violated(
        `QueryWriteStatus of ${resourceName} says ${status.committedSize} of ${data.length} bytes`,
      );
    }
    return await this.#write(resourceName, own, data, status.committedSize, Infinity);
  }

  async #write(
    resourceName: string,
    own: WireDigest,
    data: Uint8Array,
    from: number,
    breakAt: number,
  ): Promise<boolean> {
    const abort = new AbortController();
    const answer = await this.#try(
      () =>
        this.#channel.clientStream(ByteStream.write, messages(resourceName, data, from, breakAt, abort), {
          signal: abort.signal,
          timeoutMs: HANG_MS,
        }),
      "Write",
      // Where a resumed upload was to go on may have been lost with a process in between.
      ({ code }) => abort.signal.aborted || (from > 0 && code === Code.INVALID_ARGUMENT),
    );
    if (answer === undefined) return false;
    // -1 is for compressed uploads only.
    if (answer.committedSize !== own.sizeBytes) {
      this.#ledger.violated(`Write of ${keyOf(own)} was acknowledged with ${answer.committedSize} bytes`);
    }
    this.#ledger.stored(own);
    return true;
  }

  /** Asks for blobs that must be there. */
  async expectPresent(digests: readonly WireDigest[]): Promise<void> {
    const missing = await this.missing(digests);
    for (const each of missing ?? []) {
      this.#ledger.violated(`Acknowledged blob ${keyOf(each)} is said to be missing`);
    }
  }

  /** Which of these the store says it lacks; undefined when it could not be asked. */
  async missing(digests: readonly WireDigest[]): Promise<readonly WireDigest[] | undefined> {
    const answer = await this.#try(
      () => this.#channel.unary(Cas.findMissingBlobs, { instanceName: INSTANCE, blobDigests: digests }),
      "FindMissingBlobs",
    );
    return answer?.missingBlobDigests.map(({ hash, sizeBytes }) => ({ hash, sizeBytes }));
  }

  /**
   * Reads a blob whole: its bytes, "absent", or undefined when the call broke. What comes with success must be all of it,
   * and right.
   */
  async read(blob: WireDigest): Promise<Uint8Array | "absent" | undefined> {
    const resourceName = `${INSTANCE}/blobs/${blob.hash}/${blob.sizeBytes}`;
    let absent = false;
    const bytes = await this.#try(
      async () => {
        const whole = new Uint8Array(blob.sizeBytes);
        let at = 0;
        const options = { timeoutMs: HANG_MS };
        for await (const { data } of this.#channel.serverStream(ByteStream.read, { resourceName }, options)) {
          if (at + data.length <= whole.length) whole.set(data, at);
          at += data.length;
        }
        if (at !== blob.sizeBytes || digest(whole).hash !== blob.hash) {
          this.#ledger.violated(`Read of ${keyOf(blob)} succeeded with ${at} bytes that are not the blob`);
        }
        return whole;
      },
      "Read",
      (error) => absent = error.code === Code.NOT_FOUND,
    );
    return absent ? "absent" : bytes;
  }

  /** Reads a blob that must be there. */
  async readPresent(blob: WireDigest): Promise<Uint8Array | undefined> {
    const bytes = await this.read(blob);
    if (bytes === "absent") {
      this.#ledger.violated(`Acknowledged blob ${keyOf(blob)} cannot be read: NOT_FOUND`);
      return undefined;
    }
    return bytes;
  }

  /** What the action cache says; "absent" for NOT_FOUND, undefined when it could not be asked. */
  async cached(action: WireDigest): Promise<ActionResult | "absent" | undefined> {
    let absent = false;
    const result = await this.#try(
      () =>
        this.#channel.unary(ActionCache.getActionResult, { instanceName: INSTANCE, actionDigest: action }),
      "GetActionResult",
      (error) => absent = error.code === Code.NOT_FOUND,
    );
    return absent ? "absent" : result;
  }

  /** Puts a result into the action cache. One client alone writes to a key. */
  async update(action: WireDigest, actionResult: ActionResult): Promise<void> {
    this.#ledger.writing(action, actionResult);
    const stored = await this.#try(
      () =>
        this.#channel.unary(ActionCache.updateActionResult, {
          instanceName: INSTANCE,
          actionDigest: action,
          actionResult,
        }),
      "UpdateActionResult",
    );
    if (stored !== undefined) this.#ledger.wrote(action, actionResult);
  }

  /** Uploads an action's blobs until they are acknowledged. */
  async prepare(action: ChaosAction): Promise<void> {
    const until = performance.now() + HANG_MS;
    while (!await this.putBatch(action.blobs)) {
      if (performance.now() > until) {
        throw new Error("An upload of some small blobs was refused for two minutes");
      }
      await pause(50);
    }
  }

  /**
   * Executes an action as Bazel does: after a broken stream it waits for the operation, and executes again when nobody
   * knows that. `fickle` breaks the stream itself now and then. Undefined when the action was given up for the workers it
   * took down.
   */
  async execute(action: ChaosAction, fickle: boolean): Promise<ExecuteResponse | undefined> {
    const until = performance.now() + HANG_MS;
    for (let name = ""; performance.now() < until; await pause(20 + this.#random.next() * 80)) {
      const response = await this.#follow(action, name, fickle && this.#random.next() < 0.3);
      if (typeof response === "string") {
        name = response;
        continue;
      }
      const { status, result } = response;
      if ((status?.code ?? 0) === 0 && result !== undefined) {
        if (action.cached) this.#ledger.finished(action.digest, result);
        return response;
      }
      name = "";
      if (lostWorkers(response)) {
        this.#ledger.count("actions given up for lost workers");
        return undefined;
      }
      if (PASSING.includes(status?.code as Code)) continue;
      this.#ledger.violated(`Action ${keyOf(action.digest)} was answered ${status?.code} ${status?.message}`);
      return undefined;
    }
    this.#ledger.violated(`Action ${keyOf(action.digest)} had no end within ${HANG_MS / 1000} s`);
    return undefined;
  }

  /** One stream: its response, or the name of the operation to wait for; "" when it must be executed anew. */
  async #follow(action: ChaosAction, name: string, breaks: boolean): Promise<ExecuteResponse | string> {
    const abort = new AbortController();
    const options = { signal: abort.signal };
    const stream = name === ""
      ? this.#channel.serverStream(
        Execution.execute,
        { instanceName: INSTANCE, actionDigest: action.digest },
        options,
      )
      : this.#channel.serverStream(Execution.waitExecution, { name }, options);
    const followed = new Followed(stream, abort);
    const hung = setTimeout(() => abort.abort(), HANG_MS);
    const breaker = breaks ? setTimeout(() => abort.abort(), this.#random.next() * 700) : undefined;
    try {
      return await followed.response();
    } catch (error) {
      this.#ledger.count("execution streams broken");
      if (!(error instanceof BrokkrError)) {
        this.#ledger.violated(`A stream of ${keyOf(action.digest)} was against the rules: ${error}`);
        return "";
      }
      if (error.code === Code.NOT_FOUND && name !== "") return "";
      if (!PASSING.includes(error.code) && !breaks) {
        this.#ledger.violated(
          `A stream of ${keyOf(action.digest)} ended with ${error.codeName}: ${error.message}`,
        );
      }
      return followed.name || name;
    } finally {
      clearTimeout(hung);
      clearTimeout(breaker);
    }
  }

  /** Calls; undefined when the call ended in a way that a client expects. Other ends are violations. */
  async #try<T>(
    call: () => Promise<T>,
    what: string,
    expected?: Code | ((error: BrokkrError) => boolean),
  ): Promise<T | undefined> {
    this.#ledger.count("calls");
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof BrokkrError)) throw error;
      this.#ledger.count(`calls that ended with ${error.codeName}`);
      const allowed = PASSING.includes(error.code) ||
        (typeof expected === "function" ? expected(error) : error.code === expected);
      if (!allowed) this.#ledger.violated(`${what} ended with ${error.codeName}: ${error.message}`);
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel.close();
  }
}

async function* messages(
  resourceName: string,
  data: Uint8Array,
  from: number,
  breakAt: number,
  abort: AbortController,
): AsyncGenerator<Partial<WriteRequest>, void, undefined> {
  let at = from;
  do {
    if (at >= breakAt) return abort.abort();
    const end = Math.min(data.length, at + CHUNK_BYTES);
    yield {
      ...(at === from ? { resourceName } : {}),
      writeOffset: at,
      data: data.subarray(at, end),
      finishWrite: end === data.length,
    };
    at = end;
    // Lets others have their turn; a large upload is under way for a while.
    await pause(2);
  } while (at < data.length);
}
