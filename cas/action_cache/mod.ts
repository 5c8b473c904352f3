/**
 * The action cache.
 *
 * @module
 */

export * from "./action_cache.ts";
export { inlineContents, type InlineRequest, wantsInline } from "./_inline.ts";
