import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, Code } from "@brokkr/common";
import * as proto from "./mod.ts";
import type { Codec } from "./mod.ts";
import { fromHex, goldens, toHex } from "./testdata/_goldens.ts";

const codecs = new Map<string, Codec<unknown>>(
  Object.entries(proto).filter(([name]) => name.endsWith("Codec")) as [string, Codec<unknown>][],
);

/** Runs `work` and requires it to succeed or to throw INVALID_ARGUMENT. */
function acceptsOrRefuses(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof BrokkrError) || error.code !== Code.INVALID_ARGUMENT) throw error;
  }
}

function refuses(
  bytes: readonly number[],
  codec: Codec<unknown> = proto.DigestCodec as Codec<unknown>,
): string {
  const error = assertThrows(() => codec.decode(new Uint8Array(bytes)), BrokkrError);
  assertEquals(error.code, Code.INVALID_ARGUMENT);
  return error.message;
}

Deno.test("messages encode to the bytes that Python's protobuf makes, and decode from them", () => {
  for (const { message, value, hex } of goldens()) {
    const codec = codecs.get(`${message.split(".").at(-1)}Codec`);
    assert(codec, `No codec for ${message}`);
    assertEquals(toHex(codec.encode(value)), hex, message);
    assertEquals(toHex(codec.encode(codec.decode(fromHex(hex)))), hex, `${message}, decoded and encoded`);
  }
});

Deno.test("encode leaves defaults out and writes fields by number, whatever the order they are given in", () => {
  const bytes = proto.DirectoryCodec.encode({
    symlinks: [],
    directories: [{ digest: { sizeBytes: 0, hash: "" }, name: "d" }],
    files: [{ isExecutable: false, digest: { sizeBytes: 1, hash: "h" }, name: "f" }],
  });
  assertEquals(toHex(bytes), "0a0a0a016612050a016810011205" + "0a01641200");
});

Deno.test("decode gives plain objects that own every scalar, list and map", () => {
  const directory = proto.DirectoryCodec.decode(new Uint8Array([0x0a, 0]));
  assertEquals(directory, { files: [{ name: "", isExecutable: false }], directories: [], symlinks: [] });
  assertEquals(Object.getPrototypeOf(directory), Object.prototype);
  assertEquals(Object.keys(proto.ErrorInfoCodec.decode(new Uint8Array(0))), ["reason", "domain", "metadata"]);
});

Deno.test("a later default on the wire takes an earlier value back", () => {
  assertEquals(proto.DigestCodec.decode(new Uint8Array([0x10, 5, 0x10, 0])), { hash: "", sizeBytes: 0 });
});

Deno.test("the last member of a oneof is the only one", () => {
  const error = proto.OperationCodec.encode({ error: { code: 3 } });
  const response = proto.OperationCodec.encode({ response: { typeUrl: "t" } });
  const both = proto.OperationCodec.decode(new Uint8Array([...error, ...response]));
  assertEquals(both, {
    name: "",
    done: false,
    response: { typeUrl: "t", value: new Uint8Array(0) },
    result: "response",
  });
});

Deno.test("a map keeps the key __proto__ as a key", () => {
  const metadata = JSON.parse('{"__proto__":"x","a":"b"}');
  const decoded = proto.ErrorInfoCodec.decode(proto.ErrorInfoCodec.encode({ metadata }));
  assertEquals(Object.keys(decoded.metadata), ["__proto__", "a"]);
  assertEquals(Object.getPrototypeOf(decoded.metadata), Object.prototype);
});

Deno.test("64-bit integers round-trip as numbers up to 2^53 and down to its negative", () => {
  const edges = [
    0,
    1,
    -1,
    127,
    128,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 35,
    2 ** 49,
    2 ** 53 - 1,
  ];
  const check = (committedSize: number) => {
    const bytes = proto.WriteResponseCodec.encode({ committedSize });
    assertEquals(proto.WriteResponseCodec.decode(bytes), { committedSize });
    if (committedSize < 0) return;
    const params = proto.RepMaxCdcParamsCodec.encode({ minChunkSizeBytes: committedSize });
    assertEquals(proto.RepMaxCdcParamsCodec.decode(params).minChunkSizeBytes, committedSize);
  };
  for (const edge of edges) [edge, -edge || 0].forEach(check);
  fc.assert(fc.property(fc.maxSafeInteger(), check));
});

