/**
 * Rules of BatchUpdateBlobs and BatchReadBlobs.
 *
 * @module
 */

import { Context, type Digest, digestMsg, digestOf, EMPTY, METHOD, utf8 } from "../context.ts";
import { check, equal, equalBytes, type Rule, rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import { type Reply, STATUS_NAMES } from "../wire.ts";
import { unzstd, ZSTD, zstd } from "../zstd.ts";

const UPDATE = SOURCE.reapi("ContentAddressableStorage.BatchUpdateBlobs");
const READ = SOURCE.reapi("ContentAddressableStorage.BatchReadBlobs");
const { must, should } = rulesThatNeed("cache");
const MIB = 1024 * 1024;

const nameOf = (code: number) => STATUS_NAMES[code] ?? `status ${code}`;

/** Statuses by hash of the answers of BatchUpdateBlobs. */
function updated(reply: Reply): Map<string, string> {
  return new Map(Context.updateAnswers(reply).map(({ hash, code }) => [hash, nameOf(code)]));
}

/** One blob of a batch is refused by its own status (or, alone, by that of the call), and is not stored. */
async function refusedUpload(
  ctx: Context,
  blob: { readonly digest: Digest; readonly data: Uint8Array; readonly compressor?: number },
  what: string,
): Promise<void> {
  const reply = await ctx.batchUpdate([blob]);
  if (reply.code === 0) {
    const [answer] = Context.updateAnswers(reply);
    equal(nameOf(answer?.code ?? 0), "INVALID_ARGUMENT", `${what}: status of the blob`);
  } else status(reply, "INVALID_ARGUMENT", what);
  await ctx.notStored(blob.digest, what);
}

/** Blobs that together have `total` bytes. */
function blobsOf(ctx: Context, total: number): Uint8Array[] {
  const first = Math.floor(total / 2);
  return [ctx.fresh(first), ctx.fresh(total - first)];
}

function batchLimit(ctx: Context): number {
  const { maxBatchBytes } = ctx.caps;
  if (maxBatchBytes <= 0 || maxBatchBytes > 16 * MIB) {
    throw new Skip(`max_batch_total_size_bytes is ${maxBatchBytes}; this checks limits up to 16 MiB`);
  }
  return maxBatchBytes;
}

const UPDATE_RULES: readonly Rule[] = [
  must(
    "BU-01",
    "Several blobs are stored, each with its own status, and can be read back",
    UPDATE,
    async (ctx) => {
      const blobs = [ctx.fresh(1), ctx.fresh(1000), ctx.fresh(100_000)];
      const digests = blobs.map(digestOf);
      const statuses = updated(await ctx.batchUpdate(blobs.map((data, i) => ({ data, digest: digests[i] }))));
      for (const { hash } of digests) equal(statuses.get(hash), "OK", `Status of ${hash}`);
      for (const [i, digest] of digests.entries()) equalBytes(await ctx.get(digest), blobs[i], `Blob ${i}`);
    },
  ),
  must(
    "BU-02",
    "A blob with a wrong hash is refused by its own status; the others are stored",
    UPDATE,
    async (ctx) => {
      const good = ctx.fresh();
      const wrong = ctx.absent(64);
      const statuses = updated(
        await ctx.batchUpdate([{ digest: wrong, data: ctx.fresh(64) }, {
          digest: digestOf(good),
          data: good,
        }]),
      );
      equal(statuses.get(wrong.hash), "INVALID_ARGUMENT", "Status of the blob with the wrong hash");
      equal(statuses.get(digestOf(good).hash), "OK", "Status of the other blob");
      await ctx.notStored(wrong, "its hash is wrong");
      await ctx.stored([digestOf(good)], "its status was OK");
    },
  ),
  must("BU-03", "A blob with a wrong size is refused", UPDATE, async (ctx) => {
    const data = ctx.fresh(100);
    const { hash } = digestOf(data);
    await refusedUpload(ctx, { digest: { hash, size: 99 }, data }, "a size too small");
    await refusedUpload(ctx, { digest: { hash, size: 101 }, data }, "a size too large");
    await ctx.notStored({ hash, size: 100 }, "it came with a wrong size only");
  }),
  must("BU-04", "A blob that comes twice in a batch is stored", UPDATE, async (ctx) => {
    const data = ctx.fresh();
    const reply = await ctx.batchUpdate([{ digest: digestOf(data), data }, { digest: digestOf(data), data }]);
    equal([...new Set(Context.updateAnswers(reply).map(({ code }) => nameOf(code)))], ["OK"], "Statuses");
    await ctx.stored([digestOf(data)], "its status was OK");
  }),
  must("BU-05", "A batch of exactly max_batch_total_size_bytes is taken", UPDATE, async (ctx) => {
    const blobs = blobsOf(ctx, batchLimit(ctx));
    const digests = blobs.map(digestOf);
    const statuses = updated(await ctx.batchUpdate(blobs.map((data, i) => ({ data, digest: digests[i] }))));
    for (const { hash } of digests) equal(statuses.get(hash), "OK", "Status of a blob");
    await ctx.stored(digests, "their status was OK");
  }),
  must(
    "BU-06",
    "A batch above max_batch_total_size_bytes is refused with INVALID_ARGUMENT, or taken in full",
    UPDATE,
    async (ctx) => {
      const blobs = blobsOf(ctx, batchLimit(ctx) + 1);
      const digests = blobs.map(digestOf);
      const reply = await ctx.batchUpdate(blobs.map((data, i) => ({ data, digest: digests[i] })));
      // A message that is too long for gRPC is refused before anybody could count blobs.
      if (reply.code !== 0) {
        return status(reply, ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"], "BatchUpdateBlobs");
      }
      const taken = Context.updateAnswers(reply).filter(({ code }) => code === 0);
      await ctx.stored(taken, "their status was OK");
    },
  ),
  must("BU-07", "A blob that is there already is taken again", UPDATE, async (ctx) => {
    const data = ctx.fresh();
    await ctx.putAll([data]);
    await ctx.putAll([data]);
    equalBytes(await ctx.get(digestOf(data)), data, "The blob");
  }),
  must("BU-08", "The empty blob can be stored", UPDATE, async (ctx) => {
    equal(
      updated(await ctx.batchUpdate([{ digest: EMPTY, data: new Uint8Array() }])).get(EMPTY.hash),
      "OK",
      "Status",
    );
  }),
  must("BU-09", "An empty batch has an empty answer", UPDATE, async (ctx) => {
    equal(Context.updateAnswers(await ctx.batchUpdate([])), [], "responses");
  }),
  must(
    "BU-10",
    "A compressor that is not advertised is refused",
    SOURCE.reapi("BatchUpdateBlobsRequest.Request.compressor"),
    async (ctx) => {
      const data = ctx.fresh();
      const unknown = [99, 1, 2, 3].find((value) => !ctx.caps.batchCompressors.includes(value)) ?? 99;
      await refusedUpload(
        ctx,
        { digest: digestOf(data), data, compressor: unknown },
        `compressor ${unknown}`,
      );
    },
  ),
  must(
    "BU-11",
    "A blob that comes as zstd is stored unpacked",
    SOURCE.reapi("BatchUpdateBlobsRequest.Request.compressor"),
    async (ctx) => {
      const data = utf8(`${ctx.freshText()} `.repeat(500));
      const blob = { digest: digestOf(data), data: await zstd(data), compressor: ZSTD };
      equal(updated(await ctx.batchUpdate([blob])).get(blob.digest.hash), "OK", "Status");
      equalBytes(await ctx.get(blob.digest), data, "The blob, read plainly");
    },
    ["zstd-batch"],
  ),
  must(
    "BU-12",
    "What is no zstd, or unpacks to something else than the digest says, is refused",
    UPDATE,
    async (ctx) => {
      const data = utf8(`${ctx.freshText()} `.repeat(500));
      const packed = await zstd(data);
      const bomb = await zstd(new Uint8Array(8 * MIB));
      const compressor = ZSTD;
      await refusedUpload(
        ctx,
        { digest: digestOf(data), data: packed.slice(0, -7), compressor },
        "a zstd cut short",
      );
      await refusedUpload(
        ctx,
        { digest: digestOf(data), data: ctx.fresh(), compressor },
        "random bytes as zstd",
      );
      await refusedUpload(ctx, { digest: ctx.absent(data.length), data: packed, compressor }, "another hash");
      await refusedUpload(
        ctx,
        { digest: ctx.absent(64), data: bomb, compressor },
        "8 MiB for a blob of 64 bytes",
      );
    },
    ["zstd-batch"],
  ),
];

/** Reads a batch that must not fail as a whole; answers by hash. */
async function readAll(ctx: Context, digests: readonly Digest[], compressors: readonly number[] = []) {
  const answers = Context.readAnswers(await ctx.batchRead(digests, compressors));
  return new Map(answers.map((answer) => [answer.hash, { ...answer, status: nameOf(answer.code) }]));
}

const READ_RULES: readonly Rule[] = [
  must("BR-01", "Several blobs are read, each with status OK and its bytes", READ, async (ctx) => {
    const blobs = [ctx.fresh(1), ctx.fresh(1000), ctx.fresh(100_000)];
    const answers = await readAll(ctx, await ctx.putAll(blobs));
    for (const blob of blobs) {
      const answer = answers.get(digestOf(blob).hash);
      equal([answer?.status, answer?.size], ["OK", blob.length], "Status and size of a blob");
      equalBytes(answer?.data ?? new Uint8Array(), blob, "A blob");
    }
  }),
  must("BR-02", "A missing blob is NOT_FOUND in its own status; the others are read", READ, async (ctx) => {
    const blob = ctx.fresh();
    const absent = ctx.absent();
    const answers = await readAll(ctx, [absent, await ctx.put(blob)]);
    equal(answers.get(absent.hash)?.status, "NOT_FOUND", "Status of the missing blob");
    equalBytes(answers.get(digestOf(blob).hash)?.data ?? new Uint8Array(), blob, "The other blob");
  }),
  must(
    "BR-03",
    "The empty blob can be read, though nobody stored it",
    SOURCE.reapi("ContentAddressableStorage (empty blobs are always available)"),
    async (ctx) =>
      equal((await readAll(ctx, [EMPTY])).get(EMPTY.hash)?.status, "OK", "Status of the empty blob"),
  ),
  must("BR-04", "A digest may be asked for twice", READ, async (ctx) => {
    const blob = ctx.fresh();
    const digest = await ctx.put(blob);
    const answers = Context.readAnswers(await ctx.batchRead([digest, digest]));
    check(answers.length > 0, "There is no answer");
    for (const { data } of answers) equalBytes(data, blob, "The blob");
  }),
  must("BR-05", "Exactly max_batch_total_size_bytes can be read", READ, async (ctx) => {
    const blobs = blobsOf(ctx, batchLimit(ctx));
    const answers = await readAll(ctx, await ctx.putAll(blobs));
    for (const blob of blobs) {
      equalBytes(answers.get(digestOf(blob).hash)?.data ?? new Uint8Array(), blob, "A blob");
    }
  }),
  must(
    "BR-06",
    "More than max_batch_total_size_bytes is INVALID_ARGUMENT, or read in full",
    READ,
    async (ctx) => {
      const half = Math.ceil(batchLimit(ctx) / 2) + 1;
      const digests = [await ctx.put(ctx.fresh(half)), await ctx.put(ctx.fresh(half))];
      const reply = await ctx.batchRead(digests);
      if (reply.code !== 0) {
        return status(
          reply,
          ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"],
          "BatchReadBlobs",
        );
      }
      for (const answer of Context.readAnswers(reply)) {
        if (answer.code === 0) equal(answer.data.length, half, "Length of a blob with status OK");
      }
    },
  ),
  must(
    "BR-07",
    "The hash of a stored blob with another size gives no bytes",
    SOURCE.reapi("Digest (size_bytes is part of it)"),
    async (ctx) => {
      const { hash, size } = await ctx.put(ctx.fresh());
      const reply = await ctx.batchRead([{ hash, size: size - 1 }]);
      if (reply.code !== 0) return status(reply, ["INVALID_ARGUMENT", "NOT_FOUND"], "BatchReadBlobs");
      const [answer] = Context.readAnswers(reply);
      check(
        ["NOT_FOUND", "INVALID_ARGUMENT"].includes(nameOf(answer.code)),
        `Its status is ${nameOf(answer.code)}`,
      );
    },
  ),
  must(
    "BR-08",
    "Without acceptable_compressors nothing comes compressed",
    SOURCE.reapi("BatchReadBlobsRequest.acceptable_compressors"),
    async (ctx) => {
      const blob = utf8(`${ctx.freshText()} `.repeat(1000));
      const digest = await ctx.put(blob);
      const answer = (await readAll(ctx, [digest])).get(digest.hash);
      equal(answer?.compressor, 0, "compressor");
      equalBytes(answer?.data ?? new Uint8Array(), blob, "The blob");
    },
  ),
  must(
    "BR-09",
    "With acceptable_compressors ZSTD a blob comes plain or as zstd, and says which",
    SOURCE.reapi("BatchReadBlobsResponse.Response.compressor"),
    async (ctx) => {
      const blobs = [utf8(`${ctx.freshText()} `.repeat(1000)), ctx.fresh(10), ctx.fresh(100_000)];
      const answers = await readAll(ctx, [...await ctx.putAll(blobs), EMPTY], [ZSTD]);
      for (const blob of [...blobs, new Uint8Array()]) {
        const answer = answers.get(digestOf(blob).hash);
        equal(answer?.status, "OK", "Status");
        check(answer?.compressor === 0 || answer?.compressor === ZSTD, `compressor is ${answer?.compressor}`);
        const data = answer?.data ?? new Uint8Array();
        equalBytes(answer?.compressor === ZSTD ? await unzstd(data) : data, blob, "The blob");
      }
    },
  ),
  should(
    "BR-10",
    "A blob that packs well comes as zstd when that is acceptable and advertised",
    SOURCE.reapi("BatchReadBlobsRequest.acceptable_compressors"),
    async (ctx) => {
      const digest = await ctx.put(utf8(`${ctx.freshText()} `.repeat(3000)));
      equal((await readAll(ctx, [digest], [ZSTD])).get(digest.hash)?.compressor, ZSTD, "compressor");
    },
    ["zstd"],
  ),
  must(
    "BR-11",
    "What is no digest is a client's mistake, told by its own status or that of the call",
    READ,
    async (ctx) => {
      const reply = await ctx.batchRead([{ hash: "xyz", size: 3 }]);
      const allowed = ["INVALID_ARGUMENT", "NOT_FOUND"] as const;
      if (reply.code !== 0) return status(reply, allowed, "BatchReadBlobs");
      const [answer] = Context.readAnswers(reply);
      check(
        allowed.some((name) => name === nameOf(answer?.code ?? 0)),
        `Its status is ${nameOf(answer?.code ?? 0)}`,
      );
    },
  ),
  must("BR-12", "An empty batch has an empty answer", READ, async (ctx) => {
    equal(Context.readAnswers(await ctx.batchRead([])), [], "responses");
  }),
  must(
    "BR-13",
    "Unknown compressors among the acceptable ones are passed over",
    "Protocol Buffers, proto3 enums are open",
    async (ctx) => {
      const blob = ctx.fresh();
      const fields = { 1: ctx.instance, 2: [digestMsg(await ctx.put(blob))], 3: [99, 0] };
      const [answer] = Context.readAnswers(await ctx.call(METHOD.batchRead, fields));
      equal(nameOf(answer.code), "OK", "Status");
      equalBytes(answer.data, blob, "The blob");
    },
  ),
];

/** Rules of BatchUpdateBlobs and BatchReadBlobs. */
export const BATCH_RULES: readonly Rule[] = [...UPDATE_RULES, ...READ_RULES];
