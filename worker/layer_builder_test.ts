import { assert, assertEquals } from "@std/assert";
import { type Digest, digestKey, digestOf, SHA256, TreeBuilder } from "@brokkr/cas/client";
import { SyscallError } from "@brokkr/sandbox";
import { BlobCache, MEMORY_BLOB_BYTES } from "./blob_cache.ts";
import { type BlobSource, InputFetcher } from "./input_fetcher.ts";
import { InputResolver } from "./input_tree.ts";
import { LayerMaterializer } from "./layer_materializer.ts";
import { buildRootLayer, type LinkCall } from "./layer_builder.ts";
import { LayerStore } from "./layers.ts";
import { linkFile } from "@brokkr/sandbox";
import { LinkSources } from "./link_sources.ts";
import type { MaterializedRoot, MaterializeRequest } from "./materializer.ts";

const encoder = new TextEncoder();
const SMALL = encoder.encode("small");
const LARGE = new Uint8Array(MEMORY_BLOB_BYTES + 1).fill(7);

/** A cache with blobs in memory behind it, that counts what is asked of it. */
class Inputs implements BlobSource {
  readonly cache: BlobCache;
  asked = 0;
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #resolver: InputResolver;

  constructor(cache: BlobCache) {
    this.cache = cache;
    this.#resolver = new InputResolver(new InputFetcher(cache));
  }

  put(content: Uint8Array): Digest {
    const digest = digestOf(SHA256, content);
    this.#blobs.set(digestKey(digest), content);
    return digest;
  }

  request(tree: TreeBuilder): MaterializeRequest & { resolved: number } {
    const { rootDigest, directories } = tree.build(SHA256);
    for (const { data } of directories) this.put(data);
    const request = {
      root: rootDigest,
      resolved: 0,
      resolve: () => {
        request.resolved++;
        return this.#resolver.resolve(rootDigest, this);
      },
      extraDirectories: () => Promise.resolve([] as readonly string[]),
    };
    return request;
  }

  getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    this.asked += digests.length;
    return Promise.resolve(digests.map((digest) => this.#blobs.get(digestKey(digest))));
  }

  async *read(digest: Digest): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    const content = this.#blobs.get(digestKey(digest));
    if (content !== undefined) yield content;
  }
}

interface Parts {
  readonly inputs: Inputs;
  readonly layers: LayerStore;
  readonly materializer: LayerMaterializer;
  readonly path: string;
}

