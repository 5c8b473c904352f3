import { assert, assertEquals } from "@std/assert";
import { BrokkrError, ByteBudget, Code, yieldToEventLoop } from "@brokkr/common";
import {
  BytesCodec,
  ContentAddressableStorage,
  DirectoryCodec,
  type GetTreeRequest,
  GetTreeResponseCodec,
  type Init,
  type Method,
  WireReader,
  WireWriter,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import fc from "fast-check";
import {
  batchOf,
  type Digest,
  digestOf,
  encodeDirectory,
  parseDigest,
  SHA256,
  splitTree,
  TreeBuilder,
} from "../mod.ts";
import type { BlobStore } from "../blob_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { treePages, type TreePagesOptions } from "./get_tree.ts";
import { blob, fails, noise, onEachStore, scope, wire } from "./_test_server.ts";

const getTree: Method<GetTreeRequest, Uint8Array, Init<GetTreeRequest>> = {
  ...ContentAddressableStorage.getTree,
  response: BytesCodec,
};

interface Page {
  readonly directories: Uint8Array[];
  readonly token: string;
  readonly bytes: number;
}

/** A page with its directories as the bytes that came. */
function pageOf(message: Uint8Array): Page {
  // Any client must be able to decode it.
  const { nextPageToken } = GetTreeResponseCodec.decode(message);
  const directories: Uint8Array[] = [];
  const reader = new WireReader(message, "GetTreeResponse");
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) directories.push(reader.view());
    else reader.skip(tag);
  }
  return { directories, token: nextPageToken, bytes: message.length };
}

async function pages(channel: Channel, request: Init<GetTreeRequest>): Promise<Page[]> {
  const all: Page[] = [];
  const stream = channel.serverStream(getTree, { instanceName: "main", ...request });
  for await (const message of stream) all.push(pageOf(message));
  return all;
}

async function direct(options: Partial<TreePagesOptions> & { store: BlobStore; root: Digest }) {
  const all: Page[] = [];
  for await (const message of treePages({ scope, pageSize: 0, pageToken: "", ...options })) {
    all.push(pageOf(message));
  }
  return all;
}

const hashes = (all: readonly Page[]) =>
  all.flatMap(({ directories }) => directories.map((bytes) => digestOf(SHA256, bytes).hash));

/** A directory of `children`, named by their numbers. */
function parent(children: readonly Digest[], salt = ""): { data: Uint8Array; digest: Digest } {
  const data = encodeDirectory({
    files: salt === "" ? [] : [{ name: salt, digest: blob(salt).digest, executable: false }],
    directories: children.map((digest, i) => ({ name: `d${String(i).padStart(6, "0")}`, digest })),
    symlinks: [],
  });
  return { data, digest: digestOf(SHA256, data) };
}

async function keep(store: BlobStore, one: { data: Uint8Array; digest: Digest }): Promise<Digest> {
  await store.put(scope, one.digest, one.data);
  return one.digest;
}

/** Breadth first, each once, without what is missing: written down as simply as can be. */
async function reference(store: BlobStore, root: Digest): Promise<string[]> {
  const found: string[] = [];
  const queue = [root];
  for (const digest of queue) {
    if (found.includes(digest.hash)) continue;
    if ((await store.missing(scope, batchOf(SHA256, [digest]))).length > 0) continue;
    found.push(digest.hash);
    const { directories } = DirectoryCodec.decode(await store.get(scope, digest));
    for (const child of directories) queue.push(parseDigest(child.digest, 1));
  }
  return found;
}

/** A Directory of about `sizeBytes`, most of them in a field that no decoder knows. */
function padded(sizeBytes: number, seed: number): { data: Uint8Array; digest: Digest } {
  const writer = new WireWriter(sizeBytes);
  writer.bytesField(1000, noise(sizeBytes - 7, seed));
  const data = writer.finish();
  return { data, digest: digestOf(SHA256, data) };
}

onEachStore(
  "GetTree streams a tree breadth first, the root first, as the bytes that are stored",
  async (start) => {
    await using server = await start();
    const { store, channel } = server;
    const builder = new TreeBuilder();
    for (const path of ["a/b/c/f", "a/x", "z/b/c/f", "lone"]) builder.addFile(path, blob(path).digest);
    const { data } = builder.buildTree(SHA256);
    const directories = splitTree(data);
    for (const one of directories) await keep(store, { data: one, digest: digestOf(SHA256, one) });
    const root = digestOf(SHA256, directories[0]);
    const [page, ...more] = await pages(channel, { rootDigest: wire(root) });
    assertEquals(more, []);
    assertEquals(page.token, "");
    assertEquals(hashes([page]), await reference(store, root));
    assertEquals(page.directories.length, new Set(directories.map((one) => digestOf(SHA256, one).hash)).size);

    // A field that no decoder knows is handed out with the rest.
    const strange = await keep(store, {
      data: new Uint8Array([0xfa, 0x3f, 1, 7]),
      digest: digestOf(SHA256, new Uint8Array([0xfa, 0x3f, 1, 7])),
    });
    const [{ directories: [bytes] }] = await pages(channel, { rootDigest: wire(strange) });
    assertEquals(bytes, new Uint8Array([0xfa, 0x3f, 1, 7]));
  },
);

