/**
 * The action cache.
 *
 * @module
 */

export * from "./action_cache.ts";
