import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BrokkrError } from "@brokkr/common";
import { readText, textSize, varintSize } from "./wire.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";
import { overlong } from "./_arbitrary.ts";

function reader(...bytes: readonly number[]): WireReader {
  return new WireReader(new Uint8Array(bytes), "test.Message");
}

Deno.test("WireWriter varint comes back through WireReader int64, in as few bytes as varintSize says", () => {
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => {
    const writer = new WireWriter(0);
    writer.varint(value);
    const bytes = writer.finish();
    assertEquals(new WireReader(bytes, "test.Message").int64(), value);
    assertEquals(bytes.length, value < 0 ? 10 : varintSize(value));
    assertEquals(new Uint8Array(bytes), overlong(BigInt(value), 0));
  }));
});

Deno.test("WireWriter varint refuses what is no safe integer", () => {
  for (const value of [2 ** 53, 1e300, Infinity, -(2 ** 53), NaN, 0.5]) {
    assertThrows(() => new WireWriter().varint(value), BrokkrError);
  }
});

Deno.test("WireWriter text writes UTF-8 of textSize bytes, which readText reads back", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: "grapheme", maxLength: 100 })), (text) => {
    const wellFormed = text.toWellFormed();
    const writer = new WireWriter(1);
    writer.text(wellFormed);
    const bytes = writer.finish();
    assertEquals(new Uint8Array(bytes), new TextEncoder().encode(wellFormed));
    assertEquals(textSize(wellFormed), bytes.length);
    assertEquals(readText(bytes, 0, bytes.length), wellFormed);
  }));
});

Deno.test("WireWriter text refuses a lone surrogate", () => {
  assertThrows(() => new WireWriter().text("\udc00"), BrokkrError, "well-formed");
});

Deno.test("WireReader refuses what is malformed, saying what and where", () => {
  const cases: readonly [WireReader, (it: WireReader) => unknown, string][] = [
    [reader(), (it) => it.tag(), "a tag is cut off at byte 0"],
    [reader(0x80), (it) => it.tag(), "a tag is cut off"],
    [reader(0x07), (it) => it.tag(), "field number 0"],
    [reader(0xff, 0xff, 0xff, 0xff, 0x1f), (it) => it.tag(), "a tag is too large"],
    [reader(5, 1), (it) => it.length(), "a length of 5 reaches past the end"],
    [reader(0xff, 0xff, 0xff, 0xff, 0x0f), (it) => it.length(), "a length is too large"],
    [reader(0xff, 0xff, 0xff, 0xff, 0x07), (it) => it.length(), "a length of 2147483647 reaches"],
    [reader(0x80), (it) => it.int64(), "a number is cut off"],
    [reader(...new Array(11).fill(0x80)), (it) => it.int64(), "more than ten bytes"],
    [reader(2, 0xc3, 0x28), (it) => it.string(), "a text is not UTF-8"],
    [reader(1, 2, 3), (it) => it.skip(0x09), "a fixed number is cut off"],
    [reader(), (it) => it.skip(0x0c), "wire type 4 is not allowed"],
    [reader(), (it) => it.skip(0x0e), "wire type 6 is not allowed"],
    [reader(0x14), (it) => it.skip(0x0b), "another's tag"],
    [reader(...new Array(300).fill(0x0b)), (it) => it.skip(0x0b), "nested too deep"],
  ];
  for (const [it, work, message] of cases) {
    const error = assertThrows(() => work(it), BrokkrError, message);
    assertEquals(error.message.startsWith("Malformed test.Message message: "), true);
  }
});

Deno.test("WireReader skips groups within groups", () => {
  const it = reader(0x13, 0x08, 1, 0x14, 0x0c, 0x08, 7);
  it.skip(0x0b);
  assertEquals([it.tag(), it.int64(), it.done], [0x08, 7, true]);
});

Deno.test("WireReader reads no further than the submessage it entered", () => {
  const it = reader(2, 0x08, 0x80, 1);
  const outer = it.enter();
  assertEquals(it.tag(), 0x08);
  assertThrows(() => it.int64(), BrokkrError, "cut off");
  assertEquals(it.end < outer, true);
});
