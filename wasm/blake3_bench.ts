/**
 * How fast BLAKE3 is beside hash-wasm and b3sum, and with two threads beside one, all in turns in one run:
 * `deno run -A wasm/blake3_bench.ts`. Other sizes and streams are in `hash_bench.ts`.
 *
 * @module
 */

import { createBLAKE3 } from "hash-wasm";
import type { SimdBuild } from "./_load.ts";
import { Blake3 } from "./blake3.ts";
import { secondThread, stopHashThreads } from "./blake3_threads.ts";
import { hashLarge } from "./mod.ts";

/** Bytes a second of one way of hashing, and of what it is held against. */
export interface Blake3Figure {
  /** What was hashed and how. */
  readonly what: string;
  readonly sizeBytes: number;
  /** Bytes a second of the fastest round. */
  readonly rate: number;
  /** What it is held against and that thing's bytes a second. */
  readonly beside: { readonly what: string; readonly rate: number };
}

/** What is measured. */
export interface Blake3BenchOptions {
  /** How often all are measured in turns; 60 by default. */
  readonly rounds?: number;
  /** What the kernel may use; what the engine has by default. */
  readonly build?: SimdBuild;
}

/** Why b3sum is not among the figures, or the figures. */
export interface Blake3Bench {
  readonly figures: readonly Blake3Figure[];
  readonly skipped: readonly string[];
}

const MIB = 1024 * 1024;
const BATCH_BLOBS = 2000;
const FILE_BYTES = 256 * MIB;

function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(made.subarray(at, at + 65536));
  return made;
}

type Turn = () => unknown;

/** The fastest of the rounds in which the turns take turns, in milliseconds. */
async function fastest(turns: readonly Turn[], rounds: number): Promise<number[]> {
  const best = turns.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < turns.length; k++) {
      const i = (k + round) % turns.length; // who follows whom matters
      const start = performance.now();
      await turns[i]();
      best[i] = Math.min(best[i], performance.now() - start);
    }
  }
  return best;
}

async function pair(
  [what, turn]: readonly [string, Turn],
  [other, otherTurn]: readonly [string, Turn],
  sizeBytes: number,
  bytes: number,
  rounds: number,
): Promise<Blake3Figure> {
  const [ms, otherMs] = await fastest([turn, otherTurn], rounds);
  const rate = (took: number) => bytes * 1000 / took;
  return { what, sizeBytes, rate: rate(ms), beside: { what: other, rate: rate(otherMs) } };
}

/** Batches and single blobs beside hash-wasm. */
async function benchKernel(kernel: Blake3, rounds: number): Promise<Blake3Figure[]> {
  const hasher = await createBLAKE3();
  const figures: Blake3Figure[] = [];
  for (const size of [64, 1024, 4096]) {
    const blobs = Array.from({ length: BATCH_BLOBS }, () => noise(size));
    figures.push(
      await pair(
        ["batch", () => kernel.hashBatch(blobs)],
        ["hash-wasm", () => blobs.forEach((blob) => hasher.init().update(blob).digest("binary"))],
        ...[size, size * BATCH_BLOBS, rounds] as const,
      ),
    );
  }
  for (const size of [4096, 64 * 1024, MIB]) {
    const blob = noise(size);
    const times = Math.max(1, MIB / 4 / size);
    const repeat = (turn: Turn) => () => {
      for (let i = 0; i < times; i++) turn();
    };
    figures.push(
      await pair(
        ["one", repeat(() => kernel.hash(blob))],
        ["hash-wasm", repeat(() => hasher.init().update(blob).digest("binary"))],
        ...[size, size * times, rounds] as const,
      ),
    );
  }
  return figures;
}

/** Two threads beside one. */
async function benchThreads(rounds: number): Promise<Blake3Figure[]> {
  await secondThread()?.started();
  const figures: Blake3Figure[] = [];
  for (const size of [2 * MIB, 4 * MIB, 16 * MIB, 64 * MIB]) {
    const blob = noise(size);
    figures.push(
      await pair(
        ["two threads", () => hashLarge("blake3", blob, { threads: 2 })],
        ["one thread", () => hashLarge("blake3", blob, { threads: 1 })],
        ...[size, size, Math.max(2, Math.ceil(rounds * 2 * MIB / size))] as const,
      ),
    );
  }
  await stopHashThreads();
  return figures;
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(MIB);
  for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
    yield buffer.subarray(0, read);
  }
}

/** A file in the page cache, beside b3sum on as many threads; its process is started each time. */
async function benchFile(rounds: number): Promise<Blake3Figure[] | string> {
  const version = await new Deno.Command("b3sum", { args: ["--version"] }).output().catch(() => undefined);
  if (version?.success !== true) return "b3sum is not installed (package b3sum)";
  const path = await Deno.makeTempFile({ prefix: "blake3-bench-" });
  try {
    const block = noise(MIB);
    using file = await Deno.open(path, { write: true });
    for (let at = 0; at < FILE_BYTES; at += MIB) await file.write(block);
    await secondThread()?.started();
    const figures: Blake3Figure[] = [];
    for (const threads of [1, 2] as const) {
      const b3sum = new Deno.Command("b3sum", { args: ["--num-threads", `${threads}`, path] });
      figures.push(
        await pair(
          [`file, ${threads} thread(s)`, () => hashLarge("blake3", readFile(path), { threads })],
          [`b3sum`, () => b3sum.output()],
          ...[FILE_BYTES, FILE_BYTES, Math.max(2, Math.ceil(rounds / 20))] as const,
        ),
      );
    }
    return figures;
  } finally {
    await stopHashThreads();
    await Deno.remove(path);
  }
}

/** Measures everything. */
export async function benchBlake3(options: Blake3BenchOptions = {}): Promise<Blake3Bench> {
  const rounds = options.rounds ?? 60;
  const awake = setInterval(() => {}, 1000); // the second thread keeps no process alive
  try {
    const file = await benchFile(rounds);
    const figures = [...await benchKernel(new Blake3(options.build), rounds), ...await benchThreads(rounds)];
    if (typeof file === "string") return { figures, skipped: [file] };
    return { figures: [...figures, ...file], skipped: [] };
  } finally {
    clearInterval(awake);
  }
}

if (import.meta.main) {
  const build = Deno.args.find((arg) => arg === "simd" || arg === "relaxed") as SimdBuild | undefined;
  const { figures, skipped } = await benchBlake3({ build });
  for (const { what, sizeBytes, rate, beside } of figures) {
    const times = (rate / beside.rate).toFixed(2);
    const [mine, other] = [rate, beside.rate].map((bytes) => `${(bytes / 1e6).toFixed(0)} MB/s`);
    console.log(`${what}, ${sizeBytes} B: ${mine}, ${beside.what} ${other} (${times}x)`);
  }
  for (const reason of skipped) console.log(`Skipped: ${reason}`);
}
