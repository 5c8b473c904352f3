/**
 * What rules work with: a connection, random content that no earlier run has used, and the calls of the API in terms of
 * field numbers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { concat, Fields, type FieldValue, msg } from "./protobuf.ts";
import { check, equal, one, status } from "./rule.ts";
import { type Call, type CallOptions, framed, type Reply, type Wire } from "./wire.ts";

const V2 = "/build.bazel.remote.execution.v2.";
const BYTESTREAM = "/google.bytestream.ByteStream/";

/** Paths of the methods. */
export const METHOD = {
  capabilities: `${V2}Capabilities/GetCapabilities`,
  missing: `${V2}ContentAddressableStorage/FindMissingBlobs`,
  update: `${V2}ContentAddressableStorage/BatchUpdateBlobs`,
  batchRead: `${V2}ContentAddressableStorage/BatchReadBlobs`,
  tree: `${V2}ContentAddressableStorage/GetTree`,
  split: `${V2}ContentAddressableStorage/SplitBlob`,
  splice: `${V2}ContentAddressableStorage/SpliceBlob`,
  getResult: `${V2}ActionCache/GetActionResult`,
  updateResult: `${V2}ActionCache/UpdateActionResult`,
  execute: `${V2}Execution/Execute`,
  wait: `${V2}Execution/WaitExecution`,
  read: `${BYTESTREAM}Read`,
  write: `${BYTESTREAM}Write`,
  writeStatus: `${BYTESTREAM}QueryWriteStatus`,
  getOperation: "/google.longrunning.Operations/GetOperation",
  listOperations: "/google.longrunning.Operations/ListOperations",
  cancelOperation: "/google.longrunning.Operations/CancelOperation",
} as const;

/** A digest. */
export interface Digest {
  readonly hash: string;
  readonly size: number;
}

/** What the server advertises, as far as rules ask. */
export interface Capabilities {
  readonly digestFunctions: readonly number[];
  readonly updateEnabled: boolean;
  readonly execEnabled: boolean;
  readonly maxBatchBytes: number;
  readonly maxBlobBytes: number;
  readonly compressors: readonly number[];
  readonly batchCompressors: readonly number[];
  readonly symlinkStrategy: number;
  readonly nodeProperties: readonly string[];
  readonly split: boolean;
  readonly splice: boolean;
  readonly cache: boolean;
}

/** What the server advertises, from a ServerCapabilities message. */
export function readCapabilities(bytes: Uint8Array): Capabilities {
  const all = Fields.parse(bytes);
  const cache = all.message(1);
  const exec = all.message(2);
  return {
    cache: cache !== undefined,
    digestFunctions: cache?.ints(1) ?? [],
    updateEnabled: cache?.message(2)?.bool(1) ?? false,
    maxBatchBytes: cache?.int(4) ?? 0,
    symlinkStrategy: cache?.int(5) ?? 0,
    compressors: cache?.ints(6) ?? [],
    batchCompressors: cache?.ints(7) ?? [],
    maxBlobBytes: cache?.int(8) ?? 0,
    split: cache?.bool(9) ?? false,
    splice: cache?.bool(10) ?? false,
    execEnabled: exec?.bool(2) ?? false,
    nodeProperties: exec?.strs(4) ?? [],
  };
}

const encoder = new TextEncoder();

/** Bytes of a text. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Text of bytes. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Random bytes. */
export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** SHA-256 of bytes, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Digest of bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return { hash: sha256(bytes), size: bytes.length };
}

/** A Digest message. */
export function digestMsg({ hash, size }: Digest): Uint8Array {
  return msg({ 1: hash, 2: size });
}

/** A digest of a Digest message; hash `""` and size 0 when unset. */
export function readDigest(fields: Fields | undefined): Digest {
  return { hash: fields?.str(1) ?? "", size: fields?.int(2) ?? 0 };
}

/** As resource names and violations have it. */
export function digestName({ hash, size }: Digest): string {
  return `${hash}/${size}`;
}

/** The blob, and the Directory, without content. */
export const EMPTY: Digest = digestOf(new Uint8Array());

/** What {@linkcode Context} is made of. */
export interface ContextOptions {
  readonly wire: Wire;
  readonly instance: string;
  readonly caps: Capabilities;
  /** Properties that actions need to be run there. */
  readonly platform: readonly (readonly [string, string])[];
  /** Longest that one action may take, queueing included. */
  readonly actionTimeoutMs: number;
  /** How long something may take that is to happen at once. */
  readonly patienceMs: number;
}

