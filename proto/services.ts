/**
 * Every service that Brokkr speaks, with what a codec and a method are.
 *
 * @module
 */

export type { Codec, Init, InPlaceEncoder, Method, MethodKind } from "./codec.ts";
export * from "./gen/services.ts";
