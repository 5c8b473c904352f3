/**
 * Rules of digest functions and instance names.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { Context, type Digest, digestMsg, digestOf, METHOD } from "../context.ts";
import {
  check,
  CLIENT_FAULTS,
  equal,
  equalBytes,
  refused,
  type Rule,
  rulesThatNeed,
  Skip,
  SOURCE,
  status,
} from "../rule.ts";

const { must, should } = rulesThatNeed("cache");
const FUNCTION = SOURCE.reapi("FindMissingBlobsRequest.digest_function");
const INSTANCE = SOURCE.reapi("ContentAddressableStorage (instance_name)");
const SHA256 = 1;

/** Functions that this client can compute, with their numbers. */
const FUNCTIONS: readonly (readonly [number, string])[] = [
  [1, "sha256"],
  [2, "sha1"],
  [3, "md5"],
  [5, "sha384"],
  [6, "sha512"],
];

const KEYWORDS = [
  "blobs",
  "uploads",
  "actions",
  "actionResults",
  "operations",
  "capabilities",
  "compressed-blobs",
];

function digestBy(algorithm: string, bytes: Uint8Array): Digest {
  return { hash: createHash(algorithm).update(bytes).digest("hex"), size: bytes.length };
}

const FUNCTION_RULES: readonly Rule[] = [
  must("DIGEST-01", "A digest function may be named in every request", FUNCTION, async (ctx) => {
    if (!ctx.caps.digestFunctions.includes(SHA256)) throw new Skip("SHA256 is not advertised");
    const blob = ctx.fresh();
    const reply = await ctx.batchUpdate([{ digest: digestOf(blob), data: blob }], SHA256);
    equal(Context.updateAnswers(reply)[0]?.code, 0, "Status of BatchUpdateBlobs");
    status(await ctx.findMissing([digestOf(blob)], SHA256), "OK", "FindMissingBlobs");
    const [answer] = Context.readAnswers(await ctx.batchRead([digestOf(blob)], [], SHA256));
    equalBytes(answer.data, blob, "BatchReadBlobs");
  }),
  must(
    "DIGEST-02",
    "Without one it is told from the length of the hash; the blob is the same",
    FUNCTION,
    async (ctx) => {
      if (!ctx.caps.digestFunctions.includes(SHA256)) throw new Skip("SHA256 is not advertised");
      const [a, b] = [ctx.fresh(), ctx.fresh()];
      await ctx.batchUpdate([{ digest: digestOf(a), data: a }], SHA256);
      await ctx.batchUpdate([{ digest: digestOf(b), data: b }], 0);
      await ctx.stored([digestOf(a), digestOf(b)], "one was stored with the function named, one without");
      status(await ctx.findMissing([digestOf(a), digestOf(b)], SHA256), "OK", "FindMissingBlobs");
    },
  ),
  must("DIGEST-03", "A digest function that does not exist is refused", FUNCTION, async (ctx) => {
    status(await ctx.findMissing([ctx.absent()], 99), CLIENT_FAULTS, "digest_function 99");
  }),
  should(
    "DIGEST-04",
    "A digest function that is not advertised is INVALID_ARGUMENT",
    FUNCTION,
    async (ctx) => {
      for (const [value, algorithm] of [...FUNCTIONS, [99, "sha256"] as const]) {
        if (ctx.caps.digestFunctions.includes(value)) continue;
        const reply = await ctx.findMissing([digestBy(algorithm, ctx.fresh())], value);
        status(reply, "INVALID_ARGUMENT", `digest_function ${value}`);
      }
    },
  ),
  must(
    "DIGEST-05",
    "A hash whose length does not fit the function that is named is refused",
    FUNCTION,
    async (ctx) => {
      const reply = await ctx.findMissing([digestBy("sha1", ctx.fresh())], SHA256);
      refused(reply, "40 hex digits with digest_function SHA256");
    },
  ),
  must(
    "DIGEST-06",
    "Blobs are stored and read by every function that is advertised",
    FUNCTION,
    async (ctx) => {
      for (const [value, algorithm] of FUNCTIONS) {
        if (!ctx.caps.digestFunctions.includes(value)) continue;
        const blob = ctx.fresh(1000);
        const digest = digestBy(algorithm, blob);
        const reply = await ctx.batchUpdate([{ digest, data: blob }], value);
        equal(Context.updateAnswers(reply)[0]?.code, 0, `Status of BatchUpdateBlobs by ${algorithm}`);
        equalBytes(await ctx.get(digest), blob, `ByteStream.Read by ${algorithm}`);
      }
    },
  ),
  must(
    "DIGEST-07",
    "Functions whose hashes have one length are kept apart",
    SOURCE.reapi("DigestFunction"),
    async (ctx) => {
      const others = [8, 9].filter((value) => ctx.caps.digestFunctions.includes(value));
      if (others.length === 0) throw new Skip("no other function with hashes of 64 digits is advertised");
      const digest = await ctx.put(ctx.fresh(2000));
      for (const value of others) {
        const reply = await ctx.findMissing([digest], value);
        status(reply, "OK", `FindMissingBlobs by function ${value}`);
        check(
          reply.messages[0].length > 0,
          `A blob stored by SHA256 is passed off as stored by function ${value}`,
        );
      }
    },
  ),
];

