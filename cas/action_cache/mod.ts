/**
 * The action cache.
 *
 * @module
 */

export * from "./action_cache.ts";
export { closureOf, ResultBeyondLimits } from "./_closure.ts";
export { readActionResult } from "./_read_result.ts";
export { inlineContents, type InlineLimits, type InlineRequest, wantsInline } from "./_inline.ts";
