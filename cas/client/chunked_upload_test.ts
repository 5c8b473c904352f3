import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import type { SpliceBlobRequest } from "@brokkr/proto";
import { DIGEST_FUNCTIONS, digestOf } from "../digest.ts";
import { scope } from "../services/_test_server.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import {
  AVG_BYTES,
  blobOf,
  capabilitiesWith,
  type ChunkServer,
  startChunkServer,
  streamedBlob,
  versionsOf,
} from "./_chunk_testing.ts";
import type { TransferProgress, UploadBlob } from "./mod.ts";

const SIZE = 1 << 20;
/** The chunks around an edit, and what follows until cuts fall together again. */
const EDIT_BYTES = 10 * AVG_BYTES;

async function stored(server: ChunkServer, { digest }: UploadBlob): Promise<Uint8Array> {
  const parts = new Uint8Array(digest.sizeBytes);
  let at = 0;
  for await (const piece of server.store.read(scope, digest)) {
    parts.set(piece, at);
    at += piece.length;
  }
  assertEquals(at, digest.sizeBytes);
  return parts;
}

for (const fn of DIGEST_FUNCTIONS) {
  Deno.test(`CasClient sends of ten versions of a file only what changed (${fn.name})`, async () => {
    await using server = await startChunkServer();
    const client = server.client({ fn });
    const versions = versionsOf(10, SIZE).map((data) => blobOf(data, fn));
    let sentBefore = 0;
    for (const [index, version] of versions.entries()) {
      const stat = await client.upload([index % 2 === 0 ? version : streamedBlob(version)]);
      const sent = server.traffic.sentBytes - sentBefore;
      sentBefore = server.traffic.sentBytes;
      if (index === 0) assertEquals(sent, SIZE);
      else assert(sent < EDIT_BYTES, `version ${index} took ${sent} bytes`);
      assertEquals(stat, {
        blobs: 1,
        bytes: sent,
        sharedBytes: version.data.length - sent,
        skippedBlobs: 0,
        skippedBytes: 0,
      });
    }
    for (const version of versions) assertEquals(await stored(server, version), version.data);
    assertEquals([server.traffic.count("GetCapabilities"), server.traffic.count("Write")], [1, 0]);
    const again = await client.upload(versions);
    assertEquals([again.blobs, again.skippedBlobs], [0, 10]);
  });
}

