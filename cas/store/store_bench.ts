/**
 * What the disk store does, beside what the machine can do at all, measured in the same run: medians of several rounds,
 * as a table or with `--json`.
 *
 * ```sh
 * deno run -A cas/store/store_bench.ts [--json] [--dir DIR]
 * ```
 *
 * @module
 */

import { scopeOf } from "@brokkr/common";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import { type Digest, digestOf, type HashHex, SHA256 } from "../digest.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { systemFiles, writeAll } from "./file_layer.ts";
import { MembershipTable } from "./membership_table.ts";

const SCOPE = scopeOf("");
const MIB = 1 << 20;
const LARGE_BYTES = 64 * MIB;

interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
  return data;
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

/** Runs `run` for numbers below `count`, `lanes` at a time; calls per second. */
async function rate(count: number, lanes: number, run: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const lane = async () => {
    while (next < count) await run(next++);
  };
  const elapsedMs = await timed(() => Promise.all(Array.from({ length: lanes }, lane)));
  return count / elapsedMs * 1000;
}

async function smallBlobs(store: BlobStore, dir: string): Promise<Result[]> {
  const count = 20_000;
  const source = randomBytes(4096);
  const digests: Digest[] = [];
  const data = (n: number) => {
    const bytes = source.slice();
    new DataView(bytes.buffer).setUint32(0, n);
    return bytes;
  };
  for (let n = 0; n < count; n++) digests.push(digestOf(SHA256, data(n)));
  const put = await rate(count, 64, (n) => store.put(SCOPE, digests[n], data(n)));
  const one = await rate(500, 1, (n) => {
    const bytes = data(1_000_000 + n);
    return store.put(SCOPE, digestOf(SHA256, bytes), bytes);
  });
  const order = Array.from({ length: count }, () => Math.floor(Math.random() * count));
  const get = await rate(count, 1, (n) => store.get(SCOPE, digests[order[n]]));
  const file = await systemFiles.open(`${dir}/raw-small`, "create");
  let at = 0;
  const sync = await rate(500, 1, async () => {
    await writeAll(file, source, at);
    at += source.length;
    await file.syncData();
  });
  file.close();
  const hash = await rate(20_000, 1, () => Promise.resolve(SHA256.hash(source)));
  return [
    { name: "put 4 KiB, durable, 64 at once", value: put, unit: "/s" },
    { name: "put 4 KiB, durable, one at a time", value: one, unit: "/s" },
    { name: "  yardstick: write and fdatasync 4 KiB", value: sync, unit: "/s" },
    { name: "get 4 KiB, any of 20,000", value: get, unit: "/s" },
    { name: "  yardstick: hash 4 KiB", value: hash, unit: "/s" },
  ];
}

function membership(): Result[] {
  const count = 1_000_000;
  const table = new MembershipTable(32, randomBytes(8));
  const hashes = randomBytes(count * 32);
  const inserting = performance.now();
  for (let n = 0; n < count; n++) table.set(hashes.subarray(n * 32, n * 32 + 32), 1, n * 8, n);
  const insertMs = performance.now() - inserting;
  const batch = (known: boolean): DigestBatch => {
    const some = known ? new Uint8Array(320_000) : randomBytes(320_000);
    const sizes = new Float64Array(10_000);
    for (let i = 0; i < 10_000; i++) {
      const n = Math.floor(Math.random() * count);
      sizes[i] = n;
      if (known) some.set(hashes.subarray(n * 32, n * 32 + 32), i * 32);
    }
    return { fn: SHA256, length: 10_000, hashes: some, sizes };
  };
  const measure = (known: boolean) => {
    const batches = Array.from({ length: 20 }, () => batch(known));
    const rates: number[] = [];
    for (let round = 0; round < 15; round++) {
      const start = performance.now();
      for (const one of batches) table.missing(one);
      rates.push(200_000 / (performance.now() - start) * 1000);
    }
    return median(rates) / 1e6;
  };
  return [
    { name: "missing: 10,000 of 1,000,000, all there", value: measure(true), unit: "M digests/s" },
    { name: "missing: 10,000 of 1,000,000, none there", value: measure(false), unit: "M digests/s" },
    { name: "table insert", value: count / insertMs / 1000, unit: "M/s" },
  ];
}

async function rawWrite(path: string, data: Uint8Array): Promise<number> {
  const elapsedMs = await timed(async () => {
    const file = await systemFiles.open(path, "create");
    for (let at = 0; at < data.length; at += MIB) await writeAll(file, data.subarray(at, at + MIB), at);
    await file.syncData();
    file.close();
  });
  await Deno.remove(path);
  return elapsedMs;
}

