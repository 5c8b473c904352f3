/**
 * How fast the hashes are beside node:crypto and hash-wasm, all in turns in one run:
 * `deno run -A wasm/hash_bench.ts [function ...]`. The limits in `hash.ts` come from here, by `--engine=wasm`.
 *
 * @module
 */

import * as nodeCrypto from "node:crypto";
import { createBLAKE3, createSHA256 } from "hash-wasm";
import { createHasher, type Engine, hashBatch, hashBatchHex, hashHex, type HashName } from "./mod.ts";

/** How messages are hashed: each alone, many in one call to bytes or to hex, or as streams in pieces of 64 KiB. */
export type Way = "one" | "batch" | "batchHex" | "stream";

/** Nanoseconds for a message by one way of hashing, and by what it is held against. */
export interface HashFigure {
  /** The function. */
  readonly name: HashName;
  /** How it was used. */
  readonly way: Way;
  /** Length of a message. */
  readonly sizeBytes: number;
  /** The fastest of the rounds, result and copies included. */
  readonly ns: number;
  /** node:crypto's `crypto.hash` (`createHash` for streams), for those that it has; SHA-256 for SHA256TREE. */
  readonly nodeNs?: number;
  /** hash-wasm's, for those that it has. */
  readonly hashWasmNs?: number;
}

/** What is measured. */
export interface HashBenchOptions {
  /** `sha256`, `blake3` and `sha256tree` by default. */
  readonly names?: readonly HashName[];
  /** 64 bytes to 1 MiB by default. */
  readonly sizes?: readonly number[];
  /** All by default. */
  readonly ways?: readonly Way[];
  /** How often all are measured in turns; 90 by default. */
  readonly rounds?: number;
  /** `auto` by default. */
  readonly engine?: Engine;
}

const SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536, 1 << 20];
/** What a turn hashes, unless a message is more: so little that many turns are not disturbed even on a busy machine. */
const TURN_BYTES = 256 * 1024;
const MOST_MESSAGES = 500;
const PIECE_BYTES = 64 * 1024;

function noise(bytes: number): Uint8Array {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(made.subarray(at, at + 65536));
  return made;
}

function* piecesOf(message: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < message.length; at += PIECE_BYTES) yield message.subarray(at, at + PIECE_BYTES);
}

type Turn = () => void;

function ours(name: HashName, way: Way, messages: readonly Uint8Array[], engine: Engine): Turn {
  if (way === "batch") return () => void hashBatch(name, messages, { engine });
  if (way === "batchHex") return () => void hashBatchHex(name, messages, { engine });
  if (way === "one") {
    return () => {
      for (const message of messages) hashHex(name, message, { engine });
    };
  }
  return () => {
    for (const message of messages) {
      const hasher = createHasher(name, { engine });
      for (const piece of piecesOf(message)) hasher.update(piece);
      hasher.digestHex();
    }
  };
}

function nodes(name: HashName, way: Way, messages: readonly Uint8Array[]): Turn | undefined {
  if (name === "blake3") return undefined;
  const algorithm = name === "sha256tree" ? "sha256" : name;
  if (way === "batch" || way === "batchHex") {
    return () => void messages.map((message) => nodeCrypto.hash(algorithm, message, "hex"));
  }
  if (way === "one") {
    return () => {
      for (const message of messages) nodeCrypto.hash(algorithm, message, "hex");
    };
  }
  return () => {
    for (const message of messages) {
      const hasher = nodeCrypto.createHash(algorithm);
      for (const piece of piecesOf(message)) hasher.update(piece);
      hasher.digest("hex");
    }
  };
}

async function hashWasms(name: HashName, messages: readonly Uint8Array[]): Promise<Turn | undefined> {
  if (name !== "blake3" && name !== "sha256") return undefined;
  const hasher = await (name === "blake3" ? createBLAKE3() : createSHA256());
  return () => {
    for (const message of messages) hasher.init().update(message).digest("hex");
  };
}

function nsOf(turn: Turn, messages: number): number {
  const start = performance.now();
  turn();
  return (performance.now() - start) * 1e6 / messages;
}

async function measure(
  name: HashName,
  way: Way,
  sizeBytes: number,
  rounds: number,
  engine: Engine,
): Promise<HashFigure> {
  const count = Math.min(MOST_MESSAGES, Math.max(1, Math.floor(TURN_BYTES / sizeBytes)));
  const messages = Array.from({ length: count }, () => noise(sizeBytes));
  const turns = [
    ours(name, way, messages, engine),
    nodes(name, way, messages),
    await hashWasms(name, messages),
  ];
  // The first rounds are those in which code is compiled.
  const warmUp = Math.min(20, Math.ceil(3000 / count));
  for (let i = 0; i < warmUp; i++) for (const turn of turns) turn?.();
  const best = turns.map((turn) => turn === undefined ? undefined : Infinity);
  for (let round = 0; round < rounds; round++) {
    for (let k = 0; k < turns.length; k++) {
      // Who follows whom matters, so each is first in turn.
      const i = (k + round) % turns.length;
      const turn = turns[i];
      if (turn !== undefined) best[i] = Math.min(best[i] ?? Infinity, nsOf(turn, count));
    }
  }
  const [ns = Infinity, nodeNs, hashWasmNs] = best;
  return { name, way, sizeBytes, ns, nodeNs, hashWasmNs };
}

/** Measures all that the options name, one after the other. */
export async function benchHashes(options: HashBenchOptions = {}): Promise<readonly HashFigure[]> {
  const {
    names = ["sha256", "blake3", "sha256tree"],
    sizes = SIZES,
    ways = ["batch", "batchHex", "one", "stream"],
  } = options;
  const figures: HashFigure[] = [];
  for (const name of names) {
    for (const way of ways) {
      for (const size of sizes) {
        figures.push(await measure(name, way, size, options.rounds ?? 90, options.engine ?? "auto"));
      }
    }
  }
  return figures;
}

function show(figure: HashFigure): string {
  const { name, way, sizeBytes, ns } = figure;
  const rate = `${(sizeBytes * 1000 / ns).toFixed(0)} MB/s`;
  const beside = (label: string, other?: number) =>
    other === undefined ? "" : `, ${label} ${other.toFixed(0)} ns (${(other / ns).toFixed(2)}x)`;
  return `${name} ${way} ${sizeBytes} B: ${ns.toFixed(0)} ns, ${rate}` +
    beside("node:crypto", figure.nodeNs) + beside("hash-wasm", figure.hashWasmNs);
}

if (import.meta.main) {
  const value = (flag: string) =>
    Deno.args.find((arg) => arg.startsWith(`--${flag}=`))?.slice(flag.length + 3);
  const names = Deno.args.filter((arg) => !arg.startsWith("--")) as HashName[];
  const figures = await benchHashes({
    names: names.length > 0 ? names : undefined,
    engine: value("engine") as Engine | undefined,
    ways: value("ways")?.split(",") as Way[] | undefined,
    sizes: value("sizes")?.split(",").map(Number),
  });
  for (const figure of figures) console.log(show(figure));
}