Deno.test("CasClient sends chunks to a store on disk, which has the whole of each version", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-chunks-" });
  try {
    const store = await openDiskBlobStore(`${dir}/cas`);
    await using server = await startChunkServer(
      store,
      capabilitiesWith(store, { avgChunkSizeBytes: 65_536, seed: 0 }),
    );
    const client = server.client();
    const versions = versionsOf(3, 3 * SIZE).map((data) => blobOf(data));
    for (const version of versions) await client.upload([version]);
    if (store.splice !== undefined) {
      assert(server.traffic.sentBytes < 5 * SIZE, `${server.traffic.sentBytes} bytes were sent`);
    }
    for (const version of versions) assertEquals(await stored(server, version), version.data);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("CasClient sends what versions share once, though they are sent side by side", async () => {
  await using server = await startChunkServer();
  const versions = versionsOf(10, SIZE).map((data) => blobOf(data));
  const steps: TransferProgress[] = [];
  const stat = await server.client().upload(versions.map((version) => streamedBlob(version)), {
    onProgress: (step) => steps.push(step),
  });
  const total = versions.reduce((sum, { data }) => sum + data.length, 0);
  assertEquals([stat.blobs, stat.bytes + stat.sharedBytes], [10, total]);
  assertEquals(stat.bytes, server.traffic.sentBytes);
  assert(stat.bytes < SIZE + 9 * EDIT_BYTES, `${stat.bytes} bytes were sent`);
  for (const version of versions) assertEquals(await stored(server, version), version.data);
  const last = steps.at(-1);
  assertEquals(last, {
    blobs: 10,
    bytes: total,
    sharedBytes: stat.sharedBytes,
    totalBlobs: 10,
    totalBytes: total,
  });
  steps.reduce((before, step) => {
    assert(step.bytes >= before.bytes && step.blobs >= before.blobs);
    return step;
  });
});

Deno.test("CasClient sends a file that repeats itself once, and reads its source once", async () => {
  await using server = await startChunkServer();
  const zeros = blobOf(new Uint8Array(4 * SIZE));
  let reads = 0;
  const stat = await server.client().upload([streamedBlob(zeros, () => reads++)]);
  assert(stat.bytes <= 2 * 4 * AVG_BYTES, `${stat.bytes} bytes were sent`);
  assertEquals(reads, 1);
  assertEquals(await stored(server, zeros), zeros.data);
});

Deno.test("CasClient sends blobs of many windows, from memory and from streams", async () => {
  await using server = await startChunkServer();
  const client = server.client();
  const versions = versionsOf(3, 14 * SIZE).map((data) => blobOf(data));
  await client.upload([streamedBlob(versions[0])]);
  assertEquals([server.traffic.sentBytes, server.traffic.count("Write")], [14 * SIZE, 0]);
  await client.upload([versions[1], streamedBlob(versions[2])]);
  assert(
    server.traffic.sentBytes < 14 * SIZE + 2 * EDIT_BYTES,
    `${server.traffic.sentBytes} bytes were sent`,
  );
  assertEquals(server.traffic.count("Write"), 0);
  for (const version of versions) assertEquals(await stored(server, version), version.data);
});

Deno.test("CasClient cuts as the server says, and not at all where it says what cannot be", async (t) => {
  const store = () => new MemoryBlobStore(256 << 20);
  const blob = blobOf(versionsOf(1, SIZE)[0]);
  const cases = [
    { about: "another average", params: { avgChunkSizeBytes: 4096, seed: 0 }, spliced: true },
    { about: "a seed", params: { avgChunkSizeBytes: 8192, seed: 4_000_000_000 }, spliced: true },
    { about: "an average below the least", params: { avgChunkSizeBytes: 512, seed: 0 }, spliced: false },
    { about: "an average above the most", params: { avgChunkSizeBytes: 1 << 21, seed: 0 }, spliced: false },
    { about: "no power of two", params: { avgChunkSizeBytes: 10_000, seed: 0 }, spliced: false },
    { about: "no parameters", params: undefined, spliced: false },
    { about: "chunks that hold all of it", params: { avgChunkSizeBytes: SIZE / 4, seed: 0 }, spliced: false },
  ];
  for (const { about, params, spliced } of cases) {
    await t.step(about, async () => {
      const own = store();
      await using server = await startChunkServer(own, capabilitiesWith(own, params));
      let sizes: number[] = [];
      server.traffic.onCall = (method, _, request) => {
        if (method === "SpliceBlob") {
          sizes = (request as SpliceBlobRequest).chunkDigests.map((each) => each.sizeBytes);
        }
      };
      await server.client().upload([blob]);
      assertEquals(await stored(server, blob), blob.data);
      assertEquals(server.traffic.count("SpliceBlob"), spliced ? 1 : 0);
      const avg = params?.avgChunkSizeBytes ?? 0;
      assert(sizes.every((size, i) => size <= 4 * avg && (size >= avg / 4 || i === sizes.length - 1)));
    });
  }
});

Deno.test("CasClient does not ask what a server can do before a large blob is at hand, or when chunking is off", async () => {
  await using server = await startChunkServer();
  await server.client().upload([blobOf(new Uint8Array(1000)), blobOf(new Uint8Array(2 * AVG_BYTES))]);
  await server.client({ chunking: "off" }).upload([blobOf(versionsOf(1, SIZE)[0])]);
  assertEquals([server.traffic.count("GetCapabilities"), server.traffic.count("Write")], [0, 1]);
});

Deno.test("CasClient sends blobs whole to a server that takes no chunks or does not say", async () => {
  const store = new MemoryBlobStore(256 << 20);
  const { cacheCapabilities } = capabilitiesWith(store, { avgChunkSizeBytes: AVG_BYTES, seed: 0 });
  const blob = blobOf(versionsOf(1, SIZE)[0]);
  {
    await using server = await startChunkServer(store, {
      cacheCapabilities: { ...cacheCapabilities, spliceBlobSupport: false },
    });
    await server.client().upload([blob]);
    assertEquals([server.traffic.count("SpliceBlob"), server.traffic.count("Write")], [0, 1]);
  }
  await using server = await startChunkServer();
  server.traffic.onCall = (method) => {
    if (method === "GetCapabilities") throw new BrokkrError(Code.PERMISSION_DENIED, "It is a secret");
  };
  await server.client().upload([blob]);
  assertEquals(await stored(server, blob), blob.data);
});

Deno.test("CasClient sends a blob whole when its chunks are refused, and asks no more", async (t) => {
  for (const code of [Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT, Code.INTERNAL, Code.FAILED_PRECONDITION]) {
    await t.step(`code ${code}`, async () => {
      await using server = await startChunkServer();
      server.traffic.onCall = (method) => {
        if (method === "SpliceBlob") throw new BrokkrError(code, "Not here");
      };
      const client = server.client();
      const steps: TransferProgress[] = [];
      for (const data of versionsOf(3, SIZE)) {
        const blob = blobOf(data);
        const stat = await client.upload([streamedBlob(blob)], { onProgress: (step) => steps.push(step) });
        assertEquals([stat.bytes, stat.sharedBytes], [data.length, 0]);
        assertEquals(await stored(server, blob), data);
        assertEquals(steps.at(-1)?.bytes, data.length);
        assertEquals(steps.at(-1)?.sharedBytes, 0);
      }
      assertEquals(server.traffic.count("SpliceBlob"), 1);
    });
  }
});

Deno.test("CasClient takes a blob that a server made of its chunks under another name for a refusal", async () => {
  await using server = await startChunkServer();
  server.traffic.onCall = (method) =>
    method === "SpliceBlob" ? { blobDigest: { hash: "00".repeat(32), sizeBytes: 1 } } : undefined;
  const blob = blobOf(versionsOf(1, SIZE)[0]);
  await server.client().upload([blob]);
  assertEquals(await stored(server, blob), blob.data);
});

Deno.test("CasClient sends chunks again that went before the blob was made of them, then all of it", async (t) => {
  for (
    const { losses, reads, whole } of [{ losses: 1, reads: 2, whole: 0 }, { losses: 2, reads: 3, whole: 1 }]
  ) {
    await t.step(`${losses} times`, async () => {
      await using server = await startChunkServer();
      const blob = blobOf(versionsOf(1, SIZE)[0]);
      server.traffic.onCall = async (method, number, request) => {
        if (method !== "SpliceBlob" || number > losses) return;
        const { hash, sizeBytes } = (request as SpliceBlobRequest).chunkDigests[3];
        await server.store.delete(scope, {
          ...blob.digest,
          hash: hash as typeof blob.digest.hash,
          sizeBytes,
        });
      };
      let read = 0;
      const client = server.client();
      await client.upload([streamedBlob(blob, () => read++)]);
      assertEquals(await stored(server, blob), blob.data);
      assertEquals([read, server.traffic.count("Write")], [reads, whole]);
      // That says nothing of the next blob.
      await client.upload([blobOf(versionsOf(1, SIZE, 77)[0])]);
      assertEquals(server.traffic.count("Write"), whole);
    });
  }
});

Deno.test("CasClient takes a blob for sent that is there in other chunks", async () => {
  await using server = await startChunkServer();
  server.traffic.onCall = (method) => {
    if (method === "SpliceBlob") throw new BrokkrError(Code.ALREADY_EXISTS, "It is there");
  };
  await server.client().upload([blobOf(versionsOf(1, SIZE)[0])]);
  assertEquals(server.traffic.count("Write"), 0);
});

Deno.test("CasClient says so when a file changes while it is sent, and leaves no wrong blob", async (t) => {
  const [data, other] = versionsOf(2, SIZE);
  const { digest } = blobOf(data);
  const changed = data.slice();
  changed[500_000] ^= 1;
  const cases: { about: string; source: () => AsyncIterable<Uint8Array>; says: RegExp }[] = [
    { about: "a byte", source: () => pieces(changed), says: /hash|digest/ },
    { about: "longer", source: () => pieces(other), says: /changed after its digest was taken/ },
    {
      about: "shorter",
      source: () => pieces(data.subarray(0, 900_000)),
      says: /changed after its digest was taken/,
    },
    { about: "without end", source: () => endless(), says: /changed after its digest was taken/ },
    {
      about: "gone",
      source: () =>
        pieces(data, new BrokkrError(Code.FAILED_PRECONDITION, "Input a changed while it was uploaded")),
      says: /Input a changed/,
    },
  ];
  for (const { about, source, says } of cases) {
    await t.step(about, async () => {
      await using server = await startChunkServer();
      const client = server.client();
      const error = await assertRejects(() => client.upload([{ digest, data: source }]), BrokkrError);
      assert(says.test(error.message), error.message);
      assertEquals((await client.findMissing([digest])).length, 1);
      // One of another size is not even tried, and one without end not read for long.
      assertEquals(server.traffic.count("SpliceBlob"), about === "a byte" ? 1 : 0);
      assert(server.traffic.sentBytes < 16 * SIZE, `${server.traffic.sentBytes} bytes were sent`);
      // What was wrong was the file and not the server.
      await client.upload([{ digest, data }]);
      assert(server.traffic.count("SpliceBlob") >= 1);
      assertEquals(await stored(server, { digest, data }), data);
    });
  }
});

Deno.test("CasClient stops sending chunks when it is told to, and gives all memory back", async () => {
  await using server = await startChunkServer();
  const client = server.client();
  const blobs = Array.from({ length: 12 }, (_, i) => blobOf(versionsOf(1, SIZE, i + 10)[0]));
  for (const method of ["BatchUpdateBlobs", "FindMissingBlobs", "SpliceBlob", "GetCapabilities"]) {
    const controller = new AbortController();
    server.traffic.onCall = (called, number) => {
      // The first FindMissingBlobs asks for the blobs themselves.
      if (called === method && number >= 2) controller.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    };
    const error = await client.uploadKnownMissing(blobs, { signal: controller.signal }).then(
      () => undefined,
      (e) => e,
    );
    if (method !== "GetCapabilities") {
      assert(error instanceof BrokkrError && error.code === Code.CANCELLED, String(error));
    }
    server.traffic.reset();
  }
  server.traffic.onCall = () => undefined;
  await client.upload(blobs.map((blob) => streamedBlob(blob)));
  for (const blob of blobs) assertEquals(await stored(server, blob), blob.data);
});

Deno.test("CasClient tries again what a store could not do for a moment", async () => {
  await using server = await startChunkServer();
  server.traffic.onCall = (method, number) => {
    const repeated = method === "FindMissingBlobs" || method === "SpliceBlob";
    if (repeated && number % 3 === 1) throw new BrokkrError(Code.UNAVAILABLE, "In a moment");
  };
  const blob = blobOf(versionsOf(1, SIZE)[0]);
  await server.client().uploadKnownMissing([blob]);
  assertEquals(await stored(server, blob), blob.data);
});

Deno.test("CasClient compresses chunks where it is told to", async () => {
  await using server = await startChunkServer();
  const data = new Uint8Array(SIZE);
  for (let i = 0; i < data.length; i++) data[i] = (i * i >> 7) & 15;
  const blob = { digest: digestOf(DIGEST_FUNCTIONS[0], data), data };
  const stat = await server.client({ compression: "auto" }).upload([blob]);
  assertEquals(server.traffic.count("SpliceBlob"), 1);
  assert(
    server.traffic.sentBytes < stat.bytes,
    `${server.traffic.sentBytes} of ${stat.bytes} bytes were sent`,
  );
  assertEquals(await stored(server, blob), data);
});

async function* pieces(data: Uint8Array, failure?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += 60_000) {
    if (failure !== undefined && at > 400_000) throw failure;
    yield await Promise.resolve(data.subarray(at, at + 60_000));
  }
}

async function* endless(): AsyncGenerator<Uint8Array> {
  for (let i = 0;; i++) yield await Promise.resolve(new Uint8Array(60_000).fill(i));
}
