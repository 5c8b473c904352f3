/**
 * Uploads from end to end, through gRPC into a store on disk: many small blobs, one large one, ten versions of an
 * archive; by SHA-256 and BLAKE3, with and without compression and chunks. Hashing in the client counts.
 *
 * @module
 */

import { type Digest, type DigestFunction, digestFunctionByValue, digestOf, SHA256 } from "@brokkr/cas";
import { CasClient, type CasClientOptions, type UploadBlob } from "@brokkr/cas/client";
import { BrokkrError, Code, systemRandom } from "@brokkr/common";
import { DigestFunction as Numbers } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { type Bench, median, QUICK, rounds, type Row } from "./harness.ts";

const MIB = 2 ** 20;
const SMALL_BLOBS = QUICK ? 200 : 10_000;
const LARGE_BYTES = QUICK ? 8 * MIB : 1024 * MIB;
const VERSIONS = QUICK ? 3 : 10;
const MEMBERS = QUICK ? 40 : 2000;
const MEMBER_BYTES = 100_000;
const PIECE_BYTES = MIB;

type Way = Pick<CasClientOptions, "compression" | "chunking">;

const WAYS: readonly { readonly name: string; readonly way: Way }[] = [
  { name: "as it is", way: { compression: "off", chunking: "off" } },
  { name: "compressed", way: { compression: "auto", chunking: "off" } },
  { name: "in chunks", way: { compression: "off", chunking: "auto" } },
  { name: "in chunks, compressed", way: { compression: "auto", chunking: "auto" } },
];

function functionOf(value: number): DigestFunction {
  const fn = digestFunctionByValue(value);
  if (fn === undefined) throw new BrokkrError(Code.INTERNAL, `There is no digest function ${value}`);
  return fn;
}

const FUNCTIONS = [SHA256, functionOf(Numbers.BLAKE3)];

/** A stream of numbers that looks random and is the same for a seed (Marsaglia, Xorshift RNGs, 2003). */
function numbers(seed: number): () => number {
  let x = seed * 2654435761 | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

const WORDS = Array.from({ length: 2000 }, (_, i) => {
  const next = numbers(i + 1);
  return Array.from({ length: 2 + next() % 9 }, () => String.fromCharCode(97 + next() % 26)).join("");
});

/** Bytes of a member: words, which compress as source code does, or noise. */
function member(seed: number, length: number): Uint8Array {
  const next = numbers(seed);
  if (seed % 2 === 0) {
    let text = "";
    while (text.length < length) text += `${WORDS[next() % 2000]}${next() % 8 === 0 ? "\n" : " "}`;
    return new TextEncoder().encode(text).subarray(0, length);
  }
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < words.length; i++) words[i] = next();
  return bytes.subarray(0, length);
}

/** A version of the archive: in each some twentieth member is another, and one more lies in the middle. */
async function writeVersion(path: string, version: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const writer = file.writable.getWriter();
  for (let i = 0; i < MEMBERS; i++) {
    // The last version that changed it.
    let changed = version;
    while (changed > 0 && (i + changed * 7) % 20 !== 0) changed--;
    await writer.write(member(2 * (i + changed * MEMBERS) + i % 2 + 2, MEMBER_BYTES));
    if (i === MEMBERS >> 1) {
      for (let more = 0; more < version; more++) await writer.write(member(1_000_003 + more, 4321));
    }
  }
  await writer.close();
}

async function* pieces(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(PIECE_BYTES);
  for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
    yield buffer.subarray(0, read);
  }
}

async function fileBlob(fn: DigestFunction, path: string): Promise<UploadBlob> {
  const hasher = fn.hasher();
  let sizeBytes = 0;
  for await (const piece of pieces(path)) {
    hasher.update(piece);
    sizeBytes += piece.length;
  }
  const digest = { fn, hash: hasher.digestHex(), sizeBytes } as Digest;
  return { digest, data: () => pieces(path) };
}

/** Bytes that went over loopback since the machine started, headers and all. */
async function wireBytes(): Promise<number> {
  const text = await Deno.readTextFile("/proc/net/dev");
  return Number(/^\s*lo:\s*(\d+)/m.exec(text)?.[1]);
}

async function diskBytes(path: string): Promise<number> {
  const { stdout } = await new Deno.Command("du", { args: ["-s", "-B1", path] }).output();
  return Number(new TextDecoder().decode(stdout).split("\t")[0]);
}

