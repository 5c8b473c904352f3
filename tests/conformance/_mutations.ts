/**
 * Ways to misbehave, each with the rules that must notice.
 *
 * @module
 */

import { CHUNK_CASES } from "./_chunk_mutations.ts";
import type { Mutation } from "./_mutant.ts";
import { METHOD } from "./context.ts";
import { edit, Fields, msg } from "./protobuf.ts";

/** A way to misbehave. */
export interface Case extends Mutation {
  readonly name: string;
  /** Rules that must fail. */
  readonly breaks: readonly string[];
  /** How long a call may take; short for servers that hang. */
  readonly timeoutMs?: number;
}

/** Changes the ExecuteOperationMetadata and the ExecuteResponse inside of an Operation. */
function editOperation(
  bytes: Uint8Array,
  change: { metadata?: (inner: Uint8Array) => Uint8Array; response?: (inner: Uint8Array) => Uint8Array },
): Uint8Array {
  const operation = Fields.parse(bytes);
  const inside = (number: number, how?: (inner: Uint8Array) => Uint8Array) => {
    const any = operation.message(number);
    if (any === undefined || how === undefined) return {};
    return { [number]: edit(any.bytes, { 2: how(any.bytesOf(2)) }) };
  };
  return edit(bytes, { ...inside(2, change.metadata), ...inside(5, change.response) });
}

/** Changes the ActionResult inside of an ExecuteResponse inside of an Operation. */
const editResult = (how: (result: Uint8Array) => Uint8Array) => (bytes: Uint8Array) =>
  editOperation(bytes, {
    response: (response) => {
      const result = Fields.parse(response).message(1);
      return result === undefined ? response : edit(response, { 1: how(result.bytes) });
    },
  });

const OK = { code: 0, messages: [new Uint8Array()] };

