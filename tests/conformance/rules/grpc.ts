/**
 * Rules of gRPC over HTTP/2 about requests and responses.
 *
 * @module
 */

import { digestMsg, METHOD } from "../context.ts";
import { concat, Fields, msg } from "../protobuf.ts";
import { check, equal, one, refused, type Rule, rulesThatNeed, SOURCE, status } from "../rule.ts";
import { framed, percentDecode, type Reply, richStatus, statusOf } from "../wire.ts";
import { alive, body, plain } from "./_plain_call.ts";

const { must, should } = rulesThatNeed();
const RESPONSES = SOURCE.grpc("Responses");
const REQUESTS = SOURCE.grpc("Requests");
const NO_INTERNAL = SOURCE.rpcCode("INTERNAL (invariants of the system are broken; not a client's mistake)");

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
  should(
    "GRPC-07",
    "INVALID_ARGUMENT says by a BadRequest which field is wrong",
    "google/rpc/error_details.proto, BadRequest",
    async (ctx) => {
      const reply = await ctx.findMissing([{ hash: "x", size: 1 }]);
      status(reply, "INVALID_ARGUMENT", "A hash of one digit");
      const types = richStatus(reply)?.messages(3).map((any) => any.str(1)) ?? [];
      check(
        types.some((type) => type.endsWith("/google.rpc.BadRequest")),
        `Its details: ${types.join() || "none"}`,
      );
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

/** Rules of gRPC over HTTP/2. */
export const GRPC_RULES: readonly Rule[] = [
  ...RESPONSE_RULES,
  ...REQUEST_RULES,
];
