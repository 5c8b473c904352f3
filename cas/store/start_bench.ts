/**
 * How a disk store of many small blobs starts: when it can be asked, when it has answered for 10,000 blobs, when all is in
 * memory, and what that takes; after a clean shutdown, after a crash with much of the log not yet in the index, and with
 * the index lost. And what keeping the index costs: bytes written for each blob that is put.
 *
 * Each start is a process of its own.
 * With `--cold` nothing of the directory is in the page cache before.
 *
 * ```sh
 * deno run -A cas/store/start_bench.ts [--blobs N] [--dir DIR] [--cold] [--json]
 * ```
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { type HashHex, SHA256 } from "../digest.ts";
import { scopeOf } from "@brokkr/common";
import { openDiskCore } from "./_disk_core.ts";
import { encodeRecord, recordBytes, RecordKind, SALT_BYTES } from "./_record.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentName } from "./_segment_header.ts";
import { settleOptions } from "./disk_store_options.ts";
import { openDiskBlobStore } from "./disk_store.ts";

const SCOPE = scopeOf("");
const BLOB_BYTES = 64;
const BATCH = 10_000;
const SEGMENT_BYTES = 256 << 20;
/** Blobs put before a crash: almost as many as the index waits for. */
const CRASH_PUTS = 490_000;

interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** What a process that opened the store has to tell. */
interface Start {
  readonly openMs: number;
  readonly firstMs: number;
  readonly loadedMs: number;
  readonly wholeMs: number;
  readonly longestTurnMs: number;
  readonly laterP50Ms: number;
  readonly laterMaxMs: number;
  readonly blobs: number;
  readonly anonymousBytes: number;
  readonly mappedBytes: number;
}

function blobOf(n: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(BLOB_BYTES);
  new DataView(data.buffer).setFloat64(0, n);
  return data;
}

/** Segments as a store would have written them, without asking one to: that would take longer than all the rest. */
async function writeSegments(dir: string, blobs: number): Promise<void> {
  await (await openDiskBlobStore(dir))[Symbol.asyncDispose]();
  const id = /id ([0-9a-f]{32})/.exec(await Deno.readTextFile(`${dir}/FORMAT`))?.[1] ?? "";
  const salt = Uint8Array.fromHex(id).subarray(0, SALT_BYTES);
  const length = recordBytes(SHA256.hashBytes, BLOB_BYTES);
  const perSegment = Math.floor((SEGMENT_BYTES - SEGMENT_HEADER_BYTES) / length);
  const buffer = new Uint8Array(length * 10_000);
  for (let n = 0, segment = 1; n < blobs; segment++) {
    const path = `${dir}/segments/${segmentName(segment)}`;
    using file = await Deno.open(path, { create: true, write: true, truncate: true });
    await file.write(encodeSegmentHeader(segment));
    for (const end = Math.min(blobs, n + perSegment); n < end;) {
      let used = 0;
      for (; n < end && used < buffer.length; n++) {
        const data = blobOf(n);
        const hash = Uint8Array.fromHex(SHA256.hash(data));
        const record = { kind: RecordKind.BLOB, fnValue: SHA256.value, hash, sizeBytes: BLOB_BYTES, data };
        used += encodeRecord(buffer, used, record, salt);
      }
      for (let at = 0; at < used;) at += await file.write(buffer.subarray(at, used));
    }
    await file.sync();
  }
}

/** Digests of blobs of which every tenth is not there; how many of them are missing. */
function batchOf(blobs: number) {
  const hashes = new Uint8Array(BATCH * SHA256.hashBytes);
  const sizes = new Float64Array(BATCH).fill(BLOB_BYTES);
  for (let i = 0; i < BATCH; i++) {
    const n = i % 10 === 0 ? blobs + 1e12 + i : Math.floor(Math.random() * blobs);
    hashes.set(Uint8Array.fromHex(SHA256.hash(blobOf(n))), i * SHA256.hashBytes);
  }
  return { fn: SHA256, length: BATCH, hashes, sizes };
}