onEachStore(
  "GetTree knows the empty Directory without an upload, and says NOT_FOUND of other roots only",
  async (start) => {
    await using server = await start();
    const { store, channel } = server;
    const empty = blob("").digest;
    const [page] = await pages(channel, { rootDigest: wire(empty) });
    assertEquals(page.directories, [new Uint8Array(0)]);
    await fails(pages(channel, { rootDigest: wire(blob("none").digest) }), Code.NOT_FOUND);
    const gone = parent([], "gone");
    const there = parent([empty], "there");
    const root = parent([gone.digest, there.digest, parent([there.digest], "gone too").digest]);
    await keep(store, there);
    await keep(store, root);
    assertEquals(hashes(await pages(channel, { rootDigest: wire(root.digest) })), [
      root.digest.hash,
      there.digest.hash,
      empty.hash,
    ]);
  },
);

onEachStore("GetTree refuses what is wrong in words", async (start) => {
  await using server = await start();
  const { store, channel } = server;
  const text = await keep(store, { data: noise(100), digest: digestOf(SHA256, noise(100)) });
  const badChild = new Uint8Array([0x12, 5, 0x12, 3, 0x0a, 1, 0x61]);
  const bad = await keep(store, { data: badChild, digest: digestOf(SHA256, badChild) });
  const root = await keep(store, parent([]));
  const token = btoa("x".repeat(37)).replace(/=+$/, "");
  const cases: Record<string, Init<GetTreeRequest>> = {
    "no root": {},
    "a hash that is none": { rootDigest: { hash: "xyz", sizeBytes: 3 } },
    "a negative size": { rootDigest: { hash: root.hash, sizeBytes: -1 } },
    "a negative page size": { rootDigest: wire(root), pageSize: -1 },
    "a function that is none": { rootDigest: wire(root), digestFunction: 77 },
    "a blob that is no Directory": { rootDigest: wire(text) },
    "a child without a digest": { rootDigest: wire(bad) },
    "a reserved instance": { instanceName: "a/blobs", rootDigest: wire(root) },
    "a token of another make": { rootDigest: wire(root), pageToken: token },
    "a token that is no base64": { rootDigest: wire(root), pageToken: "%%%" },
    "a token with a tail": { rootDigest: wire(root), pageToken: "AQ==" },
    "a long token": { rootDigest: wire(root), pageToken: "A".repeat(5000) },
  };
  for (const [what, request] of Object.entries(cases)) {
    await fails(pages(channel, request), Code.INVALID_ARGUMENT, what);
  }
});

onEachStore(
  "GetTree goes on after any page with exactly the rest, and refuses every other token",
  async (start) => {
    await using server = await start();
    const { store, channel } = server;
    const leaves = await Promise.all(
      Array.from({ length: 23 }, (_, i) => keep(store, parent([], `leaf${i}`))),
    );
    const inner = await Promise.all(
      [leaves.slice(0, 12), leaves.slice(9)].map((some) => keep(store, parent(some))),
    );
    const root = await keep(store, parent([...inner, ...leaves.slice(3, 5)]));
    const other = await keep(store, parent([...inner], "other"));
    const whole = hashes(await pages(channel, { rootDigest: wire(root) }));
    assertEquals(whole.length, 26);
    for (const pageSize of [1, 5, 13, 25, 26, 100]) {
      const all = await pages(channel, { rootDigest: wire(root), pageSize });
      assertEquals(all.map((page) => page.directories.length), expectedSizes(26, pageSize));
      assertEquals(all.map((page) => page.token !== ""), all.map((_, i) => i < all.length - 1));
      assertEquals(hashes(all), whole);
      for (let i = 0; i < all.length - 1; i++) {
        const rest = await pages(channel, { rootDigest: wire(root), pageToken: all[i].token, pageSize: 7 });
        assertEquals(hashes(rest), whole.slice((i + 1) * pageSize));
      }
    }
    const [{ token }] = await pages(channel, { rootDigest: wire(root), pageSize: 4 });
    await fails(
      pages(channel, { rootDigest: wire(other), pageToken: token }),
      Code.INVALID_ARGUMENT,
      "other root",
    );
    for (let i = 0; i < token.length; i++) {
      const forged = token.slice(0, i) + (token[i] === "A" ? "B" : "A") + token.slice(i + 1);
      await fails(
        pages(channel, { rootDigest: wire(root), pageToken: forged }),
        Code.INVALID_ARGUMENT,
        forged,
      );
    }
    // Were it taken, what was sent before would not fit what follows.
    await store.delete(scope, inner[0]);
    await fails(
      pages(channel, { rootDigest: wire(root), pageToken: token }),
      Code.INVALID_ARGUMENT,
      "changed",
    );
  },
);

function expectedSizes(total: number, pageSize: number): number[] {
  const sizes: number[] = [];
  for (let left = total; left > 0; left -= pageSize) sizes.push(Math.min(left, pageSize));
  return sizes;
}