/** Whether the server takes another instance name at all. */
async function usable(ctx: Context, instance: string): Promise<void> {
  const reply = await ctx.call(METHOD.capabilities, { 1: instance });
  if (reply.code !== 0) throw new Skip(`the server has no instance ${JSON.stringify(instance)}`);
}

const INSTANCE_RULES: readonly Rule[] = [
  must(
    "INST-01",
    "An instance name may have slashes, in messages and in resource names",
    INSTANCE,
    async (ctx) => {
      const instance = `${ctx.instance === "" ? "" : `${ctx.instance}/`}team/project-1`;
      await usable(ctx, instance);
      const blob = ctx.fresh(1000);
      const digest = digestOf(blob);
      status(await ctx.write(ctx.uploadName(digest, { instance }), blob), "OK", "Write");
      const reply = await ctx.call(METHOD.missing, { 1: instance, 2: [digestMsg(digest)] });
      status(reply, "OK", "FindMissingBlobs");
      equal(reply.messages[0].length, 0, "Bytes of FindMissingBlobsResponse");
      equalBytes(await ctx.readBytes(ctx.readName(digest, "blobs", instance)), blob, "The blob");
    },
  ),
  must("INST-02", "The instance name may be empty, and its slash is then left out", INSTANCE, async (ctx) => {
    await usable(ctx, "");
    const blob = ctx.fresh(1000);
    const digest = digestOf(blob);
    status(await ctx.write(ctx.uploadName(digest, { instance: "" }), blob), "OK", "Write");
    equalBytes(await ctx.readBytes(ctx.readName(digest, "blobs", "")), blob, "The blob");
  }),
  should(
    "INST-03",
    "A segment of an instance name is none of the keywords of resource names",
    INSTANCE,
    async (ctx) => {
      for (const keyword of KEYWORDS) {
        const reply = await ctx.call(METHOD.missing, { 1: `a/${keyword}` });
        status(reply, CLIENT_FAULTS, `instance_name a/${keyword}`);
      }
    },
  ),
  must(
    "INST-04",
    "An instance name that leads out of its place harms nothing",
    SOURCE.rpcCode("INVALID_ARGUMENT"),
    async (ctx) => {
      for (const instance of ["../../etc", "a//b", "/a", "a/", "a\u0000b", "x".repeat(100_000)]) {
        const reply = await ctx.call(METHOD.missing, { 1: instance, 2: [digestMsg(ctx.absent())] });
        if (reply.code !== 0) {
          status(
            reply,
            CLIENT_FAULTS,
            `instance_name ${JSON.stringify(instance.slice(0, 20))}`,
          );
        }
      }
    },
  ),
];

/** Rules of digest functions and instance names. */
export const DIGEST_RULES: readonly Rule[] = [...FUNCTION_RULES, ...INSTANCE_RULES];
