import { assert, assertEquals } from "@std/assert";
import { CHUNK_AVG_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES, cut } from "./_cut.ts";

function noise(length: number, seed = 1): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

async function cutAll(pieces: Iterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of cut(pieces)) chunks.push(chunk);
  return chunks;
}

function* inPieces(data: Uint8Array, size: number): Generator<Uint8Array> {
  const reused = new Uint8Array(size);
  for (let at = 0; at < data.length; at += size) {
    const piece = data.subarray(at, at + size);
    reused.set(piece);
    yield reused.subarray(0, piece.length);
  }
}

Deno.test("a blob is cut at the same places however it is read, and the chunks are the blob", async () => {
  const data = noise(5_000_001);
  const whole = await cutAll([data]);
  assert(whole.length > 5, String(whole.length));
  let at = 0;
  for (const [i, chunk] of whole.entries()) {
    assertEquals(chunk, data.subarray(at, at += chunk.length));
    assert(chunk.length <= CHUNK_MAX_BYTES);
    assert(i === whole.length - 1 || chunk.length >= CHUNK_MIN_BYTES);
  }
  assertEquals(at, data.length);
  for (const size of [65_536, 1_000_003, 4 << 20]) {
    const chunks = await cutAll(inPieces(data, size));
    assertEquals(chunks.map(({ length }) => length), whole.map(({ length }) => length));
  }
});

Deno.test("what is changed in the middle of a blob changes few chunks", async () => {
  const data = noise(6_000_000, 7);
  const before = new Set((await cutAll([data])).map((chunk) => chunk.toHex()));
  const edited = new Uint8Array([...data.subarray(0, 3_000_000), 1, 2, 3, ...data.subarray(3_000_000)]);
  const after = await cutAll([edited]);
  const others = after.filter((chunk) => !before.has(chunk.toHex()));
  assert(others.length <= 3, `${others.length} of ${after.length}`);
});

Deno.test("bytes without any boundary are cut at the largest size", async () => {
  const chunks = await cutAll([new Uint8Array(3 * CHUNK_MAX_BYTES + 5)]);
  assertEquals(chunks.map(({ length }) => length), [...Array(3).fill(CHUNK_MAX_BYTES), 5]);
  assertEquals(await cutAll([]), []);
  assertEquals((await cutAll([new Uint8Array(CHUNK_AVG_BYTES / 8)])).length, 1);
});
