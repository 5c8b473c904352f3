/**
 * Public entry points that take what strangers send, each as a function of bytes or text. What they throw must be a
 * {@linkcode BrokkrError} that blames the sender.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  BLOB_COMPRESSORS,
  checkInstanceName,
  encodeDirectory,
  formatReadName,
  formatUploadName,
  parseDigestText,
  parseDirectory,
  parseReadName,
  parseUploadName,
  readActionResult,
  SHA256,
  splitPath,
  treeSource,
  walkTree,
} from "@brokkr/cas";
import { BrokkrError, Code, codeName, fencingTokenOf, parseTraceparent } from "@brokkr/common";
import { parseHostPort } from "@brokkr/common/units";
import { type BlobCompressor, compressWhole, decompressWhole } from "@brokkr/cas/compression";
import * as p from "@brokkr/proto";
import { parseRequestMetadata } from "@brokkr/proto/rpc/metadata";
import { checkAction, checkCommand } from "@brokkr/control/_action_check";
import { parseFilter } from "@brokkr/control/_operation_filter";
import { planCommand } from "@brokkr/worker/_command_plan";
import { ACTION, BLOBS, CALLS, COMMAND, NAMES, OLD_COMMAND, RESULT, TREE, TREE_MESSAGE } from "./_corpus.ts";
import { hostileEvents } from "./_events.ts";
import type { Mutator } from "./_mutator.ts";

/** What is fuzzed. */
export interface Target {
  readonly name: string;
  /** Share of the cases. */
  readonly weight: number;
  /** One case. The input that it makes is told to `note` before it is used. */
  run(mutator: Mutator, note: (input: Uint8Array | string) => void): void | Promise<void>;
  /** The same on a given input, for making it smaller. */
  readonly again?: (input: Uint8Array, mutator: Mutator) => void | Promise<void>;
}

/** Codes that say that the sender is at fault, or asks for too much. */
const BLAMES: ReadonlySet<number> = new Set([
  Code.INVALID_ARGUMENT,
  Code.FAILED_PRECONDITION,
  Code.OUT_OF_RANGE,
  Code.RESOURCE_EXHAUSTED,
  Code.NOT_FOUND,
]);

/** Throws when an error is not one that blames the sender in words. */
export function checkBlame(error: unknown): void {
  if (!(error instanceof BrokkrError)) throw error;
  assert(BLAMES.has(error.code), `${codeName(error.code)}: ${error.message}`);
  assert(error.message.length > 0, "An error has words");
  assert(error.message.length < 4000, `An error of ${error.message.length} characters`);
}

type AnyCodec = p.Codec<unknown, unknown>;
const CODECS: readonly AnyCodec[] = Object.entries(p)
  .filter(([name]) => name.endsWith("Codec") && !/^Raw|^Bytes/.test(name))
  .map(([, codec]) => codec as AnyCodec);
const BASES: readonly Uint8Array[] = [...CALLS.flatMap(({ messages }) => messages), ...BLOBS, RESULT];
const OWN: readonly (readonly [AnyCodec, Uint8Array])[] = [
  [p.ActionCodec, ACTION],
  [p.CommandCodec, COMMAND],
  [p.CommandCodec, OLD_COMMAND],
  [p.TreeCodec, TREE_MESSAGE],
  [p.DirectoryCodec, TREE.directories[0].data],
  [p.ActionResultCodec, RESULT],
  ...CALLS.flatMap(({ method, messages }) => messages.map((bytes) => [codecOf(method), bytes] as const)),
];

function codecOf(method: object): AnyCodec {
  return (method as { request: AnyCodec }).request;
}

/** What was decoded can be encoded, or is refused; and that is decoded to the same again. */
function roundTrip(codec: AnyCodec, bytes: Uint8Array): void {
  const message = codec.decode(bytes);
  const encoded = codec.encode(message);
  assertEquals(codec.encode(codec.decode(encoded)), encoded);
}

/** A target that damages bytes. */
function ofBytes(
  name: string,
  weight: number,
  base: (mutator: Mutator) => Uint8Array,
  use: (input: Uint8Array, mutator: Mutator) => void | Promise<void>,
): Target {
  return {
    name,
    weight,
    again: use,
    run(mutator, note) {
      const input = mutator.message(base(mutator), BASES);
      note(input);
      return use(input, mutator);
    },
  };
}

function ofText(name: string, weight: number, use: (input: string, mutator: Mutator) => void): Target {
  return {
    name,
    weight,
    run(mutator, note) {
      const input = mutator.text(mutator.pick(NAMES));
      note(input);
      use(input, mutator);
    },
  };
}

function ownCodec(): Target {
  let codec: AnyCodec = p.ActionCodec;
  const use = (input: Uint8Array) => roundTrip(codec, input);
  return ofBytes("the codec of each message", 26, (mutator) => {
    const [own, bytes] = mutator.pick(OWN);
    codec = own;
    return bytes;
  }, use);
}

const RAW: readonly ((bytes: Uint8Array) => unknown)[] = [
  p.decodeFindMissing,
  p.decodeFindMissingResponse,
  p.decodeReadRequest,
  p.decodeReadResponse,
  p.decodeWriteRequest,
  p.decodeWriteResponse,
  p.decodeBatchUpdateRequest,
  p.decodeBatchUpdateResponse,
  p.decodeBatchReadRequest,
  p.decodeBatchReadResponse,
];

