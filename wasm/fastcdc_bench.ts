/**
 * How fast sources are cut, and cut and hashed, beside what hashing alone takes, all in turns in one run:
 * `deno run -A wasm/fastcdc_bench.ts`.
 *
 * @module
 */

import { chunkAndHash, chunkLengths, FastCdcChunker, hash, type HashName } from "./mod.ts";
import { referenceCuts } from "./reference_fastcdc.ts";

/** Bytes a second of one way of cutting, and of what it is held against. */
export interface FastCdcFigure {
  /** What was done. */
  readonly what: string;
  /** The average size of chunks that was asked for. */
  readonly avgBytes: number;
  /** Bytes a second of the fastest round. */
  readonly rate: number;
  /** What it is held against and that thing's bytes a second. */
  readonly beside?: { readonly what: string; readonly rate: number };
}

/** What is measured. */
export interface FastCdcBenchOptions {
  /** 4 KiB, 256 KiB and 1 MiB by default. */
  readonly averages?: readonly number[];
  /** How often all are measured in turns; 40 by default. */
  readonly rounds?: number;
}

const SOURCE_BYTES = 8 << 20;
const REFERENCE_BYTES = 64 << 10;
const PIECE_BYTES = 64 << 10;

/** Something that goes through `bytes` bytes. */
interface Turn {
  readonly bytes: number;
  run(): unknown;
}

/** Bytes a second of the fastest of the rounds, in which the turns take turns. */
async function ratesOf(turns: readonly Turn[], rounds: number): Promise<number[]> {
  const best = turns.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (const [i, turn] of turns.entries()) {
      const start = performance.now();
      await turn.run();
      best[i] = Math.min(best[i], performance.now() - start);
    }
  }
  return best.map((ms, i) => turns[i].bytes * 1000 / ms);
}

async function benchCuts(avgBytes: number, source: Uint8Array, rounds: number): Promise<FastCdcFigure[]> {
  const few = source.subarray(0, REFERENCE_BYTES);
  const [whole, pieces, plain] = await ratesOf([
    { bytes: source.length, run: () => chunkLengths({ avgBytes }, source) },
    {
      bytes: source.length,
      run: () => {
        const chunker = new FastCdcChunker({ avgBytes });
        for (let at = 0; at < source.length; at += PIECE_BYTES) {
          chunker.push(source.subarray(at, at + PIECE_BYTES));
        }
        chunker.finish();
      },
    },
    // Its smallest average, as bytes before the least length of a chunk cost nothing.
    { bytes: few.length, run: () => referenceCuts({ avgBytes: 1024 }, few) },
  ], rounds);
  const beside = { what: "plain TypeScript", rate: plain };
  return [
    { what: "cut, whole", avgBytes, rate: whole, beside },
    { what: "cut, in pieces of 64 KiB", avgBytes, rate: pieces, beside },
  ];
}

async function benchHashed(
  name: HashName,
  avgBytes: number,
  source: Uint8Array,
  rounds: number,
): Promise<FastCdcFigure> {
  const lengths = chunkLengths({ avgBytes }, source);
  const [both, alone] = await ratesOf([
    {
      bytes: source.length,
      run: async () => {
        for await (const _ of chunkAndHash({ avgBytes }, name, source));
      },
    },
    {
      bytes: source.length,
      run: () => {
        let at = 0;
        for (const length of lengths) hash(name, source.subarray(at, at += length));
      },
    },
  ], rounds);
  const beside = { what: "the hashes alone", rate: alone };
  return { what: `cut and hash with ${name}`, avgBytes, rate: both, beside };
}

/** Measures all, one after the other. */
export async function benchFastCdc(options: FastCdcBenchOptions = {}): Promise<readonly FastCdcFigure[]> {
  const { averages = [4 << 10, 256 << 10, 1 << 20], rounds = 40 } = options;
  const source = new Uint8Array(SOURCE_BYTES);
  for (let at = 0; at < source.length; at += 65536) crypto.getRandomValues(source.subarray(at, at + 65536));
  const figures: FastCdcFigure[] = [];
  for (const avgBytes of averages) {
    figures.push(...await benchCuts(avgBytes, source, rounds));
    for (const name of ["sha256", "blake3"] as const) {
      figures.push(await benchHashed(name, avgBytes, source, rounds));
    }
  }
  return figures;
}

if (import.meta.main) {
  const show = (rate: number) => `${(rate / 1e9).toFixed(3)} GB/s`;
  for (const { what, avgBytes, rate, beside } of await benchFastCdc()) {
    const yardstick = beside === undefined ? "" : `, ${beside.what} ${show(beside.rate)}`;
    console.log(`${what}, chunks of ${avgBytes / 1024} KiB: ${show(rate)}${yardstick}`);
  }
}
