import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { DigestBatch } from "../blob_store.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { FILE_SEGMENT, MAX_TABLE_SIZE, MembershipTable } from "./membership_table.ts";

const SEED = new Uint8Array(8).fill(3);

function batchOfHashes(hashes: readonly Uint8Array[], sizes: readonly number[]): DigestBatch {
  const all = new Uint8Array(hashes.length * 32);
  hashes.forEach((hash, i) => all.set(hash, i * 32));
  return { fn: SHA256, length: hashes.length, hashes: all, sizes: Float64Array.from(sizes) };
}

Deno.test("MembershipTable finds what was set, with large sizes and offsets", () => {
  const table = new MembershipTable(32, SEED);
  const hash = crypto.getRandomValues(new Uint8Array(32));
  for (
    const [segment, offset, sizeBytes, storedBytes] of [
      [0, 0, 0, 0],
      [7, 2 ** 34, 2 ** 20, 2 ** 20],
      [FILE_SEGMENT, 0, MAX_TABLE_SIZE, MAX_TABLE_SIZE],
      [1, 8, 2 ** 32, 17],
    ]
  ) {
    table.set(hash, segment, offset, sizeBytes, 0, storedBytes);
    const location = { segment, offset, sizeBytes, storedBytes };
    assertEquals(table.find(hash.toHex()), location);
    assertEquals(table.entry(hash)?.storedBytes, storedBytes);
    assertEquals([...table.missing(batchOfHashes([hash, hash], [sizeBytes, sizeBytes + 1]))], [1]);
  }
  assertEquals(table.size, 1);
});

Deno.test("MembershipTable behaves like a map when hashes share most of their bits", () => {
  const hash = fc.uint8Array({ minLength: 2, maxLength: 2, max: 15 }).map((few) => {
    const all = new Uint8Array(32);
    all[few[0]] = 1 + few[1];
    return all;
  });
  const operation = fc.record({ remove: fc.boolean(), hash, size: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
      const table = new MembershipTable(32, SEED);
      const model = new Map<string, number>();
      for (const { remove, hash, size } of operations) {
        const hex = hash.toHex();
        if (remove) {
          assertEquals(table.deleteRaw(hash)?.sizeBytes, model.get(hex));
          model.delete(hex);
        } else {
          assertEquals(table.set(hash, 1, 8 * size, size)?.sizeBytes, model.get(hex));
          model.set(hex, size);
        }
        assertEquals(table.size, model.size);
      }
      for (const { hash } of operations) {
        assertEquals(table.findRaw(hash)?.sizeBytes, model.get(hash.toHex()));
      }
    }),
  );
});

Deno.test("MembershipTable keeps 200,000 hashes through growing and deleting", () => {
  const table = new MembershipTable(32, SEED);
  const count = 200_000;
  const hashes = new Uint8Array(count * 32);
  for (let i = 0; i < count; i++) {
    new DataView(hashes.buffer).setUint32(i * 32, Math.imul(i, 2654435761));
    new DataView(hashes.buffer).setUint32(i * 32 + 12, i);
    table.set(hashes.subarray(i * 32, i * 32 + 32), 1, i * 8, i);
  }
  const batch = {
    fn: SHA256,
    length: count,
    hashes,
    sizes: Float64Array.from({ length: count }, (_, i) => i),
  };
  assertEquals(table.missing(batch).length, 0);
  for (let i = 0; i < count; i += 2) {
    assert(table.deleteRaw(hashes.subarray(i * 32, i * 32 + 32)) !== undefined);
  }
  assertEquals(table.size, count / 2);
  const missing = table.missing(batch);
  assertEquals(missing.length, count / 2);
  assert(missing.every((index) => index % 2 === 0));
});

Deno.test("MembershipTable takes batches that do not begin on a 4-byte boundary", () => {
  const table = new MembershipTable(32, SEED);
  const hash = crypto.getRandomValues(new Uint8Array(32));
  table.set(hash, 1, 8, 5);
  const shifted = new Uint8Array(33);
  shifted.set(hash, 1);
  const batch = { fn: SHA256, length: 1, hashes: shifted.subarray(1), sizes: Float64Array.of(5) };
  assertEquals(table.missing(batch).length, 0);
});

Deno.test("MembershipTable counts the empty blob as there, but no other blob of size 0", () => {
  const table = new MembershipTable(32, SEED);
  const empty = digestOf(SHA256, new Uint8Array(0));
  const other = digestOf(SHA256, new Uint8Array(1));
  assertEquals([
    ...table.missing(batchOf(SHA256, [empty, { ...other, sizeBytes: 0 }, { ...empty, sizeBytes: 1 }])),
  ], [
    1,
    2,
  ]);
});

Deno.test("MembershipTable keeps the longer of two pins, and pins survive a new location", () => {
  const table = new MembershipTable(32, SEED);
  const digest = digestOf(SHA256, new Uint8Array(9));
  const hash = Uint8Array.fromHex(digest.hash);
  const batch = batchOf(SHA256, [digest]);
  table.pin(batch, { usedS: 5, untilMs: 100_000 });
  assertEquals(table.pinnedUntilMs(digest.hash), 0);
  table.set(hash, 1, 8, 2 ** 33 + 9, 0, 8);
  table.pin(batch, { usedS: 5, untilMs: 100_000 });
  table.pin(batch, { usedS: 4, untilMs: 10 });
  assert(table.pinnedUntilMs(digest.hash) >= 100_000);
  table.set(hash, 2, 16, 2 ** 33 + 9, 0, 12);
  assert(table.pinnedUntilMs(digest.hash) >= 100_000);
  assertEquals(table.find(digest.hash), { segment: 2, offset: 16, sizeBytes: 2 ** 33 + 9, storedBytes: 12 });
});

Deno.test("MembershipTable shown piece by piece misses nothing that is there all the time", () => {
  const key = (i: number) => {
    const hash = new Uint8Array(32);
    new DataView(hash.buffer).setUint32(12, i);
    return hash;
  };
  const step = fc.record({ drop: fc.array(fc.nat(5000), { maxLength: 30 }), add: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(step), fc.func(fc.boolean()), (steps, goes) => {
      const table = new MembershipTable(32, SEED);
      for (let i = 0; i < 5000; i++) table.set(key(i), 1, 8, i);
      const shown = new Set<number>();
      const gone = new Set<number>();
      let next = 5000;
      let turn = 0;
      for (let part = 0; part < table.shards; part++) {
        for (let to = table.countOf(part); to > 0; to -= 3) {
          table.visit(
            part,
            ({ sizeBytes }) => {
              shown.add(sizeBytes);
              if (goes(sizeBytes) === true) gone.add(sizeBytes);
              return goes(sizeBytes);
            },
            Math.max(0, to - 3),
            to,
          );
          const between = steps[turn++ % Math.max(1, steps.length)];
          for (const i of between?.drop ?? []) if (table.deleteRaw(key(i)) !== undefined) gone.add(i);
          for (let n = between?.add ?? 0; n > 0; n--) table.set(key(next), 1, 8, next++);
        }
      }
      for (let i = 0; i < 5000; i++) {
        assert(shown.has(i) || gone.has(i), `blob ${i} was not shown`);
        assertEquals(table.findRaw(key(i)) === undefined, gone.has(i));
      }
    }),
    { numRuns: 10 },
  );
});
