/**
 * Sound messages to begin from: of every method, and of everything that is stored as a blob.
 *
 * @module
 */

import { digestOf, encodeTree, SHA256, TreeBuilder } from "@brokkr/cas";
import * as p from "@brokkr/proto";

/** What lies in the store of the grid under test. */
export const KEPT: Uint8Array<ArrayBuffer> = new TextEncoder().encode(
  "A blob that is there before, and after.\n".repeat(200),
);
/** Instance that everything uses. */
export const INSTANCE = "e2e";

/** Digest as messages have it. */
export function digestMessage(bytes: Uint8Array): { hash: string; sizeBytes: number } {
  const { hash, sizeBytes } = digestOf(SHA256, bytes);
  return { hash, sizeBytes };
}

const kept = digestMessage(KEPT);
const absent = digestMessage(new Uint8Array([1, 2, 3]));
const instanceName = INSTANCE;

/** A tree with all kinds of entries. */
export const TREE = (() => {
  const builder = new TreeBuilder();
  const digest = digestOf(SHA256, KEPT);
  for (let i = 0; i < 12; i++) builder.addFile(`dir${i % 3}/sub/file${i}`, digest, i % 2 === 0);
  builder.addFile("top", digest);
  builder.addSymlink("dir0/link", "../top");
  builder.addDirectory("empty/below");
  return builder.build(SHA256);
})();

/** The same as a Tree message. */
export const TREE_MESSAGE: Uint8Array = encodeTree(TREE.directories.map(({ data }) => data));

/** A Command with every field set. */
export const COMMAND: Uint8Array = p.CommandCodec.encode({
  arguments: ["/bin/sh", "-c", "echo fuzz > out; mkdir -p d/e; echo $X > d/e/f"],
  environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }, { name: "X", value: "y" }],
  outputPaths: ["out", "d"],
  outputNodeProperties: ["unix_mode"],
  platform: { properties: [{ name: "pool", value: "fuzz" }] },
});

/** One of the older kind. */
export const OLD_COMMAND: Uint8Array = p.CommandCodec.encode({
  arguments: ["/bin/true"],
  outputFiles: ["a", "b/c"],
  outputDirectories: ["d"],
  workingDirectory: "dir0",
});

/** The Action of {@linkcode COMMAND}. */
export const ACTION: Uint8Array = p.ActionCodec.encode({
  commandDigest: digestMessage(COMMAND),
  inputRootDigest: digestMessage(TREE.directories[0].data),
  timeout: { seconds: 2 },
  salt: new Uint8Array([1, 2, 3]),
  platform: { properties: [{ name: "pool", value: "fuzz" }] },
});

/** A result with every kind of output. */
export const RESULT: Uint8Array = p.ActionResultCodec.encode({
  outputFiles: [{ path: "out", digest: kept, isExecutable: true }],
  outputDirectories: [{ path: "d", treeDigest: digestMessage(TREE_MESSAGE), isTopologicallySorted: true }],
  outputSymlinks: [{ path: "l", target: "out" }],
  exitCode: 1,
  stdoutRaw: new TextEncoder().encode("hello"),
  stderrDigest: kept,
  executionMetadata: {
    worker: "w",
    queuedTimestamp: { seconds: 1_700_000_000, nanos: 5 },
    workerStartTimestamp: { seconds: 1_700_000_001 },
    virtualExecutionDuration: { seconds: 1 },
  },
});

/** Everything stored as a blob that means something. */
export const BLOBS: readonly Uint8Array[] = [
  COMMAND,
  OLD_COMMAND,
  ACTION,
  TREE_MESSAGE,
  ...TREE.directories.map(({ data }) => data),
];

const stored = (bytes: Uint8Array) => digestMessage(bytes);
const root = TREE.directories[0].data;
const operation = `${INSTANCE}/operations/00000000-0000-0000-0000-000000000000`;
const readName = `${INSTANCE}/blobs/${kept.hash}/${kept.sizeBytes}`;
const uploadName = `${INSTANCE}/uploads/fuzz/blobs/${absent.hash}/${absent.sizeBytes}`;

/** Names of resources, to damage. */
export const NAMES: readonly string[] = [
  readName,
  uploadName,
  operation,
  `${INSTANCE}/compressed-blobs/zstd/${kept.hash}/${kept.sizeBytes}`,
  `${INSTANCE}/compressed-blobs/brotli/${kept.hash}/${kept.sizeBytes}`,
  `${INSTANCE}/uploads/fuzz/compressed-blobs/zstd/sha256/${absent.hash}/3/meta/data`,
  "team/main",
  "dir/sub/file.txt",
  `${kept.hash}/${kept.sizeBytes}`,
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "stage = EXECUTING AND worker = w1",
  "127.0.0.1:8980",
  "[::1]:80",
  "16GiB",
  "1h30m",
];

