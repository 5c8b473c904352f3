import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { type Digest, DIGEST_FUNCTIONS, digestOf, SHA256 } from "../digest.ts";
import { noise, scope } from "../services/_test_server.ts";
import {
  AVG_BYTES,
  blobOf,
  type ChunkServer,
  MemoryChunks,
  startChunkServer,
  streamedBlob,
  versionsOf,
} from "./_chunk_testing.ts";
import {
  type CasClient,
  ChunkIndex,
  type ChunkSource,
  type ReadOptions,
  type TransferProgress,
} from "./mod.ts";

const SIZE = 1 << 20;
const EDIT_BYTES = 10 * AVG_BYTES;

interface Held {
  readonly digest: Digest;
  readonly data: Uint8Array;
}

async function readAll(client: CasClient, digest: Digest, options: ReadOptions = {}): Promise<Uint8Array> {
  const whole = new Uint8Array(digest.sizeBytes);
  let at = 0;
  for await (const piece of client.read(digest, {}, options)) {
    assert(at + piece.length <= whole.length);
    whole.set(piece, at);
    at += piece.length;
  }
  assertEquals(at, whole.length);
  return whole;
}

/** A server that has two versions of a blob, and a source that has the chunks of the first. */
async function twoVersions(
  server: ChunkServer,
  sizeBytes = SIZE,
): Promise<{ before: Held; after: Held; chunks: MemoryChunks }> {
  const [before, after] = versionsOf(2, sizeBytes).map((data) => blobOf(data));
  const client = server.client();
  await client.upload([before, after]);
  const chunks = new MemoryChunks();
  chunks.hold(before);
  assertEquals(await readAll(client, before.digest, { chunks }), before.data);
  assert(chunks.chunks.size > 10, "the chunks of a plain read are learned");
  server.traffic.reset();
  return { before, after, chunks };
}

for (const fn of DIGEST_FUNCTIONS) {
  Deno.test(`CasClient fetches of ten versions of a file only what changed (${fn.name})`, async () => {
    await using server = await startChunkServer();
    const chunks = new MemoryChunks();
    const client = server.client({ fn, chunks });
    const versions = versionsOf(10, SIZE).map((data) => blobOf(data, fn));
    await client.upload(versions);
    for (const [index, version] of versions.entries()) {
      server.traffic.reset();
      chunks.hold(version);
      assertEquals(await readAll(client, version.digest), version.data);
      const { receivedBytes } = server.traffic;
      if (index === 0) assertEquals([receivedBytes, server.traffic.count("SplitBlob")], [SIZE, 0]);
      else assert(receivedBytes < EDIT_BYTES, `version ${index} took ${receivedBytes} bytes`);
    }
    assertEquals(chunks.learned.map(({ blob }) => blob.hash), versions.map(({ digest }) => digest.hash));
    assertEquals(await client.get(versions[4].digest), versions[4].data);
  });
}

Deno.test("CasClient.getMany tells what it did not have to fetch, with and without a sink for large blobs", async () => {
  await using server = await startChunkServer();
  const { after, chunks } = await twoVersions(server);
  const small = blobOf(noise(1000));
  const client = server.client();
  await client.upload([small]);
  for (const large of [true, false]) {
    server.traffic.reset();
    const got = new Map<string, Uint8Array>();
    const steps: TransferProgress[] = [];
    const stat = await client.getMany(
      [after.digest, small.digest],
      (digest, data) => void got.set(digest.hash, data.slice()),
      {
        chunks,
        onProgress: (step) => steps.push(step),
        ...(large
          ? {
            onLarge: async (digest, pieces) => {
              const whole: number[] = [];
              for await (const piece of pieces) for (const byte of piece) whole.push(byte);
              got.set(digest.hash, Uint8Array.from(whole));
            },
          }
          : {}),
      },
    );
    assertEquals(got.get(after.digest.hash), after.data);
    assertEquals(stat.bytes, server.traffic.receivedBytes);
    assertEquals([stat.blobs, stat.bytes + stat.sharedBytes], [2, after.data.length + 1000]);
    assert(stat.bytes < EDIT_BYTES, `${stat.bytes} bytes came`);
    assertEquals(steps.at(-1)?.sharedBytes, stat.sharedBytes);
    assertEquals(steps.at(-1)?.bytes, after.data.length + 1000);
  }
});

