/**
 * Rules of gRPC over HTTP/2.
 *
 * @module
 */

import { gzipSync } from "node:zlib";
import { chunksOf, Context, digestMsg, digestOf, METHOD } from "../context.ts";
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
import { framed, percentDecode, type Reply, richStatus, statusOf } from "../wire.ts";

const { must, should } = rulesThatNeed();
const RESPONSES = SOURCE.grpc("Responses");
const REQUESTS = SOURCE.grpc("Requests");
const MESSAGES = SOURCE.grpc("Length-Prefixed-Message");
const FRAMING = SOURCE.grpc("Data Frames");
const NO_INTERNAL = SOURCE.rpcCode("INTERNAL (invariants of the system are broken; not a client's mistake)");

/** GetCapabilities, the call that every server has. */
function plain(ctx: Context, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
  return ctx.call(METHOD.capabilities, { 1: ctx.instance }, { headers });
}

/** Sends bytes as they are as the body of GetCapabilities, each chunk by itself. */
async function body(
  ctx: Context,
  chunks: readonly Uint8Array[],
  headers: Readonly<Record<string, string>> = {},
  timeoutMs?: number,
): Promise<Reply> {
  const call = ctx.open(METHOD.capabilities, { headers, timeoutMs });
  for (const chunk of chunks) await call.raw(chunk);
  call.end();
  return await call.reply;
}

/** The server still does what it is for, on the same connection. */
async function alive(ctx: Context, after: string): Promise<void> {
  status(await plain(ctx), "OK", `GetCapabilities after ${after}`);
}

/** Answered in some way of gRPC or HTTP. */
function answered(reply: Reply, what: string): void {
  check(
    reply.code !== undefined || (reply.httpStatus ?? 200) >= 400 || reply.fault?.includes("answer") !== true,
    () => `${what}: ${statusOf(reply)}`,
  );
}

const MALFORMED: readonly (readonly [string, Uint8Array])[] = [
  ["a field that runs past the end", new Uint8Array([0x0a, 0x7f, 0x41])],
  ["an unended varint", new Uint8Array([0x0a, 0xff])],
  ["field number 0", new Uint8Array([0x02, 0x00])],
  ["wire type 7", new Uint8Array([0x0f, 0x00])],
  ["a string that is not UTF-8", new Uint8Array([0x0a, 0x02, 0xff, 0xfe])],
];

const RESPONSE_RULES: readonly Rule[] = [
  must("GRPC-01", "A success is HTTP 200 with content-type application/grpc", RESPONSES, async (ctx) => {
    const reply = await plain(ctx);
    equal(reply.httpStatus, 200, ":status");
    const type = reply.headers["content-type"] ?? "";
    check(/^application\/grpc(\+|;|$)/.test(type), `content-type is ${JSON.stringify(type)}`);
  }),
  must(
    "GRPC-02",
    "A success has one message and a grpc-status of 0 in its trailers",
    RESPONSES,
    async (ctx) => {
      const reply = await plain(ctx);
      one(reply, "GetCapabilities");
      equal(reply.trailers["grpc-status"], "0", "grpc-status in the trailers");
      check(reply.fault === undefined, () => `The call: ${reply.fault}`);
    },
  ),
  must("GRPC-03", "An unknown method is UNIMPLEMENTED", RESPONSES, async (ctx) => {
    const path = METHOD.capabilities.replace(/[^/]*$/, "NoSuchMethod");
    status(await ctx.call(path, {}), "UNIMPLEMENTED", path);
  }),
  must("GRPC-04", "An unknown service is UNIMPLEMENTED", RESPONSES, async (ctx) => {
    status(await ctx.call("/no.such.Service/Method", {}), "UNIMPLEMENTED", "/no.such.Service/Method");
    status(await ctx.call("/", {}), "UNIMPLEMENTED", "/");
  }),
  must(
    "GRPC-05",
    "grpc-message is percent-encoded, and keeps what a client put into it",
    SOURCE.grpc("Responses, Percent-Encoded"),
    async (ctx) => {
      const reply = await ctx.call(METHOD.read, { 1: "größe%41/日本/\n" });
      refused(reply, "A read of a name that is none");
      const raw = (reply.trailersOnly ? reply.headers : reply.trailers)["grpc-message"] ?? "";
      check(
        /^[\x20-\x7e]*$/.test(raw),
        `grpc-message has bytes outside of 0x20 to 0x7e: ${JSON.stringify(raw)}`,
      );
      check(percentDecode(raw) !== undefined, `grpc-message is not percent-encoded UTF-8: ${raw}`);
    },
  ),
  must(
    "GRPC-06",
    "grpc-status-details-bin, where there is one, is a google.rpc.Status of the same code",
    SOURCE.grpc("Responses, Status-Details"),
    async (ctx) => {
      const replies = [
        await ctx.call(METHOD.read, { 1: "no name" }),
        await ctx.call(METHOD.read, { 1: ctx.readName(ctx.absent()) }),
        await ctx.findMissing([{ hash: "x", size: 1 }]),
      ];
      for (const reply of replies) {
        const rich = richStatus(reply);
        if (rich === undefined) continue;
        equal(rich.int(1), reply.code, "Code inside of grpc-status-details-bin");
        for (const any of rich.messages(3)) {
          check(any.str(1).includes("/google.rpc."), `A detail has the type ${any.str(1)}`);
        }
      }
    },
  ),
];

