/**
 * Rules of SplitBlob and SpliceBlob.
 *
 * @module
 */

import { blake3 } from "hash-wasm";
import { Context, type Digest, digestMsg, digestOf, METHOD, readDigest } from "../context.ts";
import { concat, Fields } from "../protobuf.ts";
import { check, equal, equalBytes, one, type Rule, rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import type { Reply } from "../wire.ts";

const cache = rulesThatNeed("cache");
const splice = rulesThatNeed("cache", "splice");
const split = rulesThatNeed("cache", "split");
const both = rulesThatNeed("cache", "split", "splice");
const SPLIT = SOURCE.reapi("ContentAddressableStorage.SplitBlob");
const SPLIT_ERRORS = SOURCE.reapi("ContentAddressableStorage.SplitBlob, Errors");
const SPLICE = SOURCE.reapi("ContentAddressableStorage.SpliceBlob");
const SPLICE_ERRORS = SOURCE.reapi("ContentAddressableStorage.SpliceBlob, Errors");
const UNKNOWN = SOURCE.reapi("ChunkingFunction.UNKNOWN");
const FAST_CDC_2020 = 1;
const BLAKE3 = 9;
const MIB = 1024 * 1024;

/** Sizes of chunks: of a small blob, and of one that is worth being cut. */
const SIZES: readonly (readonly number[])[] = [[1000, 1, 999], [700_000, 300_000, 900_000, 600_000]];

function splitBlob(ctx: Context, digest: Digest, { fn = 0, chunking = 0 } = {}): Promise<Reply> {
  return ctx.call(METHOD.split, { 1: ctx.instance, 2: digestMsg(digest), 3: fn, 4: chunking });
}

function spliceBlob(
  ctx: Context,
  digest: Digest,
  chunks: readonly Digest[],
  { fn = 0, chunking = 0 } = {},
): Promise<Reply> {
  return ctx.call(METHOD.splice, {
    1: ctx.instance,
    2: digestMsg(digest),
    3: chunks.map(digestMsg),
    4: fn,
    5: chunking,
  });
}

/** A blob that is not stored, of chunks that are. */
interface Parts {
  readonly blob: Uint8Array;
  readonly digest: Digest;
  readonly chunks: readonly Digest[];
}

async function parts(ctx: Context, sizes: readonly number[]): Promise<Parts> {
  const data = sizes.map((size) => ctx.fresh(size));
  const blob = concat(data);
  return { blob, digest: digestOf(blob), chunks: await ctx.putAll(data) };
}

/** A blob that was made of its chunks. */
async function spliced(ctx: Context, sizes: readonly number[]): Promise<Parts> {
  const made = await parts(ctx, sizes);
  status(await spliceBlob(ctx, made.digest, made.chunks), "OK", "SpliceBlob");
  return made;
}

/** The chunks that an answer of SplitBlob names. */
function chunksOf(reply: Reply): Digest[] {
  return Fields.parse(one(reply, "SplitBlob")).messages(1).map(readDigest);
}

/** A blob whose chunks the server can tell: one that is not small, and is stored as a whole. */
async function divided(ctx: Context, chunking = 0): Promise<readonly [Uint8Array, readonly Digest[]]> {
  const blob = ctx.fresh(6 * MIB);
  const reply = await splitBlob(ctx, await ctx.put(blob), { chunking });
  if (reply.code === 5) throw new Skip("no split information is available for a blob of 6 MiB");
  return [blob, chunksOf(reply)];
}

async function joined(ctx: Context, chunks: readonly Digest[]): Promise<Uint8Array> {
  const data: Uint8Array[] = [];
  for (const chunk of chunks) data.push(await ctx.get(chunk));
  return concat(data);
}

/** What the server says about FastCDC; undefined when nothing. */
async function fastCdc(ctx: Context): Promise<Fields | undefined> {
  const reply = one(await ctx.call(METHOD.capabilities, { 1: ctx.instance }), "GetCapabilities");
  return Fields.parse(reply).message(1)?.message(11);
}

/** The chunking functions that have to be taken. */
async function chunkings(ctx: Context): Promise<number[]> {
  return await fastCdc(ctx) === undefined ? [0] : [0, FAST_CDC_2020];
}

const OFFER_RULES: readonly Rule[] = [
  cache.must(
    "CHUNK-01",
    "SplitBlob and SpliceBlob are there where the capabilities say so, and only there",
    SOURCE.reapi("CacheCapabilities.split_blob_support, splice_blob_support"),
    async (ctx) => {
      const asked = [
        ["split_blob_support", ctx.caps.split, await splitBlob(ctx, ctx.absent())],
        ["splice_blob_support", ctx.caps.splice, await spliceBlob(ctx, ctx.absent(16), [ctx.absent(16)])],
      ] as const;
      for (const [flag, offered, reply] of asked) {
        status(reply, offered ? "NOT_FOUND" : "UNIMPLEMENTED", `The method, where ${flag} is ${offered}`);
      }
    },
  ),
  cache.should(
    "CHUNK-02",
    "The average chunk of FastCDC is a power of two, which is what the paper has masks for",
    SOURCE.reapi("FastCdc2020Params (masks)"),
    async (ctx) => {
      const average = (await fastCdc(ctx))?.int(1);
      if (average === undefined) throw new Skip("fast_cdc_2020_params is not set");
      check(average > 0 && Number.isInteger(Math.log2(average)), `avg_chunk_size_bytes is ${average}`);
    },
  ),
];

const SPLICE_RULES: readonly Rule[] = [
  splice.must(
    "CHUNK-03",
    "Chunks that are stored become a blob that is not missing, and reads as they do in their order",
    SPLICE,
    async (ctx) => {
      for (const sizes of SIZES) {
        const { blob, digest } = await spliced(ctx, sizes);
        await ctx.stored([digest], "it was made of chunks");
        equalBytes(await ctx.get(digest), blob, `The blob of ${sizes.length} chunks`);
        const [at, limit] = [blob.length >> 1, blob.length >> 2];
        const part = await ctx.readBytes(ctx.readName(digest), at, limit);
        equalBytes(part, blob.subarray(at, at + limit), "A part of it");
      }
    },
  ),
  splice.must("CHUNK-04", "The answer names the blob", SOURCE.reapi("SpliceBlobResponse"), async (ctx) => {
    const { digest, chunks } = await parts(ctx, SIZES[0]);
    const answer = one(await spliceBlob(ctx, digest, chunks), "SpliceBlob");
    equal(readDigest(Fields.parse(answer).message(1)), digest, "blob_digest");
  }),
  splice.must("CHUNK-05", "A chunk may come more than once in a blob", SPLICE, async (ctx) => {
    const data = ctx.fresh(400_000);
    const blob = concat([data, data, data, data]);
    const chunk = await ctx.put(data);
    status(await spliceBlob(ctx, digestOf(blob), [chunk, chunk, chunk, chunk]), "OK", "SpliceBlob");
    equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
  }),
  splice.must(
    "CHUNK-06",
    "Chunks that do not make the blob are INVALID_ARGUMENT, and nothing is stored",
    SPLICE_ERRORS,
    async (ctx) => {
      for (const sizes of SIZES) {
        const { digest, chunks } = await parts(ctx, sizes);
        const lies: Record<string, readonly [Digest, readonly Digest[]]> = {
          "chunks in another order": [digest, chunks.toReversed()],
          "another hash": [ctx.absent(digest.size), chunks],
          "a byte too many": [{ ...digest, size: digest.size - 1 }, chunks],
          "a byte too few": [{ ...digest, size: digest.size + 1 }, chunks],
          "a chunk left out": [digest, chunks.slice(1)],
          "no chunks": [digest, []],
        };
        for (const [what, [claimed, named]] of Object.entries(lies)) {
          status(await spliceBlob(ctx, claimed, named), "INVALID_ARGUMENT", what);
          await ctx.notStored(claimed, what);
        }
      }
    },
  ),
  splice.must(
    "CHUNK-07",
    "A chunk that is not there is NOT_FOUND, and nothing is stored",
    SPLICE_ERRORS,
    async (ctx) => {
      for (const sizes of SIZES) {
        const { digest, chunks } = await parts(ctx, sizes);
        const named = chunks.with(1, ctx.absent(chunks[1].size));
        status(await spliceBlob(ctx, digest, named), "NOT_FOUND", "A chunk that nobody stored");
        await ctx.notStored(digest, "one of its chunks is missing");
      }
    },
  ),
  splice.must(
    "CHUNK-08",
    "UNKNOWN, and a chunking function that is advertised, may be named wherever the chunks end",
    UNKNOWN,
    async (ctx) => {
      for (const chunking of await chunkings(ctx)) {
        const { blob, digest, chunks } = await parts(ctx, SIZES[1]);
        status(await spliceBlob(ctx, digest, chunks, { chunking }), "OK", `chunking_function ${chunking}`);
        equalBytes(await ctx.get(digest), blob, "The blob");
      }
    },
  ),
  splice.must(
    "CHUNK-09",
    "A blob that is there already may be made of chunks",
    SPLICE_ERRORS,
    async (ctx) => {
      for (const sizes of SIZES) {
        const { blob, digest, chunks } = await parts(ctx, sizes);
        await ctx.put(blob);
        for (let i = 0; i < 2; i++) {
          status(await spliceBlob(ctx, digest, chunks), ["OK", "ALREADY_EXISTS"], "SpliceBlob");
        }
        equalBytes(await ctx.get(digest), blob, "The blob");
      }
    },
  ),
  splice.should("CHUNK-10", "What is no digest is INVALID_ARGUMENT", SOURCE.reapi("Digest"), async (ctx) => {
    const { digest, chunks } = await parts(ctx, SIZES[0]);
    for (const wrong of [{ hash: "xyz", size: 1 }, { ...digest, size: -1 }, { hash: "", size: 1000 }]) {
      status(
        await spliceBlob(ctx, wrong, chunks),
        "INVALID_ARGUMENT",
        `blob_digest ${JSON.stringify(wrong)}`,
      );
      const named = [wrong, ...chunks.slice(1)];
      status(await spliceBlob(ctx, digest, named), "INVALID_ARGUMENT", `A chunk ${JSON.stringify(wrong)}`);
    }
  }),
];

const SPLIT_RULES: readonly Rule[] = [
  split.must(
    "CHUNK-11",
    "A blob is split into chunks that are all there and, one after the other, are the blob",
    SPLIT,
    async (ctx) => {
      const [blob, chunks] = await divided(ctx);
      await ctx.stored(chunks, "SplitBlob named them");
      equalBytes(await joined(ctx, chunks), blob, "The chunks together");
    },
  ),
  split.must("CHUNK-12", "A blob that is not there is NOT_FOUND", SPLIT_ERRORS, async (ctx) => {
    for (const size of [16, 6 * MIB]) {
      status(await splitBlob(ctx, ctx.absent(size)), "NOT_FOUND", `A blob of ${size} bytes`);
    }
  }),
  split.must(
    "CHUNK-13",
    "UNKNOWN, and a chunking function that is advertised, may be wished for",
    UNKNOWN,
    async (ctx) => {
      for (const chunking of await chunkings(ctx)) {
        const [blob, chunks] = await divided(ctx, chunking);
        equalBytes(await joined(ctx, chunks), blob, `The chunks by chunking_function ${chunking}`);
      }
    },
  ),
  both.must("CHUNK-14", "A blob that was made of chunks can be split again", SPLIT, async (ctx) => {
    const { blob, digest } = await spliced(ctx, SIZES[1]);
    const chunks = chunksOf(await splitBlob(ctx, digest));
    equalBytes(await joined(ctx, chunks), blob, "The chunks together");
  }),
  both.must(
    "CHUNK-15",
    "By BLAKE3, chunks and blob alike are of that function",
    SOURCE.reapi("SplitBlobResponse.chunk_digests, SpliceBlobRequest.digest_function"),
    async (ctx) => {
      if (!ctx.caps.digestFunctions.includes(BLAKE3)) throw new Skip("BLAKE3 is not advertised");
      const of = async (bytes: Uint8Array) => ({ hash: await blake3(bytes), size: bytes.length });
      const get = (digest: Digest) => ctx.readBytes(ctx.readName(digest, "blobs/blake3"));
      const data = SIZES[1].map((size) => ctx.fresh(size));
      const blob = concat(data);
      const digest = await of(blob);
      const chunks = await Promise.all(data.map(of));
      const reply = await ctx.batchUpdate(
        data.map((bytes, i) => ({ digest: chunks[i], data: bytes })),
        BLAKE3,
      );
      for (const { code } of Context.updateAnswers(reply)) equal(code, 0, "Status of a chunk");
      status(await spliceBlob(ctx, digest, chunks, { fn: BLAKE3 }), "OK", "SpliceBlob");
      equalBytes(await get(digest), blob, "The blob");
      const named: Uint8Array[] = [];
      for (const chunk of chunksOf(await splitBlob(ctx, digest, { fn: BLAKE3 }))) {
        named.push(await get(chunk));
      }
      equalBytes(concat(named), blob, "The chunks together");
      await ctx.notStored(digest, "BLAKE3's blob is none of SHA-256's");
    },
  ),
];

/** Rules of chunks. */
export const CHUNK_RULES: readonly Rule[] = [...OFFER_RULES, ...SPLICE_RULES, ...SPLIT_RULES];
