/**
 * The action cache.
 *
 * @module
 */

export * from "./action_cache.ts";
export type { ResultUsage } from "./_usage.ts";
export type { ResultOrigin } from "./_record.ts";
export * from "./stored_result.ts";
export * from "./sweeper.ts";
export { closureOf, ResultBeyondLimits } from "./_closure.ts";
export { readActionResult } from "./_read_result.ts";
export { inlineContents, type InlineLimits, type InlineRequest, wantsInline } from "./_inline.ts";
