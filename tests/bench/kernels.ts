/**
 * The kernels in WebAssembly beside node:crypto, hash-wasm, `sha256sum`, `b3sum` and `zstd`, all in one run.
 *
 * @module
 */

import { createHasher, hashLarge } from "@brokkr/wasm";
import { benchFastCdc, benchHashes, type HashFigure } from "@brokkr/wasm/bench";
import { compress } from "@brokkr/cas/compression";
import { type Bench, median, QUICK, rounds, type Row, summary, timeMs } from "./harness.ts";

const MIB = 2 ** 20;
const SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 65_536, MIB];
const LARGE_BYTES = (QUICK ? 16 : 256) * MIB;
const START = new URL("./_kernel_start.ts", import.meta.url).pathname;

const mbPerSecond = (bytes: number, ns: number) => bytes * 1000 / ns;

function sizeText(bytes: number): string {
  if (bytes >= MIB) return `${bytes / MIB} MiB`;
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

/** A table of one function: a line for each way, a column for each size, beside what is given. */
function cells(title: string, figures: readonly HashFigure[], besideNs: "nodeNs" | "hashWasmNs"): Row[] {
  const ways = {
    one: "one by one",
    batch: "in batches",
    batchHex: "in batches, to hex",
    stream: "as streams",
  };
  return figures.map((figure) => ({
    name: title,
    value: mbPerSecond(figure.sizeBytes, figure.ns),
    unit: "MB/s",
    yardstick: {
      name: besideNs === "nodeNs" ? "node:crypto" : "hash-wasm",
      value: mbPerSecond(figure.sizeBytes, figure[besideNs] ?? NaN),
    },
    cell: { table: title, row: ways[figure.way], column: sizeText(figure.sizeBytes) },
    bound: "one thread; the call itself for the smallest",
  }));
}

/** The figure that is worst beside its yardstick. */
function worst(figures: readonly HashFigure[], besideNs: "nodeNs" | "hashWasmNs"): HashFigure {
  const ratio = (figure: HashFigure) => (figure[besideNs] ?? NaN) / figure.ns;
  return figures.reduce((a, b) => ratio(b) < ratio(a) ? b : a);
}

function row(
  name: string,
  figure: HashFigure,
  besideNs: "nodeNs" | "hashWasmNs",
  atLeast: number,
  bound: string,
): Row {
  return {
    name: `${name} (${sizeText(figure.sizeBytes)})`,
    value: mbPerSecond(figure.sizeBytes, figure.ns),
    unit: "MB/s",
    yardstick: {
      name: besideNs === "nodeNs" ? "node:crypto" : "hash-wasm",
      value: mbPerSecond(figure.sizeBytes, figure[besideNs] ?? NaN),
    },
    aim: { of: "ratio", atLeast },
    bound,
  };
}

async function hashes(): Promise<Row[]> {
  const options = { sizes: SIZES, rounds: rounds(60, 2) };
  const sha = await benchHashes({ ...options, names: ["sha256"] });
  const b3 = await benchHashes({ ...options, names: ["blake3"], ways: ["one", "batch", "stream"] });
  const tree = await benchHashes({ ...options, names: ["sha256tree"], ways: ["one", "batch"] });
  const small = (figures: readonly HashFigure[]) =>
    figures.filter(({ way, sizeBytes }) => way === "batch" && sizeBytes === 64);
  const large = b3.filter(({ way, sizeBytes }) => way === "one" && sizeBytes > 4096);
  return [
    row(
      "SHA-256 in batches",
      small(sha)[0],
      "nodeNs",
      3.5,
      "four lanes of 32 bits; no SHA instructions in WebAssembly",
    ),
    row(
      "SHA-256 where it is worst of all ways and sizes",
      worst(sha, "nodeNs"),
      "nodeNs",
      0.95,
      "a call more than node:crypto's own",
    ),
    row("BLAKE3 in batches", small(b3)[0], "hashWasmNs", 10, "copying in, and the call"),
    row(
      "BLAKE3 above 4 KiB, where it is worst",
      worst(large, "hashWasmNs"),
      "hashWasmNs",
      2,
      "four lanes of 32 bits on one thread",
    ),
    ...cells("SHA-256, MB/s, and how many times node:crypto", sha, "nodeNs"),
    ...cells("BLAKE3, MB/s, and how many times hash-wasm", b3, "hashWasmNs"),
    ...cells("SHA256TREE, MB/s, and how many times plain SHA-256 of node:crypto", tree, "nodeNs"),
  ];
}

async function cuts(): Promise<Row[]> {
  const figures = await benchFastCdc({ averages: [256 << 10], rounds: rounds(40, 2) });
  const aims: Readonly<Record<string, number>> = { "cut, whole": 3, "cut, in pieces of 64 KiB": 3 };
  return figures.map(({ what, rate, beside }): Row => ({
    name: `FastCDC 2020, chunks of 256 KiB: ${what}`,
    value: rate / 1e9,
    unit: "GB/s",
    yardstick: beside === undefined ? undefined : { name: beside.what, value: beside.rate / 1e9 },
    aim: { of: "value", atLeast: aims[what] ?? 1.2 },
    bound: what.startsWith("cut and") ? "the hash" : "a chain of shift, load and add for each two bytes",
  }));
}

async function run(command: string, args: readonly string[]): Promise<number | undefined> {
  try {
    return await timeMs(async () => {
      const { success } = await new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" })
        .output();
      if (!success) throw new Error(`${command} failed`);
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function* read(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(MIB);
  for (let got = await file.read(buffer); got !== null; got = await file.read(buffer)) {
    yield buffer.subarray(0, got);
  }
}

async function streamed(name: "sha256" | "blake3", path: string): Promise<void> {
  const hasher = createHasher(name);
  for await (const piece of read(path)) hasher.update(piece);
  hasher.digest();
}

interface Rival {
  readonly name: string;
  readonly ours: () => Promise<unknown>;
  readonly theirs: string;
  readonly command: readonly string[];
  readonly bound: string;
}

async function files(): Promise<Row[]> {
  const path = await Deno.makeTempFile({ prefix: "brokkr-bench-kernels-" });
  try {
    const memory = new Uint8Array(LARGE_BYTES);
    const words = new Uint32Array(memory.buffer);
    // Half of each page is noise, the rest is the same everywhere.
    for (let i = 0; i < words.length; i++) {
      words[i] = i % 1024 < 512 ? Math.imul(i + 1, 0x9e3779b1) ^ i >>> 7 : i % 64;
    }
    await Deno.writeFile(path, memory);
    const size = sizeText(LARGE_BYTES);
    const rivals: readonly Rival[] = [
      {
        name: `SHA-256 of a file of ${size}, read and hashed`,
        ours: () => streamed("sha256", path),
        theirs: "`sha256sum`",
        command: ["sha256sum", path],
        bound: "node:crypto's SHA instructions, and reading beside it",
      },
      {
        name: `BLAKE3 of a file of ${size}, read and hashed`,
        ours: () => streamed("blake3", path),
        theirs: "`b3sum` on one thread",
        command: ["b3sum", "--num-threads", "1", path],
        bound: "four lanes; b3sum has sixteen where the processor has AVX-512",
      },
      {
        name: `zstd of a file of ${size}, as blobs travel`,
        ours: async () => {
          for await (const _ of compress(read(path))) { /* only the time counts */ }
        },
        theirs: "`zstd -1 --single-thread`",
        command: ["zstd", "-q", "-1", "--single-thread", "-c", path],
        bound: "libzstd on one thread",
      },
    ];
    const rows: Row[] = [];
    for (const { name, ours, theirs, command, bound } of rivals) {
      const [mine, other]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds(5); round++) {
        mine.push(await timeMs(ours));
        const ms = await run(command[0], command.slice(1));
        if (ms !== undefined) other.push(ms);
      }
      const yardstick = other.length === 0 ? undefined : { name: theirs, value: median(other) };
      rows.push({ name, ...summary(mine), unit: "ms", yardstick, bound });
    }
    const [one, two]: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds(7); round++) {
      one.push(await timeMs(() => hashLarge("blake3", memory, { threads: 1 })));
      two.push(await timeMs(() => hashLarge("blake3", memory, { threads: 2 })));
    }
    const rate = (ms: number) => LARGE_BYTES / 1e6 / ms;
    rows.push({
      name: `BLAKE3 of ${size} in memory on two threads`,
      ...summary(two.map(rate)),
      unit: "GB/s",
      yardstick: { name: "on one", value: median(one.map(rate)) },
      aim: { of: "ratio", atLeast: 1.8 },
      bound: "the second core, and copying into shared memory",
    });
    return rows;
  } finally {
    await Deno.remove(path);
  }
}

async function start(): Promise<Row[]> {
  const runs: Record<string, number>[] = [];
  for (let round = 0; round < rounds(9); round++) {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", START] }).output();
    runs.push(JSON.parse(new TextDecoder().decode(stdout)));
  }
  return Object.keys(runs[0]).map((what) => ({
    name: what === "module"
      ? "Loading the hashing module"
      : `The first ${what} of a process, kernel loaded and compiled`,
    ...summary(runs.map((times) => times[what])),
    unit: "ms",
    bound: what === "module" ? "Deno reads and parses its files" : "reading and compiling the kernel",
  }));
}

/** The benchmarks of this file. */
export const KERNELS: readonly Bench[] = [
  { name: "hashes", run: hashes },
  { name: "chunks", run: cuts },
  { name: "hash-files", run: files },
  { name: "kernel-start", run: start },
];
