/**
 * Ways to misbehave with chunks, each with the rules that must notice.
 *
 * @module
 */

import type { Case } from "./_mutations.ts";
import { METHOD } from "./context.ts";
import { edit, Fields, msg } from "./protobuf.ts";

/** Changes the CacheCapabilities inside of ServerCapabilities. */
const editCache = (changes: Parameters<typeof edit>[1]) => (message: Uint8Array) =>
  edit(message, { 1: edit(Fields.parse(message).bytesOf(1), changes) });

/** Those about SplitBlob and SpliceBlob. */
export const CHUNK_CASES: readonly Case[] = [
  {
    name: "says nothing of chunks, and takes them",
    breaks: ["CHUNK-01"],
    path: METHOD.capabilities,
    message: editCache({ 9: undefined, 10: undefined }),
  },
  {
    name: "advertises an average chunk that is no power of two",
    breaks: ["CHUNK-02"],
    path: METHOD.capabilities,
    message: editCache({ 11: msg({ 1: 300_000 }) }),
  },
  {
    name: "advertises an average chunk that is too small",
    breaks: ["CAP-11"],
    path: METHOD.capabilities,
    message: editCache({ 11: msg({ 1: 512 }) }),
  },
  {
    name: "makes blobs by its word only",
    breaks: ["CHUNK-03", "CHUNK-04", "CHUNK-05", "CHUNK-06", "CHUNK-07", "CHUNK-08", "CHUNK-10", "CHUNK-14"],
    path: METHOD.splice,
    answer: () => ({ code: 0, messages: [new Uint8Array()] }),
  },
  {
    name: "puts chunks together the wrong way round",
    breaks: ["CHUNK-03", "CHUNK-06", "CHUNK-08", "CHUNK-14", "CHUNK-15"],
    path: METHOD.splice,
    request: (message) => edit(message, { 3: Fields.parse(message).bytesAll(3).toReversed() }),
  },
  {
    name: "has another code for chunks that lie",
    breaks: ["CHUNK-06", "CHUNK-10"],
    path: METHOD.splice,
    end: (ending) => ({ ...ending, code: ending.code === 3 ? 9 : ending.code }),
  },
  {
    name: "makes no blobs that it has",
    breaks: ["CHUNK-09"],
    path: METHOD.splice,
    end: (ending) => ({ ...ending, code: ending.code === 0 ? 13 : ending.code }),
  },
  {
    name: "takes UNKNOWN for an error",
    breaks: ["CHUNK-08"],
    path: METHOD.splice,
    request: (message) => Fields.parse(message).int(5) === 0 ? edit(message, { 2: undefined }) : message,
  },
  {
    name: "splits as it likes, or not at all",
    breaks: ["CHUNK-13"],
    path: METHOD.split,
    request: (message) => Fields.parse(message).int(4) === 1 ? edit(message, { 2: undefined }) : message,
  },
  {
    name: "forgets the last chunk",
    breaks: ["CHUNK-11", "CHUNK-13", "CHUNK-14", "CHUNK-15"],
    path: METHOD.split,
    message: (message) => edit(message, { 1: Fields.parse(message).bytesAll(1).slice(0, -1) }),
  },
  {
    name: "names chunks that it does not have",
    breaks: ["CHUNK-11", "CHUNK-14"],
    path: METHOD.split,
    message: () => msg({ 1: [msg({ 1: "ab".repeat(32), 2: 6 << 20 })] }),
  },
  {
    name: "splits what it does not have",
    breaks: ["CHUNK-01", "CHUNK-12"],
    path: METHOD.split,
    end: (ending, { messages }) => ({ ...ending, code: 0, more: [messages[0] ?? new Uint8Array()] }),
  },
  {
    name: "passes over the digest function of chunks",
    breaks: ["CHUNK-15"],
    path: METHOD.splice,
    request: (message) => edit(message, { 4: undefined }),
  },
];
