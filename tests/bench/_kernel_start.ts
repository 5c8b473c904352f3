/**
 * How long the first hash and the first cut of a process take, with loading and compiling, in milliseconds: prints JSON.
 *
 * @module
 */

const before = performance.now();
const { chunkLengths, hash, hashBatch } = await import("@brokkr/wasm");
const loaded = performance.now();
const small = new Uint8Array(64);

function first(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

console.log(JSON.stringify({
  module: loaded - before,
  "SHA-256": first(() => hashBatch("sha256", [small], { engine: "wasm" })),
  "BLAKE3": first(() => hash("blake3", small)),
  "FastCDC": first(() => chunkLengths({ avgBytes: 1024 }, new Uint8Array(8192))),
}));
