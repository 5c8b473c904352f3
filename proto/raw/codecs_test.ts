import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, Code } from "@brokkr/common";
import * as proto from "../mod.ts";
import type { Codec } from "../mod.ts";
import {
  blob,
  damaged,
  digest,
  lengthField,
  message,
  type Piece,
  status,
  text,
  varintField,
} from "./_arbitrary.ts";

interface Pair {
  readonly name: string;
  readonly raw: Codec<unknown>;
  readonly generated: Codec<unknown>;
  readonly bytes: Piece;
}

function pair<T, I>(name: string, raw: Codec<T, I>, generated: Codec<T, I>, bytes: Piece): Pair {
  return { name, raw: raw as Codec<unknown>, generated: generated as Codec<unknown>, bytes };
}

const readBlob = message(
  lengthField(1, digest),
  lengthField(2, blob),
  lengthField(3, status),
  varintField(4),
);
const updateBlob = message(lengthField(1, digest), lengthField(2, blob), varintField(3));
const packedEnums = fc.array(fc.nat(300), { maxLength: 5 }).map((values) => {
  const writer = new proto.WireWriter();
  for (const value of values) writer.varint(value);
  return writer.finish();
});

const PAIRS: readonly Pair[] = [
  pair(
    "ReadRequest",
    proto.RawReadRequestCodec,
    proto.ReadRequestCodec,
    message(lengthField(1, text), varintField(2), varintField(3)),
  ),
  pair("ReadResponse", proto.RawReadResponseCodec, proto.ReadResponseCodec, message(lengthField(10, blob))),
  pair(
    "WriteRequest",
    proto.RawWriteRequestCodec,
    proto.WriteRequestCodec,
    message(lengthField(1, text), varintField(2), varintField(3), lengthField(10, blob)),
  ),
  pair("WriteResponse", proto.RawWriteResponseCodec, proto.WriteResponseCodec, message(varintField(1))),
  pair(
    "BatchUpdateBlobsRequest",
    proto.RawBatchUpdateRequestCodec,
    proto.BatchUpdateBlobsRequestCodec,
    message(lengthField(1, text), lengthField(2, updateBlob), varintField(5)),
  ),
  pair(
    "BatchUpdateBlobsResponse",
    proto.RawBatchUpdateResponseCodec,
    proto.BatchUpdateBlobsResponseCodec,
    message(lengthField(1, message(lengthField(1, digest), lengthField(2, status)))),
  ),
  pair(
    "BatchReadBlobsRequest",
    proto.RawBatchReadRequestCodec,
    proto.BatchReadBlobsRequestCodec,
    message(
      lengthField(1, text),
      lengthField(2, digest),
      varintField(3),
      lengthField(3, packedEnums),
      varintField(4),
    ),
  ),
  pair(
    "BatchReadBlobsResponse",
    proto.RawBatchReadResponseCodec,
    proto.BatchReadBlobsResponseCodec,
    message(lengthField(1, readBlob)),
  ),
];

/** What decoding gives, or the code it is refused with. */
function outcome(codec: Codec<unknown>, bytes: Uint8Array): unknown {
  try {
    return codec.decode(bytes);
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT) return "refused";
    throw error;
  }
}

for (const { name, raw, generated, bytes } of PAIRS) {
  Deno.test(`${name} decodes by hand as the generated codec does, whatever order, repetition or harm`, () => {
    fc.assert(
      fc.property(damaged(bytes), (it) => assertEquals(outcome(raw, it), outcome(generated, it))),
      { numRuns: 600 },
    );
  });

  Deno.test(`${name} encodes by hand to the bytes of the generated codec`, () => {
    fc.assert(
      fc.property(bytes, (it) => {
        const value = generated.decode(it);
        let expected: Uint8Array;
        try {
          expected = generated.encode(value);
        } catch {
          // Numbers beyond 2^53 decode rounded, and are refused by both encoders.
          assertThrows(() => raw.encode(value), BrokkrError);
          return;
        }
        assertEquals(new Uint8Array(raw.encode(value)), expected);
      }),
      { numRuns: 400 },
    );
  });

  Deno.test(`${name} encodes what is left out as its default`, () => {
    assertEquals(raw.encode({}), new Uint8Array(0));
    assertEquals(raw.decode(new Uint8Array(0)), generated.decode(new Uint8Array(0)));
  });
}

Deno.test("reserveReadResponse makes the message around data of any size", () => {
  for (const length of [0, 1, 127, 128, 16383, 16384, 1 << 20]) {
    const { message, data } = proto.reserveReadResponse(length);
    assertEquals(data.length, length);
    data.fill(7);
    assertEquals(proto.ReadResponseCodec.decode(message).data, data);
    assertEquals(proto.encodeReadResponse({ data }), message);
  }
});

Deno.test("decoded data are views into the message, and plain ones for a Buffer", async () => {
  const { Buffer } = await import("node:buffer");
  const source = Buffer.from(proto.encodeWriteRequest({ data: new Uint8Array([1, 2]) }));
  const { data } = proto.decodeWriteRequest(source);
  assertEquals([data.constructor === Uint8Array, data.buffer === source.buffer], [true, true]);
});

Deno.test("a status in a thousand parts is merged in linear time", () => {
  const writer = new proto.WireWriter();
  const long = proto.StatusCodec.encode({ message: "x".repeat(1 << 20) });
  const empties = 1 << 17;
  writer.header(1, 4 + long.length + 2 * empties);
  writer.header(3, long.length);
  writer.raw(long);
  for (let i = 0; i < empties; i++) writer.header(3, 0);
  const begin = performance.now();
  assertEquals(proto.decodeBatchReadResponse(writer.finish()).responses[0].status?.message.length, 1 << 20);
  assertEquals(performance.now() - begin < 5000, true);
});
