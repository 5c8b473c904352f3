// The blob index by itself: the order in which changes are written, what a crash or a failure in between leaves, and what
// it says of itself.

import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, ManualClock, noLog } from "@brokkr/common";
import fc from "fast-check";
import type { MetadataChange } from "../metadata_store.ts";
import { BlobIndex, type Totals } from "./_blob_index.ts";
import type { IndexEnv } from "./_index_env.ts";
import { decodeValue, IndexQueue } from "./_index_queue.ts";

const ID = "00112233445566778899aabbccddeeff";
const TOTALS: Totals = { blobs: 3, bytes: 300, files: 1, fileBytes: 2 ** 33, storedBytes: 150 };
const AT = { segment: 1, offset: 64, sizeBytes: 100, storedBytes: 80 };

/** A database in memory that can fail, and notes the changes of each transaction. */
class MemoryEnv implements IndexEnv {
  readonly entriesByKey = new Map<string, Uint8Array>();
  readonly applied: (readonly MetadataChange[])[] = [];
  /** Transactions that work before the next fails. */
  failsAfter = Infinity;

  get(key: Uint8Array): Uint8Array | undefined {
    return this.entriesByKey.get(key.toHex());
  }

  async apply(changes: readonly MetadataChange[]): Promise<void> {
    await Promise.resolve();
    if (this.failsAfter-- <= 0) throw new BrokkrError(Code.RESOURCE_EXHAUSTED, "No space left on the disk");
    this.applied.push(changes);
    for (const change of changes) {
      if (change.op === "put") this.entriesByKey.set(change.key.toHex(), change.value.slice());
      else this.entriesByKey.delete(change.key.toHex());
    }
  }

  async *entries() {
    const all = [...this.entriesByKey].filter(([key]) => key.startsWith("01")).sort();
    yield await Promise.resolve(all.map(([key, value]) => ({ key: Uint8Array.fromHex(key), value })));
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function options(env: IndexEnv) {
  return { dir: "", id: ID, clock: new ManualClock(), log: noLog, openIndex: () => env };
}

async function made(env: MemoryEnv): Promise<BlobIndex> {
  const index = BlobIndex.create(options(env));
  index.totals = () => TOTALS;
  await index.finish();
  return index;
}

const hashOf = (n: number) => Uint8Array.from({ length: 32 }, (_, i) => (n * 2654435761 >>> (i % 4) * 8) + i);

Deno.test("IndexQueue hands changes out by their keys, those of one key in the order they came", async () => {
  const change = fc.record({
    hash: fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      // Many of one beginning, and many twice.
      fc.nat(40).map((n) => new Uint8Array(32).fill(7, 0, 5).fill(n, 5)),
    ),
    offset: fc.option(fc.nat(1000).map((n) => n * 8), { nil: undefined }),
  });
  await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 400 }), async (changes) => {
    const queue = new IndexQueue();
    for (const { hash, offset } of changes) {
      if (offset === undefined) queue.delete(1, hash);
      else {queue.put(
          1,
          hash,
          { segment: 9, offset, sizeBytes: 2 ** 40 + offset, storedBytes: offset + 1 },
          77,
        );}
    }
    const order = [...await queue.ordered()];
    assertEquals([...order].sort((a, b) => a - b), changes.map((_, i) => i));
    const seen = new Map<string, number>();
    let before = "";
    for (const index of order) {
      const { op, key, ...rest } = queue.change(index);
      const { hash, offset } = changes[index];
      assertEquals(key.toHex(), `0101${hash.toHex()}`);
      assertEquals(op, offset === undefined ? "delete" : "put");
      if (offset !== undefined) {
        assertEquals(decodeValue((rest as { value: Uint8Array }).value), {
          location: { segment: 9, offset, sizeBytes: 2 ** 40 + offset, storedBytes: offset + 1 },
          usedS: 77,
        });
      }
      assert((seen.get(key.toHex()) ?? -1) < index);
      seen.set(key.toHex(), index);
      const prefix = key.toHex().slice(4, 16);
      assert(before <= prefix, `${before} before ${prefix}`);
      before = prefix;
    }
  }));
});

Deno.test("BlobIndex writes the position last, with sums of that moment, and says both when it is opened", async () => {
  const env = new MemoryEnv();
  const index = await made(env);
  for (let n = 0; n < 1200; n++) index.put(1, hashOf(n), AT, n);
  index.delete(1, hashOf(5));
  index.advance({ segment: 3, offset: 4096 });
  assert(!index.complete);
  env.applied.length = 0;
  await index.flush();
  assert(index.complete);
  assertEquals(env.applied.slice(0, -1).flat().length, 1201);
  assert(env.applied.slice(0, -1).flat().every(({ key }) => key[0] === 1));
  assert((env.applied.at(-1) ?? []).every(({ key }) => key[0] === 0));
  const again = await BlobIndex.open(options(env));
  assertEquals(again?.found, { position: { segment: 3, offset: 4096 }, totals: TOTALS, closed: undefined });
  assertEquals(again?.get(1, hashOf(6)), { location: AT, usedS: 6 });
  assertEquals(again?.get(1, hashOf(5)), undefined);
});

Deno.test("BlobIndex that fails at any transaction keeps its old position, and the last word on each blob", async () => {
  for (let fails = 0; fails < 4; fails++) {
    const env = new MemoryEnv();
    const index = await made(env);
    const position = index.position;
    for (let n = 0; n < 1200; n++) index.put(1, hashOf(n), AT, n);
    index.advance({ segment: 3, offset: 4096 });
    env.failsAfter = fails;
    await index.flush();
    assertEquals([index.complete, index.position], [false, position]);
    assertEquals((await BlobIndex.open(options(env)))?.found.position, position);
    index.delete(1, hashOf(1));
    index.put(1, hashOf(2), { ...AT, offset: 128 }, 0);
    env.failsAfter = Infinity;
    await index.flush();
    assert(index.complete);
    assertEquals(index.get(1, hashOf(1)), undefined);
    assertEquals(index.get(1, hashOf(2))?.location.offset, 128);
    assertEquals([...env.entriesByKey.keys()].filter((key) => key.startsWith("01")).length, 1199);
  }
});

Deno.test("BlobIndex counts only when it is finished, and what came meanwhile counts more than what it is filled with", async () => {
  const env = new MemoryEnv();
  const index = BlobIndex.create(options(env));
  index.totals = () => TOTALS;
  index.put(1, hashOf(1), AT, 0);
  await index.flush();
  index.advance({ segment: 2, offset: 64 });
  const all = new IndexQueue();
  for (let n = 0; n < 10; n++) all.put(1, hashOf(n), AT, 0);
  const filling = index.fill(all);
  index.put(1, hashOf(2), { ...AT, offset: 256 }, 0);
  index.delete(1, hashOf(3));
  await filling;
  assertEquals(await BlobIndex.open(options(env)), undefined);
  await index.finish();
  const again = await BlobIndex.open(options(env));
  assertEquals(again?.position, { segment: 2, offset: 64 });
  assertEquals([1, 2, 3].map((n) => again?.get(1, hashOf(n))?.location.offset), [64, 256, undefined]);
});