Deno.test("CasClient asks no server how a blob is divided when no chunks are at hand, or the blob is small, or a part", async () => {
  await using server = await startChunkServer();
  const { before, after, chunks } = await twoVersions(server);
  const client = server.client();
  assertEquals(await readAll(client, after.digest), after.data);
  assertEquals(await readAll(client, after.digest, { chunks: new MemoryChunks() }), after.data);
  const part: Uint8Array[] = [];
  for await (const piece of client.read(before.digest, { offset: 10, limit: 20 }, { chunks })) {
    part.push(piece.slice());
  }
  assertEquals(part, [before.data.slice(10, 30)]);
  assertEquals(await readAll(server.client({ chunking: "off" }), after.digest, { chunks }), after.data);
  const small = blobOf(noise(4 * AVG_BYTES));
  await client.upload([small]);
  assertEquals(await readAll(client, small.digest, { chunks }), small.data);
  assertEquals(server.traffic.count("SplitBlob"), 0);
  // Chunks of something else: the server is asked, and the blob read plainly.
  const others = new MemoryChunks();
  others.chunks.set(digestOf(SHA256, new Uint8Array(9)).hash, new Uint8Array(9));
  server.traffic.reset();
  assertEquals(await readAll(client, after.digest, { chunks: others }), after.data);
  assertEquals([server.traffic.count("SplitBlob"), server.traffic.count("Read")], [1, 1]);
});

Deno.test("CasClient never takes wrong bytes from a server that lies about chunks", async (t) => {
  const foreign = blobOf(noise(20_000, 99));
  type List = { hash: string; sizeBytes: number }[];
  const cases: { about: string; lie: (list: List) => List; loss?: true }[] = [
    { about: "two chunks in wrong order", lie: ([a, b, ...rest]) => [b, a, ...rest], loss: true },
    { about: "a chunk too few", lie: (list) => list.slice(1) },
    { about: "a chunk twice", lie: (list) => [list[0], ...list] },
    { about: "no chunks", lie: () => [] },
    {
      about: "a size that is not the chunk's",
      lie: (list) =>
        list.map((each, i) => ({ ...each, sizeBytes: each.sizeBytes + (i === 2 ? 5 : i === 3 ? -5 : 0) })),
    },
    {
      about: "one chunk with two sizes",
      lie: ([a, b, ...rest]) => [a, { hash: a.hash, sizeBytes: b.sizeBytes }, ...rest],
    },
    {
      about: "a chunk that is not there",
      lie: (list) => list.map((each, i) => i === 20 ? { ...each, hash: "77".repeat(32) } : each),
    },
    { about: "a hash that is none", lie: (list) => list.map((each) => ({ ...each, hash: "nonsense" })) },
    { about: "a negative size", lie: (list) => [{ ...list[0], sizeBytes: -1 }, ...list] },
    {
      about: "a chunk as large as the blob",
      lie: (list) => [{ hash: list[0].hash, sizeBytes: list.reduce((sum, each) => sum + each.sizeBytes, 0) }],
    },
    {
      about: "another chunk in place of one",
      loss: true,
      lie: (list) => {
        const [a, b, ...rest] = list;
        const more = a.sizeBytes + b.sizeBytes - foreign.data.length;
        if (more < 0) {
          throw new Error(`The first two chunks are too short: ${a.sizeBytes} and ${b.sizeBytes}`);
        }
        const filler = digestOf(SHA256, new Uint8Array(more));
        const wire = ({ hash, sizeBytes }: Digest) => ({ hash: String(hash), sizeBytes });
        return [wire(foreign.digest), wire(filler), ...rest];
      },
    },
  ];
  for (const { about, lie, loss } of cases) {
    await t.step(about, async () => {
      await using server = await startChunkServer();
      const { after, chunks } = await twoVersions(server);
      const client = server.client();
      await client.upload([foreign]);
      const honest = await splitOf(server, after.digest);
      const told = lie(honest);
      const zeros = told.find(({ hash }) =>
        hash !== foreign.digest.hash && !honest.some((each) => each.hash === hash)
      );
      if (loss && zeros !== undefined) await client.upload([blobOf(new Uint8Array(zeros.sizeBytes))]);
      server.traffic.reset();
      server.traffic.onCall = (method) =>
        method === "SplitBlob" ? { chunkDigests: told, chunkingFunction: 1 } : undefined;
      if (loss) {
        const error = await assertRejects(() => readAll(client, after.digest, { chunks }), BrokkrError);
        assertEquals(error.code, Code.DATA_LOSS);
        // Whoever has lied once is not believed again.
        assertEquals(await readAll(client, after.digest, { chunks }), after.data);
        assertEquals(server.traffic.count("SplitBlob"), 1);
      } else {
        assertEquals(await readAll(client, after.digest, { chunks }), after.data);
        assert(server.traffic.count("Read") >= 1);
      }
    });
  }
});

