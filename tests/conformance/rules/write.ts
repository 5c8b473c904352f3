/**
 * Rules of ByteStream.Write and QueryWriteStatus.
 *
 * @module
 */

import { type Context, type Digest, digestOf, EMPTY, METHOD, utf8 } from "../context.ts";
import { concat, Fields, msg } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, equalBytes, one, refused, type Rule } from "../rule.ts";
import { rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import { framed, type Reply } from "../wire.ts";
import { zstd } from "../zstd.ts";

const { must, should } = rulesThatNeed("cache");
const WRITE = SOURCE.bytestream("ByteStream.Write");
const OFFSET = SOURCE.bytestream("WriteRequest.write_offset");
const NAME = SOURCE.bytestream("WriteRequest.resource_name");
const FINISH = SOURCE.bytestream("WriteRequest.finish_write");
const STATUS = SOURCE.bytestream("ByteStream.QueryWriteStatus");
const UPLOADS = SOURCE.reapi("ContentAddressableStorage (uploads)");
const COMPRESSED = SOURCE.reapi("ContentAddressableStorage (compressed uploads)");
const EARLY = SOURCE.reapi("ContentAddressableStorage (another client has completed the upload)");
const ZSTD_PREFIX = "compressed-blobs/zstd";

/** What a write answers. */
function committed(reply: Reply, what: string): number {
  return Fields.parse(one(reply, what)).int(1);
}

/** One WriteRequest. */
function part(name: string, offset: number, data: Uint8Array, finish = false): Uint8Array {
  return msg({ 1: name, 2: offset, 3: finish, 10: data });
}

/** A write whose messages must lead to an error, and leave nothing behind. */
async function refusedWrite(ctx: Context, digest: Digest, messages: readonly Uint8Array[], what: string) {
  refused(await ctx.writeMessages(messages), what);
  await ctx.notStored(digest, what);
}

const PLAIN_RULES: readonly Rule[] = [
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

/** A text that packs well, and its packed form. */
async function packable(ctx: Context): Promise<{ blob: Uint8Array; digest: Digest; packed: Uint8Array }> {
  const blob = concat([utf8(`${ctx.freshText()} `.repeat(20_000)), ctx.fresh(10_000)]);
  return { blob, digest: digestOf(blob), packed: await zstd(blob) };
}

const ZSTD_RULES: readonly Rule[] = [
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

/** Rules of ByteStream.Write and QueryWriteStatus. */
export const WRITE_RULES: readonly Rule[] = [...PLAIN_RULES, ...RESUME_RULES, ...STATUS_RULES, ...ZSTD_RULES];
