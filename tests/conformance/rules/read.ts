/**
 * Rules of ByteStream.Read.
 *
 * @module
 */

import { Context, digestName, digestOf, EMPTY, METHOD, utf8 } from "../context.ts";
import { Fields, msg } from "../protobuf.ts";
import {
  check,
  CLIENT_FAULTS,
  equal,
  equalBytes,
  refused,
  type Rule,
  rulesThatNeed,
  SOURCE,
  status,
} from "../rule.ts";
import { unzstd, zstd } from "../zstd.ts";

const { must, should } = rulesThatNeed("cache");
const OFFSET = SOURCE.bytestream("ReadRequest.read_offset");
const LIMIT = SOURCE.bytestream("ReadRequest.read_limit");
const NAMES = SOURCE.reapi("ContentAddressableStorage (resource names)");
const COMPRESSED = SOURCE.reapi("ContentAddressableStorage (compressed downloads)");
const ALWAYS = SOURCE.reapi("ContentAddressableStorage (empty blobs are always available)");
const ZSTD_PREFIX = "compressed-blobs/zstd";

/** Names that name no blob. */
function badNames(ctx: Context): (readonly [string, string])[] {
  const { hash } = ctx.absent();
  return [
    ["no name", ""],
    ["only an instance", ctx.instance],
    ["no size", `blobs/${hash}`],
    ["a size that is no number", `blobs/${hash}/x`],
    ["a negative size", `blobs/${hash}/-1`],
    ["a hash that is too short", "blobs/abc/3"],
    ["a hash that is no hexadecimal", `blobs/${"z".repeat(64)}/3`],
    ["a size beyond 64 bits", `blobs/${hash}/99999999999999999999`],
    ["an upload's name", `uploads/${crypto.randomUUID()}/blobs/${hash}/16`],
    ["no compressor", `compressed-blobs/${hash}/16`],
  ];
}

