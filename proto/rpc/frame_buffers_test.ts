import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { RawReadResponseCodec } from "../raw/byte_stream.ts";
import { Frame } from "./_frame_buffers.ts";

Deno.test("A frame has the prefix and the room of a message, whatever its size", () => {
  for (const sizeBytes of [0, 1, 16_383, 16_384, 16_448, 16_449, 1 << 20, (4 << 20) + 7, 9 << 20]) {
    const frame = new Frame(sizeBytes);
    assertEquals(frame.message.length, sizeBytes);
    assertEquals([...frame.bytes.subarray(0, 5)], [
      0,
      sizeBytes >> 24,
      sizeBytes >> 16 & 255,
      sizeBytes >> 8 & 255,
      sizeBytes & 255,
    ]);
    frame.release();
  }
});

Deno.test("Memory of a frame is used again when it was released, and only then", () => {
  const first = new Frame(20_000);
  const second = new Frame(20_000);
  assert(first.bytes.buffer !== second.bytes.buffer);
  first.release();
  first.release(); // harmless: nobody else has it
  const third = new Frame(21_000), fourth = new Frame(21_000);
  assertStrictEquals(third.bytes.buffer, first.bytes.buffer);
  assert(fourth.bytes.buffer !== third.bytes.buffer);
  for (const frame of [second, third, fourth]) frame.release();
});

Deno.test("What is kept of released frames is bounded", () => {
  const frames = Array.from({ length: 64 }, () => new Frame(1 << 20));
  for (const frame of frames) frame.release();
  const again = Array.from({ length: 64 }, () => new Frame(1 << 20));
  const before = new Set(frames.map(({ bytes }) => bytes.buffer));
  const reused = again.filter(({ bytes }) => before.has(bytes.buffer)).length;
  assert(reused > 0 && reused <= 8, `${reused} of 64 MiB were kept`);
  for (const frame of again) frame.release();
});

Deno.test("A ReadResponse that is encoded in place is the one that is encoded", () => {
  const { inPlace } = RawReadResponseCodec;
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 3 << 20]) {
    const message = { data: new Uint8Array(length).fill(7) };
    const target = new Uint8Array(inPlace?.sizeOf(message) ?? 0).fill(255);
    inPlace?.encodeInto(message, target);
    assertEquals(target, RawReadResponseCodec.encode(message));
  }
});
