/** Cuts what it is sent in pieces, over and over, and answers with the lengths of the chunks, or that they differed. */

import { FastCdcChunker, type FastCdcParams } from "./mod.ts";

interface Job {
  readonly params: FastCdcParams;
  readonly bytes: Uint8Array;
}

interface WorkerScope {
  onmessage: (event: MessageEvent<Job>) => void;
  postMessage(message: string): void;
}

// SAFETY: this file runs as a worker only, where the global object has these.
const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data: { params, bytes } }) => {
  const answers = new Set<string>();
  const chunker = new FastCdcChunker(params);
  for (let pieceBytes = 1000; pieceBytes < 60_000; pieceBytes += 3333) {
    const lengths: number[] = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      lengths.push(...chunker.push(bytes.subarray(at, at + pieceBytes)));
    }
    answers.add([...lengths, chunker.finish()].join(" "));
  }
  scope.postMessage(answers.size === 1 ? [...answers][0] : `${answers.size} different answers`);
};
scope.postMessage("ready");
