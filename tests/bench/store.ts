/**
 * The store on disk at ten thousand, a million and ten million blobs, beside plain files and LMDB. The last takes a
 * quarter of an hour; `BROKKR_BENCH_BLOBS` is the most blobs of a scale that is run.
 *
 * @module
 */

import { digestOf, SHA256 } from "@brokkr/cas";
import { LmdbEnv, openDiskBlobStore } from "@brokkr/cas/disk";
import { scopeOf } from "@brokkr/common";
import { connect } from "@brokkr/proto/rpc/client";
import { type Bench, median, QUICK, rounds, type Row, summary, timeMs } from "./harness.ts";
import { clientOf } from "./rpc.ts";
import { blobOf } from "./_store_subject.ts";

const SCOPE = scopeOf("");
const MIB = 2 ** 20;
const SUBJECT = new URL("./_store_subject.ts", import.meta.url).pathname;

interface Scale {
  readonly label: string;
  readonly count: number;
  readonly size: number;
}

const SCALES: readonly Scale[] = QUICK ? [{ label: "10^3", count: 1000, size: 4096 }] : [
  { label: "10^4", count: 10_000, size: 4096 },
  { label: "10^6", count: 1_000_000, size: 4096 },
  { label: "10^7 of 64 B", count: 10_000_000, size: 64 },
].filter(({ count }) => count <= Number(Deno.env.get("BROKKR_BENCH_BLOBS") ?? Infinity));

interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function subject<T>(mode: string, dir: string, { count, size }: Omit<Scale, "label">): Promise<T> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", SUBJECT, mode, dir, String(count), String(size)],
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${mode} failed: ${text.decode(stderr)}`);
  return JSON.parse(text.decode(stdout).trim().split("\n").at(-1) ?? "");
}

/** A control process over the directory: how long until it is bound, and until its first exact answer. */
async function start(dir: string, { count, size }: Scale, end: "clean" | "kill") {
  const startMs = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", SUBJECT, "serve", dir, "0", "0"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await lines.read();
  const boundMs = performance.now() - startMs;
  const { endpoint } = JSON.parse(value);
  await using channel = connect(endpoint);
  const client = clientOf(channel);
  const digests = Array.from(
    { length: 10_000 },
    (_, i) => digestOf(SHA256, blobOf(size, i % 2 === 0 ? (i * 7919) % count : count + 2_000_000 + i)),
  );
  const missing = await client.findMissing(digests);
  const answeredMs = performance.now() - startMs;
  if (missing.length !== 5000) throw new Error(`${missing.length} of 5,000 are said to be missing`);
  if (end === "kill") {
    // Something that the index on disk does not know yet.
    await client.upload(
      Array.from({ length: 1000 }, (_, i) => {
        const data = blobOf(size, count + 5_000_000 + i);
        return { digest: digestOf(SHA256, data), data };
      }),
    );
    child.kill("SIGKILL");
  }
  await child.stdin.close().catch(() => {});
  let rest = "";
  for (let part = await lines.read(); !part.done; part = await lines.read()) rest += part.value;
  await child.status;
  const rssBytes = end === "kill"
    ? NaN
    : JSON.parse(rest.trim().split("\n").at(-1) ?? "{}").rssBytes as number;
  return { boundMs, answeredMs, rssBytes };
}

/** Calls of `lanes` lanes; calls a second. */
async function rate(count: number, lanes: number, call: (n: number) => Promise<unknown>): Promise<Rate> {
  const took = new Float64Array(count);
  let next = 0;
  const elapsedMs = await timeMs(() =>
    Promise.all(Array.from({ length: lanes }, async () => {
      for (let n = next++; n < count; n = next++) took[n] = await timeMs(() => call(n));
    }))
  );
  took.sort();
  return {
    perSecond: count / elapsedMs * 1000,
    p50Ms: took[count >> 1],
    p99Ms: took[Math.floor(count * 0.99)],
  };
}

/** What plain files and LMDB do, in this run on this disk. */
async function yardsticks(dir: string) {
  await Deno.mkdir(`${dir}/plain`);
  const count = rounds(20_000, 500);
  const data = blobOf(4096, 1);
  const plain = await rate(count, 64, (n) => Deno.writeFile(`${dir}/plain/${n}`, data));
  const plainReads = await rate(count, 8, (n) => Deno.readFile(`${dir}/plain/${(n * 7) % count}`));
  const synced = await rate(rounds(2000, 50), 64, async (n) => {
    using file = await Deno.open(`${dir}/plain/s${n}`, { write: true, create: true });
    await file.write(data);
    await file.syncData();
  });
  await using env = LmdbEnv.open(`${dir}/lmdb`);
  const key = (n: number) => Uint8Array.fromHex(SHA256.hash(blobOf(64, n)));
  const keys = Array.from({ length: count }, (_, n) => key(n));
  const values = await rate(count, 256, (n) => env.apply([{ op: "put", key: keys[n], value: data }]));
  const valueReads = await rate(count, 8, (n) => Promise.resolve(env.get(keys[(n * 7) % count])));
  const asked = Array.from({ length: 10_000 }, (_, i) => i % 2 === 0 ? keys[i % count] : key(count + i));
  const found: number[] = [];
  for (let round = 0; round < rounds(20); round++) {
    found.push(await timeMs(() => asked.filter((one) => env.get(one) === undefined)));
  }
  return { plain, plainReads, synced, values, valueReads, lmdbFindMs: median(found) };
}

async function largeWrite(dir: string): Promise<Row> {
  const bytes = 64 * MIB;
  const data = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536));
  await Deno.writeFile(`${dir}/source`, data);
  await using store = await openDiskBlobStore(`${dir}/large`);
  const ours: number[] = [];
  const dd: number[] = [];
  for (let round = 0; round < rounds(9, 2); round++) {
    data[0] = round;
    const digest = digestOf(SHA256, data);
    ours.push(
      bytes / 1e3 / await timeMs(async () => {
        await using writer = await store.writer(SCOPE, digest);
        for (let at = 0; at < bytes; at += MIB) await writer.write(data.subarray(at, at + MIB));
        await writer.commit();
      }),
    );
    await store.delete(SCOPE, digest);
    dd.push(
      bytes / 1e3 / await timeMs(async () => {
        const { success } = await new Deno.Command("dd", {
          args: [`if=${dir}/source`, `of=${dir}/copy`, "bs=1M", "conv=fsync"],
          stderr: "null",
        }).output();
        if (!success) throw new Error("dd failed");
      }),
    );
    await Deno.remove(`${dir}/copy`);
  }
  return {
    name: "64 MiB, durable write",
    ...summary(ours),
    unit: "MB/s",
    yardstick: { name: "dd conv=fsync (hashes nothing)", value: median(dd) },
    aim: { of: "ratio", atLeast: 0.8 },
    bound: "SHA-256 of one thread, beside the disk",
  };
}

async function atScale(dir: string, scale: Scale, yard: Awaited<ReturnType<typeof yardsticks>>) {
  const filled = await subject<{ diskBytes: number; bytes: number; tableBytes: number }>("fill", dir, scale);
  const clean = await start(dir, scale, "clean");
  await start(dir, scale, "kill");
  const after = await start(dir, scale, "clean");

  const worked = await subject<
    { writes: Rate; one: Rate; reads: Rate; find: { p50Ms: number; p99Ms: number } }
  >(
    "work",
    dir,
    scale,
  );
  const table = "The store by how much it holds";
  const cell = (
    row: string,
    value: number,
    unit: string,
    bound: string,
    yardstick?: Row["yardstick"],
    aim?: Row["aim"],
  ): Row => ({
    name: `${row}, ${scale.label}`,
    value,
    unit,
    cell: { table, row: `${row}, ${unit}`, column: scale.label },
    bound,
    ...(yardstick === undefined ? {} : { yardstick }),
    ...(aim === undefined ? {} : { aim }),
  });
  const { writes, one, reads, find } = worked;
  const { plain, synced, values, plainReads, valueReads } = yard;
  return [
    cell(
      "durable writes of 4 KiB, 256 at once (x: LMDB values)",
      writes.perSecond,
      "/s",
      "the event loop: hashing, copying, a promise for each",
      { name: "LMDB values, 256 at once", value: values.perSecond },
      { of: "value", atLeast: 25_000 },
    ),
    cell("their p50", writes.p50Ms, "ms", "the group they share"),
    cell("their p99", writes.p99Ms, "ms", "flushes of the index, collections of garbage"),
    cell("one at a time, p50 (x: a file of its own, synced)", one.p50Ms, "ms", "fdatasync", {
      name: "a file with fdatasync",
      value: synced.p50Ms,
    }),
    cell("beside plain files that nobody syncs", writes.perSecond, "/s", "see above", {
      name: "Deno.writeFile, 64 at once",
      value: plain.perSecond,
    }),
    cell(
      `reads of ${scale.size} B (x: LMDB values)`,
      reads.perSecond,
      "/s",
      "pread from the page cache, checksum",
      { name: "LMDB get", value: valueReads.perSecond },
      { of: "value", atLeast: 150_000 },
    ),
    cell("beside plain files, read", reads.perSecond, "/s", "see above", {
      name: "Deno.readFile, 8 at once",
      value: plainReads.perSecond,
    }),
    cell("their p99", reads.p99Ms, "ms", "collections of garbage"),
    cell("FindMissing of 10,000, p50 (x: LMDB gets)", find.p50Ms, "ms", "misses of the processor's cache", {
      name: "LMDB, 10,000 gets",
      value: yard.lmdbFindMs,
    }),
    cell("FindMissing of 10,000, p99", find.p99Ms, "ms", "misses of the processor's cache"),
    cell("bound after a clean stop", clean.boundMs, "ms", "starting the runtime, opening LMDB", undefined, {
      of: "value",
      atMost: 1000,
    }),
    cell(
      "first exact answer after a clean stop",
      clean.answeredMs,
      "ms",
      "10,000 look-ups in LMDB",
      undefined,
      {
        of: "value",
        atMost: 1000,
      },
    ),
    cell(
      "first exact answer after kill -9",
      after.answeredMs,
      "ms",
      "the log's tail is read again",
      undefined,
      {
        of: "value",
        atMost: 5000,
      },
    ),
    cell(
      "resident memory per million blobs, of the process that filled it",
      filled.tableBytes / 1e6 / (scale.count / 1e6),
      "MB",
      "36 B of key and 20 of place and time, room to grow",
    ),
    cell(
      "bytes on disk per byte stored",
      filled.diskBytes / filled.bytes,
      "",
      "72 B of header and hash a blob",
    ),
  ];
}

async function evicting(dir: string): Promise<readonly Row[]> {
  const count = QUICK ? 20_000 : 2_600_000;
  const scale = { label: "", count, size: 4096 };
  await subject("fill", dir, scale);
  interface Reads {
    readonly reads: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly p999Ms: number;
  }
  const told = await subject<
    { quiet: Reads; busy: Reads; freedBytes: number; tookMs: number; copiedBytes: number }
  >(
    "evict",
    dir,
    scale,
  );
  const bound = "slices of 3 ms, shared with the reads";
  return [{
    name: "reads while 10 GB of 2.6 million blobs shrink to 1 GB, p99",
    value: told.busy.p99Ms,
    unit: "ms",
    yardstick: { name: "the same reads in quiet", value: told.quiet.p99Ms },
    aim: { of: "ratio", atMost: 3 },
    bound,
  }, {
    name: "the same, p50",
    value: told.busy.p50Ms,
    unit: "ms",
    yardstick: { name: "the same reads in quiet", value: told.quiet.p50Ms },
    bound,
  }, {
    name: "the same, p99.9",
    value: told.busy.p999Ms,
    unit: "ms",
    yardstick: { name: "the same reads in quiet", value: told.quiet.p999Ms },
    bound,
  }, {
    name: "freeing it",
    value: told.freedBytes / 1e3 / told.tookMs,
    unit: "MB/s",
    bound: "telling the index of each blob, beside the reads",
  }];
}

async function inDirectory<T>(run: (dir: string) => Promise<T>): Promise<T> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-bench-store-" });
  try {
    return await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Benchmarks of the store. */
export const STORE: readonly Bench[] = [{
  name: "store-large",
  run: () => inDirectory(async (dir) => [await largeWrite(dir)]),
}, {
  name: "store",
  run: async () => {
    const yard = await inDirectory(yardsticks);
    const rows: Row[] = [];
    for (const scale of SCALES) rows.push(...await inDirectory((dir) => atScale(dir, scale, yard)));
    return rows;
  },
}, {
  name: "store-eviction",
  run: () => inDirectory(evicting),
}];
