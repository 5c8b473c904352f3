/**
 * Ends of operations that are made of a result which is there already.
 *
 * @module
 */

import { type BlobStore, inlineContents, type InlineRequest, wantsInline } from "@brokkr/cas";
import type { ByteBudget, Scope } from "@brokkr/common";
import type { DigestFunction } from "@brokkr/cas";
import { Code } from "@brokkr/common";
import { encodeExecuteResponse } from "./_messages.ts";
import type { ExecuteEnd } from "./operation_record.ts";

/** Largest response with contents put into it: the whole operation must fit a message. */
const MAX_INLINE_BYTES = 4_000_000;

/** The end of an operation whose result was in the action cache. */
export function cachedEnd(result: Uint8Array): ExecuteEnd {
  return {
    ...encodeExecuteResponse({ result, cached: true, message: "" }),
    cached: true,
    code: Code.OK,
    message: "",
    exitCode: 0,
  };
}

/** `result` with the contents that a client asked for; undefined when it asked for none. */
export function inlineResult(
  blobs: BlobStore,
  budget: ByteBudget | undefined,
  scope: Scope,
  fn: DigestFunction,
  result: Uint8Array | undefined,
  inline: InlineRequest,
): Promise<Uint8Array> | undefined {
  if (result === undefined || !wantsInline(inline)) return undefined;
  return inlineContents(blobs, scope, fn, result, inline, { limitBytes: MAX_INLINE_BYTES, budget });
}