/** How a blob fared in a batch. */
export interface BatchAnswer extends Digest {
  readonly code: number;
  readonly message: string;
  readonly data: Uint8Array;
  readonly compressor: number;
}

/** What one rule works with. */
export class Context implements AsyncDisposable {
  readonly wire: Wire;
  readonly instance: string;
  readonly caps: Capabilities;
  readonly options: ContextOptions;
  /** Differs from rule to rule and from run to run. */
  readonly nonce: string = Buffer.from(randomBytes(12)).toString("hex");
  readonly #calls: Call[] = [];
  readonly #wires: Wire[] = [];
  #unique = 0;

  constructor(options: ContextOptions) {
    this.options = options;
    this.wire = options.wire;
    this.instance = options.instance;
    this.caps = options.caps;
  }

  /** Bytes that nobody has stored before. */
  fresh(length = 64): Uint8Array<ArrayBuffer> {
    return randomBytes(length);
  }

  /** A text that nobody has stored before. */
  freshText(): string {
    return `${this.nonce}-${++this.#unique}`;
  }

  /** A digest of a blob that nobody has. */
  absent(size = 16): Digest {
    return { hash: sha256(randomBytes(32)), size };
  }

  /** A connection of its own, closed at the end of the rule. */
  another(options: { readonly windowBytes?: number } = {}): Wire {
    const wire = this.wire.another(options);
    this.#wires.push(wire);
    return wire;
  }

  /** Begins a call; it is cancelled at the end of the rule, should it still run. */
  open(path: string, options: CallOptions = {}, wire: Wire = this.wire): Call {
    const call = wire.open(path, options);
    this.#calls.push(call);
    return call;
  }

  /** A call with one message. */
  async call(
    path: string,
    fields: Readonly<Record<number, FieldValue>>,
    options: CallOptions = {},
  ): Promise<Reply> {
    const call = this.open(path, options);
    await call.send(msg(fields));
    call.end();
    return await call.reply;
  }

  /** FindMissingBlobs. */
  findMissing(digests: readonly Digest[], fn = 0): Promise<Reply> {
    return this.call(METHOD.missing, { 1: this.instance, 2: digests.map(digestMsg), 3: fn });
  }

  /** Hashes that the store lacks. */
  async missing(digests: readonly Digest[]): Promise<Digest[]> {
    const reply = await this.findMissing(digests);
    return Fields.parse(one(reply, "FindMissingBlobs")).messages(2).map(readDigest);
  }

  /** Asserts that a blob is not stored. */
  async notStored(digest: Digest, why: string): Promise<void> {
    equal(
      await this.missing([digest]),
      [digest],
      `FindMissingBlobs of a blob that may not be stored (${why})`,
    );
  }

  /** Asserts that blobs are stored. */
  async stored(digests: readonly Digest[], why: string): Promise<void> {
    equal(await this.missing(digests), [], `FindMissingBlobs of blobs that must be stored (${why})`);
  }

  /** BatchUpdateBlobs. */
  async batchUpdate(
    blobs: readonly { readonly digest: Digest; readonly data: Uint8Array; readonly compressor?: number }[],
    fn = 0,
  ): Promise<Reply> {
    const requests = blobs.map(({ digest, data, compressor }) =>
      msg({ 1: digestMsg(digest), 2: data, 3: compressor ?? 0 })
    );
    return await this.call(METHOD.update, { 1: this.instance, 2: requests, 5: fn });
  }

  /** Answers of BatchUpdateBlobs. */
  static updateAnswers(reply: Reply): BatchAnswer[] {
    return Fields.parse(one(reply, "BatchUpdateBlobs")).messages(1).map((answer) => ({
      ...readDigest(answer.message(1)),
      code: answer.message(2)?.int(1) ?? 0,
      message: answer.message(2)?.str(2) ?? "",
      data: new Uint8Array(),
      compressor: 0,
    }));
  }

  /** BatchReadBlobs. */
  batchRead(digests: readonly Digest[], compressors: readonly number[] = [], fn = 0): Promise<Reply> {
    return this.call(METHOD.batchRead, {
      1: this.instance,
      2: digests.map(digestMsg),
      3: compressors,
      4: fn,
    });
  }

