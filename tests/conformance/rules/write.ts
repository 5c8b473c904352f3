/**
 * Rules of ByteStream.Write.
 *
 * @module
 */

import { digestOf, EMPTY, METHOD } from "../context.ts";
import { concat } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, equalBytes, refused, type Rule } from "../rule.ts";
import { rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import { framed } from "../wire.ts";
import { committed, part, refusedWrite } from "./_writes.ts";

const { must, should } = rulesThatNeed("cache");
const WRITE = SOURCE.bytestream("ByteStream.Write");
const OFFSET = SOURCE.bytestream("WriteRequest.write_offset");
const NAME = SOURCE.bytestream("WriteRequest.resource_name");
const FINISH = SOURCE.bytestream("WriteRequest.finish_write");
const UPLOADS = SOURCE.reapi("ContentAddressableStorage (uploads)");
const EARLY = SOURCE.reapi("ContentAddressableStorage (another client has completed the upload)");

/** Rules of ByteStream.Write. */
export const WRITE_RULES: readonly Rule[] = [
  must("WRITE-01", "A blob in one message is stored, and its size answered", WRITE, async (ctx) => {
    const blob = ctx.fresh(1000);
    const digest = digestOf(blob);
    equal(committed(await ctx.write(ctx.uploadName(digest), blob), "Write"), 1000, "committed_size");
    equalBytes(await ctx.get(digest), blob, "The blob");
  }),
  must(
    "WRITE-02",
    "A blob in many messages, of which only the first has the name, is stored",
    NAME,
    async (ctx) => {
      const blob = ctx.fresh(3_000_000);
      const reply = await ctx.write(ctx.uploadName(digestOf(blob)), blob, 99_991);
      equal(committed(reply, "Write"), blob.length, "committed_size");
      equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    },
  ),
  must("WRITE-03", "The name may come with each message", NAME, async (ctx) => {
    const blob = ctx.fresh(200);
    const name = ctx.uploadName(digestOf(blob));
    const reply = await ctx.writeMessages([
      part(name, 0, blob.subarray(0, 100)),
      part(name, 100, blob.subarray(100), true),
    ]);
    equal(committed(reply, "Write"), 200, "committed_size");
  }),
  must("WRITE-04", "Another name in a later message is an error", NAME, async (ctx) => {
    const blob = ctx.fresh(200);
    const [first, second] = [ctx.uploadName(digestOf(blob)), ctx.uploadName(digestOf(blob))];
    const messages = [part(first, 0, blob.subarray(0, 100)), part(second, 100, blob.subarray(100), true)];
    await refusedWrite(ctx, digestOf(blob), messages, "Another name in the second message");
  }),
  must("WRITE-05", "A write_offset that leaves a gap or goes back is an error", OFFSET, async (ctx) => {
    for (const offset of [0, 99, 101, -1]) {
      const blob = ctx.fresh(200);
      const name = ctx.uploadName(digestOf(blob));
      const messages = [part(name, 0, blob.subarray(0, 100)), part("", offset, blob.subarray(100), true)];
      await refusedWrite(ctx, digestOf(blob), messages, `write_offset ${offset} after 100 bytes`);
    }
  }),
  must("WRITE-06", "A new upload that does not begin at 0 is an error", OFFSET, async (ctx) => {
    for (const offset of [1, 100, -1]) {
      const blob = ctx.fresh(200);
      const message = part(ctx.uploadName(digestOf(blob)), offset, blob.subarray(Math.max(0, offset)), true);
      await refusedWrite(ctx, digestOf(blob), [message], `A first write_offset of ${offset}`);
    }
  }),
  must(
    "WRITE-07",
    "Without finish_write nothing becomes visible, though all bytes came",
    FINISH,
    async (ctx) => {
      const blob = ctx.fresh(200);
      const reply = await ctx.writeMessages([part(ctx.uploadName(digestOf(blob)), 0, blob)]);
      check(reply.code !== undefined, () => `Write: ${reply.fault ?? "no status"}`);
      await ctx.notStored(digestOf(blob), "finish_write was not sent");
    },
  ),
  should("WRITE-08", "A message after finish_write is an error", FINISH, async (ctx) => {
    const blob = ctx.fresh(200);
    const call = ctx.open(METHOD.write);
    await call.raw(concat([
      framed(part(ctx.uploadName(digestOf(blob)), 0, blob, true)),
      framed(part("", 200, ctx.fresh(10), true)),
    ]));
    call.end();
    const reply = await call.reply;
    // A server may have answered before it saw the second one.
    if (reply.code === 0) equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    else refused(reply, "A message after finish_write");
  }),
  must(
    "WRITE-09",
    "Bytes that do not have the hash are INVALID_ARGUMENT, and nothing is stored",
    UPLOADS,
    async (ctx) => {
      const blob = ctx.fresh(500);
      const wrong = ctx.absent(500);
      status(await ctx.write(ctx.uploadName(wrong), blob, 100), "INVALID_ARGUMENT", "Write");
      await ctx.notStored(wrong, "the bytes had another hash");
      await ctx.notStored(digestOf(blob), "it was never announced under its own hash");
    },
  ),
  must(
    "WRITE-10",
    "Fewer bytes than the size are INVALID_ARGUMENT, and nothing is stored",
    UPLOADS,
    async (ctx) => {
      const blob = ctx.fresh(500);
      status(
        await ctx.write(ctx.uploadName(digestOf(blob)), blob.subarray(0, 400)),
        "INVALID_ARGUMENT",
        "Write",
      );
      await ctx.notStored(digestOf(blob), "bytes were lacking");
    },
  ),
  must(
    "WRITE-11",
    "More bytes than the size are INVALID_ARGUMENT, and nothing is stored",
    UPLOADS,
    async (ctx) => {
      const blob = ctx.fresh(500);
      const { hash } = digestOf(blob);
      status(await ctx.write(ctx.uploadName({ hash, size: 499 }), blob, 100), "INVALID_ARGUMENT", "Write");
      await ctx.notStored({ hash, size: 499 }, "there were more bytes");
    },
  ),
  must("WRITE-12", "A blob that is there ends the write at once, with its full size", EARLY, async (ctx) => {
    const blob = ctx.fresh(300_000);
    const digest = await ctx.put(blob);
    const call = ctx.open(METHOD.write, { timeoutMs: ctx.options.patienceMs });
    // Neither the rest nor the end of the stream ever comes.
    await call.send(part(ctx.uploadName(digest), 0, blob.subarray(0, 1000)));
    const reply = await call.reply;
    equal(
      committed(reply, "A write of which only the first kilobyte was sent"),
      blob.length,
      "committed_size",
    );
  }),
  must(
    "WRITE-13",
    "A write that another client overtakes ends without error, with the full size",
    EARLY,
    async (ctx) => {
      const blob = ctx.fresh(300_000);
      const digest = digestOf(blob);
      const call = ctx.open(METHOD.write);
      await call.send(part(ctx.uploadName(digest), 0, blob.subarray(0, 100_000)));
      status(await ctx.write(ctx.uploadName(digest), blob), "OK", "The other client's write");
      await call.send(part("", 100_000, blob.subarray(100_000), true));
      call.end();
      equal(committed(await call.reply, "The overtaken write"), blob.length, "committed_size");
      equalBytes(await ctx.get(digest), blob, "The blob");
    },
  ),
  must(
    "WRITE-14",
    "The empty blob can be written",
    SOURCE.reapi("ContentAddressableStorage (empty blobs are always available)"),
    async (ctx) => {
      equal(
        committed(await ctx.write(ctx.uploadName(EMPTY), new Uint8Array()), "Write"),
        0,
        "committed_size",
      );
    },
  ),
  must("WRITE-15", "What is no upload's name is a client's mistake", NAME, async (ctx) => {
    const { hash } = ctx.absent();
    const id = crypto.randomUUID();
    const names = ["", `blobs/${hash}/16`, `uploads/${id}/blobs/${hash}`, `uploads/${id}/blobs/abc/3`];
    names.push(
      `uploads/${id}/blobs/${hash}/x`,
      `uploads/${id}/blobs/${hash}/-16`,
      `uploads/blobs/${hash}/16`,
    );
    for (const name of names) {
      const reply = await ctx.writeMessages([part(name, 0, ctx.fresh(16), true)]);
      status(reply, CLIENT_FAULTS, `The name ${JSON.stringify(name)}`);
    }
  }),
  must("WRITE-16", "Metadata after the size in a name is accepted", UPLOADS, async (ctx) => {
    const blob = ctx.fresh(100);
    status(await ctx.write(`${ctx.uploadName(digestOf(blob))}/path/to/a.txt`, blob), "OK", "Write");
    await ctx.stored([digestOf(blob)], "the write succeeded");
  }),
  must(
    "WRITE-17",
    "Messages without data are accepted anywhere",
    SOURCE.bytestream("WriteRequest.data"),
    async (ctx) => {
      const blob = ctx.fresh(200);
      const none = new Uint8Array();
      const reply = await ctx.writeMessages([
        part(ctx.uploadName(digestOf(blob)), 0, none),
        part("", 0, blob.subarray(0, 100)),
        part("", 100, none),
        part("", 100, blob.subarray(100)),
        part("", 200, none, true),
      ]);
      equal(committed(reply, "Write"), 200, "committed_size");
      equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
    },
  ),
  must("WRITE-18", "Clients that write one blob at once all succeed", UPLOADS, async (ctx) => {
    const blob = ctx.fresh(500_000);
    const digest = digestOf(blob);
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => ctx.write(ctx.uploadName(digest), blob)),
    );
    for (const reply of replies) equal(committed(reply, "Write"), blob.length, "committed_size");
    equalBytes(await ctx.get(digest), blob, "The blob");
  }),
  must("WRITE-19", "A write that is broken off leaves nothing visible", FINISH, async (ctx) => {
    const blob = ctx.fresh(200_000);
    const call = ctx.open(METHOD.write);
    await call.send(part(ctx.uploadName(digestOf(blob)), 0, blob.subarray(0, 100_000)));
    call.cancel();
    await call.reply;
    await ctx.notStored(digestOf(blob), "its write was broken off");
    status(await ctx.read(ctx.readName(digestOf(blob))), "NOT_FOUND", "Read of it");
  }),
  must("WRITE-20", "One uuid may serve for different blobs", UPLOADS, async (ctx) => {
    const uuid = crypto.randomUUID();
    const blobs = [ctx.fresh(100), ctx.fresh(200), ctx.fresh(300)];
    const replies = await Promise.all(
      blobs.map((blob) => ctx.write(ctx.uploadName(digestOf(blob), { uuid }), blob)),
    );
    for (const [i, reply] of replies.entries()) {
      equal(committed(reply, "Write"), blobs[i].length, "committed_size");
    }
    await ctx.stored(blobs.map(digestOf), "their writes succeeded");
  }),
  should(
    "WRITE-21",
    "A blob above max_cas_blob_size_bytes is INVALID_ARGUMENT",
    SOURCE.reapi("CacheCapabilities.max_cas_blob_size_bytes"),
    async (ctx) => {
      if (ctx.caps.maxBlobBytes <= 0) throw new Skip("max_cas_blob_size_bytes is not set");
      const digest = ctx.absent(ctx.caps.maxBlobBytes + 1);
      const reply = await ctx.writeMessages([part(ctx.uploadName(digest), 0, ctx.fresh(1000))]);
      status(reply, "INVALID_ARGUMENT", `A blob of ${digest.size} bytes`);
    },
  ),
  must("WRITE-22", "A call that ends without a message is an error", NAME, async (ctx) => {
    refused(await ctx.writeMessages([]), "A write without messages");
  }),
  should(
    "WRITE-23",
    "A stream that ends without finish_write is answered with what was committed",
    WRITE,
    async (ctx) => {
      const blob = ctx.fresh(200);
      const reply = await ctx.writeMessages([part(ctx.uploadName(digestOf(blob)), 0, blob.subarray(0, 100))]);
      const size = committed(reply, "Write of the first half");
      check(size >= 0 && size <= 100, `committed_size is ${size} after 100 bytes`);
    },
  ),
];
