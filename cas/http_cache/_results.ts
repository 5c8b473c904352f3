/**
 * `/ac/<key>`: results of actions, and values of other tools.
 *
 * A result lies under the digest of its action, of which HTTP knows only the hash. The size is that of the action's blob
 * when that is there, as it is with Bazel, so that HTTP and gRPC clients see each other's results; otherwise it is 0.
 *
 * Where values are not checked, they are blobs like any other, and a result of an environment of its own names each: so
 * they are found only while they are there, are evicted when nobody wants them, and count as what they take.
 *
 * @module
 */

import type { Scope } from "@brokkr/common";
import { ActionResultCodec } from "@brokkr/proto";
import {
  type ActionCache,
  type ActionCacheAnswer,
  CLIENT_ENVIRONMENT,
  MAX_ACTION_RESULT_BYTES,
} from "../action_cache/action_cache.ts";
import { type Digest, makeDigest, SHA256 } from "../digest.ts";
import { type Backend, charge, heldLimit, readHeld } from "./_backend.ts";
import { checkEncoding, digestOfHeld, isPresent, keep, sendBlob } from "./_blobs.ts";
import type { Exchange } from "./_exchange.ts";
import { HttpError, storeFailure } from "./_http_error.ts";

/** The environment of values that nobody has looked into. */
export const RAW_ENVIRONMENT = "http-raw";

/** Path of a value in the result that names it. */
const VALUE_PATH = "value";

/** GET and HEAD of a result. */
export async function serveResult(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  key: string,
): Promise<void> {
  if (!backend.validateAc) {
    const value = await findRaw(backend, scope, key);
    if (value !== undefined) return await sendBlob(backend, exchange, scope, value);
  }
  const answer = await lookUp(backend, scope, key);
  if (!answer.hit) throw miss(key, answer);
  exchange.outcome = "hit";
  const head = { "content-type": "application/octet-stream", "content-length": `${answer.bytes.length}` };
  using _lease = exchange.method === "HEAD"
    ? undefined
    : await charge(backend, exchange, answer.bytes.length);
  exchange.begin(200, head);
  if (exchange.method !== "HEAD") await exchange.send(answer.bytes);
  await exchange.end();
}

/** PUT of a result. */
export async function takeResult(
  backend: Backend,
  exchange: Exchange,
  scope: Scope,
  key: string,
): Promise<void> {
  checkEncoding(exchange);
  const limitBytes = backend.validateAc
    ? MAX_ACTION_RESULT_BYTES
    : Math.min(heldLimit(backend), backend.maxBlobBytes);
  using held = await readHeld(
    backend,
    exchange,
    limitBytes,
    () => new HttpError(413, `A value under /ac/ may have at most ${limitBytes} bytes`),
  );
  if (backend.validateAc) {
    const { known, unknown } = await actionsOf(backend, scope, key);
    await update(backend.cache, scope, known ?? unknown, held.data, CLIENT_ENVIRONMENT);
  } else {
    const value = await digestOfHeld(held.data);
    await keep(backend, scope, value, held.data);
    const { hash, sizeBytes } = value;
    const record = ActionResultCodec.encode({
      outputFiles: [{ path: VALUE_PATH, digest: { hash, sizeBytes } }],
    });
    await update(backend.cache, scope, makeDigest(SHA256, key, 0), record, RAW_ENVIRONMENT);
  }
  exchange.outcome = "stored";
  await exchange.answer(200);
}

async function update(
  cache: ActionCache,
  scope: Scope,
  action: Digest,
  bytes: Uint8Array,
  environment: string,
): Promise<void> {
  try {
    await cache.update(scope, action, bytes, environment);
  } catch (error) {
    throw storeFailure(error);
  }
}

async function findRaw({ cache }: Backend, scope: Scope, key: string): Promise<Digest | undefined> {
  const action = makeDigest(SHA256, key, 0);
  // Only looked at before it is asked for: what is not there is looked for once more, and counted then.
  const seen = await cache.peek(scope, action, RAW_ENVIRONMENT);
  const answer = seen.hit ? await cache.get(scope, action, RAW_ENVIRONMENT) : seen;
  if (!answer.hit) return undefined;
  const digest = ActionResultCodec.decode(answer.bytes).outputFiles.at(0)?.digest;
  return digest === undefined ? undefined : makeDigest(SHA256, digest.hash, digest.sizeBytes);
}

async function lookUp(backend: Backend, scope: Scope, key: string): Promise<ActionCacheAnswer> {
  const { cache } = backend;
  const environments = backend.environments();
  const { known, unknown } = await actionsOf(backend, scope, key);
  // Only looked at before it is asked for: a miss here is not the client's yet.
  for (const environment of known === undefined ? [] : environments) {
    if (known !== undefined && (await cache.peek(scope, known, environment)).hit) {
      return await cache.get(scope, known, environment);
    }
  }
  return await cache.get(scope, unknown, ...environments);
}

/** What the action of this hash may be called. */
interface Actions {
  /** With the size of its blob; undefined when that is not there. */
  readonly known: Digest | undefined;
  /** Without it. */
  readonly unknown: Digest;
}

/** A look at an action's blob is a use of it: it is there as long as its result is asked for. */
async function actionsOf(backend: Backend, scope: Scope, key: string): Promise<Actions> {
  const unknown = makeDigest(SHA256, key, 0);
  const sizeBytes = await backend.store.sizeOf?.(scope, SHA256, key);
  if (sizeBytes === undefined || sizeBytes === 0) return { known: undefined, unknown };
  const known = makeDigest(SHA256, key, sizeBytes);
  await isPresent(backend, scope, known);
  return { known, unknown };
}

function miss(key: string, answer: ActionCacheAnswer & { readonly hit: false }): HttpError {
  if (answer.reason === "absent") return new HttpError(404, `No result of action ${key}`);
  return new HttpError(
    404,
    `The result of action ${key} cannot be used: ${answer.missing.length} of the blobs it names are gone`,
  );
}