async function storeWrite(
  store: BlobStore,
  digest: Digest,
  data: Uint8Array,
  chunk: number,
): Promise<number> {
  return await timed(async () => {
    await using writer = await store.writer(SCOPE, digest);
    for (let at = 0; at < data.length; at += chunk) await writer.write(data.subarray(at, at + chunk));
    await writer.commit();
  });
}

async function largeBlobs(store: BlobStore, dir: string): Promise<Result[]> {
  const data = randomBytes(LARGE_BYTES);
  const times: Record<string, number[]> = { raw: [], hash: [], big: [], small: [], read: [], rawRead: [] };
  for (let round = 0; round < 5; round++) {
    data[0] = round;
    times.raw.push(await rawWrite(`${dir}/raw-large`, data));
    times.hash.push(
      await timed(() => {
        const hasher = SHA256.hasher();
        for (let at = 0; at < data.length; at += MIB) hasher.update(data.subarray(at, at + MIB));
        hasher.digestHex();
        return Promise.resolve();
      }),
    );
    const digest = digestOf(SHA256, data);
    times.big.push(await storeWrite(store, digest, data, MIB));
    times.read.push(
      await timed(async () => {
        let total = 0;
        for await (const piece of store.read(SCOPE, digest)) total += piece.length;
        if (total !== data.length) throw new Error(`Read ${total} bytes`);
      }),
    );
    const path = `${dir}/store/blobs/sha256/${digest.hash.slice(0, 2)}/${digest.hash}`;
    times.rawRead.push(
      await timed(async () => {
        using file = await Deno.open(path);
        const buffer = new Uint8Array(MIB);
        while (await file.read(buffer) !== null);
      }),
    );
    await store.delete(SCOPE, digest);
    times.small.push(await storeWrite(store, digest, data, 64 << 10));
    await store.delete(SCOPE, digest);
  }
  const ms = (name: string) => median(times[name]);
  const mbps = (elapsedMs: number) => LARGE_BYTES / 1e6 / (elapsedMs / 1000);
  const serial = ms("raw") + ms("hash");
  return [
    { name: "write 64 MiB, durable, 1 MiB chunks", value: mbps(ms("big")), unit: "MB/s" },
    { name: "write 64 MiB, durable, 64 KiB chunks", value: mbps(ms("small")), unit: "MB/s" },
    { name: "  yardstick: hash, then write and sync", value: mbps(serial), unit: "MB/s" },
    { name: "  ratio, 1 MiB chunks", value: serial / ms("big"), unit: "x" },
    { name: "  ratio, 64 KiB chunks", value: serial / ms("small"), unit: "x" },
    { name: "read 64 MiB", value: mbps(ms("read")), unit: "MB/s" },
    { name: "  yardstick: read the file, 1 MiB at a time", value: mbps(ms("rawRead")), unit: "MB/s" },
    { name: "  ratio", value: ms("rawRead") / ms("read"), unit: "x" },
  ];
}

/** How long a store of many blobs takes to open, cleanly and from its segments. */
async function opening(dir: string): Promise<Result[]> {
  const count = 200_000;
  const path = `${dir}/many`;
  {
    await using store = await openDiskBlobStore(path);
    await rate(count, 512, (n) => {
      const data = new Uint8Array(64);
      new DataView(data.buffer).setUint32(0, n);
      return store.put(SCOPE, { fn: SHA256, hash: SHA256.hash(data) as HashHex, sizeBytes: 64 }, data);
    });
  }
  const open = async () => {
    await using _store = await openDiskBlobStore(path);
  };
  const cleanMs = await timed(open);
  await Deno.remove(`${path}/index`, { recursive: true });
  const rebuildMs = await timed(open);
  return [
    { name: "open and close, 200,000 blobs, clean", value: cleanMs, unit: "ms" },
    { name: "open and close, 200,000 blobs, index rebuilt", value: rebuildMs, unit: "ms" },
  ];
}

/** Runs everything in a directory of its own beneath `base`. */
export async function benchStore(base?: string): Promise<Result[]> {
  const dir = await Deno.makeTempDir({
    prefix: "brokkr-store-bench-",
    ...(base === undefined ? {} : { dir: base }),
  });
  try {
    await using store = await openDiskBlobStore(`${dir}/store`, { cacheBytes: 0 });
    return [
      ...membership(),
      ...await smallBlobs(store, dir),
      ...await largeBlobs(store, dir),
      ...await opening(dir),
    ];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--dir");
  const results = await benchStore(at >= 0 ? Deno.args[at + 1] : undefined);
  if (Deno.args.includes("--json")) {
    console.log(JSON.stringify(results));
  } else {
    for (const { name, value, unit } of results) {
      console.log(`${name.padEnd(46)} ${value.toFixed(value < 100 ? 2 : 0).padStart(10)} ${unit}`);
    }
  }
}
