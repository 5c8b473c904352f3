/** Hashes what it is sent, in every way and over and over, and answers with the number of hashes that were wrong. */

import { createHasher, hash, hashBatch, hashHex, hashLarge, stopHashThreads } from "./mod.ts";

/** A message to the worker. */
export interface TestInput {
  readonly bytes: Uint8Array;
  /** Its hash. */
  readonly hex: string;
}

interface WorkerScope {
  onmessage: (event: MessageEvent<TestInput>) => void;
  postMessage(message: number | string): void;
}

// SAFETY: this file runs as a worker only, where the global object has these.
const scope = globalThis as unknown as WorkerScope;

async function countWrong({ bytes, hex }: TestInput): Promise<number> {
  let wrong = 0;
  for (let round = 0; round < 2; round++) {
    const stream = createHasher("blake3");
    stream.update(bytes.subarray(0, 70_001 * (round + 1)));
    const large = hashLarge("blake3", bytes, { threads: 2 });
    if (hashHex("blake3", bytes) !== hex) wrong++;
    stream.update(bytes.subarray(70_001 * (round + 1)));
    const few = [bytes.subarray(0, round), bytes, bytes.subarray(round)];
    const batch = hashBatch("blake3", few).toHex();
    if (batch !== few.map((input) => hash("blake3", input).toHex()).join("")) wrong++;
    if (stream.digestHex() !== hex) wrong++;
    if ((await large).toHex() !== hex) wrong++;
  }
  await stopHashThreads();
  return wrong;
}

scope.onmessage = ({ data }) => void countWrong(data).then((wrong) => scope.postMessage(wrong));
scope.postMessage("ready");
