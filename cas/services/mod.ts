/**
 * The gRPC services of the store and the action cache: ContentAddressableStorage, ByteStream, ActionCache. Imported as
 * `@brokkr/cas/services` by processes that serve them.
 *
 * @module
 */

export { actionCacheRoutes, type ActionCacheServiceOptions } from "./action_cache_service.ts";
export { type ByteStreamOptions, type ByteStreamRoutes, byteStreamRoutes } from "./byte_stream_service.ts";
export { casCapabilities, type CasCapabilitiesOptions } from "./capabilities.ts";
export { casRoutes } from "./cas_service.ts";
export type { CasServiceOptions } from "./_shared.ts";
