/**
 * A process with a store, for the benchmarks of stores: so that what one leaves in memory is not another's.
 *
 * ```sh
 * deno run -A _store_subject.ts fill|work|evict|serve DIR COUNT SIZE
 * ```
 *
 * Prints lines of JSON. Blob `n` of a size is made from `n` alone, so that any process knows all of them.
 *
 * @module
 */

import { batchOf, type Digest, digestOf, type KeptBlobStore, SHA256 } from "@brokkr/cas";
import { openDiskBlobStore } from "@brokkr/cas/disk";
import { scopeOf, yieldToEventLoop } from "@brokkr/common";
import { startControl } from "@brokkr/control";

const SCOPE = scopeOf("");
const LANES = 256;

/** Blob number `n`. */
export function blobOf(size: number, n: number): Uint8Array {
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  for (let at = 0; at + 4 <= size; at += 4) view.setUint32(at, Math.imul(n + at + 1, 0x9e3779b1) >>> 0);
  view.setUint32(0, n);
  return data;
}

const digestFor = (size: number, n: number): Digest => digestOf(SHA256, blobOf(size, n));

/** Calls of each lane one after another; how long each took, in milliseconds, sorted. */
async function times(count: number, lanes: number, call: (n: number) => Promise<unknown>) {
  const took = new Float64Array(count);
  let next = 0;
  const startMs = performance.now();
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let n = next++; n < count; n = next++) {
      const begunMs = performance.now();
      await call(n);
      took[n] = performance.now() - begunMs;
    }
  }));
  const elapsedMs = performance.now() - startMs;
  took.sort();
  return {
    perSecond: count / elapsedMs * 1000,
    p50Ms: took[count >> 1],
    p99Ms: took[Math.floor(count * 0.99)],
  };
}

function say(line: unknown): void {
  console.log(JSON.stringify(line));
}

function rssBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().rss;
}

async function fill(store: KeptBlobStore, count: number, size: number): Promise<void> {
  await times(count, LANES * 2, (n) => {
    const data = blobOf(size, n);
    return store.put(SCOPE, digestOf(SHA256, data), data);
  });
}

async function findMissing(store: KeptBlobStore, count: number, size: number) {
  const digests = Array.from(
    { length: 10_000 },
    (_, i) => digestFor(size, i % 2 === 0 ? Math.floor(Math.random() * count) : count + 1_000_000 + i),
  );
  const batch = batchOf(SHA256, digests);
  const rounds = await times(40, 1, async () => {
    const missing = await store.missing(SCOPE, batch);
    if (missing.length !== 5000) throw new Error(`${missing.length} of 5,000 are said to be missing`);
    await yieldToEventLoop();
  });
  return { p50Ms: rounds.p50Ms, p99Ms: rounds.p99Ms };
}

/** Small durable writes, small reads, questions, in a store that holds `count` blobs of `size` bytes. */
async function work(store: KeptBlobStore, count: number, size: number): Promise<void> {
  // All of it is in memory when this resolves; what is answered before that has a row of its own.
  await store.keeper.usage();
  const written = 40_000;
  const data = Array.from({ length: written }, (_, n) => blobOf(4096, 500_000_000 + n));
  const writes = await times(written, LANES, (n) => store.put(SCOPE, digestOf(SHA256, data[n]), data[n]));
  const one = await times(300, 1, (n) => {
    const bytes = blobOf(4096, 900_000_000 + n);
    return store.put(SCOPE, digestOf(SHA256, bytes), bytes);
  });
  const wanted = Array.from({ length: 50_000 }, () => digestFor(size, Math.floor(Math.random() * count)));
  await times(wanted.length, 8, (n) => store.get(SCOPE, wanted[n]));
  const reads = await times(wanted.length, 8, (n) => store.get(SCOPE, wanted[(n * 7) % wanted.length]));
  const { diskBytes, blobs, bytes } = await store.stat();
  say({ writes, one, reads, find: await findMissing(store, count, size), diskBytes, blobs, bytes });
}

/** Reads while the store frees nine tenths of what it holds, beside the same reads before. */
async function evict(store: KeptBlobStore, count: number, size: number): Promise<void> {
  const wanted = Array.from(
    { length: 20_000 },
    () => digestFor(size, count - 1 - Math.floor(Math.random() * count * 0.05)),
  );
  let done = false;
  const reading = async (most: number) => {
    const took: number[] = [];
    while (!done && took.length < most) {
      const begunMs = performance.now();
      await store.get(SCOPE, wanted[took.length % wanted.length]);
      took.push(performance.now() - begunMs);
      // As calls do that come over a socket: each in a turn of its own.
      await yieldToEventLoop();
    }
    took.sort((a, b) => a - b);
    const at = (share: number) => took[Math.floor(took.length * share)];
    return { reads: took.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999) };
  };
  const quiet = await reading(100_000);
  const { diskBytes } = await store.stat();
  const startMs = performance.now();
  const collecting = store.keeper.collect({ targetBytes: diskBytes / 10 }).finally(() => done = true);
  const busy = await reading(Infinity);
  const { blobs, bytes, copiedBytes, freedBytes } = await collecting;
  say({ quiet, busy, blobs, bytes, copiedBytes, freedBytes, tookMs: performance.now() - startMs });
}

/** A control plane over the store; says when it is bound, and waits to be ended. */
async function serve(dir: string): Promise<void> {
  await using control = await startControl({ dataDir: dir, listen: "127.0.0.1:0" });
  say({ endpoint: control.grpcEndpoint });
  await new Response(Deno.stdin.readable).text();
  say({ rssBytes: rssBytes() });
}

if (import.meta.main) {
  const [mode, dir, countText, sizeText] = Deno.args;
  const [count, size] = [Number(countText), Number(sizeText)];
  if (mode === "serve") await serve(dir);
  else {
    const before = rssBytes();
    await using store = await openDiskBlobStore(`${dir}/cas`, { cacheBytes: 0 });
    if (mode === "fill") {
      await fill(store, count, size);
      const { diskBytes, bytes } = await store.stat();
      say({ diskBytes, bytes, tableBytes: rssBytes() - before });
    } else if (mode === "work") await work(store, count, size);
    else await evict(store, count, size);
  }
}
