/**
 * Rules of the action cache.
 *
 * @module
 */

import { type Context, type Digest, digestMsg, digestOf, EMPTY, METHOD, utf8 } from "../context.ts";
import { Fields, type FieldValue, msg } from "../protobuf.ts";
import {
  check,
  CLIENT_FAULTS,
  equal,
  equalBytes,
  one,
  type Rule,
  rulesThatNeed,
  SOURCE,
  status,
} from "../rule.ts";
import type { Reply } from "../wire.ts";

const { must, should } = rulesThatNeed("cache");
const GET = SOURCE.reapi("ActionCache.GetActionResult");
const UPDATE = SOURCE.reapi("ActionCache.UpdateActionResult");
const INLINE = SOURCE.reapi("ActionResult.stdout_raw, OutputFile.contents");

/** Stores an Action nobody ran, with its Command. */
async function newAction(ctx: Context): Promise<Digest> {
  const command = msg({ 1: ["/bin/true", ctx.freshText()] });
  const action = msg({ 1: digestMsg(digestOf(command)), 2: digestMsg(EMPTY) });
  return (await ctx.putAll([command, action]))[1];
}

function getResult(
  ctx: Context,
  action: Digest,
  more: Readonly<Record<number, FieldValue>> = {},
): Promise<Reply> {
  return ctx.call(METHOD.getResult, { 1: ctx.instance, 2: digestMsg(action), ...more });
}

function update(ctx: Context, action: Digest, result: Uint8Array): Promise<Reply> {
  return ctx.call(METHOD.updateResult, { 1: ctx.instance, 2: digestMsg(action), 3: result });
}

function outputFile(path: string, digest: Digest): Uint8Array {
  return msg({ 1: path, 2: digestMsg(digest) });
}

/** A result that a client brings is refused, or not given out. */
async function notGivenOut(ctx: Context, result: Uint8Array, what: string): Promise<void> {
  const action = await newAction(ctx);
  const taken = await update(ctx, action, result);
  if (taken.code !== 0) return status(taken, ["FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND"], what);
  status(await getResult(ctx, action), "NOT_FOUND", what);
}

const GET_RULES: readonly Rule[] = [
  must("AC-01", "An action that nobody ran is NOT_FOUND", GET, async (ctx) => {
    status(await getResult(ctx, ctx.absent(100)), "NOT_FOUND", "An unknown action");
    status(await getResult(ctx, await newAction(ctx)), "NOT_FOUND", "A stored Action without a result");
  }),
  must("AC-02", "What is no digest is a client's mistake", SOURCE.reapi("Digest"), async (ctx) => {
    status(await getResult(ctx, { hash: "abc", size: 3 }), CLIENT_FAULTS, "A hash of three digits");
    status(await ctx.call(METHOD.getResult, { 1: ctx.instance }), CLIENT_FAULTS, "No action_digest");
  }),
];

