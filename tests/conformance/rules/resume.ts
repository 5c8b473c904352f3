/**
 * Rules of uploads that are resumed, and of QueryWriteStatus.
 *
 * @module
 */

import { type Context, digestOf, METHOD } from "../context.ts";
import { Fields } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, equalBytes, one, type Rule } from "../rule.ts";
import { rulesThatNeed, SOURCE, status } from "../rule.ts";
import type { Reply } from "../wire.ts";
import { committed, part, refusedWrite } from "./_writes.ts";

const { must, should } = rulesThatNeed("cache");
const WRITE = SOURCE.bytestream("ByteStream.Write");
const OFFSET = SOURCE.bytestream("WriteRequest.write_offset");
const STATUS = SOURCE.bytestream("ByteStream.QueryWriteStatus");
const UPLOADS = SOURCE.reapi("ContentAddressableStorage (uploads)");

/** Goes on with an upload as the specification says: ask how far it came, write from there. */
async function resume(ctx: Context, name: string, data: Uint8Array): Promise<{ from: number; reply: Reply }> {
  const asked = await ctx.writeStatus(name);
  status(asked, ["OK", "NOT_FOUND"], "QueryWriteStatus");
  const from = asked.code === 0 ? Fields.parse(asked.messages[0]).int(1) : 0;
  check(from >= 0 && from <= data.length, `committed_size is ${from} for ${data.length} bytes`);
  const reply = await ctx.writeMessages([part(name, from, data.subarray(from), true)]);
  return { from, reply };
}

const RESUME_RULES: readonly Rule[] = [
  must(
    "RESUME-01",
    "An upload whose stream ended early is completed from committed_size on",
    WRITE,
    async (ctx) => {
      const blob = ctx.fresh(400_000);
      const name = ctx.uploadName(digestOf(blob));
      await ctx.writeMessages([part(name, 0, blob.subarray(0, 200_000))]);
      const { reply } = await resume(ctx, name, blob);
      equal(committed(reply, "The resumed write"), blob.length, "committed_size");
      equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    },
  ),
  must(
    "RESUME-02",
    "An upload whose stream was reset is completed from committed_size on",
    WRITE,
    async (ctx) => {
      const blob = ctx.fresh(400_000);
      const name = ctx.uploadName(digestOf(blob));
      const call = ctx.open(METHOD.write, {}, ctx.another());
      await call.send(part(name, 0, blob.subarray(0, 200_000)));
      call.cancel();
      await call.reply;
      const { reply } = await resume(ctx, name, blob);
      equal(committed(reply, "The resumed write"), blob.length, "committed_size");
      equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    },
  ),
  should("RESUME-03", "Bytes of a stream that ended in order need not be sent again", WRITE, async (ctx) => {
    const blob = ctx.fresh(400_000);
    const name = ctx.uploadName(digestOf(blob));
    await ctx.writeMessages([part(name, 0, blob.subarray(0, 200_000))]);
    const { from } = await resume(ctx, name, blob);
    equal(from, 200_000, "committed_size after 200,000 bytes");
  }),
  must(
    "RESUME-04",
    "A resumed upload whose bytes turn out wrong is refused, and nothing is stored",
    UPLOADS,
    async (ctx) => {
      const blob = ctx.fresh(200_000);
      const name = ctx.uploadName(digestOf(blob));
      await ctx.writeMessages([part(name, 0, ctx.fresh(100_000))]);
      const { from, reply } = await resume(ctx, name, blob);
      if (from === 0) return equal(committed(reply, "A write from the start"), blob.length, "committed_size");
      status(reply, "INVALID_ARGUMENT", "The resumed write");
      await ctx.notStored(digestOf(blob), "its first half was wrong");
      const again = await resume(ctx, name, blob);
      equal(committed(again.reply, "The same upload from the start"), blob.length, "committed_size");
    },
  ),
  must("RESUME-05", "A write at another place than committed_size is an error", OFFSET, async (ctx) => {
    const blob = ctx.fresh(200_000);
    const name = ctx.uploadName(digestOf(blob));
    await ctx.writeMessages([part(name, 0, blob.subarray(0, 100_000))]);
    const asked = await ctx.writeStatus(name);
    const size = asked.code === 0 ? Fields.parse(asked.messages[0]).int(1) : 0;
    const messages = [part(name, size + 1, blob.subarray(size + 1), true)];
    await refusedWrite(
      ctx,
      digestOf(blob),
      messages,
      `write_offset ${size + 1} where ${size} bytes are committed`,
    );
  }),
];

