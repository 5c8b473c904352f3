import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Digest, DIGEST_FUNCTIONS, digestKey, digestOf, SHA256 } from "@brokkr/cas/client";
import { BlobCache, type BlobCacheOptions } from "./blob_cache.ts";

const bytes = (size: number, seed: number) => new Uint8Array(size).fill(seed);

async function withCache(
  run: (open: (more?: Partial<BlobCacheOptions>) => Promise<BlobCache>, path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-cache-" });
  try {
    await run(
      (more) => BlobCache.open({ path, limitBytes: 1000, memoryLimitBytes: 1000, bootId: "boot-1", ...more }),
      path,
    );
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function add(cache: BlobCache, content: Uint8Array): Digest {
  const digest = digestOf(SHA256, content);
  cache.fill(cache.begin(digest), content);
  return digest;
}

const has = (cache: BlobCache, digest: Digest) => cache.find(digestKey(digest)) !== undefined;

Deno.test("BlobCache keeps a blob as a read-only file named by its hash, with a fixed time", () =>
  withCache(async (open, path) => {
    const cache = await open();
    const { hash } = add(cache, bytes(10, 1));
    const file = `${path}/sha256/${hash.slice(0, 2)}/${hash}`;
    const stat = await Deno.lstat(file);
    assertEquals([(stat.mode ?? 0) & 0o7777, stat.mtime?.toISOString()], [0o444, "2000-01-01T00:00:00.000Z"]);
    assertEquals(await Deno.readFile(file), bytes(10, 1));
    assertEquals([cache.sizeBytes, cache.memoryBytes, cache.size], [10, 10, 1]);
  }));

Deno.test("BlobCache drops what was not used for the longest time when it is full", () =>
  withCache(async (open) => {
    const cache = await open();
    const [a, b, c] = [1, 2, 3].map((seed) => add(cache, bytes(300, seed)));
    assert(has(cache, a), "Used now, so that b is the oldest");
    add(cache, bytes(300, 4));
    assertEquals([has(cache, a), has(cache, b), has(cache, c)], [true, false, true]);
    assertEquals(cache.sizeBytes, 900);
  }));

Deno.test("BlobCache never drops what is held, and drops it once it is let go", () =>
  withCache(async (open) => {
    const cache = await open();
    const held = add(cache, bytes(900, 1));
    const entry = cache.find(digestKey(held));
    assert(entry !== undefined);
    cache.pin(entry);
    add(cache, bytes(400, 2));
    assertEquals([has(cache, held), cache.sizeBytes], [true, 900], "The other one had to go");
    const second = cache.begin(digestOf(SHA256, bytes(500, 3)));
    cache.pin(second);
    cache.fill(second, bytes(500, 3));
    assertEquals(cache.sizeBytes, 1400, "Both are held");
    cache.unpin(entry);
    assertEquals(cache.sizeBytes, 500);
    cache.unpin(second);
    assertThrows(() => cache.unpin(second), Error, "too often");
  }));

Deno.test("BlobCache keeps small blobs in memory up to its limit and reads others from disk", () =>
  withCache(async (open) => {
    const cache = await open({ memoryLimitBytes: 500 });
    const digests = [1, 2, 3].map((seed) => add(cache, bytes(200, seed)));
    assertEquals(cache.memoryBytes, 400);
    const entry = cache.find(digestKey(digests[0]));
    assert(entry !== undefined);
    assertEquals(entry.memory, undefined);
    assertEquals(await cache.read(entry), bytes(200, 1));
    assertEquals(
      [cache.find(entry.key)?.memory?.length, cache.memoryBytes],
      [200, 400],
      "It is back, another one left",
    );
  }));

Deno.test("BlobCache finds its blobs again after a restart and forgets what does not belong there", () =>
  withCache(async (open, path) => {
    const digest = add(await open(), bytes(10, 1));
    await Deno.writeTextFile(`${path}/sha256/stray`, "x");
    await Deno.mkdir(`${path}/sha256/zz/sub`, { recursive: true });
    await Deno.writeTextFile(`${path}/sha256/${digest.hash.slice(0, 2)}/short`, "x");
    await Deno.writeTextFile(`${path}/tmp/half`, "x");
    const cache = await open();
    const entry = cache.find(digestKey(digest));
    assert(entry?.ready === true && entry.proven);
    assertEquals([cache.size, cache.sizeBytes], [1, 10]);
    assertEquals([...Deno.readDirSync(`${path}/tmp`)], []);
    assertEquals([...Deno.readDirSync(`${path}/sha256/zz`)], []);
  }));

Deno.test("BlobCache checks blobs before use after the machine went down", () =>
  withCache(async (open, path) => {
    const [good, bad] = [1, 2].map((seed) => bytes(10, seed));
    {
      const cache = await open();
      add(cache, good);
      add(cache, bad);
    }
    const { hash } = digestOf(SHA256, bad);
    const file = `${path}/sha256/${hash.slice(0, 2)}/${hash}`;
    await Deno.chmod(file, 0o644);
    await Deno.writeFile(file, new Uint8Array(10)); // what a lost write looks like
    await open({ bootId: "boot-2" });
    const cache = await open({ bootId: "boot-2" }); // started again before anything was checked
    const verdicts = [];
    for (const content of [good, bad]) {
      const entry = cache.find(digestKey(digestOf(SHA256, content)));
      assert(entry !== undefined && !entry.proven);
      verdicts.push(await cache.prove(entry));
    }
    assertEquals(verdicts, [true, false]);
    const next = await open({ bootId: "boot-2" });
    assertEquals(next.find(digestKey(digestOf(SHA256, good)))?.proven, true);
    assertEquals(next.find(digestKey(digestOf(SHA256, bad)))?.proven, false);
  }));

Deno.test("BlobCache gives no file to an entry that was dropped while it was on its way", () =>
  withCache(async (open, path) => {
    const cache = await open();
    const content = bytes(10, 1);
    const entry = cache.begin(digestOf(SHA256, content));
    cache.drop(entry);
    cache.fill(entry, content);
    assertEquals([cache.size, cache.sizeBytes, cache.memoryBytes, entry.ready], [0, 0, 0, false]);
    assertEquals([...Deno.readDirSync(`${path}/tmp`)], []);
  }));

Deno.test("BlobCache leaves nothing behind when a blob cannot be kept", () =>
  withCache(async (open, path) => {
    const cache = await open();
    const content = bytes(10, 1);
    const digest = digestOf(SHA256, content);
    await Deno.mkdir(`${path}/sha256`, { recursive: true });
    await Deno.writeTextFile(`${path}/sha256/${digest.hash.slice(0, 2)}`, "in the way");
    const entry = cache.begin(digest);
    assertThrows(() => cache.fill(entry, content));
    assertEquals([[...Deno.readDirSync(`${path}/tmp`)], entry.ready, cache.sizeBytes], [[], false, 0]);
  }));

Deno.test("BlobCache makes room in slices when many blobs are let go at once", () =>
  withCache(async (open, path) => {
    const cache = await open();
    const entries = Array.from({ length: 3000 }, (_, i) => {
      const content = new TextEncoder().encode(`blob ${String(i).padStart(5, "0")}`);
      const entry = cache.begin(digestOf(SHA256, content));
      cache.pin(entry);
      cache.fill(entry, content);
      return entry;
    });
    assertEquals(cache.sizeBytes, 30_000, "All are held");
    cache.unpinAll(entries);
    assert(cache.sizeBytes > 1000, "Not all of it in one go");
    while (cache.sizeBytes > 1000) await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals([cache.size, cache.sizeBytes], [100, 1000]);
    let files = 0;
    for (const { name } of Deno.readDirSync(`${path}/sha256`)) {
      files += [...Deno.readDirSync(`${path}/sha256/${name}`)].length;
    }
    assertEquals(files, 100);
  }));

Deno.test("BlobCache keeps blobs of every digest function apart, over a restart too", () =>
  withCache(async (open) => {
    const content = bytes(30, 1);
    const digests = DIGEST_FUNCTIONS.map((fn) => digestOf(fn, content));
    const cache = await open();
    for (const digest of digests) {
      assertEquals(has(cache, digest), false, digest.fn.name);
      cache.fill(cache.begin(digest), content);
    }
    assertEquals(cache.size, DIGEST_FUNCTIONS.length);
    const again = await open();
    assertEquals(again.size, DIGEST_FUNCTIONS.length);
    for (const digest of digests) {
      const entry = again.find(digestKey(digest));
      assert(entry !== undefined, digest.fn.name);
      assertEquals([entry.digest.fn, await again.read(entry)], [digest.fn, content]);
    }
  }));