Deno.test("CasClient asks for none of the empty chunks that a server puts into a list", async () => {
  await using server = await startChunkServer();
  const { after, chunks } = await twoVersions(server);
  const honest = await splitOf(server, after.digest);
  const empty = Array.from({ length: 40_000 }, (_, i) => ({
    hash: i.toString(16).padStart(64, "0"),
    sizeBytes: 0,
  }));
  server.traffic.onCall = (method) =>
    method === "SplitBlob" ? { chunkDigests: [...empty, ...honest], chunkingFunction: 1 } : undefined;
  assertEquals(await readAll(server.client(), after.digest, { chunks }), after.data);
  assertEquals(["SplitBlob", "BatchReadBlobs", "Read"].map((each) => server.traffic.count(each)), [1, 0, 1]);
});

/** How a server divides a blob. */
async function splitOf(server: ChunkServer, digest: Digest): Promise<{ hash: string; sizeBytes: number }[]> {
  const list = await server.store.split?.(scope, digest);
  if (list === undefined) throw new Error("The store does not split");
  const { chunks } = list;
  return Array.from({ length: chunks.length }, (_, i) => ({
    hash: chunks.hashes.subarray(i * 32, i * 32 + 32).toHex(),
    sizeBytes: chunks.sizes[i],
  }));
}

Deno.test("CasClient reads plainly what a server does not split, or stops to", async (t) => {
  for (const code of [Code.UNIMPLEMENTED, Code.NOT_FOUND, Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED]) {
    await t.step(`code ${code}`, async () => {
      await using server = await startChunkServer();
      const { after, chunks } = await twoVersions(server);
      server.traffic.onCall = (method) => {
        if (method === "SplitBlob") throw new BrokkrError(code, "Not now");
      };
      const client = server.client();
      for (let i = 0; i < 2; i++) assertEquals(await readAll(client, after.digest, { chunks }), after.data);
      assertEquals(server.traffic.count("SplitBlob"), code === Code.UNIMPLEMENTED ? 1 : 2);
    });
  }
});

Deno.test("CasClient goes on plainly where chunks cannot be fetched, without reading again what it has", async () => {
  await using server = await startChunkServer();
  const { after, chunks } = await twoVersions(server, 3 * SIZE);
  server.traffic.onCall = (method) => {
    if (method === "BatchReadBlobs") throw new BrokkrError(Code.INTERNAL, "Broken");
  };
  assertEquals(await readAll(server.client(), after.digest, { chunks }), after.data);
  assertEquals(server.traffic.count("Read"), 1);
  // The first chunks were at hand.
  assert(server.traffic.receivedBytes < 2.5 * SIZE, `${server.traffic.receivedBytes} bytes came`);
});

Deno.test("CasClient says that a blob is missing which is neither whole nor in chunks", async () => {
  await using server = await startChunkServer();
  const { chunks } = await twoVersions(server);
  const { digest } = blobOf(noise(SIZE, 1234));
  const error = await assertRejects(() => readAll(server.client(), digest, { chunks }), BrokkrError);
  assertEquals(error.code, Code.NOT_FOUND);
});

Deno.test("CasClient fetches chunks that are not at hand as they should be", async (t) => {
  const cases: { about: string; find: (data: Uint8Array | undefined) => Uint8Array | undefined }[] = [
    { about: "gone", find: () => undefined },
    { about: "changed", find: (data) => data?.map((byte, i) => i === 100 ? byte ^ 1 : byte) },
    { about: "shorter", find: (data) => data?.subarray(1) },
    { about: "longer", find: (data) => data && Uint8Array.from([...data, 1]) },
  ];
  for (const { about, find } of cases) {
    await t.step(about, async () => {
      await using server = await startChunkServer();
      const { after, chunks } = await twoVersions(server);
      let number = 0;
      const source: ChunkSource = {
        mayHelp: () => true,
        has: (chunk) => chunks.has(chunk),
        find: async (chunk) => {
          const data = await chunks.find(chunk);
          return number++ % 3 === 0 ? find(data) : data;
        },
      };
      assertEquals(await readAll(server.client(), after.digest, { chunks: source }), after.data);
      assert(number > 10);
      assert(server.traffic.receivedBytes < after.data.length / 2 + EDIT_BYTES);
    });
  }
});

