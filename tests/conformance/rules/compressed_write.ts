/**
 * Rules of compressed writes.
 *
 * @module
 */

import { type Context, type Digest, digestOf, METHOD, utf8 } from "../context.ts";
import { concat } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, equalBytes, type Rule } from "../rule.ts";
import { rulesThatNeed, SOURCE, status } from "../rule.ts";
import { zstd } from "../zstd.ts";
import { committed, part, refusedWrite } from "./_writes.ts";

const { must } = rulesThatNeed("cache");
const UPLOADS = SOURCE.reapi("ContentAddressableStorage (uploads)");
const COMPRESSED = SOURCE.reapi("ContentAddressableStorage (compressed uploads)");
const EARLY = SOURCE.reapi("ContentAddressableStorage (another client has completed the upload)");
const ZSTD_PREFIX = "compressed-blobs/zstd";

/** A text that packs well, and its packed form. */
async function packable(ctx: Context): Promise<{ blob: Uint8Array; digest: Digest; packed: Uint8Array }> {
  const blob = concat([utf8(`${ctx.freshText()} `.repeat(20_000)), ctx.fresh(10_000)]);
  return { blob, digest: digestOf(blob), packed: await zstd(blob) };
}

/** Rules of compressed writes. */
export const COMPRESSED_WRITE_RULES: readonly Rule[] = [
  must(
    "ZWRITE-01",
    "A blob that comes as zstd, in many messages, is stored unpacked",
    COMPRESSED,
    async (ctx) => {
      const { blob, digest, packed } = await packable(ctx);
      status(await ctx.write(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), packed, 999), "OK", "Write");
      equalBytes(await ctx.get(digest), blob, "The blob");
    },
    ["zstd"],
  ),
  must(
    "ZWRITE-02",
    "A compressed write answers the compressed bytes it took, or -1",
    "Bazel's ByteStreamUploader, which takes no other committed_size of a compressed write",
    async (ctx) => {
      const { digest, packed } = await packable(ctx);
      const reply = await ctx.write(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), packed);
      const size = committed(reply, "Write");
      check(
        size === packed.length || size === -1,
        `committed_size is ${size} for ${packed.length} bytes of zstd`,
      );
    },
    ["zstd"],
  ),
  must("ZWRITE-03", "A compressed write of a blob that is there ends at once with -1", EARLY, async (ctx) => {
    const { blob, digest, packed } = await packable(ctx);
    await ctx.put(blob);
    const call = ctx.open(METHOD.write, { timeoutMs: ctx.options.patienceMs });
    await call.send(part(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), 0, packed.subarray(0, 100)));
    equal(committed(await call.reply, "Write"), -1, "committed_size");
  }, ["zstd"]),
  must(
    "ZWRITE-04",
    "zstd that unpacks to other bytes is INVALID_ARGUMENT, and nothing is stored",
    COMPRESSED,
    async (ctx) => {
      const { blob, packed } = await packable(ctx);
      for (const size of [blob.length, blob.length - 1, blob.length + 1]) {
        const wrong = ctx.absent(size);
        const reply = await ctx.write(ctx.uploadName(wrong, { prefix: ZSTD_PREFIX }), packed);
        status(reply, "INVALID_ARGUMENT", `Another hash, and ${size} bytes for ${blob.length}`);
        await ctx.notStored(wrong, "its bytes were others");
      }
    },
    ["zstd"],
  ),
  must("ZWRITE-05", "What is no zstd, or is cut short, is INVALID_ARGUMENT", COMPRESSED, async (ctx) => {
    const { digest, packed } = await packable(ctx);
    const name = () => ctx.uploadName(digest, { prefix: ZSTD_PREFIX });
    status(
      await ctx.write(name(), packed.subarray(0, packed.length - 9)),
      "INVALID_ARGUMENT",
      "A frame cut short",
    );
    status(await ctx.write(name(), ctx.fresh(5000)), "INVALID_ARGUMENT", "Random bytes");
    await ctx.notStored(digest, "no write of it was right");
  }, ["zstd"]),
  must(
    "ZWRITE-06",
    "A small frame that unpacks to far more than the size is refused",
    COMPRESSED,
    async (ctx) => {
      const bomb = await zstd(new Uint8Array(64 * 1024 * 1024));
      const wrong = ctx.absent(1000);
      const reply = await ctx.write(ctx.uploadName(wrong, { prefix: ZSTD_PREFIX }), bomb);
      status(reply, "INVALID_ARGUMENT", "64 MiB for a blob of 1,000 bytes");
      await ctx.notStored(wrong, "its bytes were others");
    },
    ["zstd"],
  ),
  must("ZWRITE-07", "Later offsets of a compressed write count compressed bytes", COMPRESSED, async (ctx) => {
    const { digest, packed } = await packable(ctx);
    const messages = [
      part(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), 0, packed.subarray(0, 100)),
      part("", 101, packed.subarray(100), true),
    ];
    await refusedWrite(ctx, digest, messages, "write_offset 101 after 100 compressed bytes");
  }, ["zstd"]),
  must("ZWRITE-08", "A compressor that is not advertised is a client's mistake", COMPRESSED, async (ctx) => {
    const blob = ctx.fresh(100);
    const reply = await ctx.write(ctx.uploadName(digestOf(blob), { prefix: "compressed-blobs/lzma" }), blob);
    status(reply, CLIENT_FAULTS, "compressed-blobs/lzma");
    await ctx.notStored(digestOf(blob), "its compressor is unknown");
  }),
  must("ZWRITE-09", "Plain and compressed writes of one blob at once all succeed", UPLOADS, async (ctx) => {
    const { blob, digest, packed } = await packable(ctx);
    const replies = await Promise.all([1, 2, 3].flatMap(() => [
      ctx.write(ctx.uploadName(digest), blob),
      ctx.write(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), packed, 5000),
    ]));
    for (const reply of replies) status(reply, "OK", "Write");
    equalBytes(await ctx.get(digest), blob, "The blob");
  }, ["zstd"]),
];
