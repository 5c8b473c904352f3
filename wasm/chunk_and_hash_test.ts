import { assert, assertEquals, assertRejects } from "@std/assert";
import * as fc from "fast-check";
import { chunkAndHash } from "./chunk_and_hash.ts";
import { chunkLengths } from "./fastcdc.ts";
import { hashHex } from "./hash.ts";
import { createHasher } from "./hasher.ts";
import type { HashName } from "./names.ts";

/** Bytes that look random and are the same everywhere (xorshift32). */
function noise(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, x = 0x9e3779b9; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, length);
}

type Source = Parameters<typeof chunkAndHash>[2];

/** A line for each chunk: offset, length, hash; checks that its bytes are those of the whole. */
async function chunksOf(
  avgBytes: number,
  name: HashName,
  source: Source,
  whole: Uint8Array,
): Promise<string[]> {
  const found = [];
  for await (const { offset, length, hash, bytes } of chunkAndHash({ avgBytes }, name, source)) {
    assert(bytes.length === length && bytes.every((byte, i) => byte === whole[offset + i]), `at ${offset}`);
    found.push(`${offset} ${length} ${hash.toHex()}`);
  }
  return found;
}

function expectedOf(avgBytes: number, name: HashName, whole: Uint8Array): string[] {
  let offset = 0;
  return Array.from(chunkLengths({ avgBytes }, whole), (length) => {
    const chunk = whole.subarray(offset, offset += length);
    return `${offset - length} ${length} ${hashHex(name, chunk)}`;
  });
}

/** Pieces of a source in one buffer that is used again and again, as readers of files do. */
async function* reused(whole: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.max(...sizes));
  for (let at = 0, i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length];
    const piece = whole.subarray(at, at += size);
    buffer.set(piece);
    await Promise.resolve();
    yield buffer.subarray(0, piece.length);
    buffer.fill(0xee);
  }
}

for (const name of ["sha256", "blake3", "sha1"] as const) {
  Deno.test(`chunks and their ${name} are the same whole and in pieces`, async () => {
    const whole = noise(100_001);
    const expected = expectedOf(4096, name, whole);
    assertEquals(await chunksOf(4096, name, whole, whole), expected);
    for (const sizes of [[1, 4096], [65_536], [200_000], [7, 30_000, 1]]) {
      assertEquals(await chunksOf(4096, name, reused(whole, sizes), whole), expected, `pieces of ${sizes}`);
    }
    assertEquals(await chunksOf(4096, name, [whole.subarray(0, 9), whole.subarray(9)], whole), expected);
  });
}

Deno.test("pieces of any length give the same chunks", async () => {
  const noises = noise(60_000);
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 60_000 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 20_000 })), {
        minLength: 1,
      }),
      async (length, sizes) => {
        const whole = noises.subarray(0, length);
        const expected = expectedOf(1024, "md5", whole);
        assertEquals(await chunksOf(1024, "md5", reused(whole, sizes), whole), expected);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("a source of no bytes has no chunks", async () => {
  assertEquals(await chunksOf(1024, "sha256", new Uint8Array(0), new Uint8Array(0)), []);
  assertEquals(await chunksOf(1024, "sha256", [], new Uint8Array(0)), []);
  assertEquals(await chunksOf(1024, "sha256", [new Uint8Array(0)], new Uint8Array(0)), []);
});

Deno.test("chunks of several megabytes are hashed in parts with the same result", async () => {
  const whole = new Uint8Array(9 << 20);
  const found = await chunksOf(1 << 20, "sha256", reused(whole, [300_001]), whole);
  const hasher = createHasher("sha256");
  hasher.update(whole.subarray(0, 4 << 20));
  const of4MiB = hasher.digest().toHex();
  assertEquals(found.slice(0, 2), [`0 ${4 << 20} ${of4MiB}`, `${4 << 20} ${4 << 20} ${of4MiB}`]);
  assertEquals(found, expectedOf(1 << 20, "sha256", whole));
});

Deno.test("the event loop has its turns while a large source is cut and hashed", async () => {
  let turns = 0;
  let over = false;
  const count = () => {
    turns++;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const start = performance.now();
  let chunks = 0;
  // Takes 15 ms where it is fastest, so that slices of a few milliseconds give several turns.
  for await (const _ of chunkAndHash({ avgBytes: 1 << 18 }, "sha256", noise(32 << 20))) chunks++;
  over = true;
  assert(chunks > 50);
  assert(turns >= 3, `${turns} turns in ${performance.now() - start} ms`);
});

Deno.test("whoever stops early ends the source, and a source's error arrives", async () => {
  let ended = false;
  async function* source() {
    try {
      for (;;) yield await Promise.resolve(noise(10_000));
    } finally {
      ended = true;
    }
  }
  for await (const _ of chunkAndHash({ avgBytes: 1024 }, "sha256", source())) break;
  assert(ended);

  async function* broken() {
    yield await Promise.resolve(noise(10));
    throw new Deno.errors.NotFound("No such piece");
  }
  const all = () => Array.fromAsync(chunkAndHash({ avgBytes: 1024 }, "sha256", broken()));
  await assertRejects(all, Deno.errors.NotFound, "No such piece");
  const wrong = () => Array.fromAsync(chunkAndHash({ avgBytes: 1000 }, "sha256", noise(10)));
  await assertRejects(wrong, RangeError, "avgBytes");
});