async function status(field: string): Promise<number> {
  const text = await Deno.readTextFile("/proc/self/status");
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0) * 1024;
}

/** Opens the store as a server would, and watches it until all is in memory. */
async function start(dir: string, blobs: number): Promise<Start> {
  const beforeAnonymous = await status("RssAnon");
  const batch = batchOf(blobs);
  const begun = performance.now();
  const core = await openDiskCore(dir, settleOptions({}));
  const openMs = performance.now() - begun;
  const answer = async () => {
    for (;;) {
      try {
        const missing = await core.missing(SCOPE, batch);
        if (missing.length !== BATCH / 10) throw new Error(`${missing.length} are missing`);
        return;
      } catch (error) {
        // The index is being made anew.
        if (core.problem === undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  let loadedMs = 0;
  const loaded = core.settled().then(() => loadedMs = performance.now() - begun);
  let longestTurnMs = 0;
  let lastTurn = performance.now();
  await answer();
  const firstMs = performance.now() - begun;
  const later: number[] = [];
  for (let turn = 0; loadedMs === 0; turn++) {
    lastTurn = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    longestTurnMs = Math.max(longestTurnMs, performance.now() - lastTurn);
    if (turn % 200 !== 0) continue;
    const asked = performance.now();
    await answer();
    later.push(performance.now() - asked);
  }
  await loaded;
  while (await Deno.stat(`${dir}/LOADING`).then(() => true, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const wholeMs = performance.now() - begun;
  const held = core.blobs;
  const result = {
    openMs,
    firstMs,
    loadedMs,
    wholeMs,
    longestTurnMs,
    laterP50Ms: later.sort((a, b) => a - b)[later.length >> 1] ?? 0,
    laterMaxMs: later.at(-1) ?? 0,
    blobs: held,
    anonymousBytes: await status("RssAnon") - beforeAnonymous,
    mappedBytes: await status("RssFile"),
  };
  await core[Symbol.asyncDispose]();
  return result;
}

/** Puts blobs, then dies. Says what was written for them. */
async function putAndDie(dir: string, first: number, count: number, dies: boolean): Promise<number[]> {
  const store = await openDiskBlobStore(dir);
  await store.keeper.usage();
  // What was written by calls: of the pages of a large folio the kernel counts all when one was written.
  const written = async () =>
    Number(/^wchar: (\d+)/m.exec(await Deno.readTextFile("/proc/self/io"))?.[1] ?? 0);
  const before = await written();
  const begun = performance.now();
  let next = first;
  const slices = new Slices();
  const lane = async () => {
    while (next < first + count) {
      const data = blobOf(next++);
      const digest = { fn: SHA256, hash: SHA256.hash(data) as HashHex, sizeBytes: BLOB_BYTES };
      if (slices.spent) await slices.next();
      await store.put(SCOPE, digest, data);
    }
  };
  await Promise.all(Array.from({ length: 512 }, lane));
  const putMs = performance.now() - begun;
  if (dies) Deno.kill(Deno.pid, "SIGKILL");
  await store[Symbol.asyncDispose]();
  return [await written() - before, putMs, performance.now() - begun - putMs];
}

async function child<T>(...args: string[]): Promise<T | undefined> {
  const { stdout, success, signal } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", import.meta.filename ?? "", "--child", ...args],
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success && signal !== "SIGKILL") throw new Error(`A run failed: ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

/** Takes what the directory holds out of the page cache, and nothing else. */
async function chill(dir: string): Promise<void> {
  const paths = [`${dir}/index/data.mdb`];
  for await (const { name } of Deno.readDir(`${dir}/segments`)) paths.push(`${dir}/segments/${name}`);
  for (const path of paths) {
    const args = [`if=${path}`, "iflag=nocache", "count=0", "status=none"];
    const { success } = await new Deno.Command("dd", { args }).output();
    if (!success) throw new Error(`dd cannot take ${path} out of the page cache`);
  }
}

function results(name: string, start: Start): Result[] {
  return [
    { name: `${name}: open`, value: start.openMs, unit: "ms" },
    { name: `${name}: first exact answer for 10,000`, value: start.firstMs, unit: "ms" },
    { name: `${name}: all in memory`, value: start.loadedMs, unit: "ms" },
    { name: `${name}: index whole`, value: start.wholeMs, unit: "ms" },
    { name: `${name}: longest turn while loading`, value: start.longestTurnMs, unit: "ms" },
    { name: `${name}: 10,000 while loading, p50`, value: start.laterP50Ms, unit: "ms" },
    { name: `${name}: 10,000 while loading, max`, value: start.laterMaxMs, unit: "ms" },
    { name: `${name}: blobs`, value: start.blobs, unit: "" },
    {
      name: `${name}: memory per million blobs`,
      value: start.anonymousBytes / start.blobs * 1e6 / 2 ** 20,
      unit: "MiB",
    },
    { name: `${name}: mapped`, value: start.mappedBytes / 2 ** 20, unit: "MiB" },
  ];
}

/** Runs everything in a directory of its own beneath `base`. */
export async function benchStart(blobs: number, base?: string, cold = false): Promise<Result[]> {
  const dir = await Deno.makeTempDir({
    prefix: "brokkr-start-bench-",
    ...(base === undefined ? {} : { dir: base }),
  });
  const all: Result[] = [];
  const measure = async (name: string, count: number) => {
    if (cold) await chill(dir);
    const seen = await child<Start>("start", dir, String(count));
    if (seen === undefined) throw new Error(`${name} said nothing`);
    const some = results(name, seen);
    for (const one of some) console.error(`${one.name.padEnd(50)} ${one.value.toFixed(1)} ${one.unit}`);
    all.push(...some);
  };
  try {
    await writeSegments(dir, blobs);
    await measure("index lost", blobs);
    const { size } = await Deno.stat(`${dir}/index/data.mdb`);
    all.push({ name: "index, bytes per blob", value: size / blobs, unit: "B" });
    await measure("clean", blobs);
    const [written, putMs, flushMs] =
      await child<number[]>("put", dir, String(blobs), String(3 * CRASH_PUTS)) ??
        [0, 0, 0];
    const records = 3 * CRASH_PUTS * recordBytes(SHA256.hashBytes, BLOB_BYTES);
    all.push(
      { name: "index, bytes written per put", value: (written - records) / (3 * CRASH_PUTS), unit: "B" },
      { name: "put while the index is written", value: 3 * CRASH_PUTS / putMs * 1000, unit: "/s" },
      { name: "closing", value: flushMs, unit: "ms" },
    );
    await child("die", dir, String(blobs + 3 * CRASH_PUTS), String(CRASH_PUTS));
    await measure("after kill -9", blobs + 4 * CRASH_PUTS);
    return all;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

if (import.meta.main) {
  const [mode, what, dir, first, count] = Deno.args;
  if (mode === "--child") {
    if (what === "chill") await chill(dir);
    else if (what === "segments") await writeSegments(dir, Number(first));
    else if (what === "start") console.log(JSON.stringify(await start(dir, Number(first))));
    else console.log(JSON.stringify(await putAndDie(dir, Number(first), Number(count), what === "die")));
    Deno.exit(0);
  }
  const value = (name: string) =>
    Deno.args.includes(name) ? Deno.args[Deno.args.indexOf(name) + 1] : undefined;
  const all = await benchStart(Number(value("--blobs") ?? 1e6), value("--dir"), Deno.args.includes("--cold"));
  if (Deno.args.includes("--json")) console.log(JSON.stringify(all));
  else {
    for (const { name, value, unit } of all) {
      console.log(`${name.padEnd(50)} ${value.toFixed(value < 100 ? 1 : 0).padStart(10)} ${unit}`);
    }
  }
}
