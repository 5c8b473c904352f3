/**
 * What joining socket writes and chunks of 1 MiB bring, each against what it replaces, in turns within one run; in plain
 * text and over TLS.
 *
 * @module
 */

import { digestOf, SHA256 } from "@brokkr/cas";
import { GetActionResultRequestCodec, RawByteStream } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { startVariant, type Variant } from "./_variant_server.ts";
import { type Bench, QUICK, rounds, type Row, summary, timeMs } from "./harness.ts";
import { type LoadJob, startLoad } from "./h2_load.ts";
import { INSTANCE } from "./rpc.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const STREAM_BYTES = (QUICK ? 8 : 64) * MIB;
const CHUNKS = [64 * KIB, 256 * KIB, MIB];
const SECONDS = QUICK ? 0.3 : 1;
const IN_FLIGHT = [1, 16, 64, 256];

/** Certificates of a moment in a directory of their own; nothing where there is no openssl. */
async function certificates(): Promise<string | undefined> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-bench-tls-" });
  try {
    const { success } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-keyout", `${dir}/key.pem`, "-out", `${dir}/cert.pem`, "-days", "2", "-subj", "/CN=localhost"],
        ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ],
      stdout: "null",
      stderr: "null",
    }).output();
    if (success) return dir;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  await Deno.remove(dir, { recursive: true });
  return undefined;
}

