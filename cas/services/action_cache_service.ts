/**
 * ActionCache: GetActionResult, UpdateActionResult.
 *
 * @module
 */

import { type ByteBudget, invalidArgument, notFound } from "@brokkr/common";
import {
  ActionCache as ActionCacheService,
  BytesCodec,
  type Codec,
  type GetActionResultRequest,
  type Init,
  type Method,
  RawActionCache,
  type UpdateActionResultRequest,
  UpdateActionResultRequestCodec,
  WireReader,
} from "@brokkr/proto";
import { type CallContext, MAX_SEND_MESSAGE_BYTES, type Route, unary } from "@brokkr/proto/rpc/server";
import {
  type ActionCache,
  type ActionCacheAnswer,
  CLIENT_ENVIRONMENT,
} from "../action_cache/action_cache.ts";
import { inlineContents, type InlineRequest, wantsInline } from "../action_cache/_inline.ts";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, formatDigest, parseDigest } from "../digest.ts";

/** How the ActionCache service is set up. */
export interface ActionCacheServiceOptions {
  /** The cache. */
  readonly cache: ActionCache;
  /** Where contents that are to be inlined are read from. */
  readonly store: BlobStore;
  /** Charged for contents while they are put into results. */
  readonly budget?: ByteBudget;
  /**
   * Environments whose results clients may see, in order; asked at each call, as the grid's own may change. Only what
   * clients brought themselves by default.
   */
  readonly environments?: () => readonly string[];
  /** Whether clients may bring results; true by default. Without it UpdateActionResult is not served. */
  readonly updateEnabled?: boolean;
}

/** An UpdateActionResultRequest whose result stays the bytes it is. */
export interface RawUpdateRequest {
  /** Instance. */
  readonly instanceName: string;
  /** The action. */
  readonly actionDigest?: { readonly hash: string; readonly sizeBytes: number };
  /** The encoded ActionResult, undefined when there is none. */
  readonly actionResult?: Uint8Array;
  /** What made the digests, or 0. */
  readonly digestFunction: number;
}

const ACTION_RESULT_TAG = 0x1a;

const RawUpdateCodec: Codec<RawUpdateRequest, Init<UpdateActionResultRequest>> = {
  encode: (message) => UpdateActionResultRequestCodec.encode(message),
  decode(bytes) {
    const { instanceName, actionDigest, digestFunction } = UpdateActionResultRequestCodec.decode(bytes);
    const request = { instanceName, digestFunction, ...(actionDigest === undefined ? {} : { actionDigest }) };
    const actionResult = resultBytes(bytes);
    return actionResult === undefined ? request : { ...request, actionResult };
  },
};

/** The bytes of `action_result`. A message field that comes twice is merged, which is what joining its bytes means. */
function resultBytes(bytes: Uint8Array): Uint8Array | undefined {
  const reader = new WireReader(bytes, "build.bazel.remote.execution.v2.UpdateActionResultRequest");
  const parts: Uint8Array[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === ACTION_RESULT_TAG) parts.push(reader.view());
    else reader.skip(tag);
  }
  if (parts.length <= 1) return parts[0];
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const updateActionResult: Method<RawUpdateRequest, Uint8Array, Init<UpdateActionResultRequest>> = {
  ...ActionCacheService.updateActionResult,
  request: RawUpdateCodec,
  response: BytesCodec,
};

/** Routes of the ActionCache service. */
export function actionCacheRoutes(options: ActionCacheServiceOptions): Route[] {
  const { updateEnabled = true } = options;
  const get = unary(
    RawActionCache.getActionResult,
    "read",
    (request, context) => getActionResult(options, request, context),
  );
  if (!updateEnabled) return [get];
  const update = unary(
    updateActionResult,
    "write",
    (request, context) => updateResult(options.cache, request, context),
  );
  return [get, update];
}

const ONLY_CLIENTS: readonly string[] = [CLIENT_ENVIRONMENT];

function getActionResult(
  options: ActionCacheServiceOptions,
  request: GetActionResultRequest,
  context: CallContext,
): Uint8Array | Promise<Uint8Array> {
  const scope = context.scope(request.instanceName);
  const action = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
  const inline = {
    stdout: request.inlineStdout,
    stderr: request.inlineStderr,
    files: request.inlineOutputFiles,
  } satisfies InlineRequest;
  const respond = (answer: ActionCacheAnswer): Uint8Array | Promise<Uint8Array> => {
    if (!answer.hit) throw missError(action, answer);
    if (!wantsInline(inline)) return answer.bytes;
    return inlineContents(options.store, scope, action.fn, answer.bytes, inline, {
      limitBytes: MAX_SEND_MESSAGE_BYTES,
      budget: options.budget,
    });
  };
  const answer = options.cache.get(scope, action, ...(options.environments?.() ?? ONLY_CLIENTS));
  return answer instanceof Promise ? answer.then(respond) : respond(answer);
}

function missError(action: Digest, answer: ActionCacheAnswer & { readonly hit: false }): Error {
  const named = formatDigest(action);
  if (answer.reason === "absent") return notFound(`No result of action ${named} is cached`);
  const { missing } = answer;
  return notFound(
    `The cached result of action ${named} cannot be used: ${missing.length} of the blobs it names are gone, ` +
      `first ${formatDigest(missing[0])}`,
  );
}

async function updateResult(
  cache: ActionCache,
  request: RawUpdateRequest,
  context: CallContext,
): Promise<Uint8Array> {
  const scope = context.scope(request.instanceName);
  const action = parseDigest(request.actionDigest, request.digestFunction, "action_digest");
  if (request.actionResult === undefined) {
    throw invalidArgument("action_result", `No result of action ${formatDigest(action)} is given`);
  }
  await cache.update(scope, action, request.actionResult, CLIENT_ENVIRONMENT);
  return request.actionResult;
}
