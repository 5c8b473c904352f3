/**
 * How long an input root takes to be in place: one never seen, one whose blobs are cached, one seen before.
 *
 * `deno run -A worker/layers_bench.ts [FILES]`
 *
 * @module
 */

import { type Digest, digestKey, digestOf, SHA256, TreeBuilder } from "@brokkr/cas/client";
import { BlobCache } from "./blob_cache.ts";
import { type BlobSource, InputFetcher } from "./input_fetcher.ts";
import { InputResolver } from "./input_tree.ts";
import { LayerMaterializer } from "./layer_materializer.ts";
import { LayerStore } from "./layers.ts";

/** Blobs in memory. */
class MemorySource implements BlobSource {
  readonly #blobs = new Map<string, Uint8Array>();

  put(content: Uint8Array): Digest {
    const digest = digestOf(SHA256, content);
    this.#blobs.set(digestKey(digest), content);
    return digest;
  }

  getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve(digests.map((digest) => this.#blobs.get(digestKey(digest))));
  }

  async *read(digest: Digest): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    const content = this.#blobs.get(digestKey(digest));
    if (content !== undefined) yield content;
  }
}

const files = Number(Deno.args[0] ?? 5000);
const rounds = 15;
const path = await Deno.makeTempDir({ prefix: "brokkr-bench-" });
try {
  const cache = await BlobCache.open({ path: `${path}/cache`, limitBytes: 1e9, memoryLimitBytes: 4e7 });
  await using layers = await LayerStore.open({ path: `${path}/layers` });
  await using materializer = await LayerMaterializer.open({ path: `${path}/work`, layers });
  const source = new MemorySource();
  const resolver = new InputResolver(new InputFetcher(cache));
  const contents = Array.from({ length: files }, (_, i) => {
    const content = new Uint8Array(8192).fill(i);
    new DataView(content.buffer).setUint32(0, i);
    return source.put(content);
  });
  const rootOf = (mark: string): Digest => {
    const tree = new TreeBuilder();
    contents.forEach((digest, i) => tree.addFile(`dir${i % 100}/file${i}`, digest));
    tree.addFile("mark", source.put(new TextEncoder().encode(mark)));
    const { rootDigest, directories } = tree.build(SHA256);
    for (const { data } of directories) source.put(data);
    return rootDigest;
  };
  const place = async (root: Digest): Promise<number> => {
    const startMs = performance.now();
    const placed = await materializer.materialize({
      root,
      resolve: () => resolver.resolve(root, source),
      extraDirectories: () => Promise.resolve(["out/bin"]),
    });
    const ms = performance.now() - startMs;
    await placed[Symbol.asyncDispose]();
    return ms;
  };
  const median = (times: number[]) => times.sort((a, b) => a - b)[times.length >> 1].toFixed(2);
  console.log(`${files} files of 8 KiB, never seen: ${(await place(rootOf("first"))).toFixed(1)} ms`);
  const cached: number[] = [];
  for (let i = 0; i < rounds; i++) cached.push(await place(rootOf(`${i}`)));
  console.log(`a root never seen whose files are cached: ${median(cached)} ms`);
  const root = rootOf("first");
  const warm: number[] = [];
  for (let i = 0; i < 20 * rounds; i++) warm.push(await place(root));
  console.log(
    `a root seen before: ${median(warm)} ms (p99 ${warm[Math.floor(warm.length * 0.99)].toFixed(2)} ms)`,
  );
} finally {
  await Deno.remove(path, { recursive: true });
}