const PLAIN_RULES: readonly Rule[] = [
  must(
    "READ-01",
    "A blob of several megabytes comes whole",
    SOURCE.bytestream("ByteStream.Read"),
    async (ctx) => {
      const blob = ctx.fresh(5_000_001);
      equalBytes(await ctx.get(await ctx.put(blob)), blob, "The blob");
    },
  ),
  must("READ-02", "A read begins at read_offset", OFFSET, async (ctx) => {
    const blob = ctx.fresh(100_000);
    const name = ctx.readName(await ctx.put(blob));
    for (const offset of [1, 65_535, 65_536, 99_999]) {
      equalBytes(await ctx.readBytes(name, offset), blob.subarray(offset), `From ${offset}`);
    }
  }),
  must("READ-03", "A read gives at most read_limit bytes, and fewer only at the end", LIMIT, async (ctx) => {
    const blob = ctx.fresh(100_000);
    const name = ctx.readName(await ctx.put(blob));
    for (
      const [offset, limit] of [[0, 1], [0, 99_999], [0, 100_000], [0, 100_001], [99_999, 5], [70_000, 10]]
    ) {
      const expected = blob.subarray(offset, offset + limit);
      equalBytes(await ctx.readBytes(name, offset, limit), expected, `${limit} bytes from ${offset}`);
    }
  }),
  must("READ-04", "A read from the very end is empty and OK", OFFSET, async (ctx) => {
    const name = ctx.readName(await ctx.put(ctx.fresh(1000)));
    equal((await ctx.readBytes(name, 1000)).length, 0, "Bytes from the end on");
    equal((await ctx.readBytes(name, 1000, 7)).length, 0, "Bytes from the end on, with a limit");
  }),
  must("READ-05", "A read from beyond the end is OUT_OF_RANGE", OFFSET, async (ctx) => {
    const name = ctx.readName(await ctx.put(ctx.fresh(1000)));
    status(await ctx.read(name, 1001), "OUT_OF_RANGE", "One byte beyond");
    status(await ctx.read(name, 1_000_000_000_000), "OUT_OF_RANGE", "Far beyond");
  }),
  must("READ-06", "A negative read_offset is OUT_OF_RANGE", OFFSET, async (ctx) => {
    status(await ctx.read(ctx.readName(await ctx.put(ctx.fresh())), -1), "OUT_OF_RANGE", "read_offset -1");
  }),
  must("READ-07", "A negative read_limit is an error", LIMIT, async (ctx) => {
    refused(await ctx.read(ctx.readName(await ctx.put(ctx.fresh())), 0, -1), "read_limit -1");
  }),
  should("READ-08", "A negative read_limit is INVALID_ARGUMENT or OUT_OF_RANGE", LIMIT, async (ctx) => {
    const reply = await ctx.read(ctx.readName(await ctx.put(ctx.fresh())), 0, -1);
    status(reply, ["INVALID_ARGUMENT", "OUT_OF_RANGE"], "read_limit -1");
  }),
  must("READ-09", "A blob that nobody stored is NOT_FOUND", SOURCE.rpcCode("NOT_FOUND"), async (ctx) => {
    const reply = await ctx.read(ctx.readName(ctx.absent()));
    status(reply, "NOT_FOUND", "Read");
    equal(Context.data(reply).length, 0, "Bytes ahead of the error");
  }),
  must("READ-10", "What is no resource name is a client's mistake", NAMES, async (ctx) => {
    for (const [what, name] of badNames(ctx)) {
      status(await ctx.read(name), CLIENT_FAULTS, `${what} (${name})`);
    }
  }),
  should(
    "READ-11",
    "What is no resource name is INVALID_ARGUMENT",
    SOURCE.rpcCode("INVALID_ARGUMENT"),
    async (ctx) => {
      for (const [what, name] of badNames(ctx)) {
        status(
          await ctx.read(name),
          "INVALID_ARGUMENT",
          `${what} (${name})`,
        );
      }
    },
  ),
  must("READ-12", "The empty blob can be read, though nobody stored it", ALWAYS, async (ctx) => {
    equal((await ctx.get(EMPTY)).length, 0, "Bytes of the empty blob");
    status(await ctx.read(ctx.readName(EMPTY), 1), "OUT_OF_RANGE", "The empty blob from 1 on");
  }),
  must(
    "READ-13",
    "The hash of a stored blob with another size gives no bytes",
    SOURCE.reapi("Digest (size_bytes is part of it)"),
    async (ctx) => {
      const { hash, size } = await ctx.put(ctx.fresh());
      for (const wrong of [size - 1, size + 1]) {
        const reply = await ctx.read(ctx.readName({ hash, size: wrong }));
        status(reply, ["NOT_FOUND", "INVALID_ARGUMENT"], `Size ${wrong} for a blob of ${size}`);
      }
    },
  ),
  should(
    "READ-14",
    "No message is longer than what gRPC libraries take by default (4 MiB)",
    "gRPC libraries' default of 4 MiB for messages received",
    async (ctx) => {
      const reply = await ctx.read(ctx.readName(await ctx.put(ctx.fresh(9_000_000))));
      status(reply, "OK", "Read");
      const longest = Math.max(...reply.messages.map(({ length }) => length));
      check(longest <= 4 * 1024 * 1024, `A message has ${longest} bytes`);
    },
  ),
  must("READ-15", "After a read that was broken off the rest can be read", OFFSET, async (ctx) => {
    const blob = ctx.fresh(3_000_000);
    const name = ctx.readName(await ctx.put(blob));
    const call = ctx.open(METHOD.read, {}, ctx.another({ windowBytes: 65_535 }));
    await call.send(msg({ 1: name }));
    call.end();
    const first = Fields.parse(await call.next() ?? new Uint8Array()).bytesOf(10);
    call.cancel();
    check(first.length > 0, "Nothing came");
    equalBytes(first, blob.subarray(0, first.length), "The first message");
    equalBytes(await ctx.readBytes(name, first.length), blob.subarray(first.length), "The rest");
  }),
  must(
    "READ-16",
    "The optional header with the resource name is accepted",
    SOURCE.reapi("ContentAddressableStorage (header build.bazel.remote.execution.v2.resource-name)"),
    async (ctx) => {
      const blob = ctx.fresh();
      const name = ctx.readName(await ctx.put(blob));
      const headers = { "build.bazel.remote.execution.v2.resource-name": name };
      const reply = await ctx.call(METHOD.read, { 1: name }, { headers });
      status(reply, "OK", "Read");
      equalBytes(Context.data(reply), blob, "The blob");
    },
  ),
];