Deno.test("CasClient stops fetching chunks when nobody reads on, or it is told to", async () => {
  await using server = await startChunkServer();
  const { after, chunks } = await twoVersions(server);
  const client = server.client();
  for await (const _ of client.read(after.digest, {}, { chunks })) break;
  const controller = new AbortController();
  const error = await assertRejects(async () => {
    for await (const _ of client.read(after.digest, {}, { chunks, signal: controller.signal })) {
      controller.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    }
  }, BrokkrError);
  assertEquals(error.code, Code.CANCELLED);
  assertEquals(await readAll(client, after.digest, { chunks }), after.data);
});

Deno.test("CasClient takes chunks from files, whatever becomes of them", async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-chunks-" });
  try {
    await using server = await startChunkServer();
    const [before, after] = versionsOf(2, SIZE).map((data) => blobOf(data));
    const client = server.client();
    await client.upload([before, streamedBlob(after)]);
    const path = `${dir}/before`;
    let rejected = 0;
    const indexed = async (): Promise<ChunkSource> => {
      await Deno.writeFile(path, before.data);
      const index = new ChunkIndex({ pathOf: () => path });
      return {
        mayHelp: () => true,
        prepare: async (_, cut) => index.add("before", await cut((await Deno.open(path)).readable)),
        has: (chunk) => index.has(chunk),
        find: (chunk) => index.find(chunk),
        reject: (chunk) => {
          index.reject(chunk);
          rejected++;
        },
      };
    };
    const changes: { about: string; change: () => Promise<void>; helps: boolean }[] = [
      { about: "nothing", change: () => Promise.resolve(), helps: true },
      { about: "it is removed", change: () => Deno.remove(path), helps: false },
      { about: "it is cut short", change: () => Deno.truncate(path, 5000), helps: false },
      { about: "it is another", change: () => Deno.writeFile(path, noise(SIZE, 55)), helps: false },
      {
        about: "it is a directory",
        change: () => Deno.remove(path).then(() => Deno.mkdir(path)),
        helps: false,
      },
    ];
    for (const { about, change, helps } of changes) {
      await t.step(about, async () => {
        const source = await indexed();
        let changed: Promise<void> | undefined;
        const late: ChunkSource = {
          ...source,
          find: async (chunk) => {
            await (changed ??= change());
            return await source.find(chunk);
          },
        };
        server.traffic.reset();
        rejected = 0;
        assertEquals(await readAll(client, after.digest, { chunks: late }), after.data);
        assertEquals(server.traffic.receivedBytes < EDIT_BYTES, helps);
        // One wrong chunk says enough of the file; four at most were on their way.
        assert(about === "it is another" ? rejected >= 1 && rejected <= 4 : rejected === 0, `${rejected}`);
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("ChunkIndex forgets the oldest files first, and keeps chunks that newer ones have", () => {
  const index = new ChunkIndex({ pathOf: () => undefined, maxChunks: 4 });
  const chunk = (n: number) => digestOf(SHA256, Uint8Array.of(n));
  index.add("a", [chunk(1), chunk(2)]);
  index.add("b", [chunk(2), chunk(3), chunk(4)]);
  assertEquals([1, 2, 3, 4].map((n) => index.has(chunk(n))), [true, true, true, true]);
  index.add("c", [chunk(5)]);
  assertEquals([1, 2, 3, 4, 5].map((n) => index.has(chunk(n))), [false, true, true, true, true]);
  index.add("c", [chunk(6)]);
  assertEquals([index.has(chunk(5)), index.has(chunk(6))], [false, true]);
  index.add("d", [1, 2, 3, 4, 5].map(chunk));
  assertEquals(index.size, 4);
  index.forget("b");
  assertEquals(index.size, 1);
});
