/**
 * Rules of gRPC over HTTP/2 about frames, compression and connections.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { chunksOf, Context, digestOf, METHOD } from "../context.ts";
import { concat, Fields, msg } from "../protobuf.ts";
import {
  Broken,
  check,
  equal,
  equalBytes,
  one,
  refused,
  type Rule,
  rulesThatNeed,
  SOURCE,
  status,
} from "../rule.ts";
import { framed, statusOf } from "../wire.ts";
import { alive, body, plain } from "./_plain_call.ts";

const { must, should } = rulesThatNeed();
const MESSAGES = SOURCE.grpc("Length-Prefixed-Message");
const FRAMING = SOURCE.grpc("Data Frames");

const FRAMING_RULES: readonly Rule[] = [
  must("GRPC-30", "A message may come in frames of one byte", FRAMING, async (ctx) => {
    status(
      await body(ctx, chunksOf(msg({ 1: ctx.instance, 1000: "0123456789" }), 1)),
      "OK",
      "GetCapabilities",
    );
  }),
  must(
    "GRPC-31",
    "A message may come in many frames, and frames without data between them",
    FRAMING,
    async (ctx) => {
      const chunks = chunksOf(msg({ 1: ctx.instance, 1000: "x".repeat(1000) }), 97);
      status(await body(ctx, chunks.flatMap((chunk) => [new Uint8Array(), chunk])), "OK", "GetCapabilities");
    },
  ),
  must("GRPC-32", "A frame may hold many messages, and the start of the next", FRAMING, async (ctx) => {
    const blob = ctx.fresh(1000);
    const name = ctx.uploadName(digestOf(blob));
    const messages = Array.from({ length: 10 }, (_, i) => {
      const data = blob.subarray(i * 100, i * 100 + 100);
      return framed(msg({ 1: i === 0 ? name : "", 2: i * 100, 3: i === 9, 10: data }));
    });
    const bytes = concat(messages);
    const call = ctx.open(METHOD.write);
    await call.raw(bytes.subarray(0, 571));
    await call.raw(bytes.subarray(571));
    call.end();
    equal(Fields.parse(one(await call.reply, "Write")).int(1), 1000, "committed_size");
    equalBytes(await ctx.get(digestOf(blob)), blob, "The blob");
  }, ["cache"]),
  must("GRPC-33", "A request that ends inside a message is an error", MESSAGES, async (ctx) => {
    const bytes = framed(msg({ 1: ctx.instance, 1000: "x".repeat(100) }));
    refused(await body(ctx, [bytes.subarray(0, 50)]), "Half a message");
    refused(await body(ctx, [bytes.subarray(0, 3)]), "Half a prefix");
    await alive(ctx, "messages cut short");
  }),
  must("GRPC-34", "A prefix that announces 4 GiB is refused at once", MESSAGES, async (ctx) => {
    const call = ctx.open(METHOD.capabilities, { timeoutMs: ctx.options.patienceMs });
    await call.raw(framed(ctx.fresh(1000), 0, 0xffff_ffff));
    const reply = await call.reply;
    refused(reply, "A prefix of 4 GiB");
  }),
  should(
    "GRPC-35",
    "A message that is too long is RESOURCE_EXHAUSTED",
    "gRPC statuscodes.md, RESOURCE_EXHAUSTED",
    async (ctx) => {
      const call = ctx.open(METHOD.capabilities, { timeoutMs: ctx.options.patienceMs });
      await call.raw(framed(ctx.fresh(1000), 0, 0x7fff_ffff));
      status(await call.reply, "RESOURCE_EXHAUSTED", "A prefix of 2 GiB");
    },
  ),
  should("GRPC-36", "A compressed flag that is neither 0 nor 1 is an error", MESSAGES, async (ctx) => {
    refused(await body(ctx, [framed(msg({ 1: ctx.instance }), 2)]), "Compressed flag 2");
  }),
];

const COMPRESSION_RULES: readonly Rule[] = [
  must("GRPC-40", "A message in an unknown encoding is UNIMPLEMENTED", SOURCE.compression, async (ctx) => {
    const reply = await body(ctx, [framed(ctx.fresh(20), 1)], { "grpc-encoding": "no-such-encoding" });
    status(reply, "UNIMPLEMENTED", "grpc-encoding no-such-encoding");
  }),
  should(
    "GRPC-41",
    "That answer says in grpc-accept-encoding what is known",
    SOURCE.compression,
    async (ctx) => {
      const reply = await body(ctx, [framed(ctx.fresh(20), 1)], { "grpc-encoding": "no-such-encoding" });
      const known = reply.headers["grpc-accept-encoding"] ?? reply.trailers["grpc-accept-encoding"];
      check(known !== undefined, "grpc-accept-encoding is not set");
    },
  ),
  must(
    "GRPC-42",
    "A compressed message without grpc-encoding is an error",
    SOURCE.compression,
    async (ctx) => {
      refused(await body(ctx, [framed(ctx.fresh(20), 1)]), "Compressed flag without grpc-encoding");
    },
  ),
  must("GRPC-43", "A message in gzip is unpacked", SOURCE.compression, async (ctx) => {
    const message = msg({ 1: ctx.instance, 1000: "x".repeat(1000) });
    const reply = await body(ctx, [framed(new Uint8Array(gzipSync(message)), 1)], {
      "grpc-encoding": "gzip",
    });
    status(reply, "OK", "GetCapabilities");
  }, ["grpc-gzip"]),
  must(
    "GRPC-44",
    "With grpc-encoding gzip a message may still come plain",
    SOURCE.compression,
    async (ctx) => {
      const reply = await body(ctx, [framed(msg({ 1: ctx.instance }))], { "grpc-encoding": "gzip" });
      status(reply, "OK", "GetCapabilities");
    },
    ["grpc-gzip"],
  ),
  must("GRPC-45", "What is no gzip, or a bomb, is an error", SOURCE.compression, async (ctx) => {
    const encoding = { "grpc-encoding": "gzip" };
    refused(await body(ctx, [framed(ctx.fresh(100), 1)], encoding), "Random bytes as gzip");
    const bomb = new Uint8Array(gzipSync(new Uint8Array(100 * 1024 * 1024)));
    refused(await body(ctx, [framed(bomb, 1)], encoding), "100 MiB of zeros as gzip");
    await alive(ctx, "wrong gzip");
  }, ["grpc-gzip"]),
  must("GRPC-46", "Nothing comes compressed that was not asked for", SOURCE.compression, async (ctx) => {
    const reply = await plain(ctx, { "grpc-accept-encoding": "identity" });
    one(reply, "GetCapabilities");
    check(reply.fault === undefined, () => `The call: ${reply.fault}`);
  }),
];

const CONNECTION_RULES: readonly Rule[] = [
  must(
    "GRPC-50",
    "A call that is reset harms no other on its connection",
    SOURCE.http2("5.4.2"),
    async (ctx) => {
      for (let i = 0; i < 20; i++) {
        const call = ctx.open(METHOD.capabilities);
        if (i % 2 === 0) await call.raw(framed(msg({ 1: ctx.instance })).subarray(0, 4));
        call.cancel();
        await call.reply;
      }
      await alive(ctx, "20 resets");
    },
  ),
  must(
    "GRPC-51",
    "A hundred calls at once on one connection are answered",
    SOURCE.http2("5.1.2"),
    async (ctx) => {
      const replies = await Promise.all(Array.from({ length: 100 }, () => plain(ctx)));
      for (const reply of replies) status(reply, "OK", "GetCapabilities");
    },
  ),
  must("GRPC-52", "A PING is answered", SOURCE.http2("6.7"), async (ctx) => {
    check(await ctx.wire.ping(ctx.options.patienceMs) !== undefined, "No PING came back in time");
  }),
  must(
    "GRPC-53",
    "A client's window of 64 bytes for a stream is kept, and the answer comes whole",
    SOURCE.http2("5.2"),
    async (ctx) => {
      const blob = ctx.fresh(20_000);
      const digest = await ctx.put(blob);
      const reply = await ctx.another({ windowBytes: 64 }).unary(
        METHOD.read,
        msg({ 1: ctx.readName(digest) }),
      );
      status(reply, "OK", "Read");
      equalBytes(Context.data(reply), blob, "The blob");
    },
    ["cache"],
  ),
  must("GRPC-54", "Connections that come and go are served", SOURCE.http2("5.4.1"), async (ctx) => {
    for (let i = 0; i < 10; i++) {
      const reply = await ctx.another().unary(METHOD.capabilities, msg({ 1: ctx.instance }));
      if (reply.code !== 0) throw new Broken(`Connection ${i + 1}: ${statusOf(reply)}`);
    }
  }),
  must(
    "GRPC-55",
    "A client that says too little, too slowly, holds up no other",
    SOURCE.http2("5.2"),
    async (ctx) => {
      const idle = Array.from({ length: 20 }, () => ctx.open(METHOD.capabilities));
      for (const call of idle) await call.raw(new Uint8Array([0, 0]));
      await alive(ctx, "20 unfinished requests");
    },
  ),
];

/** Rules of gRPC over HTTP/2 about frames, compression and connections. */
export const GRPC_FRAME_RULES: readonly Rule[] = [
  ...FRAMING_RULES,
  ...COMPRESSION_RULES,
  ...CONNECTION_RULES,
];