interface Moved {
  readonly ms: number;
  readonly sent: number;
  readonly stored: number;
}

/** Uploads to an empty grid, one step after another. */
async function upload(
  fn: DigestFunction,
  way: Way,
  steps: readonly (() => Promise<readonly UploadBlob[]> | readonly UploadBlob[])[],
): Promise<Moved> {
  const dataDir = await Deno.makeTempDir({ prefix: "brokkr-bench-upload-" });
  try {
    await using grid = await startGrid({ workers: 0, dataDir });
    await using channel = connect(grid.endpoint);
    const client = new CasClient({ channel, instance: "bench", fn, random: systemRandom, ...way });
    await client.capabilities();
    const [wire, disk] = [await wireBytes(), await diskBytes(dataDir)];
    const start = performance.now();
    for (const step of steps) await client.upload(await step());
    const ms = performance.now() - start;
    return { ms, sent: await wireBytes() - wire, stored: await diskBytes(dataDir) - disk };
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

async function table(
  name: string,
  bound: string,
  steps: (fn: DigestFunction) => Parameters<typeof upload>[2],
  ways = WAYS,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const fn of FUNCTIONS) {
    for (const { name: how, way } of ways) {
      const all: Moved[] = [];
      for (let round = 0; round < rounds(1); round++) all.push(await upload(fn, way, steps(fn)));
      const cell = (column: string, pick: (moved: Moved) => number, unit: string): Row => ({
        name,
        value: median(all.map(pick)),
        unit,
        cell: { table: name, row: `${fn.name}, ${how}`, column },
        bound,
      });
      rows.push(
        cell("seconds", ({ ms }) => ms / 1000, "s"),
        cell("MB sent", ({ sent }) => sent / 1e6, "MB"),
        cell("MB stored", ({ stored }) => stored / 1e6, "MB"),
      );
    }
  }
  return rows;
}

async function smallBlobs(): Promise<Row[]> {
  const blobs = Array.from({ length: SMALL_BLOBS }, (_, i) => member(2 * i + 2 + i % 2, 1024));
  return await table(
    `${SMALL_BLOBS.toLocaleString("en-US")} blobs of 1 KiB, half of them words, to an empty store`,
    "gRPC on Deno, a sync for each group; the table holds 4 KiB pages of the index too",
    (fn) => [() => blobs.map((data) => ({ digest: digestOf(fn, data), data }))],
    WAYS.slice(0, 2),
  );
}

async function largeBlob(): Promise<Row[]> {
  const path = await Deno.makeTempFile({ prefix: "brokkr-bench-large-" });
  try {
    {
      using file = await Deno.open(path, { write: true });
      const parts = Array.from({ length: 64 }, (_, i) => member(i + 2, MIB));
      for (let i = 0; i < LARGE_BYTES / MIB; i++) {
        const part = parts[i % 64].slice();
        new DataView(part.buffer).setUint32(0, i);
        part.copyWithin(4096, i % 1000, i % 1000 + 9000);
        for (let at = 0; at < part.length;) at += await file.write(part.subarray(at));
      }
    }
    return await table(
      `A blob of ${LARGE_BYTES / MIB} MiB, half of it words, much of it twice, to an empty store`,
      "HTTP/2 on Deno and hashing on one thread of each side",
      (fn) => [async () => [await fileBlob(fn, path)]],
    );
  } finally {
    await Deno.remove(path);
  }
}

async function archives(): Promise<Row[]> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-bench-archives-" });
  try {
    for (let version = 0; version < VERSIONS; version++) await writeVersion(`${dir}/${version}`, version);
    return await table(
      `${VERSIONS} versions of an archive of ${
        MEMBERS * MEMBER_BYTES / 1e6
      } MB, each a twentieth other than the last`,
      "hashing and cutting on one thread; what is the same is neither sent nor stored",
      (fn) =>
        Array.from(
          { length: VERSIONS },
          (_, version) => async () => [await fileBlob(fn, `${dir}/${version}`)],
        ),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The benchmarks of this file. */
export const UPLOADS: readonly Bench[] = [
  { name: "upload-small", run: smallBlobs },
  { name: "upload-large", run: largeBlob },
  { name: "upload-archives", run: archives },
];
