import { assertEquals } from "@std/assert";
import { scopeOf } from "@brokkr/common";
import { batchInSlices, missingInSlices, pinInSlices, SLICE_DIGESTS } from "./_slices.ts";
import { batchOf, digestOf, MemoryBlobStore, SHA256 } from "./mod.ts";

const scope = scopeOf("");

Deno.test("Digests in slices are packed, looked up and pinned as in one go", async () => {
  const pinned: string[] = [];
  class Pins extends MemoryBlobStore {
    override pin(...[, batch]: Parameters<MemoryBlobStore["pin"]>) {
      for (let i = 0; i < batch.length; i++) {
        pinned.push(batch.hashes.subarray(i * 32, (i + 1) * 32).toHex());
      }
      return Promise.resolve();
    }
  }
  await using store = new Pins(1 << 24);
  for (const length of [0, 1, SLICE_DIGESTS, SLICE_DIGESTS + 1, 2 * SLICE_DIGESTS + 5]) {
    const blobs = Array.from({ length }, (_, i) => new Uint8Array(new Uint32Array([i, length]).buffer));
    const digests = blobs.map((data) => digestOf(SHA256, data));
    const kept = [0, 3, SLICE_DIGESTS - 1, SLICE_DIGESTS, length - 1].filter((i) => i >= 0 && i < length);
    for (const i of kept) await store.put(scope, digests[i], blobs[i]);
    const batch = await batchInSlices(SHA256, digests);
    const whole = batchOf(SHA256, digests);
    assertEquals(batch.length, whole.length);
    assertEquals(batch.hashes.toHex(), whole.hashes.toHex());
    assertEquals(batch.sizes.join(), whole.sizes.join());
    const expected = digests.keys().filter((i) => !kept.includes(i)).toArray();
    assertEquals([...await missingInSlices(store, scope, batch)].join(), expected.join(), `${length}`);
    pinned.length = 0;
    await pinInSlices(store, scope, batch, 1000);
    assertEquals(pinned.join(), digests.map(({ hash }) => hash).join());
  }
});