Deno.test("64-bit integers past 2^53 come out rounded, with their sign", () => {
  const most = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
  assertEquals(proto.WriteResponseCodec.decode(new Uint8Array(most)).committedSize, 2 ** 63);
  const least = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
  assertEquals(proto.WriteResponseCodec.decode(new Uint8Array(least)).committedSize, -(2 ** 63));
});

Deno.test("encode refuses what would not come back: unsafe integers, BigInts, lone surrogates", () => {
  const bad = [2 ** 53, 1.5, NaN, Infinity, 5n as unknown as number, "7" as unknown as number];
  for (const sizeBytes of bad) {
    assertEquals(
      assertThrows(() => proto.DigestCodec.encode({ sizeBytes }), BrokkrError).code,
      Code.INVALID_ARGUMENT,
    );
  }
  assertThrows(() => proto.RepMaxCdcParamsCodec.encode({ minChunkSizeBytes: -1 }), BrokkrError, "-1");
  assertThrows(() => proto.FileNodeCodec.encode({ name: "a\ud800" }), BrokkrError, "well-formed");
  // The writer that all share is as good as new afterwards.
  assertEquals(toHex(proto.DigestCodec.encode({ hash: "a" })), "0a0161");
});

Deno.test("int32 fields keep their sign", () => {
  const bytes = proto.ActionResultCodec.encode({ exitCode: -1 });
  assertEquals(proto.ActionResultCodec.decode(bytes).exitCode, -1);
});

Deno.test("decode refuses malformed bytes and names the message", () => {
  assert(refuses([0x0a, 5, 0x61]).startsWith("Malformed build.bazel.remote.execution.v2.Digest message: "));
  refuses([0x0a]);
  refuses([0x00, 0x00]);
  refuses([0x0c]);
  refuses([0x0e]);
  refuses([0x0a, 1, 0xff]);
  refuses([0x10, ...new Array(10).fill(0xff), 1]);
  refuses([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  refuses([0x1b, 0x24]);
  refuses(new Array(200).fill(0x1b));
  refuses([0x0a, 4, 0x12, 9, 0x0a, 1], proto.DirectoryCodec as Codec<unknown>);
});

Deno.test("a known field of another wire type is passed over like an unknown one", () => {
  assertEquals(proto.DigestCodec.decode(new Uint8Array([0x12, 1, 9, 0x08, 1, 0x0a, 1, 0x61])), {
    hash: "a",
    sizeBytes: 0,
  });
});

Deno.test("bytes of a Buffer decode to plain Uint8Array views", async () => {
  const { Buffer } = await import("node:buffer");
  const source = Buffer.from([0x52, 2, 1, 2]);
  const { data } = proto.ReadResponseCodec.decode(source);
  assertEquals(data.constructor, Uint8Array);
  source[2] = 9;
  assertEquals(data, new Uint8Array([9, 2]));
});

Deno.test("any bytes decode or are refused, for every message", () => {
  for (const codec of codecs.values()) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => acceptsOrRefuses(() => codec.decode(bytes))),
      { numRuns: 50 },
    );
  }
});

Deno.test("goldens with any byte changed, or cut anywhere, decode or are refused", () => {
  const all = goldens().filter(({ hex }) => hex !== "");
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.nat(),
      fc.nat(255),
      fc.boolean(),
      ({ message, hex }, at, byte, cut) => {
        const bytes = fromHex(hex);
        bytes[at % bytes.length] = byte;
        const codec = codecs.get(`${message.split(".").at(-1)}Codec`);
        assert(codec);
        acceptsOrRefuses(() => codec.decode(cut ? bytes.subarray(0, at % bytes.length) : bytes));
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("a message of millions of empty parts is decoded without running away", () => {
  const hostile = new Uint8Array(1 << 20);
  for (let i = 0; i < hostile.length; i += 2) hostile[i] = 0x0a;
  const begin = performance.now();
  assertEquals(proto.DirectoryCodec.decode(hostile).files.length, 1 << 19);
  assert(performance.now() - begin < 5000);
});
