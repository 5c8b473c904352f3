/**
 * Rules of digest functions and instance names.
 *
 * @module
 */

import { blake3 } from "hash-wasm";
import { createHash } from "node:crypto";
import { Context, digestMsg, digestOf, METHOD } from "../context.ts";
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

/** A digest function. */
interface Hashing {
  readonly value: number;
  readonly name: string;
  /** Digits of a hash. */
  readonly digits: number;
  /** What stands before a hash in names of blobs. */
  readonly prefix: string;
  /** The hash of a small blob; undefined where this client cannot compute it. */
  readonly hash?: (bytes: Uint8Array) => string | Promise<string>;
}

function ofNode(value: number, name: string, digits: number): Hashing {
  return {
    value,
    name,
    digits,
    prefix: "blobs",
    hash: (bytes) => createHash(name).update(bytes).digest("hex"),
  };
}

/** Every function that there is. */
const FUNCTIONS: readonly Hashing[] = [
  ofNode(1, "sha256", 64),
  ofNode(2, "sha1", 40),
  ofNode(3, "md5", 32),
  { value: 4, name: "vso", digits: 66, prefix: "blobs" },
  ofNode(5, "sha384", 96),
  ofNode(6, "sha512", 128),
  { value: 7, name: "murmur3", digits: 32, prefix: "blobs" },
  // Up to 1 KiB it is SHA-256.
  { ...ofNode(8, "sha256", 64), name: "sha256tree", prefix: "blobs/sha256tree" },
  { value: 9, name: "blake3", digits: 64, prefix: "blobs/blake3", hash: (bytes) => blake3(bytes) },
  { value: 10, name: "gitsha1", digits: 40, prefix: "blobs/gitsha1" },
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
      for (const { value, name, digits } of [...FUNCTIONS, { value: 99, name: "none", digits: 64 }]) {
        if (ctx.caps.digestFunctions.includes(value)) continue;
        const reply = await ctx.findMissing([{ hash: "ab".repeat(digits / 2), size: 5 }], value);
        status(reply, "INVALID_ARGUMENT", `digest_function ${value} (${name})`);
      }
    },
  ),
  must(
    "DIGEST-05",
    "A hash whose length does not fit the function that is named is refused",
    FUNCTION,
    async (ctx) => {
      for (const { value, name, digits } of FUNCTIONS) {
        if (!ctx.caps.digestFunctions.includes(value)) continue;
        for (const wrong of [digits - 2, digits + 2, digits === 40 ? 64 : 40]) {
          const reply = await ctx.findMissing([{ hash: "ab".repeat(wrong / 2), size: 5 }], value);
          refused(reply, `${wrong} hex digits with digest_function ${name}`);
        }
      }
    },
  ),
  must(
    "DIGEST-06",
    "Blobs are stored and read by every function that is advertised",
    FUNCTION,
    async (ctx) => {
      for (const { value, name, prefix, hash } of FUNCTIONS) {
        if (hash === undefined || !ctx.caps.digestFunctions.includes(value)) continue;
        const [a, b] = [ctx.fresh(1000), ctx.fresh(900)];
        const [first, second] = [{ hash: await hash(a), size: 1000 }, { hash: await hash(b), size: 900 }];
        const reply = await ctx.batchUpdate([{ digest: first, data: a }], value);
        equal(Context.updateAnswers(reply)[0]?.code, 0, `Status of BatchUpdateBlobs by ${name}`);
        equalBytes(await ctx.readBytes(ctx.readName(first, prefix)), a, `ByteStream.Read by ${name}`);
        status(await ctx.write(ctx.uploadName(second, { prefix }), b), "OK", `ByteStream.Write by ${name}`);
        const [answer] = Context.readAnswers(await ctx.batchRead([second], [], value));
        equalBytes(answer.data, b, `BatchReadBlobs by ${name}`);
        const absent = { hash: await hash(ctx.fresh(1000)), size: 1000 };
        const lie = await ctx.batchUpdate([{ digest: absent, data: ctx.fresh(1000) }], value);
        equal(Context.updateAnswers(lie)[0]?.code === 0, false, `Other data taken by ${name}`);
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