/** Runs `fn` in plain text, and over TLS where certificates can be made. */
async function overBoth(fn: (wire: string, certificates?: string) => Promise<Row[]>): Promise<Row[]> {
  const dir = await certificates();
  if (dir === undefined) {
    console.error("Skipped: TLS, for openssl does not work");
    return await fn("plain text");
  }
  try {
    return [...await fn("plain text"), ...await fn("TLS", dir)];
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function coalescing(wire: string, certs?: string): Promise<Row[]> {
  const options = { chunkBytes: MIB, ...(certs === undefined ? {} : { certificates: certs }) };
  await using joined = await startVariant({ ...options, coalesceWrites: true });
  await using apart = await startVariant({ ...options, coalesceWrites: false });
  await using generator = startLoad();
  const message = GetActionResultRequestCodec.encode({
    instanceName: INSTANCE,
    actionDigest: { hash: "b".repeat(64), sizeBytes: 142 },
  });
  const job: Omit<LoadJob, "port" | "inFlight"> = {
    path: "/build.bazel.remote.execution.v2.ActionCache/GetActionResult",
    load: { kind: "same", message: message.toBase64() },
    seconds: SECONDS,
    warmUpSeconds: 0.2,
    tls: certs !== undefined,
  };
  const figures = IN_FLIGHT.map((inFlight) => ({ inFlight, on: [] as number[], off: [] as number[] }));
  for (let round = 0; round < rounds(5); round++) {
    for (const { inFlight, on, off } of figures) {
      const run = async (port: number) => (await generator.runNative({ ...job, port, inFlight })).perSecond;
      // Who goes first changes, so that what the machine does meanwhile falls on both.
      if (round % 2 === 0) on.push(await run(joined.port));
      off.push(await run(apart.port));
      if (round % 2 === 1) on.push(await run(joined.port));
    }
  }
  return figures.map(({ inFlight, on, off }) => ({
    name: `Socket writes joined; ${wire}, ${inFlight} in flight`,
    ...summary(on),
    unit: "calls/s",
    yardstick: { name: "not joined", value: summary(off).value },
    cell: {
      table: "Small unary calls a second with socket writes joined, and how many times those without",
      row: wire,
      column: `${inFlight} in flight`,
    },
    bound: "grpc-js on Deno: three frames an answer, each a write of its own unless they are joined",
  }));
}

const sizeName = (bytes: number) => bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
const rate = (ms: number) => STREAM_BYTES / 1e6 / (ms / 1000);

async function read(channel: Channel): Promise<number> {
  let bytes = 0;
  const resourceName = `${INSTANCE}/blobs/${"c".repeat(64)}/${STREAM_BYTES}`;
  const ms = await timeMs(async () => {
    for await (const { data } of channel.serverStream(RawByteStream.read, { resourceName })) {
      bytes += data.length;
    }
  });
  if (bytes !== STREAM_BYTES) throw new Error(`Read ${bytes} bytes`);
  return rate(ms);
}

async function write(channel: Channel, blob: Uint8Array, chunkBytes: number): Promise<number> {
  const { hash } = digestOf(SHA256, blob);
  const name = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${hash}/${blob.length}`;
  async function* chunks() {
    for (let at = 0; at < blob.length; at += chunkBytes) {
      const data = blob.subarray(at, at + chunkBytes);
      const finishWrite = at + data.length === blob.length;
      yield { resourceName: at === 0 ? name : "", writeOffset: at, data, finishWrite };
      await Promise.resolve();
    }
  }
  let committed = 0;
  const ms = await timeMs(async () => {
    committed = (await channel.clientStream(RawByteStream.write, chunks())).committedSize;
  });
  if (committed !== blob.length) throw new Error(`Committed ${committed} bytes`);
  return rate(ms);
}

/** A row for each size of chunk, with the smallest as yardstick. */
function chunkRows(row: string, seen: ReadonlyMap<number, readonly number[]>, bound: string): Row[] {
  const smallest = summary(seen.get(CHUNKS[0]) ?? []).value;
  return CHUNKS.map((bytes) => ({
    name: `${row} in chunks of ${sizeName(bytes)}`,
    ...summary(seen.get(bytes) ?? []),
    unit: "MB/s",
    yardstick: { name: `chunks of ${sizeName(CHUNKS[0])}`, value: smallest },
    cell: {
      table: `MB a second by size of chunk, and how many times those of ${sizeName(CHUNKS[0])}`,
      row,
      column: sizeName(bytes),
    },
    bound,
  }));
}

function collector(): { readonly seen: Map<number, number[]>; add(bytes: number, figure: number): void } {
  const seen = new Map(CHUNKS.map((bytes): [number, number[]] => [bytes, []]));
  return { seen, add: (bytes, figure) => seen.get(bytes)?.push(figure) };
}

async function chunkedWire(wire: string, certs?: string): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const tls = certs === undefined ? {} : { certificates: certs };
  const ca = certs === undefined ? undefined : await Deno.readTextFile(`${certs}/cert.pem`);
  const channels: { readonly bytes: number; readonly channel: Channel }[] = [];
  for (const bytes of CHUNKS) {
    const variant: Variant = { chunkBytes: bytes, coalesceWrites: true, ...tls };
    const { port } = stack.use(await startVariant(variant));
    const endpoint = `${ca === undefined ? "grpc" : "grpcs"}://127.0.0.1:${port}`;
    channels.push({
      bytes,
      channel: stack.use(connect(endpoint, ca === undefined ? {} : { tls: { ca } })),
    });
  }
  const blob = new Uint8Array(STREAM_BYTES);
  const reads = collector(), writes = collector();
  // The first round is dropped: it connects, and compiles what it runs.
  for (let round = 0; round <= rounds(7); round++) {
    for (const { bytes, channel } of channels) {
      const figures = [await read(channel), await write(channel, blob, bytes)];
      if (round === 0) continue;
      reads.add(bytes, figures[0]);
      writes.add(bytes, figures[1]);
    }
  }
  const size = sizeName(STREAM_BYTES);
  return [
    ...chunkRows(`read of ${size}, ${wire}, no store`, reads.seen, "the wire"),
    ...chunkRows(`write of ${size}, ${wire}, no store`, writes.seen, "the wire"),
  ];
}

/** Durable uploads to a real control plane. */
async function chunkedUploads(): Promise<Row[]> {
  await using grid = await startGrid({ workers: 0 });
  await using channel = connect(grid.endpoint);
  const blob = new Uint8Array(STREAM_BYTES);
  const { seen, add } = collector();
  for (let round = 0; round <= rounds(5); round++) {
    for (const bytes of CHUNKS) {
      crypto.getRandomValues(blob.subarray(0, 16));
      const figure = await write(channel, blob, bytes);
      if (round > 0) add(bytes, figure);
    }
  }
  const row = `durable upload of ${sizeName(STREAM_BYTES)}, plain text`;
  return chunkRows(row, seen, "the wire, hashing and the disk, one beside the other");
}

/** The benchmarks of this file. */
export const VARIANTS: readonly Bench[] = [
  { name: "coalescing", run: () => overBoth(coalescing) },
  { name: "chunks", run: async () => [...await overBoth(chunkedWire), ...await chunkedUploads()] },
];
