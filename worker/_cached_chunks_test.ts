import { assertEquals } from "@std/assert";
import { digestKey, digestOf, SHA256 } from "@brokkr/cas/client";
import { BlobCache } from "./blob_cache.ts";
import { CachedChunks } from "./_cached_chunks.ts";

Deno.test("CachedChunks reads chunks from the cache's files as long as they are there and as they were", async () => {
  const path = await Deno.makeTempDir({ prefix: "brokkr-chunks-" });
  try {
    const cache = await BlobCache.open({ path, limitBytes: 100_000, memoryLimitBytes: 10 });
    const chunks = new CachedChunks(cache);
    assertEquals(chunks.mayHelp(), false);
    const content = (seed: number) => new Uint8Array(20_000).map((_, i) => (i * seed) >> 3);
    const keep = (seed: number) => {
      const data = content(seed);
      const parts = [data.subarray(0, 15_000), data.subarray(15_000)];
      const digest = digestOf(SHA256, data);
      const entry = cache.begin(digest);
      cache.fill(entry, data);
      chunks.learn(digest, parts.map((part) => digestOf(SHA256, part)));
      return { entry, parts, digests: parts.map((part) => digestOf(SHA256, part)) };
    };
    const kept = keep(5);
    assertEquals([chunks.mayHelp(), chunks.has(kept.digests[1])], [true, true]);
    for (const [i, digest] of kept.digests.entries()) assertEquals(await chunks.find(digest), kept.parts[i]);

    // Changed by hand: none of its chunks counts any more.
    await Deno.chmod(kept.entry.path, 0o644);
    await Deno.writeFile(kept.entry.path, content(6));
    assertEquals(await chunks.find(kept.digests[0]), content(6).subarray(0, 15_000));
    chunks.reject(kept.digests[0]);
    assertEquals([chunks.has(kept.digests[1]), chunks.mayHelp()], [false, false]);

    // Dropped to make room.
    const dropped = keep(7);
    cache.drop(dropped.entry);
    assertEquals(cache.find(digestKey(dropped.entry.digest)), undefined);
    assertEquals(await chunks.find(dropped.digests[1]), undefined);
    assertEquals(chunks.has(dropped.digests[0]), false);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
