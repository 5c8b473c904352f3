/**
 * Rules of brotli and deflate, where they are advertised; those of zstd are with the methods.
 *
 * @module
 */

import * as zlib from "node:zlib";
import { Context, digestOf, EMPTY, utf8 } from "../context.ts";
import { concat } from "../protobuf.ts";
import {
  Broken,
  check,
  equal,
  equalBytes,
  type Need,
  type Rule,
  rulesThatNeed,
  SOURCE,
  status,
} from "../rule.ts";
import { committed } from "./_writes.ts";

const { must } = rulesThatNeed("cache");
const READS = SOURCE.reapi("ContentAddressableStorage (compressed downloads)");
const WRITES = SOURCE.reapi("ContentAddressableStorage (compressed uploads)");
const OF_ENTRY = SOURCE.reapi("BatchUpdateBlobsRequest.Request.compressor");
const OF_ANSWER = SOURCE.reapi("BatchReadBlobsResponse.Response.compressor");

interface Format {
  readonly name: "brotli" | "deflate";
  /** REAPI's number. */
  readonly value: number;
  readonly source: string;
  /** The number of its first rule. */
  readonly first: number;
  readonly pack: (bytes: Uint8Array) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => Uint8Array;
}

const FORMATS: readonly Format[] = [
  {
    name: "brotli",
    value: 3,
    source: "RFC 7932",
    first: 1,
    pack: (bytes) =>
      new Uint8Array(
        zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }),
      ),
    unpack: (bytes) => new Uint8Array(zlib.brotliDecompressSync(bytes)),
  },
  {
    name: "deflate",
    value: 2,
    source: "RFC 1951",
    first: 8,
    pack: (bytes) => new Uint8Array(zlib.deflateRawSync(bytes)),
    unpack: (bytes) => new Uint8Array(zlib.inflateRawSync(bytes)),
  },
];

/** A text that packs well, with something that does not. */
function packable(ctx: Context): Uint8Array {
  return concat([utf8(`${ctx.freshText()} `.repeat(5000)), ctx.fresh(10_000)]);
}

function rulesOf({ name, value, source, first, pack, unpack: unpackRaw }: Format): Rule[] {
  const prefix = `compressed-blobs/${name}`;
  const stream: readonly Need[] = [name];
  const batch: readonly Need[] = [`${name}-batch`];
  const id = (i: number) => `PACK-${`${first + i}`.padStart(2, "0")}`;
  const unpack = (bytes: Uint8Array) => {
    try {
      return unpackRaw(bytes);
    } catch (error) {
      throw new Broken(`The answer's ${bytes.length} bytes are no ${name}: ${String(error)}`);
    }
  };
  /** What is wrong, by what is wrong with it: data, and the size that the digest tells for it. */
  const wrong = (ctx: Context): Record<string, readonly [Uint8Array, number]> => {
    const blob = packable(ctx);
    const packed = pack(blob);
    return {
      "cut short": [packed.subarray(0, packed.length - 9), blob.length],
      "of other bytes": [packed, blob.length],
      "of a byte more than the size": [packed, blob.length - 1],
      "of a byte less than the size": [packed, blob.length + 1],
      "with a byte behind": [concat([packed, new Uint8Array(1)]), blob.length],
      "of random bytes": [ctx.fresh(5000), blob.length],
      "of nothing": [new Uint8Array(), blob.length],
      "of 8 MiB for a blob of 1,000 bytes": [pack(new Uint8Array(8 << 20)), 1000],
    };
  };
  return [
    must(id(0), `A blob that comes as ${name}, in many messages, is stored unpacked`, WRITES, async (ctx) => {
      const blob = packable(ctx);
      const packed = pack(blob);
      const size = committed(
        await ctx.write(ctx.uploadName(digestOf(blob), { prefix }), packed, 999),
        "Write",
      );
      check(size === packed.length || size === -1, `committed_size is ${size} for ${packed.length} bytes`);
      equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    }, stream),
    must(id(1), `A blob comes as ${name} and unpacks to its bytes, from any offset`, READS, async (ctx) => {
      for (const blob of [packable(ctx), ctx.fresh(1_000_000), ctx.fresh(1)]) {
        const readName = ctx.readName(await ctx.put(blob), prefix);
        for (const offset of [0, blob.length >> 1, blob.length]) {
          equalBytes(unpack(await ctx.readBytes(readName, offset)), blob.subarray(offset), `From ${offset}`);
        }
      }
    }, stream),
    must(
      id(2),
      `A write of ${name} that is damaged, or of something else, is INVALID_ARGUMENT`,
      source,
      async (ctx) => {
        for (const [what, [data, size]] of Object.entries(wrong(ctx))) {
          const digest = ctx.absent(size);
          status(await ctx.write(ctx.uploadName(digest, { prefix }), data, 3000), "INVALID_ARGUMENT", what);
          await ctx.notStored(digest, what);
        }
      },
      stream,
    ),
    must(id(3), `The empty blob can be read as ${name}`, READS, async (ctx) => {
      equal(unpack(await ctx.readBytes(ctx.readName(EMPTY, prefix))).length, 0, "Bytes");
    }, stream),
    must(id(4), `A read of ${name} with a read_limit is INVALID_ARGUMENT`, READS, async (ctx) => {
      const readName = ctx.readName(await ctx.put(ctx.fresh(1000)), prefix);
      status(await ctx.read(readName, 0, 10), "INVALID_ARGUMENT", "read_limit 10");
    }, stream),
    must(
      id(5),
      `An entry of a batch that comes as ${name} is stored unpacked, or refused when wrong`,
      OF_ENTRY,
      async (ctx) => {
        const blob = packable(ctx);
        const wanted = digestOf(blob);
        status(
          await ctx.batchUpdate([{ digest: wanted, data: pack(blob), compressor: value }]),
          "OK",
          "The call",
        );
        equalBytes(await ctx.get(wanted), blob, "The blob");
        for (const [what, [data, size]] of Object.entries(wrong(ctx))) {
          const digest = ctx.absent(size);
          const reply = await ctx.batchUpdate([{ digest, data, compressor: value }]);
          if (reply.code !== 0) status(reply, "INVALID_ARGUMENT", what);
          else equal(Context.updateAnswers(reply)[0]?.code, 3, `${what}: status of the blob`);
          await ctx.notStored(digest, what);
        }
      },
      batch,
    ),
    must(
      id(6),
      `With ${name} alone acceptable a blob comes plain or as that, and says which`,
      OF_ANSWER,
      async (ctx) => {
        const blobs = [packable(ctx), ctx.fresh(10), ctx.fresh(100_000)];
        const answers = Context.readAnswers(await ctx.batchRead(await ctx.putAll(blobs), [value]));
        for (const blob of blobs) {
          const answer = answers.find(({ hash }) => hash === digestOf(blob).hash);
          check(
            answer?.compressor === 0 || answer?.compressor === value,
            `compressor is ${answer?.compressor}`,
          );
          const data = answer?.data ?? new Uint8Array();
          equalBytes(answer?.compressor === value ? unpack(data) : data, blob, "The blob");
        }
      },
    ),
  ];
}

/** Rules of brotli and deflate. */
export const PACKED_RULES: readonly Rule[] = FORMATS.flatMap(rulesOf);
