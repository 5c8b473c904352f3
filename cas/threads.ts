/**
 * Two threads for hashing large blobs, for processes that have many of them.
 *
 * @module
 */

export { hashLongStreamsOnTwoThreads } from "@brokkr/wasm/threads";
