import { assert, assertEquals, assertRejects } from "@std/assert";
import { ByteBudget, Slices } from "@brokkr/common";
import { checkFastCdcParams, chunkLengths } from "@brokkr/wasm";
import fc from "fast-check";
import { type Digest, DIGEST_FUNCTIONS, digestOf, SHA256 } from "../digest.ts";
import { noise } from "../services/_test_server.ts";
import { cutDigests, cutWindows, hashInSlices, windowBytes } from "./_cutter.ts";

const params = checkFastCdcParams({ avgBytes: 4096, seed: 9 });

function expected(bytes: Uint8Array): Digest[] {
  let at = 0;
  return [...chunkLengths(params, bytes)].map((length) => digestOf(SHA256, bytes.subarray(at, at += length)));
}

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  // One buffer for all pieces: who keeps a piece finds others in it.
  const buffer = new Uint8Array(Math.max(...sizes));
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const piece = bytes.subarray(at, at + sizes[i % sizes.length]);
    buffer.set(piece);
    yield await Promise.resolve(buffer.subarray(0, piece.length));
    at += piece.length;
  }
}

/** All chunks of all windows, looked at when the last has come: each must still be what it was. */
async function cut(source: Uint8Array | AsyncIterable<Uint8Array>): Promise<Digest[]> {
  const room = new ByteBudget(100 * windowBytes(params));
  const windows = await Array.fromAsync(cutWindows(source, { params, fn: SHA256, room, signal: undefined }));
  for (const { chunks } of windows) {
    for (const { digest, data } of chunks) assertEquals(digestOf(SHA256, data), digest);
  }
  assertEquals(room.usedBytes, windows.length * windowBytes(params));
  for (const { lease } of windows) lease.release();
  return windows.flatMap(({ chunks }) => chunks.map(({ digest }) => digest));
}

Deno.test("cutWindows finds the same chunks in whatever pieces a blob comes, and from memory", async () => {
  const window = windowBytes(params);
  for (const length of [0, 1, 1000, 16_385, window - 1, window, window + 1, 2 * window + 777]) {
    const bytes = noise(length, length + 1);
    assertEquals(await cut(bytes), expected(bytes), `${length} bytes from memory`);
    for (const sizes of [[1 << 20], [65_537, 1, 4095], [window + 5]]) {
      assertEquals(
        await cut(inPieces(bytes, sizes)),
        expected(bytes),
        `${length} bytes in pieces of ${sizes}`,
      );
      assertEquals(await cutDigests(inPieces(bytes, sizes), params, SHA256), expected(bytes));
    }
  }
});

Deno.test("hashInSlices hashes chunks of any size", async () => {
  for (const fn of DIGEST_FUNCTIONS) {
    for (const length of [0, 1, 1 << 20, (1 << 20) + 1, (4 << 20) + 7]) {
      const data = noise(length, length + 3);
      assertEquals(await hashInSlices(fn, data, new Slices()), fn.hash(data), `${fn.name}, ${length} bytes`);
    }
  }
});

Deno.test("cutWindows finds the same chunks for any content and pieces (property)", async () => {
  const contents = fc.record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    length: fc.integer({ min: 0, max: 200_000 }),
    zerosAt: fc.integer({ min: 0, max: 200_000 }),
  });
  const sizes = fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1, maxLength: 5 })
    .filter((all) => all.reduce((sum, size) => sum + size, 0) > 500);
  await fc.assert(
    fc.asyncProperty(contents, sizes, async ({ seed, length, zerosAt }, pieces) => {
      const bytes = noise(length, seed);
      bytes.fill(0, zerosAt, zerosAt + 60_000);
      assertEquals(await cut(inPieces(bytes, pieces)), expected(bytes));
    }),
    { numRuns: 40 },
  );
});

Deno.test("cutWindows waits for room, and gives it back whatever ends it", async () => {
  const room = new ByteBudget(windowBytes(params));
  const bytes = noise(3 * windowBytes(params));
  const failing = async function* () {
    yield bytes;
    await Promise.resolve();
    throw new Error("Gone");
  };
  for (const source of [bytes, inPieces(bytes, [1 << 20]), failing()]) {
    let windows = 0;
    const run = async () => {
      for await (const { lease } of cutWindows(source, { params, fn: SHA256, room, signal: undefined })) {
        assertEquals(room.availableBytes, 0);
        windows++;
        lease.release();
      }
    };
    // Only the last one fails.
    await run().catch((error: Error) => assertEquals(error.message, "Gone"));
    assert(windows >= 2, `${windows} windows`);
    assertEquals(room.usedBytes, 0);
  }
  for await (const { lease } of cutWindows(bytes, { params, fn: SHA256, room, signal: undefined })) {
    lease.release();
    break;
  }
  assertEquals(room.usedBytes, 0);
  const stop = AbortSignal.abort(new Error("Enough"));
  await assertRejects(async () => {
    for await (const { lease } of cutWindows(bytes, { params, fn: SHA256, room, signal: stop })) {
      lease.release();
    }
  }, "Enough");
  assertEquals(room.usedBytes, 0);
});
