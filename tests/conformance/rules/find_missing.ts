/**
 * Rules of FindMissingBlobs.
 *
 * @module
 */

import { type Context, type Digest, digestMsg, digestOf, EMPTY, METHOD } from "../context.ts";
import { Fields, msg } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, one, type Rule, SOURCE, status } from "../rule.ts";

/** The digest is listed as missing, or the request is refused; it is not passed off as present. */
async function notPresent(ctx: Context, digest: Digest, what: string): Promise<void> {
  const reply = await ctx.findMissing([digest]);
  if (reply.code !== 0) return status(reply, CLIENT_FAULTS, what);
  const listed = Fields.parse(one(reply, what)).messages(2).length;
  check(listed === 1, `${what}: it was passed off as present`);
}

const SOURCE_FMB = SOURCE.reapi("ContentAddressableStorage.FindMissingBlobs");
const SOURCE_DIGEST = SOURCE.reapi("Digest");

/** Digests that nothing can have. */
const MALFORMED: readonly (readonly [string, Digest])[] = [
  ["an empty hash", { hash: "", size: 1 }],
  ["a hash of 63 digits", { hash: "a".repeat(63), size: 1 }],
  ["a hash of 65 digits", { hash: "a".repeat(65), size: 1 }],
  ["a hash that is no hexadecimal", { hash: "g".repeat(64), size: 1 }],
  ["a path for a hash", { hash: "../".repeat(21) + "x", size: 1 }],
];

/** Rules of FindMissingBlobs. */
export const FIND_MISSING_RULES: readonly Rule[] = [
  {
    id: "FMB-01",
    title: "A blob that nobody stored is missing, and is named as it was asked for",
    source: SOURCE_FMB,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const absent = ctx.absent(12_345);
      equal(await ctx.missing([absent]), [absent], "missing_blob_digests");
    },
  },
  {
    id: "FMB-02",
    title: "A stored blob is not missing",
    source: SOURCE_FMB,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => equal(await ctx.missing([await ctx.put(ctx.fresh())]), [], "missing_blob_digests"),
  },
  {
    id: "FMB-03",
    title: "The empty blob is never missing",
    source: SOURCE.reapi("ContentAddressableStorage (empty blobs are always available)"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => equal(await ctx.missing([EMPTY]), [], "missing_blob_digests"),
  },
  {
    id: "FMB-04",
    title: "Of many digests exactly those that are missing are named",
    source: SOURCE_FMB,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const stored = await ctx.putAll(Array.from({ length: 20 }, () => ctx.fresh(100)));
      const absent = stored.map(() => ctx.absent());
      const found = await ctx.missing(stored.flatMap((digest, i) => [digest, absent[i]]));
      const sorted = (digests: readonly Digest[]) => digests.map(({ hash }) => hash).sort();
      equal(sorted(found), sorted(absent), "missing_blob_digests");
    },
  },
  {
    id: "FMB-05",
    title: "An empty question has an empty answer",
    source: SOURCE_FMB,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => equal(await ctx.missing([]), [], "missing_blob_digests"),
  },
  {
    id: "FMB-06",
    title: "A digest may be asked for twice in one request",
    source: SOURCE_FMB,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const [stored, absent] = [await ctx.put(ctx.fresh()), ctx.absent()];
      const found = await ctx.missing([absent, stored, absent, stored]);
      equal([...new Set(found.map(({ hash }) => hash))], [absent.hash], "missing_blob_digests");
    },
  },
  {
    id: "FMB-07",
    title: "The hash of a stored blob with another size does not name it",
    source: SOURCE_DIGEST,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      const { hash, size } = await ctx.put(ctx.fresh());
      await notPresent(ctx, { hash, size: size + 1 }, "The right hash with a size too large");
      await notPresent(ctx, { hash, size: 0 }, "The right hash with size 0");
    },
  },
  {
    id: "FMB-08",
    title: "What is no digest is refused or missing, never present",
    source: SOURCE_DIGEST,
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      for (const [what, digest] of MALFORMED) await notPresent(ctx, digest, what);
      await notPresent(ctx, { hash: ctx.absent().hash, size: -1 }, "a negative size");
      const { hash, size } = await ctx.put(ctx.fresh());
      await notPresent(ctx, { hash: hash.replace(/[a-f]/, (c) => c.toUpperCase()), size }, "upper case");
    },
  },
  {
    id: "FMB-09",
    title: "What is no digest is refused with INVALID_ARGUMENT",
    source: SOURCE.rpcCode("INVALID_ARGUMENT"),
    level: "should",
    needs: ["cache"],
    run: async (ctx) => {
      for (const [what, digest] of MALFORMED) {
        status(await ctx.findMissing([digest]), "INVALID_ARGUMENT", what);
      }
      status(await ctx.findMissing([{ ...ctx.absent(), size: -1 }]), "INVALID_ARGUMENT", "a negative size");
    },
  },
  {
    id: "FMB-10",
    title: "Ten thousand digests can be asked for at once",
    source: "Clients such as Bazel ask for all digests of an action in one request of up to 4 MiB",
    level: "should",
    needs: ["cache"],
    run: async (ctx) => {
      const stored = await ctx.put(ctx.fresh());
      const asked = Array.from({ length: 10_000 }, () => ctx.absent());
      const found = await ctx.missing([...asked, stored]);
      check(found.length === asked.length, `${found.length} of ${asked.length} missing blobs are named`);
    },
  },
  {
    id: "FMB-11",
    title: "A blob is found as soon as the answer to its upload has come",
    source: SOURCE.reapi("ContentAddressableStorage (lifetime of newly-added entries)"),
    level: "must",
    needs: ["cache"],
    run: async (ctx) => {
      for (let round = 0; round < 5; round++) {
        const data = ctx.fresh(1000 + round);
        status(await ctx.write(ctx.uploadName(digestOf(data)), data), "OK", "Write");
        const question = msg({ 1: ctx.instance, 2: [digestMsg(digestOf(data))] });
        const answer = one(await ctx.another().unary(METHOD.missing, question), "FindMissingBlobs");
        equal(Fields.parse(answer).messages(2).length, 0, "missing_blob_digests on another connection");
      }
    },
  },
];