  /** Answers of BatchReadBlobs. */
  static readAnswers(reply: Reply): BatchAnswer[] {
    return Fields.parse(one(reply, "BatchReadBlobs")).messages(1).map((answer) => ({
      ...readDigest(answer.message(1)),
      data: answer.bytesOf(2),
      code: answer.message(3)?.int(1) ?? 0,
      message: answer.message(3)?.str(2) ?? "",
      compressor: answer.int(4),
    }));
  }

  /** Stores blobs, in batches, and gives their digests. */
  async putAll(blobs: readonly Uint8Array[]): Promise<Digest[]> {
    const digests = blobs.map(digestOf);
    const reply = await this.batchUpdate(blobs.map((data, i) => ({ data, digest: digests[i] })));
    for (const { hash, code, message } of Context.updateAnswers(reply)) {
      check(code === 0, () => `Storing ${hash}: status ${code} ${message}`);
    }
    return digests;
  }

  /** Stores a blob of any size and gives its digest. */
  async put(blob: Uint8Array): Promise<Digest> {
    if (blob.length <= 1_000_000) return (await this.putAll([blob]))[0];
    const digest = digestOf(blob);
    status(
      await this.write(this.uploadName(digest), blob),
      "OK",
      `Storing ${blob.length} bytes by ByteStream`,
    );
    return digest;
  }

  /** A name to read by. */
  readName(digest: Digest, prefix = "blobs", instance = this.instance): string {
    return `${instance === "" ? "" : `${instance}/`}${prefix}/${digestName(digest)}`;
  }

  /** A name to write by. */
  uploadName(
    digest: Digest,
    { uuid = crypto.randomUUID() as string, prefix = "blobs", instance = this.instance } = {},
  ): string {
    return `${instance === "" ? "" : `${instance}/`}uploads/${uuid}/${prefix}/${digestName(digest)}`;
  }

  /** ByteStream.Read. */
  read(name: string, offset = 0, limit = 0): Promise<Reply> {
    return this.call(METHOD.read, { 1: name, 2: offset, 3: limit });
  }

  /** Bytes of a read that must succeed. */
  async readBytes(name: string, offset = 0, limit = 0): Promise<Uint8Array> {
    const reply = await this.read(name, offset, limit);
    status(reply, "OK", `Read of ${name} from ${offset}${limit === 0 ? "" : ` at most ${limit}`}`);
    return Context.data(reply);
  }

  /** The data of a read. */
  static data(reply: Reply): Uint8Array {
    return concat(reply.messages.map((message) => Fields.parse(message).bytesOf(10)));
  }

  /** A blob, read by its digest. */
  async get(digest: Digest): Promise<Uint8Array> {
    return await this.readBytes(this.readName(digest));
  }

  /** ByteStream.Write from the start to the end, in chunks. */
  async write(name: string, data: Uint8Array, chunk = 64 * 1024): Promise<Reply> {
    const messages: Uint8Array[] = [];
    for (let at = 0; at === 0 || at < data.length; at += chunk) {
      const part = data.subarray(at, at + chunk);
      messages.push(msg({ 1: at === 0 ? name : "", 2: at, 3: at + part.length >= data.length, 10: part }));
    }
    return await this.writeMessages(messages);
  }

  /** ByteStream.Write of given messages; each leaves before the next. */
  async writeMessages(messages: readonly Uint8Array[]): Promise<Reply> {
    const call = this.open(METHOD.write);
    for (const message of messages) await call.send(message);
    call.end();
    return await call.reply;
  }

  /** QueryWriteStatus. */
  writeStatus(name: string): Promise<Reply> {
    return this.call(METHOD.writeStatus, { 1: name });
  }

  /** Cancels what still runs, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const call of this.#calls) call.cancel();
    await Promise.all(this.#calls.map(({ reply }) => reply));
    for (const wire of this.#wires) await wire[Symbol.asyncDispose]();
  }
}

/** The bytes of one gRPC message split as a list of chunks. */
export function chunksOf(body: Uint8Array, size: number): Uint8Array[] {
  const bytes = framed(body);
  return Array.from(
    { length: Math.ceil(bytes.length / size) },
    (_, i) => bytes.subarray(i * size, (i + 1) * size),
  );
}
