/**
 * What becomes of a result that a worker hands in: a good one of an action that may be cached is in the action cache,
 * verified and durable, before any client sees it.
 *
 * The first result stays. An action can end twice: its worker was cut off and another ran it, control was started again
 * and an old result comes late, or a client looked into the cache just before its twin ended. Some client may have the
 * first result already, so a second one gives way to it wherever it is complete; only who asked for a new run
 * (skip_cache_lookup) replaces it.
 *
 * @module
 */

import {
  type ActionCache,
  type BlobStore,
  checkInstanceName,
  type Digest,
  digestKey,
  formatDigest,
  MAX_ACTION_RESULT_BYTES,
  parseDigest,
  readActionResult,
  ResultBeyondLimits,
  sameDigest,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  Code,
  idTracer,
  invalidArgument,
  type LeaseId,
  type Logger,
  parseTraceparent,
  type Scope,
  scopeKey,
  scopeOf,
  type Tracer,
  type WorkerId,
} from "@brokkr/common";
import { ActionCodec, ActionResultCodec, type LeaseResult, type Status } from "@brokkr/proto";
import { MAX_ACTION_BYTES } from "./action_check.ts";
import { encodeExecuteResponse } from "./_messages.ts";
import { explainMissing } from "./_store_pressure.ts";
import { failedEnd, type JobPayload, type Verdict } from "./grid.ts";

/** A result to settle. */
export interface Handin {
  readonly leaseId: LeaseId;
  readonly worker: WorkerId;
  readonly environment: string;
  readonly outcome: "completed" | "failed";
  /** Some client wants a new run: the result takes the place of one that is cached. */
  readonly fresh: boolean;
  readonly payload: JobPayload;
  readonly result: LeaseResult;
}

/** Results up to this size are decoded at once. */
const AT_ONCE_BYTES = 16 << 10;

/** A result for the client, and words for it. */
interface Kept {
  readonly bytes: Uint8Array;
  readonly note: string;
}

/** Settles results into `cache`. */
export class Settler {
  readonly #cache: ActionCache;
  readonly #blobs: BlobStore;
  readonly #log: Logger;
  readonly #tracer: Tracer;
  /** Turns at the entries that are being written. */
  readonly #storing = new Map<string, Promise<void>>();

  constructor(cache: ActionCache, blobs: BlobStore, log: Logger, tracer: Tracer = idTracer()) {
    this.#cache = cache;
    this.#blobs = blobs;
    this.#log = log;
    this.#tracer = tracer;
  }

