/** Hashes what it is sent, over and over, and answers with the number of hashes that were wrong. */

import { createHash } from "node:crypto";
import { createHasher, hash, hashBatch } from "./mod.ts";
import { referenceSha256Tree } from "./reference.ts";

interface WorkerScope {
  onmessage: (event: MessageEvent<Uint8Array>) => void;
  postMessage(message: number | string): void;
}

// SAFETY: this file runs as a worker only, where the global object has these.
const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  const expected = createHash("sha256").update(data).digest("hex");
  const tree = referenceSha256Tree(data).toHex();
  let wrong = 0;
  for (let round = 0; round < 20; round++) {
    const stream = createHasher("sha256tree");
    stream.update(data.subarray(0, round * 1000));
    if (hash("sha256", data, { engine: "wasm" }).toHex() !== expected) wrong++;
    stream.update(data.subarray(round * 1000));
    const batch = hashBatch("sha256", [data, new Uint8Array(round), data, data], { engine: "wasm" });
    if (batch.subarray(96).toHex() !== expected) wrong++;
    if (stream.digest().toHex() !== tree) wrong++;
  }
  scope.postMessage(wrong);
};
scope.postMessage("ready");