/**
 * Each raw decoder and the codec it stands for must agree on what is a message at all. The digests of FindMissing are not
 * here: they stay packed, and what is no text in them is found when they are looked up.
 */
const TWINS: readonly (readonly [(bytes: Uint8Array) => unknown, AnyCodec])[] = [
  [p.decodeReadRequest, p.ReadRequestCodec],
  [p.decodeWriteRequest, p.WriteRequestCodec],
  [p.decodeBatchUpdateRequest, p.BatchUpdateBlobsRequestCodec],
  [p.decodeBatchReadRequest, p.BatchReadBlobsRequestCodec],
];

function accepts(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch (error) {
    checkBlame(error);
    return false;
  }
}

/** A tree some of whose directories are damaged; each keeps the digest of what it now is, so that it is found. */
async function walkDamaged(input: Uint8Array): Promise<void> {
  const { rootDigest, fetch } = treeSource(input, SHA256);
  for await (const { content } of walkTree(rootDigest, fetch, { maxDepth: 100, maxEntries: 10_000 })) {
    if (content !== undefined) parseDirectory(encodeDirectory(content), SHA256);
  }
}

/** What control lets pass, workers can run. */
function checkPlan(command: Uint8Array): void {
  try {
    planCommand(p.CommandCodec.decode(command));
  } catch (error) {
    throw new Error("Control takes a Command that workers refuse", { cause: error });
  }
}

const METADATA = p.RequestMetadataCodec.encode({
  toolDetails: { toolName: "bazel", toolVersion: "8" },
  actionId: "a",
  toolInvocationId: "b",
  correlatedInvocationsId: "c",
  targetId: "//x",
});

const LIMITS = { defaultTimeoutMs: 1000, maxTimeoutMs: 3_600_000 };
/** "Hello, hello, hello" and more of it, as compressors make it. */
const PLAIN = new TextEncoder().encode("hello ".repeat(300));

/** All of them. Weights are shares of the whole. */
export const TARGETS: readonly Target[] = [
  ownCodec(),
  ofBytes("any codec", 10, (mutator) => mutator.pick(BASES), (input, mutator) => {
    roundTrip(CODECS[mutator.below(CODECS.length)], input);
  }),
  ofBytes("the raw decoders", 12, (mutator) => mutator.pick(BASES), (input) => {
    for (const decode of RAW) accepts(decode, input);
    for (const [decode, codec] of TWINS) {
      assertEquals(accepts(decode, input), accepts((bytes) => codec.decode(bytes), input), decode.name);
    }
  }),
  ofBytes("directories", 14, (mutator) => mutator.pick(TREE.directories).data, (input) => {
    // Written anew it is in order, which what came need not be.
    const encoded = encodeDirectory(parseDirectory(input, SHA256));
    assertEquals(encodeDirectory(parseDirectory(encoded, SHA256)), encoded);
  }),
  ofBytes("trees", 3, () => TREE_MESSAGE, walkDamaged),
  ofBytes("actions", 8, () => ACTION, (input) => void checkAction(input, SHA256, LIMITS)),
  ofBytes("commands", 8, (mutator) => mutator.pick([COMMAND, OLD_COMMAND]), (input) => {
    checkCommand(input);
    checkPlan(input);
  }),
  ofBytes("action results", 4, () => RESULT, async (input) => void await readActionResult(input)),
  ofBytes("request metadata", 3, () => METADATA, (input) => void parseRequestMetadata(input)),
  ofText("read names", 3, (input) => {
    const { instance, digest, compressor } = parseReadName(input);
    assertEquals(parseReadName(formatReadName(instance, digest, compressor)).digest, digest);
  }),
  ofText("upload names", 3, (input) => {
    const { instance, uuid, digest, compressor } = parseUploadName(input);
    assertEquals(parseUploadName(formatUploadName(instance, uuid, digest, compressor)).digest, digest);
  }),
  ofText("instance names and paths", 3, (input) => {
    accepts(() => checkInstanceName(input), new Uint8Array());
    const names = splitPath(input);
    assert(names.every((name) => name !== ".." && name !== "." && name !== "" && !/[/\0]/.test(name)));
  }),
  ofText("digests, filters, trace parents, addresses, leases", 3, (input) => {
    parseTraceparent(input);
    parseHostPort(input);
    fencingTokenOf(input);
    accepts(() => parseDigestText(input), new Uint8Array());
    parseFilter(input);
  }),
  hostileEvents(),
  ...BLOB_COMPRESSORS.map(packed),
];

/** What a compressor made, changed at random. */
function packed(compressor: BlobCompressor): Target {
  const made = compressWhole(PLAIN, { compressor, level: 9 });
  const inflate = async (input: Uint8Array) => {
    const plain = await decompressWhole(input, { compressor, sizeBytes: PLAIN.length });
    assertEquals(plain.length, PLAIN.length);
  };
  return {
    name: compressor,
    weight: 0.2,
    async run(mutator, note) {
      const input = mutator.message(await made);
      note(input);
      await inflate(input);
    },
    again: inflate,
  };
}