  /** Answers at once when nothing has to be written and the result is small. */
  settle(handin: Handin): Verdict | Promise<Verdict> {
    const { result: { actionResult } } = handin;
    if (actionResult.length > MAX_ACTION_RESULT_BYTES) return tooLarge(actionResult.length);
    const fault = (error: unknown): Verdict => ({ kind: "fault", why: asBrokkrError(error).message });
    try {
      checkOwn(handin);
    } catch (error) {
      return fault(error);
    }
    if (actionResult.length > AT_ONCE_BYTES) {
      return readActionResult(actionResult).then(({ exitCode }) => this.#settle(handin, exitCode), fault);
    }
    let exitCode: number;
    try {
      exitCode = ActionResultCodec.decode(actionResult).exitCode;
    } catch (error) {
      return fault(error);
    }
    return this.#settle(handin, exitCode);
  }

  #settle(handin: Handin, exitCode: number): Verdict | Promise<Verdict> {
    const { result: { actionResult, status }, outcome, payload } = handin;
    const present = actionResult.length > 0 || outcome === "completed";
    const bad = outcome === "failed" ? failure(status) : undefined;
    if (bad !== undefined) {
      const { scope, digest, action } = payload;
      const told = explainMissing(this.#blobs, scope, digest, action, bad);
      const end = (status: Status) =>
        finish(handin, present ? actionResult : undefined, exitCode, status, "");
      return told === undefined ? end(bad) : told.then(end, () => end(bad));
    }
    if (exitCode !== 0 || payload.doNotCache) {
      return finish(handin, present ? actionResult : undefined, exitCode, undefined, "");
    }
    return this.#keep(handin).then((kept) => {
      if ("kind" in kept) return kept;
      return finish(handin, kept.bytes, exitCode, undefined, kept.note);
    });
  }

  /**
   * Keeps the result of a lease that an earlier control plane gave and never took back. Fencing is about who may end an
   * operation; none is ended here. An entry of the cache is as good whenever it comes, since its outputs are verified and
   * its environment is the worker's own. That the action may be cached is read in the action itself: the worker is
   * asked for no more than its result, which it is trusted with. False for what is not to be cached.
   */
  async salvage(
    handin: Pick<Handin, "worker" | "environment" | "result"> & { leaseId: string },
  ): Promise<boolean> {
    const { result: { action, actionResult }, environment, worker, leaseId } = handin;
    if (action === undefined || actionResult.length > MAX_ACTION_RESULT_BYTES) return false;
    if ((await readActionResult(actionResult)).exitCode !== 0) return false;
    checkInstanceName(action.instanceName);
    const scope = scopeOf(action.instanceName);
    const digest = parseDigest(action.actionDigest, action.digestFunction, "result.action");
    if (digest.sizeBytes > MAX_ACTION_BYTES) return false;
    if (ActionCodec.decode(await this.#blobs.get(scope, digest)).doNotCache) return false;
    const bytes = await this.#store(scope, digest, actionResult, environment);
    if (bytes !== actionResult) return false;
    this.#log.info("A result of before the start was kept", { worker, lease: leaseId, action: digest.hash });
    return true;
  }

  /**
   * Puts a result in the cache unless a complete one is there; gives the one that is there now. One at a time for each
   * action.
   */
  async #store(
    scope: Scope,
    digest: Digest,
    bytes: Uint8Array,
    environment: string,
    replace = false,
  ): Promise<Uint8Array> {
    const key = `${scopeKey(scope)}\n${digestKey(digest)}\n${environment}`;
    const before = this.#storing.get(key) ?? Promise.resolve();
    const stored = before.then(async () => {
      const answer = replace ? undefined : await this.#cache.peek(scope, digest, environment);
      if (answer?.hit) return answer.bytes;
      await this.#cache.update(scope, digest, bytes, environment);
      return bytes;
    });
    // Whoever comes next waits for this one, and does not fail with it.
    const turn = stored.then(() => {}, () => {});
    this.#storing.set(key, turn);
    try {
      return await stored;
    } finally {
      if (this.#storing.get(key) === turn) this.#storing.delete(key);
    }
  }

  /** Puts a result in the cache; a verdict when it cannot be used, otherwise what the client gets, and a note. */
  async #keep(handin: Handin): Promise<Verdict | Kept> {
    const { payload, result, environment, worker, leaseId, fresh } = handin;
    const { scope, digest, operation, traceparent } = payload;
    const own = result.actionResult;
    const parent = parseTraceparent(traceparent);
    using span = this.#tracer.start("settle", parent);
    try {
      return { bytes: await this.#store(scope, digest, own, environment, fresh), note: "" };
    } catch (thrown) {
      const error = asBrokkrError(thrown);
      span.fail(error);
      const trace = parent?.traceId;
      this.#log.warn("A result could not be cached", { trace, operation, worker, lease: leaseId, error });
      // Another worker would come to the same; the client gets what there is.
      const note = `The result could not be cached: ${error.message}`;
      if (error instanceof ResultBeyondLimits) return { bytes: own, note };
      // The worker promised what it did not upload, or wrote nonsense: another may do better.
      if (error.code === Code.FAILED_PRECONDITION || error.code === Code.INVALID_ARGUMENT) {
        return { kind: "fault", why: error.message };
      }
      // The store's own trouble does not make the result worse.
      return { bytes: own, note };
    }
  }
}

/**
 * A result that names its action must name the lease's. Fencing tokens are unique as long as boot epochs are; this holds
 * also where control lost what it remembered of them, and gives the same tokens again.
 */
function checkOwn({ result: { action }, payload: { scope, digest } }: Handin): void {
  if (action === undefined) return;
  const named = parseDigest(action.actionDigest, action.digestFunction, "result.action");
  if (sameDigest(named, digest) && action.instanceName === scope.instance) return;
  throw invalidArgument(
    "result.action",
    `The result is of action ${formatDigest(named)}, and the lease of ${formatDigest(digest)}`,
  );
}

/** What a worker that gave up says; it must not look like success. */
function failure(status: Status | undefined): Status {
  if (status !== undefined && status.code !== Code.OK) return status;
  return { code: Code.INTERNAL, message: "The worker gave up and did not say why", details: [] };
}

function finish(
  { result: { message } }: Handin,
  result: Uint8Array | undefined,
  exitCode: number,
  status: Status | undefined,
  note: string,
): Verdict {
  const words = [message, note].filter((text) => text !== "").join("; ");
  const encoded = encodeWithin({ result, cached: false, status, message: words });
  const code = status?.code ?? Code.OK;
  const outcome = { ...encoded, cached: false, code, message: status?.message ?? words, exitCode };
  return { kind: "finish", outcome, sizeBytes: encoded.response.length };
}

/** Largest response: with the rest of the operation it must fit a message. */
const MAX_RESPONSE_BYTES = 4_150_000;
/** What is kept of words when it would be larger, in characters. */
const MAX_WORDS = 10_000;

/** The encoded response; a worker's words give way to the result where both together are too much. */
function encodeWithin(parts: Parameters<typeof encodeExecuteResponse>[0]) {
  const encoded = encodeExecuteResponse(parts);
  if (encoded.response.length <= MAX_RESPONSE_BYTES) return encoded;
  const { status, message } = parts;
  const short = (text: string) => text.slice(0, MAX_WORDS);
  return encodeExecuteResponse({
    ...parts,
    message: short(message),
    ...(status === undefined ? {} : { status: { code: status.code, message: short(status.message ?? "") } }),
  });
}

function tooLarge(sizeBytes: number): Verdict {
  const error = new BrokkrError(
    Code.FAILED_PRECONDITION,
    `The action's result has ${sizeBytes} bytes, more than the ${MAX_ACTION_RESULT_BYTES} that can be answered; ` +
      "let it write fewer outputs, or name directories instead of files",
  );
  const outcome = failedEnd(error);
  return { kind: "finish", outcome, sizeBytes: outcome.response.length };
}
