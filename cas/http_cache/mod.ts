/**
 * The HTTP cache: blobs and action results for clients that do not speak gRPC. Imported as `@brokkr/cas/http_cache` by
 * processes that serve it.
 *
 * @module
 */

export { type HttpCacheServer, serveHttpCache } from "./http_cache.ts";
export {
  DEFAULT_HTTP_CACHE_LIMITS,
  type HttpCacheLimits,
  type HttpCacheOptions,
} from "./http_cache_options.ts";
export { RAW_ENVIRONMENT } from "./_results.ts";