onEachStore(
  "GetTree keeps pages below the size of a message, whatever page size is asked for",
  async (start) => {
    await using server = await start();
    const { store, channel } = server;
    const large = await Promise.all(
      Array.from({ length: 12 }, (_, i) => keep(store, padded(400_000, i + 1))),
    );
    // One that fills a message by itself, one that cannot be sent, and one that need not be, as it is missing.
    const full = await keep(store, padded(4_194_000, 50));
    const root = await keep(store, parent([...large, full]));
    const all = await pages(channel, { rootDigest: wire(root), pageSize: 1_000_000 });
    assertEquals(hashes(all), await reference(store, root));
    assert(all.every((page) => page.bytes < 4_194_304), all.map((page) => page.bytes).join());
    const over = padded(4_200_000, 51);
    const wide = await keep(store, parent([over.digest, large[0]]));
    assertEquals(hashes(await pages(channel, { rootDigest: wire(wide) })).length, 2);
    await keep(store, over);
    const error = await fails(pages(channel, { rootDigest: wire(wide) }), Code.INVALID_ARGUMENT);
    assert(error.message.includes(over.digest.hash), error.message);
  },
);

onEachStore("GetTree sends each directory of a tree bomb once", async (start) => {
  await using server = await start();
  const { store, channel } = server;
  let digest = await keep(store, parent([], "bottom"));
  // 4^500 paths.
  for (let i = 0; i < 500; i++) digest = await keep(store, parent([digest, digest, digest, digest]));
  const all = await pages(channel, { rootDigest: wire(digest), pageSize: 100 });
  assertEquals(hashes(all).length, 501);
  assertEquals(new Set(hashes(all)).size, 501);
});

Deno.test("GetTree bounds what a tree may name, and the memory of all walks together", async () => {
  await using store = new MemoryBlobStore(256 << 20);
  const names = Array.from({ length: 9000 }, (_, i) => blob(`nothing ${i}`).digest);
  const root = await keep(store, parent(names));
  assertEquals(hashes(await direct({ store, root })), [root.hash]);
  const limits = { maxDirectories: 5000, pageBytes: 1 << 20 };
  const error = await fails(direct({ store, root, limits }), Code.INVALID_ARGUMENT);
  assert(error.message.includes("5000"), error.message);
  for (const [limitBytes, code] of [[3 << 20, Code.RESOURCE_EXHAUSTED], [8 << 20, Code.OK]] as const) {
    const budget = new ByteBudget(limitBytes);
    if (code === Code.OK) await direct({ store, root, budget });
    else assert((await fails(direct({ store, root, budget }), code)).retryDelayMs !== undefined);
    assertEquals(budget.usedBytes, 0);
  }
});

Deno.test("GetTree gives way to others while it walks, ends when it is cancelled, and gives its memory back", async () => {
  await using store = new MemoryBlobStore(256 << 20);
  const names = Array.from({ length: 40_000 }, (_, i) => blob(`nothing ${i}`).digest);
  const root = await keep(store, parent(names));
  const budget = new ByteBudget(64 << 20);
  const abort = new AbortController();
  const walk = direct({ store, root, budget, signal: abort.signal });
  let turns = 0;
  let ended = false;
  walk.then(() => ended = true, () => ended = true);
  for (; turns < 5; turns++) await yieldToEventLoop();
  assertEquals(ended, false);
  abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
  await fails(walk, Code.CANCELLED);
  assertEquals(budget.usedBytes, 0);

  // A client that reads one page and leaves.
  const pagesLeft = treePages({ store, scope, root, budget, pageSize: 1, pageToken: "" });
  await pagesLeft.next();
  await pagesLeft.return();
  assertEquals(budget.usedBytes, 0);
});

Deno.test("GetTree of any graph of directories is what a simple walk finds, whole and from every page on", async () => {
  const graph = fc.array(
    fc.record({ children: fc.array(fc.nat(30), { maxLength: 5 }), missing: fc.boolean() }),
    { minLength: 1, maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(
      graph,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 100, max: 2000 }),
      async (nodes, pageSize, pageBytes) => {
        await using store = new MemoryBlobStore(1 << 20);
        const made: { data: Uint8Array; digest: Digest }[] = [];
        for (const { children, missing } of nodes) {
          const below = children.filter((child) => child < made.length).map((child) => made[child].digest);
          const one = parent(below, `n${made.length % 7}`);
          made.push(one);
          if (!missing || made.length === nodes.length) await keep(store, one);
        }
        const root = made[made.length - 1].digest;
        const limits = { maxDirectories: 1000, pageBytes };
        const all = await direct({ store, root, pageSize, limits });
        const expected = await reference(store, root);
        assertEquals(hashes(all), expected);
        let sent = 0;
        for (const page of all.slice(0, -1)) {
          assert(page.directories.length >= 1 && page.directories.length <= pageSize);
          sent += page.directories.length;
          const rest = await direct({ store, root, pageSize: 3, pageToken: page.token, limits });
          assertEquals(hashes(rest), expected.slice(sent));
        }
      },
    ),
    { numRuns: 150 },
  );
});