/** What QueryWriteStatus tells. */
function progress(reply: Reply): { readonly size: number; readonly complete: boolean } {
  const answer = Fields.parse(one(reply, "QueryWriteStatus"));
  return { size: answer.int(1), complete: answer.bool(2) };
}

const STATUS_RULES: readonly Rule[] = [
  must("QWS-01", "A finished upload is complete, with its full size", STATUS, async (ctx) => {
    const blob = ctx.fresh(1000);
    const name = ctx.uploadName(digestOf(blob));
    status(await ctx.write(name, blob), "OK", "Write");
    equal(progress(await ctx.writeStatus(name)), { size: 1000, complete: true }, "Its write status");
  }),
  must(
    "QWS-02",
    "An upload that never began is NOT_FOUND, or has no bytes and is not complete",
    STATUS,
    async (ctx) => {
      const reply = await ctx.writeStatus(ctx.uploadName(ctx.absent()));
      if (reply.code === 0) equal(progress(reply), { size: 0, complete: false }, "Its write status");
      else status(reply, "NOT_FOUND", "QueryWriteStatus");
    },
  ),
  must(
    "QWS-03",
    "committed_size of a running upload never falls, nor exceeds what was sent",
    STATUS,
    async (ctx) => {
      const blob = ctx.fresh(500_000);
      const name = ctx.uploadName(digestOf(blob));
      const call = ctx.open(METHOD.write);
      let before = 0;
      for (let at = 0; at < blob.length; at += 100_000) {
        await call.send(part(at === 0 ? name : "", at, blob.subarray(at, at + 100_000)));
        const reply = await ctx.writeStatus(name);
        if (reply.code !== 0) {
          status(reply, "NOT_FOUND", "QueryWriteStatus of a running upload");
          check(before === 0, "An upload with committed bytes is NOT_FOUND");
          continue;
        }
        const { size, complete } = progress(reply);
        check(!complete, "An upload without finish_write is complete");
        check(
          size >= before && size <= at + 100_000,
          `committed_size ${size} after ${before}, with ${at + 100_000} sent`,
        );
        before = size;
      }
      await call.send(part("", blob.length, new Uint8Array(), true));
      call.end();
      equal(committed(await call.reply, "Write"), blob.length, "committed_size");
    },
  ),
  must("QWS-04", "What is no upload's name is a client's mistake", STATUS, async (ctx) => {
    for (const name of ["", "x", `blobs/${ctx.absent().hash}/16`]) {
      status(await ctx.writeStatus(name), CLIENT_FAULTS, `The name ${JSON.stringify(name)}`);
    }
  }),
  should(
    "QWS-05",
    "An upload of a blob that is there is complete, whoever stored it",
    STATUS,
    async (ctx) => {
      const digest = await ctx.put(ctx.fresh(1000));
      const expected = { size: 1000, complete: true };
      equal(
        progress(await ctx.writeStatus(ctx.uploadName(digest))),
        expected,
        "The write status under a new uuid",
      );
    },
  ),
  must("QWS-06", "An upload that was refused is not complete", STATUS, async (ctx) => {
    const name = ctx.uploadName(ctx.absent(500));
    status(await ctx.write(name, ctx.fresh(500)), "INVALID_ARGUMENT", "Write of wrong bytes");
    const reply = await ctx.writeStatus(name);
    if (reply.code === 0) equal(progress(reply).complete, false, "complete");
    else status(reply, "NOT_FOUND", "QueryWriteStatus");
  }),
];

/** Rules of uploads that are resumed, and of QueryWriteStatus. */
export const UPLOAD_RULES: readonly Rule[] = [...RESUME_RULES, ...STATUS_RULES];