const REQUEST_RULES: readonly Rule[] = [
  must("GRPC-10", "content-type application/grpc+proto is accepted", REQUESTS, async (ctx) => {
    status(await plain(ctx, { "content-type": "application/grpc+proto" }), "OK", "GetCapabilities");
  }),
  should("GRPC-11", "Another content-type is HTTP 415", REQUESTS, async (ctx) => {
    const reply = await plain(ctx, { "content-type": "application/json" });
    equal(reply.httpStatus, 415, ":status for application/json");
  }),
  must("GRPC-12", "Headers that a server does not know are passed over", REQUESTS, async (ctx) => {
    const headers = { "x-custom": "a b c", "x-custom-bin": "AAEC", "grpc-previous-rpc-attempts": "2" };
    status(await plain(ctx, headers), "OK", "GetCapabilities");
  }),
  must(
    "GRPC-13",
    "A deadline of a nanosecond is answered, with DEADLINE_EXCEEDED if not in time",
    REQUESTS,
    async (ctx) => {
      for (const timeout of ["1n", "1u", "1m"]) {
        const reply = await plain(ctx, { "grpc-timeout": timeout });
        check(
          reply.code === 0 || reply.code === 4 || reply.code === 1 || reply.fault?.includes("reset") === true,
          () => `grpc-timeout ${timeout}: ${statusOf(reply)}`,
        );
      }
      await alive(ctx, "tiny deadlines");
    },
  ),
  must("GRPC-14", "A long deadline is accepted in every unit", REQUESTS, async (ctx) => {
    for (const timeout of ["99999999H", "60M", "600S", "600000m", "99999999u"]) {
      status(await plain(ctx, { "grpc-timeout": timeout }), "OK", `grpc-timeout ${timeout}`);
    }
  }),
  must(
    "GRPC-15",
    "A grpc-timeout that is none is answered, and harms no other call",
    REQUESTS,
    async (ctx) => {
      for (const timeout of ["abc", "-1S", "123456789S", "5"]) {
        answered(await plain(ctx, { "grpc-timeout": timeout }), `grpc-timeout ${timeout}`);
      }
      await alive(ctx, "malformed deadlines");
    },
  ),
  must(
    "GRPC-16",
    "Fields that a server does not know are passed over",
    "Protocol Buffers, Unknown Fields",
    async (ctx) => {
      const unknown = { 1: ctx.instance, 1000: "x", 1001: 5, 1002: msg({ 1: "y" }), 536870911: 1 };
      status(await ctx.call(METHOD.capabilities, unknown), "OK", "GetCapabilities");
      const digest = ctx.absent();
      const inner = concat([digestMsg(digest), msg({ 77: "x" })]);
      const reply = await ctx.call(METHOD.missing, { 1: ctx.instance, 2: [inner], 99: "x" });
      equal(Fields.parse(one(reply, "FindMissingBlobs")).messages(2).length, 1, "Missing blobs");
    },
  ),
  must(
    "GRPC-17",
    "A message that is no protocol buffer is an error",
    "Protocol Buffers, Encoding",
    async (ctx) => {
      for (const [what, bytes] of MALFORMED) refused(await body(ctx, [framed(bytes)]), what);
      await alive(ctx, "malformed messages");
    },
  ),
  should("GRPC-18", "A message that is no protocol buffer is not INTERNAL", NO_INTERNAL, async (ctx) => {
    for (const [what, bytes] of MALFORMED) {
      const reply = await body(ctx, [framed(bytes)]);
      check(reply.code !== 13 && reply.code !== 2, () => `${what}: ${statusOf(reply)}`);
    }
  }),
  must(
    "GRPC-19",
    "A unary call without a message is an error",
    SOURCE.grpc("Request → Length-Prefixed-Message"),
    async (ctx) => {
      refused(await body(ctx, []), "A request that ends after its headers");
    },
  ),
  should("GRPC-20", "A unary call with two messages is an error", SOURCE.grpc("Request"), async (ctx) => {
    const message = framed(msg({ 1: ctx.instance }));
    refused(await body(ctx, [concat([message, message])]), "Two messages");
  }),
  must(
    "META-01",
    "RequestMetadata is accepted",
    SOURCE.reapi("RequestMetadata"),
    async (ctx) => {
      const metadata = msg({
        1: msg({ 1: "conformance", 2: "1" }),
        2: ctx.nonce,
        3: ctx.nonce,
        5: "Genrule",
        99: "x",
      });
      const headers = { "build.bazel.remote.execution.v2.requestmetadata-bin": base64(metadata) };
      status(await plain(ctx, headers), "OK", "GetCapabilities");
      const reply = await ctx.call(METHOD.missing, { 1: ctx.instance }, { headers });
      status(reply, "OK", "FindMissingBlobs");
    },
  ),
  should(
    "META-02",
    "RequestMetadata that is garbled harms no call",
    SOURCE.reapi("RequestMetadata"),
    async (ctx) => {
      for (const value of [base64(new Uint8Array([0x0a, 0xff])), base64(ctx.fresh(200)), "AAECA", "!!!"]) {
        const headers = { "build.bazel.remote.execution.v2.requestmetadata-bin": value };
        status(await plain(ctx, headers), "OK", `requestmetadata-bin ${value.slice(0, 20)}`);
      }
    },
  ),
];

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

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

/** Rules of gRPC over HTTP/2. */
export const GRPC_RULES: readonly Rule[] = [
  ...RESPONSE_RULES,
  ...REQUEST_RULES,
  ...FRAMING_RULES,
  ...COMPRESSION_RULES,
  ...CONNECTION_RULES,
];