/** A method, and the messages that one call of it may send, in order. */
export interface Case {
  readonly method: { readonly path: string; readonly kind: p.MethodKind };
  readonly messages: readonly Uint8Array[];
}

type AnyMethod = {
  readonly path: string;
  readonly kind: p.MethodKind;
  readonly request: { encode(message: never): Uint8Array };
};

function one<I>(
  method: { readonly path: string; readonly kind: p.MethodKind; readonly request: p.Codec<unknown, I> },
  ...messages: readonly I[]
): Case {
  return { method, messages: messages.map((message) => method.request.encode(message)) };
}

const spoken = p.WorkerMessageCodec;

/** A worker's whole life. Its id is its own, and what it offers nobody asks for but fuzzed actions. */
export const WORKER_LIFE: readonly Uint8Array[] = [
  spoken.encode({
    hello: {
      protocolVersion: 1,
      minProtocolVersion: 1,
      features: ["x"],
      workerId: "hostile",
      platform: { properties: [{ name: "pool", value: "hostile" }] },
      slots: 2,
      resources: { cpuMillis: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30 },
      environment: "hostile-1",
      liveLeases: ["1.1", "1.2"],
      softwareVersion: "0",
    },
  }),
  spoken.encode({ heartbeat: { sequence: 1, leases: ["1.1"], load: { slotsUsed: 1, loadMillis: 5 } } }),
  spoken.encode({ stage: { leaseId: "1.1", stage: 2 } }),
  spoken.encode({
    result: {
      leaseId: "1.1",
      outcome: 1,
      status: { code: 0, message: "" },
      actionResult: RESULT,
      action: { instanceName, digestFunction: 1, actionDigest: stored(ACTION) },
    },
  }),
  spoken.encode({
    heartbeat: { sequence: 2, leases: [], digestFilter: { filterBits: 1024, hashCount: 3, setBits: [1, 2] } },
  }),
  spoken.encode({ result: { leaseId: "1.2", outcome: 3, status: { code: 14, message: "gone" } } }),
  spoken.encode({ goodbye: { reason: "done" } }),
];

/** A sound call of every method that control serves. */
export const CALLS: readonly Case[] = [
  one(p.Capabilities.getCapabilities, { instanceName }),
  one(p.ContentAddressableStorage.findMissingBlobs, { instanceName, blobDigests: [kept, absent, kept] }),
  one(p.ContentAddressableStorage.batchUpdateBlobs, {
    instanceName,
    requests: [{ digest: stored(COMMAND), data: COMMAND }, {
      digest: absent,
      data: new Uint8Array([1, 2, 3]),
    }],
  }),
  one(p.ContentAddressableStorage.batchReadBlobs, {
    instanceName,
    digests: [kept, absent],
    acceptableCompressors: [0, 1],
  }),
  one(p.ContentAddressableStorage.getTree, { instanceName, rootDigest: stored(root), pageSize: 2 }),
  one(p.ActionCache.getActionResult, {
    instanceName,
    actionDigest: stored(ACTION),
    inlineStdout: true,
    inlineOutputFiles: ["out"],
  }),
  one(p.ActionCache.updateActionResult, {
    instanceName,
    actionDigest: stored(ACTION),
    actionResult: p.ActionResultCodec.decode(RESULT),
    resultsCachePolicy: { priority: 1 },
  }),
  one(p.ByteStream.read, { resourceName: readName, readOffset: 10, readLimit: 100 }),
  one(
    p.ByteStream.write,
    { resourceName: uploadName, data: new Uint8Array([1]) },
    { writeOffset: 1, data: new Uint8Array([2, 3]), finishWrite: true },
  ),
  one(p.ByteStream.queryWriteStatus, { resourceName: uploadName }),
  one(p.Execution.execute, {
    instanceName,
    actionDigest: stored(ACTION),
    executionPolicy: { priority: 3 },
    inlineStdout: true,
  }),
  one(p.Execution.waitExecution, { name: operation }),
  one(p.Operations.listOperations, { name: `${INSTANCE}/operations`, filter: "", pageSize: 3 }),
  one(p.Operations.getOperation, { name: operation }),
  one(p.Operations.deleteOperation, { name: operation }),
  one(p.Operations.cancelOperation, { name: operation }),
  one(p.Operations.waitOperation, { name: operation, timeout: { nanos: 1_000_000 } }),
  one(p.Admin.getStatus, {}),
  one(p.Admin.listWorkers, {}),
  one(p.Admin.getAction, { instanceName, actionDigest: stored(ACTION) }),
  one(p.Admin.drainWorker, { workerId: "nobody", reason: "fuzz" }),
  one(p.Admin.resumeWorker, { workerId: "nobody" }),
  one(p.HealthService.check, { service: "" }),
  one(p.HealthService.watch, { service: "" }),
  { method: p.Workers.connect as AnyMethod, messages: WORKER_LIFE },
];