/** All of them. */
export const CASES: readonly Case[] = [
  {
    name: "advertises UNKNOWN, and no versions",
    breaks: ["CAP-02", "CAP-04", "CAP-05", "CAP-09"],
    path: METHOD.capabilities,
    message: () => msg({ 1: msg({ 1: [0] }), 2: msg({ 2: true }) }),
  },
  {
    name: "advertises nothing",
    breaks: ["CAP-01", "CAP-02"],
    path: METHOD.capabilities,
    message: () => new Uint8Array(),
  },
  {
    name: "drops its trailers",
    breaks: ["FMB-05", "GRPC-16"],
    path: METHOD.missing,
    manner: "no-trailers",
  },
  {
    name: "answers any method",
    breaks: ["GRPC-03", "GRPC-04"],
    answer: ({ ":path": path }) => /NoSuch|no\.such|^\/$/.test(String(path)) ? OK : undefined,
  },
  {
    name: "takes a frame for a message",
    breaks: ["GRPC-30", "GRPC-31"],
    manner: "frames",
    path: METHOD.capabilities,
  },
  {
    name: "does not percent-encode",
    breaks: ["GRPC-05"],
    path: METHOD.read,
    end: (ending) => ({ ...ending, message: "100%" }),
  },
  {
    name: "has another code in its details",
    breaks: ["GRPC-06"],
    end: (ending) => ({
      ...ending,
      trailers: ending.code === 0
        ? ending.trailers
        : { "grpc-status-details-bin": btoa(String.fromCharCode(...msg({ 1: 99 }))) },
    }),
  },
  {
    name: "refuses request metadata",
    breaks: ["META-01", "META-02", "EXEC-75"],
    answer: (headers) =>
      "build.bazel.remote.execution.v2.requestmetadata-bin" in headers ? { code: 13 } : undefined,
  },
  {
    name: "passes over the digest function",
    breaks: ["DIGEST-03", "DIGEST-04", "DIGEST-07"],
    path: METHOD.missing,
    request: (message) => edit(message, { 3: undefined }),
  },
  {
    name: "knows no instance names with slashes",
    breaks: ["INST-01"],
    path: METHOD.read,
    request: (message) => Fields.parse(message).str(1).includes("/team/") ? msg({ 1: "none" }) : message,
  },
  {
    name: "misses nothing",
    breaks: ["FMB-01", "FMB-04", "FMB-07", "WRITE-07"],
    path: METHOD.missing,
    message: () => new Uint8Array(),
  },
  {
    name: "names what it has, too",
    breaks: ["FMB-02", "FMB-03"],
    path: METHOD.missing,
    answer: () => ({ code: 0, messages: [msg({ 2: [msg({ 1: "ab", 2: 1 })] })] }),
  },
  {
    name: "never answers FindMissingBlobs",
    breaks: ["FMB-05", "BU-02"],
    path: METHOD.missing,
    manner: "hang",
    timeoutMs: 3000,
  },
  {
    name: "has no status for single blobs",
    breaks: ["BU-02", "BU-03"],
    path: METHOD.update,
    message: (message) =>
      msg({ 1: Fields.parse(message).messages(1).map(({ bytes }) => edit(bytes, { 2: undefined })) }),
  },
  {
    name: "refuses a batch at its limit",
    breaks: ["BU-05"],
    path: METHOD.update,
    end: (ending, reply) => ({
      ...ending,
      code: reply.messages.length > 0 && Fields.parse(reply.messages[0]).messages(1).length === 2
        ? 3
        : ending.code,
    }),
  },
  {
    name: "reads missing blobs as empty ones, and names a compressor",
    breaks: ["BR-02", "BR-07", "BR-08"],
    path: METHOD.batchRead,
    message: (message) =>
      msg({ 1: Fields.parse(message).messages(1).map(({ bytes }) => edit(bytes, { 3: undefined, 4: 2 })) }),
  },
  {
    name: "reads from the start always",
    breaks: ["READ-02", "READ-04", "READ-05", "READ-06"],
    path: METHOD.read,
    request: (message) => edit(message, { 2: undefined }),
  },
  {
    name: "knows no limit",
    breaks: ["READ-03", "READ-07", "READ-23"],
    path: METHOD.read,
    request: (message) => edit(message, { 3: undefined }),
  },
  {
    name: "reads NOT_FOUND as empty",
    breaks: ["READ-09", "READ-13", "READ-24"],
    path: METHOD.read,
    end: (ending) => ({ ...ending, code: ending.code === 5 ? 0 : ending.code }),
  },
  {
    name: "reads one byte wrong",
    breaks: ["READ-01", "READ-21", "PACK-02", "PACK-09"],
    path: METHOD.read,
    message: (message, index) => index > 0 ? message : flip(message),
  },
  {
    name: "commits nothing, by its word",
    breaks: ["WRITE-01", "WRITE-02", "ZWRITE-02", "RESUME-01"],
    path: METHOD.write,
    message: () => msg({ 1: 7 }),
  },
  { name: "takes any offset", breaks: ["WRITE-05", "ZWRITE-07"], path: METHOD.write, request: fixOffset },
  {
    name: "takes wrong bytes without a word",
    breaks: ["WRITE-09", "WRITE-10", "WRITE-11", "QWS-06", "ZWRITE-04"],
    path: METHOD.write,
    end: (ending) => ({ ...ending, code: 0, message: "", more: [msg({ 1: 1 })] }),
  },
  {
    name: "waits for the end of every write",
    breaks: ["WRITE-12", "ZWRITE-03"],
    path: METHOD.write,
    manner: "late",
  },
  {
    name: "tells of more than it has",
    breaks: ["RESUME-01", "RESUME-02", "QWS-02"],
    path: METHOD.writeStatus,
    answer: () => ({ code: 0, messages: [msg({ 1: 123 })] }),
  },
  {
    name: "finishes no upload",
    breaks: ["QWS-01", "QWS-05"],
    path: METHOD.writeStatus,
    message: (message) => edit(message, { 2: undefined }),
  },
  ...CHUNK_CASES,
  {
    name: "leaves out a directory",
    breaks: ["TREE-01", "TREE-04", "TREE-08"],
    path: METHOD.tree,
    message: (message) => edit(message, { 1: Fields.parse(message).bytesAll(1).slice(1) }),
  },
  {
    name: "knows no page size",
    breaks: ["TREE-04", "TREE-10"],
    path: METHOD.tree,
    request: (message) => edit(message, { 3: 1000 }),
  },
  {
    name: "passes over page tokens",
    breaks: ["TREE-05", "TREE-09"],
    path: METHOD.tree,
    request: (message) => edit(message, { 4: undefined }),
    message: (message) => edit(message, { 2: "again" }),
  },
  {
    name: "has no root that is missing",
    breaks: ["TREE-02"],
    path: METHOD.tree,
    end: (ending) => ({ ...ending, code: 0 }),
  },
  {
    name: "has a result for everything",
    breaks: ["AC-01", "EXEC-42", "EXEC-52"],
    path: METHOD.getResult,
    answer: () => OK,
  },
  {
    name: "inlines what nobody asked for",
    breaks: ["AC-10", "AC-11"],
    path: METHOD.getResult,
    message: (message) => edit(message, { 5: "more" }),
  },
  {
    name: "sets Operation.error",
    breaks: ["EXEC-05", "WAIT-07"],
    path: [METHOD.execute, METHOD.wait],
    message: (message) => edit(message, { 4: msg({ 1: 13 }) }),
  },
  {
    name: "is never done",
    breaks: ["EXEC-02", "EXEC-04"],
    path: METHOD.execute,
    message: (message) => edit(message, { 3: undefined }),
  },
  {
    name: "has no stages",
    breaks: ["EXEC-04", "EXEC-06"],
    path: METHOD.execute,
    message: (message) => editOperation(message, { metadata: (inner) => edit(inner, { 1: undefined }) }),
  },
  {
    name: "gives each message another name",
    breaks: ["EXEC-02"],
    path: METHOD.execute,
    message: (message, index) => edit(message, { 1: `operations/${index}` }),
  },
  {
    name: "does not say what is missing",
    breaks: ["EXEC-21", "EXEC-23", "EXEC-25"],
    path: METHOD.execute,
    message: (message) =>
      editOperation(message, { response: (response) => edit(response, { 3: msg({ 1: 9 }) }) }),
  },
  {
    name: "has every execution end well",
    breaks: ["EXEC-20", "EXEC-24", "EXEC-27", "EXEC-40"],
    path: METHOD.execute,
    message: (message) =>
      editOperation(message, { response: (response) => edit(response, { 3: undefined }) }),
  },
  {
    name: "says that all is cached",
    breaks: ["EXEC-51", "EXEC-52", "EXEC-53"],
    path: METHOD.execute,
    message: (message) => editOperation(message, { response: (response) => edit(response, { 2: true }) }),
  },
  {
    name: "caches everything",
    breaks: ["EXEC-53"],
    path: METHOD.execute,
    request: (message) => edit(message, { 3: undefined }),
  },
  {
    name: "has a clock that goes backwards",
    breaks: ["EXEC-70"],
    path: METHOD.execute,
    message: editResult((result) =>
      edit(result, { 9: edit(Fields.parse(result).bytesOf(9), { 8: msg({ 1: 5 }) }) })
    ),
  },
  {
    name: "has no exit codes",
    breaks: ["RUN-01", "RUN-03", "RUN-14", "OUT-12"],
    path: METHOD.execute,
    message: editResult((result) => edit(result, { 4: undefined })),
  },
  {
    name: "mixes up stdout and stderr",
    breaks: ["RUN-02", "RUN-03"],
    path: METHOD.execute,
    message: editResult((result) =>
      edit(result, { 6: Fields.parse(result).message(8)?.bytes, 8: Fields.parse(result).message(6)?.bytes })
    ),
  },
  {
    name: "loses symlinks",
    breaks: ["OUT-01", "OUT-30", "OUT-31", "OUT-33"],
    path: METHOD.execute,
    message: editResult((result) => edit(result, { 10: undefined, 11: undefined, 12: undefined })),
  },
  {
    name: "loses directories",
    breaks: ["OUT-01", "OUT-02", "OUT-20"],
    path: METHOD.execute,
    message: editResult((result) => edit(result, { 3: undefined })),
  },
  {
    name: "claims that every Tree is sorted, and none can be run",
    breaks: ["OUT-01", "OUT-40"],
    path: METHOD.execute,
    message: editResult((result) =>
      edit(result, {
        2: Fields.parse(result).messages(2).map(({ bytes }) => edit(bytes, { 4: undefined, 7: undefined })),
      })
    ),
  },
  {
    name: "knows every operation",
    breaks: ["WAIT-03", "WAIT-08"],
    path: METHOD.wait,
    end: (ending) => ({ ...ending, code: 0 }),
  },
  {
    name: "forgets operations",
    breaks: ["WAIT-01", "WAIT-02", "WAIT-05", "WAIT-06"],
    path: METHOD.wait,
    answer: () => ({ code: 5 }),
  },
  {
    name: "cancels by its word only",
    breaks: ["OPS-06", "OPS-08"],
    path: METHOD.cancelOperation,
    answer: () => OK,
    timeoutMs: 5000,
  },
  {
    name: "lists no operations",
    breaks: ["OPS-04", "OPS-05"],
    path: METHOD.listOperations,
    message: () => new Uint8Array(),
  },
];

/** Changes a byte of a ReadResponse. */
function flip(message: Uint8Array): Uint8Array {
  const data = Fields.parse(message).bytesOf(10).slice();
  if (data.length > 0) data[data.length >> 1] ^= 1;
  return edit(message, { 10: data });
}

/** Gives a WriteRequest the offset that it should have had. */
function fixOffset(message: Uint8Array, index: number, call: { at: number }): Uint8Array {
  const fields = Fields.parse(message);
  if (index === 0) call.at = fields.int(2);
  const fixed = edit(message, { 2: call.at });
  call.at += fields.bytesOf(10).length;
  return fixed;
}
