import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code, notFound, unavailable } from "@brokkr/common";
import { type Digest, digestKey, digestOf, SHA256 } from "@brokkr/cas/client";
import { BlobCache } from "./blob_cache.ts";
import { type BlobSource, InputFetcher } from "./input_fetcher.ts";

/** A store whose answers wait until they are let go. */
class GatedSource implements BlobSource {
  readonly blobs = new Map<string, Uint8Array>();
  readonly batches: number[] = [];
  readonly streams: string[] = [];
  aborted = 0;
  failure: BrokkrError | undefined;
  #gate: Promise<void> = Promise.resolve();

  put(content: Uint8Array): Digest {
    const digest = digestOf(SHA256, content);
    this.blobs.set(digestKey(digest), content);
    return digest;
  }

  /** Holds every answer back until the result is called. */
  close(): () => void {
    const gate = Promise.withResolvers<void>();
    this.#gate = gate.promise;
    return gate.resolve;
  }

  async getMany(digests: readonly Digest[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]> {
    this.batches.push(digests.length);
    await this.#wait(signal);
    return digests.map((digest) => this.blobs.get(digestKey(digest)));
  }

  async *read(digest: Digest, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    this.streams.push(digest.hash);
    await this.#wait(signal);
    const content = this.blobs.get(digestKey(digest));
    if (content === undefined) throw notFound("No such blob");
    for (let at = 0; at < content.length; at += 1000) yield content.subarray(at, at + 1000);
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    signal?.addEventListener("abort", () => {
      this.aborted++;
      stopped.reject(signal.reason);
    });
    await Promise.race([this.#gate, stopped.promise]);
    if (this.failure !== undefined) throw this.failure;
  }
}

async function withFetcher(
  run: (fetcher: InputFetcher, source: GatedSource, cache: BlobCache) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-fetch-" });
  try {
    const cache = await BlobCache.open({ path, limitBytes: 100_000, memoryLimitBytes: 10_000 });
    const fetcher = new InputFetcher(cache, { batchBlobBytes: 1000, batchBytes: 2000, batchCount: 10 });
    await run(fetcher, new GatedSource(), cache);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const content = (size: number, seed: number) => new Uint8Array(size).fill(seed);

Deno.test("InputFetcher fetches small blobs in batches and large ones as streams", () =>
  withFetcher(async (fetcher, source) => {
    const small = Array.from({ length: 25 }, (_, i) => source.put(content(100, i)));
    const large = source.put(content(5000, 99));
    using held = await fetcher.hold([...small, large, small[0]], source);
    assertEquals([source.batches, source.streams], [[10, 10, 5], [large.hash]]);
    assertEquals([held.missing, held.fetchedBlobs, held.fetchedBytes], [[], 26, 7500]);
    assertEquals(held.bytes(digestKey(small[3])), content(100, 3));
    assertEquals(await held.read(digestKey(large)), content(5000, 99));
    using again = await fetcher.hold([large], source);
    assertEquals([again.fetchedBlobs, source.streams.length], [0, 1]);
  }));

Deno.test("InputFetcher fetches once what two want at the same time", () =>
  withFetcher(async (fetcher, source) => {
    const open = source.close();
    const digest = source.put(content(10, 1));
    const both = [fetcher.hold([digest], source), fetcher.hold([digest], source)];
    open();
    const [first, second] = await Promise.all(both);
    assertEquals([source.batches, first.fetchedBlobs, second.fetchedBlobs], [[1], 1, 0]);
    first[Symbol.dispose]();
    assertEquals(second.bytes(digestKey(digest)), content(10, 1));
    second[Symbol.dispose]();
  }));

Deno.test("InputFetcher names every missing blob and holds the others", () =>
  withFetcher(async (fetcher, source, cache) => {
    const there = source.put(content(10, 1));
    const gone = digestOf(SHA256, content(11, 2));
    const goneLarge = digestOf(SHA256, content(3000, 3));
    const notEmpty = { ...digestOf(SHA256, content(1, 4)), sizeBytes: 0 };
    using held = await fetcher.hold([gone, there, goneLarge, notEmpty], source);
    assertEquals(held.missing.map(({ sizeBytes }) => sizeBytes).sort(), [0, 11, 3000]);
    assertEquals([cache.size, held.bytes(digestKey(there))?.length], [1, 10]);
  }));

Deno.test("InputFetcher knows the empty blob", () =>
  withFetcher(async (fetcher, source) => {
    const empty = digestOf(SHA256, new Uint8Array());
    using held = await fetcher.hold([empty], source);
    assertEquals([held.missing, source.batches, held.bytes(digestKey(empty))?.length], [[], [], 0]);
  }));

Deno.test("InputFetcher counts a known blob asked for with another size as missing", () =>
  withFetcher(async (fetcher, source) => {
    const digest = source.put(content(10, 1));
    using held = await fetcher.hold([digest], source);
    using other = await fetcher.hold([{ ...digest, sizeBytes: 9 }], source);
    assertEquals([held.missing.length, other.missing.length], [0, 1]);
  }));

Deno.test("InputFetcher stops a transfer only when nobody waits for it any more", () =>
  withFetcher(async (fetcher, source, cache) => {
    const open = source.close();
    const digest = source.put(content(10, 1));
    const [one, two] = [new AbortController(), new AbortController()];
    const first = fetcher.hold([digest], source, one.signal);
    const second = fetcher.hold([digest], source, two.signal);
    await new Promise((resolve) => setTimeout(resolve, 0));
    one.abort(new BrokkrError(Code.CANCELLED, "first"));
    await assertRejects(() => first, BrokkrError, "first");
    assertEquals(source.aborted, 0);
    two.abort(new BrokkrError(Code.CANCELLED, "second"));
    await assertRejects(() => second, BrokkrError, "second");
    assertEquals([source.aborted, cache.size], [1, 0]);
    open();
    using third = await fetcher.hold([digest], source);
    assertEquals([third.missing, source.batches], [[], [1, 1]]);
  }));

Deno.test("InputFetcher passes on what the store failed with and tries anew the next time", () =>
  withFetcher(async (fetcher, source, cache) => {
    const digests = [source.put(content(10, 1)), source.put(content(5000, 2))];
    source.failure = unavailable("The store is down");
    await assertRejects(() => fetcher.hold(digests, source), BrokkrError, "The store is down");
    assertEquals(cache.size, 0);
    source.failure = undefined;
    using held = await fetcher.hold(digests, source);
    assertEquals(held.missing, []);
  }));

Deno.test("InputFetcher refuses inputs that are larger than the cache", () =>
  withFetcher(async (fetcher, source) => {
    const digest = { ...digestOf(SHA256, content(1, 1)), sizeBytes: 200_000 };
    const error = await assertRejects(() => fetcher.hold([digest], source), BrokkrError, "do not fit");
    assertEquals(error.code, Code.FAILED_PRECONDITION);
  }));

Deno.test("InputFetcher fetches anew what proved damaged after the machine went down", async () => {
  const path = await Deno.makeTempDir({ prefix: "brokkr-fetch-" });
  const source = new GatedSource();
  const [good, bad] = [source.put(content(10, 1)), source.put(content(10, 2))];
  const open = (bootId: string) => BlobCache.open({ path, limitBytes: 1e6, memoryLimitBytes: 0, bootId });
  using first = await new InputFetcher(await open("a")).hold([good, bad], source);
  const file = first.path(digestKey(bad));
  await Deno.chmod(file, 0o644);
  await Deno.writeFile(file, new Uint8Array(10));
  source.batches.length = 0;
  using second = await new InputFetcher(await open("b")).hold([good, bad], source);
  assertEquals([source.batches, second.missing], [[1], []]);
  assertEquals(await second.read(digestKey(bad)), content(10, 2));
  assert(await second.read(digestKey(good)));
  await Deno.remove(path, { recursive: true });
});

Deno.test("InputFetcher checks few files at a time after the machine went down", async () => {
  const path = await Deno.makeTempDir({ prefix: "brokkr-fetch-" });
  const source = new GatedSource();
  const digests = Array.from({ length: 50 }, (_, i) => source.put(content(10, i)));
  const open = (bootId: string) => BlobCache.open({ path, limitBytes: 1e6, memoryLimitBytes: 0, bootId });
  using _first = await new InputFetcher(await open("a")).hold(digests, source);
  const cache = await open("b");
  const prove = cache.prove.bind(cache);
  let [running, most] = [0, 0];
  cache.prove = async (entry) => {
    most = Math.max(most, ++running);
    const good = await prove(entry);
    running--;
    return good;
  };
  source.batches.length = 0;
  using second = await new InputFetcher(cache).hold(digests, source);
  assertEquals([second.missing, source.batches], [[], []]);
  assert(most <= 4, `${most} at once`);
  await Deno.remove(path, { recursive: true });
});