const UPDATE_RULES: readonly Rule[] = [
  must("AC-03", "A result that a client brings is given out again", UPDATE, async (ctx) => {
    const [file, stdout] = await ctx.putAll([ctx.fresh(), ctx.fresh()]);
    const action = await newAction(ctx);
    const result = msg({
      2: [outputFile("out/a", file)],
      4: 7,
      6: digestMsg(stdout),
      9: msg({ 1: `worker-${ctx.nonce}` }),
    });
    status(await update(ctx, action, result), "OK", "UpdateActionResult");
    const got = Fields.parse(one(await getResult(ctx, action), "GetActionResult"));
    equal(got.int(4), 7, "exit_code");
    const [out] = got.messages(2);
    equal([out?.str(1), out?.message(2)?.str(1)], ["out/a", file.hash], "The output file");
    equal(got.message(6)?.str(1), stdout.hash, "Hash of stdout_digest");
  }, ["update"]),
  must(
    "AC-04",
    "UpdateActionResult answers the result that was stored, or an equivalent one",
    UPDATE,
    async (ctx) => {
      const [file] = await ctx.putAll([ctx.fresh()]);
      const reply = await update(ctx, await newAction(ctx), msg({ 2: [outputFile("a", file)], 4: 5 }));
      const answer = Fields.parse(one(reply, "UpdateActionResult"));
      equal([answer.int(4), answer.messages(2)[0]?.str(1)], [5, "a"], "exit_code and output file");
    },
    ["update"],
  ),
  should(
    "AC-05",
    "A result takes the place of the one before",
    SOURCE.reapi("ExecuteRequest.skip_cache_lookup"),
    async (ctx) => {
      const action = await newAction(ctx);
      for (const code of [1, 2]) {
        status(
          await update(ctx, action, msg({ 4: code })),
          "OK",
          "UpdateActionResult",
        );
      }
      equal(Fields.parse(one(await getResult(ctx, action), "GetActionResult")).int(4), 2, "exit_code");
    },
    ["update"],
  ),
  should("AC-06", "A result whose file is not stored is not given out", GET, async (ctx) => {
    await notGivenOut(ctx, msg({ 2: [outputFile("a", ctx.absent())] }), "A missing output file");
  }, ["update"]),
  should("AC-07", "A result whose stdout or stderr is not stored is not given out", GET, async (ctx) => {
    await notGivenOut(ctx, msg({ 6: digestMsg(ctx.absent()) }), "A missing stdout");
    await notGivenOut(ctx, msg({ 8: digestMsg(ctx.absent()) }), "A missing stderr");
  }, ["update"]),
  should("AC-08", "A result whose Tree is not stored is not given out", GET, async (ctx) => {
    const result = msg({ 3: [msg({ 1: "d", 3: digestMsg(ctx.absent()) })] });
    await notGivenOut(ctx, result, "A missing Tree");
  }, ["update"]),
  should("AC-09", "A result with a Tree of which a file is not stored is not given out", GET, async (ctx) => {
    const file = (digest: Digest) => msg({ 1: "f", 2: digestMsg(digest) });
    const child = msg({ 1: [file(ctx.absent())] });
    const root = msg({ 2: [msg({ 1: "c", 2: digestMsg(digestOf(child)) })] });
    const inRoot = await ctx.put(msg({ 1: msg({ 1: [file(ctx.absent())] }) }));
    const inChild = await ctx.put(msg({ 1: root, 2: [child] }));
    for (const tree of [inRoot, inChild]) {
      await notGivenOut(
        ctx,
        msg({ 3: [msg({ 1: "d", 3: digestMsg(tree) })] }),
        "A missing file inside a Tree",
      );
    }
  }, ["update"]),
  should("AC-10", "Nothing is inlined that was not asked for", INLINE, async (ctx) => {
    const [file, stdout] = await ctx.putAll([ctx.fresh(), ctx.fresh()]);
    const action = await newAction(ctx);
    const result = msg({ 2: [outputFile("a", file)], 6: digestMsg(stdout), 8: digestMsg(stdout) });
    status(await update(ctx, action, result), "OK", "UpdateActionResult");
    const got = Fields.parse(one(await getResult(ctx, action), "GetActionResult"));
    const lengths = [got.bytesOf(5), got.bytesOf(7), got.messages(2)[0].bytesOf(5)].map(({ length }) =>
      length
    );
    equal(lengths, [0, 0, 0], "Bytes of stdout_raw, stderr_raw and contents");
  }, ["update"]),
  must("AC-11", "What is inlined on request is what the digest names", INLINE, async (ctx) => {
    const blobs = [utf8("out"), utf8("err"), ctx.fresh(50), ctx.fresh(50)];
    const [stdout, stderr, asked, other] = await ctx.putAll(blobs);
    const action = await newAction(ctx);
    const files = [outputFile("d/asked", asked), outputFile("d/other", other)];
    const result = msg({ 2: files, 6: digestMsg(stdout), 8: digestMsg(stderr) });
    status(await update(ctx, action, result), "OK", "UpdateActionResult");
    const reply = await getResult(ctx, action, { 3: true, 4: true, 5: ["d/asked"] });
    const got = Fields.parse(one(reply, "GetActionResult"));
    const found = new Map(got.messages(2).map((file) => [file.str(1), file.bytesOf(5)]));
    const inlined = [got.bytesOf(5), got.bytesOf(7), found.get("d/asked") ?? new Uint8Array()];
    for (const [i, bytes] of inlined.entries()) {
      if (bytes.length > 0) equalBytes(bytes, blobs[i], "Inlined bytes");
    }
    equal(found.get("d/other")?.length, 0, "Bytes of a file that was not asked for");
  }, ["update"]),
  should("AC-12", "Small stdout, stderr and files are inlined on request", INLINE, async (ctx) => {
    const [stdout, stderr, file] = await ctx.putAll([utf8("out"), utf8("err"), ctx.fresh(50)]);
    const action = await newAction(ctx);
    const result = msg({ 2: [outputFile("a", file)], 6: digestMsg(stdout), 8: digestMsg(stderr) });
    status(await update(ctx, action, result), "OK", "UpdateActionResult");
    const reply = await getResult(ctx, action, { 3: true, 4: true, 5: ["a"] });
    const got = Fields.parse(one(reply, "GetActionResult"));
    const lengths = [got.bytesOf(5), got.bytesOf(7), got.messages(2)[0].bytesOf(5)].map(({ length }) =>
      length
    );
    equal(lengths, [3, 3, 50], "Bytes of stdout_raw, stderr_raw and contents");
  }, ["update"]),
  must("AC-13", "A result too large to be inlined is still given out", INLINE, async (ctx) => {
    const large = await ctx.put(ctx.fresh(5_000_000));
    const action = await newAction(ctx);
    status(
      await update(ctx, action, msg({ 2: [outputFile("a", large)], 6: digestMsg(large) })),
      "OK",
      "Update",
    );
    const reply = await getResult(ctx, action, { 3: true, 5: ["a"] });
    const bytes = one(reply, "GetActionResult with inlining of 10 MB");
    check(bytes.length <= 4 * 1024 * 1024, `The answer has ${bytes.length} bytes`);
    equal(Fields.parse(bytes).message(6)?.str(1), large.hash, "Hash of stdout_digest");
  }, ["update"]),
  should(
    "AC-14",
    "Who ran an action, and when, is kept",
    SOURCE.reapi("ActionResult.execution_metadata"),
    async (ctx) => {
      const action = await newAction(ctx);
      const metadata = msg({ 1: `worker-${ctx.nonce}`, 2: msg({ 1: 1_600_000_000 }) });
      status(await update(ctx, action, msg({ 9: metadata })), "OK", "UpdateActionResult");
      const kept = Fields.parse(one(await getResult(ctx, action), "GetActionResult")).message(9);
      equal(
        [kept?.str(1), kept?.message(2)?.int(1)],
        [`worker-${ctx.nonce}`, 1_600_000_000],
        "Worker and time",
      );
    },
    ["update"],
  ),
  must(
    "AC-15",
    "An update without a digest, or with a malformed one, is a client's mistake",
    UPDATE,
    async (ctx) => {
      status(
        await update(ctx, { hash: "abc", size: 3 }, msg({ 4: 1 })),
        CLIENT_FAULTS,
        "A hash of three digits",
      );
      status(
        await ctx.call(METHOD.updateResult, { 1: ctx.instance, 3: msg({ 4: 1 }) }),
        CLIENT_FAULTS,
        "No digest",
      );
    },
    ["update"],
  ),
  must("AC-16", "The same hash with another size is another action", SOURCE.reapi("Digest"), async (ctx) => {
    const action = await newAction(ctx);
    status(await update(ctx, action, msg({ 4: 3 })), "OK", "UpdateActionResult");
    const reply = await getResult(ctx, { hash: action.hash, size: action.size + 1 });
    status(reply, ["NOT_FOUND", "INVALID_ARGUMENT"], "GetActionResult with another size");
  }, ["update"]),
];

/** Rules of the action cache. */
export const ACTION_CACHE_RULES: readonly Rule[] = [...GET_RULES, ...UPDATE_RULES];
