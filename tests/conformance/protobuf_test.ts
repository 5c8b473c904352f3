import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { edit, Fields, msg, ParseError, varint } from "./protobuf.ts";

const hex = (bytes: Uint8Array) => bytes.toHex();

Deno.test("msg writes what the encoding guide shows", () => {
  assertEquals(hex(msg({ 1: 150 })), "089601");
  assertEquals(hex(msg({ 2: "testing" })), "120774657374696e67");
  assertEquals(hex(msg({ 3: msg({ 1: 150 }) })), "1a03089601");
  assertEquals(hex(msg({ 6: [3, 270, 86942] })), "3206038e029ea705");
  assertEquals(hex(msg({ 4: ["a", ""] })), "2201612200");
  assertEquals(hex(msg({ 1: -2 })), "08feffffffffffffffff01");
});

Deno.test("msg leaves out scalars with their default, and writes messages that are empty", () => {
  assertEquals(hex(msg({ 1: 0, 2: "", 3: false, 4: undefined, 5: [], 6: 0n })), "");
  assertEquals(hex(msg({ 1: msg({}) })), "0a00");
});

Deno.test("Fields gives back what msg wrote, at any number", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 536_870_911 }),
    fc.string(),
    fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
    fc.uint8Array(),
    (number, text, integer, bytes) => {
      assertEquals(Fields.parse(msg({ [number]: text })).str(number), text.toWellFormed());
      assertEquals(Fields.parse(msg({ [number]: integer })).int(number), Number(integer));
      assertEquals(Fields.parse(msg({ [number]: [bytes, bytes] })).bytesAll(number).length, 2);
    },
  ));
});

Deno.test("Fields reads numbers packed and not, and keeps what it does not know", () => {
  const fields = Fields.parse(new Uint8Array([...msg({ 5: [1, 2] }), ...msg({ 5: 3 }), ...msg({ 99: "x" })]));
  assertEquals(fields.ints(5), [1, 2, 3]);
  assertEquals(fields.numbers(), [5, 5, 99]);
});

Deno.test("Fields merges the parts of a message that came apart", () => {
  const fields = Fields.parse(new Uint8Array([...msg({ 1: msg({ 1: 5 }) }), ...msg({ 1: msg({ 2: 6 }) })]));
  assertEquals([fields.message(1)?.int(1), fields.message(1)?.int(2)], [5, 6]);
});

Deno.test("Fields refuses what is no message", () => {
  for (const bytes of ["0a7f41", "0aff", "0200", "0f00", "08ffffffffffffffffffff01", "0d0000", "0b"]) {
    assertThrows(() => Fields.parse(Uint8Array.fromHex(bytes)), ParseError);
  }
  assertThrows(() => Fields.parse(Uint8Array.fromHex("0a02fffe")).str(1), ParseError, "UTF-8");
  assertThrows(() => Fields.parse(msg({ 1: 5 })).str(1), ParseError, "wire type");
});

Deno.test("Fields never does anything but read or throw ParseError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    try {
      const fields = Fields.parse(bytes);
      for (const number of fields.numbers()) fields.ints(number);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
    }
  }));
});

Deno.test("edit changes the fields that it is told, and leaves the others as they are", () => {
  const before = msg({ 1: "a", 2: [msg({ 1: 1 }), msg({ 1: 2 })], 9: "z" });
  assertEquals(edit(before, { 2: msg({ 1: 3 }), 10: 7 }), msg({ 1: "a", 2: msg({ 1: 3 }), 9: "z", 10: 7 }));
  assertEquals(edit(before, { 2: undefined }), msg({ 1: "a", 9: "z" }));
  assertEquals(edit(before, {}), before);
});

Deno.test("varint takes as many bytes as it must", () => {
  assertEquals([0, 127, 128, 2 ** 32, -1].map((value) => varint(value).length), [1, 1, 2, 5, 10]);
});