const ZSTD_RULES: readonly Rule[] = [
  must("READ-20", "A compressor that is not advertised is refused", COMPRESSED, async (ctx) => {
    const digest = await ctx.put(ctx.fresh());
    for (const name of ["lzma", "identity", "ZSTD"]) {
      const reply = await ctx.read(ctx.readName(digest, `compressed-blobs/${name}`));
      status(reply, CLIENT_FAULTS, `compressed-blobs/${name}`);
    }
  }),
  must("READ-21", "A blob comes as zstd and unpacks to its bytes", COMPRESSED, async (ctx) => {
    for (const blob of [utf8(`${ctx.freshText()} `.repeat(50_000)), ctx.fresh(3_000_000), ctx.fresh(1)]) {
      const packed = await ctx.readBytes(ctx.readName(await ctx.put(blob), ZSTD_PREFIX));
      equalBytes(await unzstd(packed), blob, `A blob of ${blob.length} bytes`);
    }
  }, ["zstd"]),
  must("READ-22", "The read_offset of a compressed read counts unpacked bytes", COMPRESSED, async (ctx) => {
    const blob = ctx.fresh(200_000);
    const name = ctx.readName(await ctx.put(blob), ZSTD_PREFIX);
    for (const offset of [1, 100_000, 199_999]) {
      equalBytes(await unzstd(await ctx.readBytes(name, offset)), blob.subarray(offset), `From ${offset}`);
    }
  }, ["zstd"]),
  must("READ-23", "A compressed read with a read_limit is INVALID_ARGUMENT", COMPRESSED, async (ctx) => {
    const name = ctx.readName(await ctx.put(ctx.fresh(1000)), ZSTD_PREFIX);
    status(await ctx.read(name, 0, 10), "INVALID_ARGUMENT", "read_limit 10");
  }, ["zstd"]),
  must(
    "READ-24",
    "A compressed read of a missing blob is NOT_FOUND",
    SOURCE.rpcCode("NOT_FOUND"),
    async (ctx) => {
      status(await ctx.read(ctx.readName(ctx.absent(), ZSTD_PREFIX)), "NOT_FOUND", "Read");
    },
    ["zstd"],
  ),
  must(
    "READ-25",
    "The end of a compressed read is empty, and beyond it is OUT_OF_RANGE",
    OFFSET,
    async (ctx) => {
      const name = ctx.readName(await ctx.put(ctx.fresh(1000)), ZSTD_PREFIX);
      equal((await unzstd(await ctx.readBytes(name, 1000))).length, 0, "Bytes from the end on");
      status(await ctx.read(name, 1001), "OUT_OF_RANGE", "One byte beyond");
    },
    ["zstd"],
  ),
  must("READ-26", "The empty blob can be read compressed", ALWAYS, async (ctx) => {
    equal((await unzstd(await ctx.readBytes(ctx.readName(EMPTY, ZSTD_PREFIX)))).length, 0, "Bytes");
  }, ["zstd"]),
  must(
    "READ-27",
    "What was stored compressed can be read plainly, from any offset",
    COMPRESSED,
    async (ctx) => {
      const blob = utf8(`${ctx.freshText()} `.repeat(10_000));
      const digest = digestOf(blob);
      const packed = await zstd(blob);
      status(await ctx.write(ctx.uploadName(digest, { prefix: ZSTD_PREFIX }), packed, 1000), "OK", "Write");
      equalBytes(await ctx.get(digest), blob, digestName(digest));
      equalBytes(
        await ctx.readBytes(ctx.readName(digest), 12_345, 99),
        blob.subarray(12_345, 12_444),
        "A part",
      );
    },
    ["zstd"],
  ),
];

/** Rules of ByteStream.Read. */
export const READ_RULES: readonly Rule[] = [...PLAIN_RULES, ...ZSTD_RULES];