async function withParts(limitBytes: number, run: (parts: Parts) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-layers-" });
  try {
    let trim = () => {};
    const cache = await BlobCache.open({
      path: `${path}/cache`,
      limitBytes,
      memoryLimitBytes: 1e7,
      onCrowded: () => trim(),
    });
    await using layers = await LayerStore.open({ path: `${path}/layers`, crowded: () => cache.crowded });
    trim = () => layers.trim();
    await using materializer = await LayerMaterializer.open({ path: `${path}/work`, layers });
    await run({ inputs: new Inputs(cache), layers, materializer, path });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function rootOf({ inputs }: MaterializedRoot): string {
  assert("lowers" in inputs);
  return inputs.lowers[inputs.lowers.length - 1];
}

const inodes = (path: string, names: readonly string[]) =>
  names.map((name) => Deno.lstatSync(`${path}/${name}`).ino);

Deno.test("A layer links cached files, and gives executable, empty and repeated ones inodes of their own", () =>
  withParts(1e9, async ({ inputs, materializer, path }) => {
    const names = ["a", "b", "c", "e1", "e2", "large", "x", "y"];
    const tree = new TreeBuilder();
    for (const name of ["a", "b", "c"]) tree.addFile(name, inputs.put(SMALL));
    for (const name of ["x", "y"]) tree.addFile(name, inputs.put(SMALL), true);
    for (const name of ["e1", "e2"]) tree.addFile(name, inputs.put(new Uint8Array()));
    tree.addFile("large", inputs.put(LARGE));
    await using root = await materializer.materialize(inputs.request(tree));
    const first = inodes(rootOf(root), names);
    assertEquals(
      new Set(first).size,
      names.length,
      "No inode twice: a copy that keeps links would tie files together",
    );
    const cached = (content: Uint8Array) => {
      const { hash } = digestOf(SHA256, content);
      return Deno.lstatSync(`${path}/cache/sha256/${hash.slice(0, 2)}/${hash}`);
    };
    assertEquals([first[0], first[5]], [cached(SMALL).ino, cached(LARGE).ino]);
    assertEquals((cached(SMALL).mode ?? 0) & 0o777, 0o444);
    // Another root shares all of them, in any order.
    tree.addFile("z/more", inputs.put(encoder.encode("more")));
    await using other = await materializer.materialize(inputs.request(tree));
    assertEquals(inodes(rootOf(other), names), first);
  }));

Deno.test("A root that was laid out before is in place without a look at its files or blobs", () =>
  withParts(1e9, async ({ inputs, materializer, layers }) => {
    const tree = new TreeBuilder();
    for (let i = 0; i < 300; i++) tree.addFile(`d${i % 20}/${i}`, inputs.put(encoder.encode(`file ${i}`)));
    const request = inputs.request(tree);
    await (await materializer.materialize(request))[Symbol.asyncDispose]();
    const asked = inputs.asked;
    await using root = await materializer.materialize(request);
    assertEquals([request.resolved, inputs.asked, layers.size], [1, asked, 1]);
    assertEquals(Deno.readTextFileSync(`${rootOf(root)}/d3/3`), "file 3");
    // The same hash with another size is another digest, and names nothing.
    const wrong = { ...request.root, sizeBytes: request.root.sizeBytes + 1 };
    await materializer.materialize({
      ...request,
      root: wrong,
      resolve: () => Promise.reject(new Error("asked")),
    })
      .then(() => assert(false), (error) => assertEquals(error.message, "asked"));
  }));

Deno.test("Roots wanted at the same time are built once, and blobs are let go as far as no layer links them", () =>
  withParts(1e9, async ({ inputs, materializer, layers }) => {
    const tree = new TreeBuilder();
    for (let i = 0; i < 500; i++) tree.addFile(`${i}`, inputs.put(encoder.encode(`file ${i}`)));
    tree.addFile("tool", inputs.put(LARGE), true);
    const roots = await Promise.all(
      Array.from({ length: 5 }, () => materializer.materialize(inputs.request(tree))),
    );
    assertEquals([new Set(roots.map(rootOf)).size, layers.size], [1, 1]);
    const held = (content: Uint8Array) => inputs.cache.find(digestKey(digestOf(SHA256, content)))?.pins;
    assertEquals([held(encoder.encode("file 7")), held(LARGE)], [1, 0]);
    assertEquals(layers.sizeBytes, 4096 + LARGE.length, "A directory, and the executable inode");
    for (const root of roots) await root[Symbol.asyncDispose]();
    assertEquals(held(encoder.encode("file 7")), 1, "The layer holds it, not an action");
  }));

Deno.test("Layers go when the blobs that they link leave no room in the cache for others", () =>
  withParts(100_000, async ({ inputs, materializer, layers }) => {
    const rootWith = (i: number) => {
      const tree = new TreeBuilder();
      tree.addFile("f", inputs.put(new Uint8Array(40_000).fill(i)));
      return inputs.request(tree);
    };
    for (let i = 0; i < 5; i++) await (await materializer.materialize(rootWith(i)))[Symbol.asyncDispose]();
    while (inputs.cache.sizeBytes > 100_000) await new Promise((resolve) => setTimeout(resolve, 1));
    assert(layers.size <= 2 && layers.size > 0, `${layers.size} layers are left`);
    await using root = await materializer.materialize(rootWith(4));
    assertEquals(Deno.readFileSync(`${rootOf(root)}/f`), new Uint8Array(40_000).fill(4));
  }));

/** What stands in the way of links, and how much room the layer takes beside the cache then. */
const OBSTACLES: readonly {
  readonly name: string;
  readonly link: () => LinkCall;
  readonly ownBytes: number;
}[] = [
  {
    name: "a cached file has all the links that it can have",
    link: () => (from, to) => from.includes("/cache/") ? fail("EMLINK", from) : linkFile(from, to),
    ownBytes: 2 * SMALL.length,
  },
  {
    name: "other files, too, have all the links that they can have",
    link: () => {
      const links = new Map<string, number>();
      return (from, to) => {
        const n = (links.get(from) ?? 0) + 1;
        links.set(from, n);
        if (from.includes("/cache/") || n > 1) fail("EMLINK", from);
        linkFile(from, to);
      };
    },
    ownBytes: 2 * SMALL.length,
  },
  { name: "the file system has no links", link: () => (from) => fail("EPERM", from), ownBytes: 0 },
];

function fail(errnoName: string, path: string): never {
  const errno = errnoName === "EMLINK" ? 31 : 1;
  throw new SyscallError("linkat", errno, path);
}

for (const { name, link, ownBytes } of OBSTACLES) {
  Deno.test(`A layer is whole when ${name}`, () =>
    withParts(1e9, async ({ inputs, path }) => {
      await Deno.mkdir(`${path}/files`);
      const sources = new LinkSources(`${path}/files`);
      const tree = new TreeBuilder();
      tree.addFile("d/f", inputs.put(SMALL));
      tree.addFile("x", inputs.put(SMALL), true);
      const call = link();
      const built = [];
      for (const at of ["one", "two"]) {
        await Deno.mkdir(`${path}/${at}`);
        using resolved = await inputs.request(tree).resolve();
        built.push(await buildRootLayer(`${path}/${at}`, { ...resolved, sources, link: call }));
        assertEquals(Deno.readFileSync(`${path}/${at}/d/f`), SMALL);
        assertEquals(Deno.readFileSync(`${path}/${at}/x`), SMALL);
        const modes = ["d/f", "x"].map((file) =>
          (Deno.lstatSync(`${path}/${at}/${file}`).mode ?? 0) & 0o7777
        );
        assertEquals(modes, [0o444, 0o555]);
        assertEquals(Deno.lstatSync(`${path}/${at}/x`).mtime?.getTime(), Date.UTC(2000, 0, 1));
      }
      assert(sources.sizeBytes >= ownBytes);
      for (const { release } of built) release();
      assertEquals([sources.sizeBytes, [...Deno.readDirSync(`${path}/files`)]], [0, []], "Nothing stays");
    }));
}
