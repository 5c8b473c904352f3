/**
 * What compression at rest costs and saves: durable puts of sources and of noise, with and without it, what they take of
 * the disk, reads of what is not in memory, and the look that tells packed data.
 *
 * ```sh
 * deno run -A cas/store/compression_bench.ts [DIR]
 * ```
 *
 * Both kinds take turns in one process, and the best of three counts: compare within a line.
 *
 * @module
 */

import { scopeOf } from "@brokkr/common";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { looksPacked } from "./_codec.ts";
import { openDiskBlobStore } from "./disk_store.ts";

const SCOPE = scopeOf("");
const LANES = 256;
const ROUNDS = 3;
const SIZES: readonly (readonly [sizeBytes: number, count: number])[] = [
  [1 << 10, 20_000],
  [4 << 10, 20_000],
  [64 << 10, 2000],
  [1 << 20, 150],
];

interface Blob {
  readonly digest: Digest;
  readonly data: Uint8Array;
}

/** The sources of this folder, one after another. */
async function sources(): Promise<Uint8Array> {
  let text = "";
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (name.endsWith(".ts")) text += await Deno.readTextFile(new URL(name, import.meta.url));
  }
  const data = new TextEncoder().encode(text);
  const twice = new Uint8Array(Math.max(2 * data.length, 4 << 20));
  for (let at = 0; at < twice.length; at += data.length) twice.set(data.subarray(0, twice.length - at), at);
  return twice;
}

function noise(bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) {
    crypto.getRandomValues(data.subarray(at, Math.min(bytes, at + 65_536)));
  }
  return data;
}

/** Blobs cut from `from`, each with a number of its own. */
function blobsOf(from: Uint8Array, sizeBytes: number, count: number): Blob[] {
  return Array.from({ length: count }, (_, n) => {
    const at = n * 7919 % (from.length - sizeBytes);
    const data = from.slice(at, at + sizeBytes);
    new DataView(data.buffer).setUint32(0, n);
    return { data, digest: digestOf(SHA256, data) };
  });
}

/** Calls in lanes; how many a second. */
async function rate(count: number, lanes: number, call: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const startMs = performance.now();
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let n = next++; n < count; n = next++) await call(n);
  }));
  return count / (performance.now() - startMs) * 1000;
}

async function measure(parent: string | undefined, blobs: readonly Blob[], compression: "zstd" | "off") {
  const dir = await Deno.makeTempDir({
    prefix: "brokkr-bench-",
    ...(parent === undefined ? {} : { dir: parent }),
  });
  try {
    await using store = await openDiskBlobStore(dir, { compression, cacheBytes: 1 });
    const puts = await rate(
      blobs.length,
      LANES,
      (n) => store.put(SCOPE, blobs[n].digest, blobs[n].data),
    );
    const { bytes, diskBytes } = await store.stat();
    const gets = await rate(blobs.length, 8, (n) => store.get(SCOPE, blobs[(n * 7) % blobs.length].digest));
    return { puts, gets, disk: diskBytes / bytes };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function lookNs(blobs: readonly Blob[]): number {
  let best = Infinity;
  let packed = 0;
  for (let round = 0; round < 50; round++) {
    const startMs = performance.now();
    for (const { data } of blobs.slice(0, 100)) if (looksPacked(data)) packed++;
    best = Math.min(best, performance.now() - startMs);
  }
  if (packed < 0) throw new Error("Never");
  return best / Math.min(100, blobs.length) * 1e6;
}

if (import.meta.main) {
  const [parent] = Deno.args;
  const kinds = [["sources", await sources()], ["noise", noise(8 << 20)]] as const;
  console.log("blobs             kept    puts/s    reads/s   disk bytes a byte   look");
  for (const [sizeBytes, count] of SIZES) {
    for (const [name, from] of kinds) {
      const blobs = blobsOf(from, sizeBytes, count);
      const best = { off: { puts: 0, gets: 0, disk: 0 }, zstd: { puts: 0, gets: 0, disk: 0 } };
      for (let round = 0; round < ROUNDS; round++) {
        for (const compression of ["off", "zstd"] as const) {
          const { puts, gets, disk } = await measure(parent, blobs, compression);
          const so = best[compression];
          best[compression] = { puts: Math.max(so.puts, puts), gets: Math.max(so.gets, gets), disk };
        }
      }
      for (const [kept, { puts, gets, disk }] of Object.entries(best)) {
        console.log(
          `${String(sizeBytes).padStart(8)} ${name.padEnd(8)} ${kept.padEnd(5)} ${
            puts.toFixed(0).padStart(8)
          } ` +
            `${gets.toFixed(0).padStart(10)} ${disk.toFixed(3).padStart(15)} ${
              lookNs(blobs).toFixed(0).padStart(12)
            } ns`,
        );
      }
    }
  }
}
