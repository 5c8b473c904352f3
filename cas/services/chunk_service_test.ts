import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  CacheCapabilitiesCodec,
  ChunkingFunction,
  ContentAddressableStorage as Cas,
  type SpliceBlobRequest,
} from "@brokkr/proto";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { type Digest, DIGEST_FUNCTIONS, type DigestFunction, digestOf, SHA256 } from "../digest.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { casCapabilities } from "./capabilities.ts";
import { casRoutes } from "./cas_service.ts";
import { fails, noise, onEachStore, scope, type TestServer, wire } from "./_test_server.ts";

const instanceName = "main";
const KIB = 1 << 10;

interface Made {
  readonly data: Uint8Array;
  readonly digest: Digest;
  readonly chunks: readonly { readonly data: Uint8Array; readonly digest: Digest }[];
}

/** A blob of 1.5 MB in three pieces. */
function made(seed: number, fn: DigestFunction = SHA256): Made {
  const data = noise(1500 * KIB, seed);
  const chunks = [0, 1, 2].map((i) => {
    const piece = data.subarray(i * 500 * KIB, (i + 1) * 500 * KIB);
    return { data: piece, digest: digestOf(fn, piece) };
  });
  return { data, digest: digestOf(fn, data), chunks };
}

async function putChunks({ store }: TestServer, { chunks }: Made): Promise<void> {
  for (const { digest, data } of chunks) await store.put(scope, digest, data);
}

function splice(channel: Channel, blob: Made, more: Partial<SpliceBlobRequest> = {}) {
  return channel.unary(Cas.spliceBlob, {
    instanceName,
    blobDigest: wire(blob.digest),
    chunkDigests: blob.chunks.map(({ digest }) => wire(digest)),
    ...more,
  });
}

onEachStore("SpliceBlob makes a blob of what was uploaded, and SplitBlob tells how", async (start) => {
  await using server = await start();
  const { channel, store, counts } = server;
  const blob = made(1);
  await putChunks(server, blob);
  for (let round = 0; round < 2; round++) {
    const answer = await splice(channel, blob, { chunkingFunction: ChunkingFunction.FAST_CDC_2020 });
    assertEquals(answer.blobDigest, wire(blob.digest));
  }
  assertEquals(counts["cas_written_bytes SpliceBlob"], blob.data.length);
  assertEquals(await store.get(scope, blob.digest), blob.data);
  const list = await channel.unary(Cas.splitBlob, { instanceName, blobDigest: wire(blob.digest) });
  assertEquals(list.chunkDigests, blob.chunks.map(({ digest }) => wire(digest)));
  assertEquals(list.chunkingFunction, ChunkingFunction.FAST_CDC_2020);
});

onEachStore("SplitBlob cuts a blob that came whole, whatever the client would like", async (start) => {
  await using server = await start();
  const { channel, store } = server;
  const data = noise(3 << 20, 2);
  const digest = digestOf(SHA256, data);
  await store.put(scope, digest, data);
  for (const chunkingFunction of [0, 1, 2, 77]) {
    const list = await channel.unary(Cas.splitBlob, {
      instanceName,
      blobDigest: wire(digest),
      chunkingFunction,
    });
    assertEquals(list.chunkingFunction, ChunkingFunction.FAST_CDC_2020);
    assert(list.chunkDigests.length > 2);
    assertEquals(list.chunkDigests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), data.length);
  }
});

onEachStore("SplitBlob gives small blobs as they are, and the empty one as nothing", async (start) => {
  await using server = await start();
  const { channel, store } = server;
  const data = noise(1 << 20, 3);
  const digest = digestOf(SHA256, data);
  await store.put(scope, digest, data);
  const one = await channel.unary(Cas.splitBlob, { instanceName, blobDigest: wire(digest) });
  assertEquals(one.chunkDigests, [wire(digest)]);
  const empty = digestOf(SHA256, new Uint8Array());
  const none = await channel.unary(Cas.splitBlob, { instanceName, blobDigest: wire(empty) });
  assertEquals(none.chunkDigests, []);
  const absent = wire(digestOf(SHA256, noise(9, 4)));
  await fails(channel.unary(Cas.splitBlob, { instanceName, blobDigest: absent }), Code.NOT_FOUND);
});

onEachStore("a blob is made of chunks in each digest function", async (start) => {
  await using server = await start();
  const { channel, store } = server;
  for (const fn of DIGEST_FUNCTIONS) {
    const blob = made(5, fn);
    await putChunks(server, blob);
    await splice(channel, blob, { digestFunction: fn.value });
    assertEquals(await store.get(scope, blob.digest), blob.data);
    const request = { instanceName, blobDigest: wire(blob.digest), digestFunction: fn.value };
    assertEquals((await channel.unary(Cas.splitBlob, request)).chunkDigests.length, 3);
  }
});

onEachStore("what was cut in an unknown way is taken, and said to be unknown", async (start) => {
  await using server = await start();
  for (const [i, chunkingFunction] of [0, 2, 99].entries()) {
    const blob = made(10 + i);
    await putChunks(server, blob);
    await splice(server.channel, blob, { chunkingFunction });
    const list = await server.channel.unary(Cas.splitBlob, { instanceName, blobDigest: wire(blob.digest) });
    assertEquals(list.chunkingFunction, ChunkingFunction.UNKNOWN);
  }
});

onEachStore("SpliceBlob names the chunks that are missing", async (start) => {
  await using server = await start();
  const blob = made(20);
  const [, second] = blob.chunks;
  await server.store.put(scope, second.digest, second.data);
  const error = await fails(splice(server.channel, blob), Code.NOT_FOUND);
  assertStringIncludes(error.message, "2 of its 3 chunks");
  const [detail] = error.details;
  assertEquals(
    detail.kind === "preconditionFailure" && detail.violations.map(({ subject }) => subject),
    [0, 2].map((i) => `blobs/${blob.chunks[i].digest.hash}/${blob.chunks[i].digest.sizeBytes}`),
  );
});

onEachStore(
  "SpliceBlob says ALREADY_EXISTS only where the chunks it was given are not kept",
  async (start) => {
    await using server = await start();
    const { channel, store } = server;
    const blob = made(21);
    await store.put(scope, blob.digest, blob.data);
    const error = await fails(splice(channel, blob), Code.ALREADY_EXISTS);
    assertStringIncludes(error.message, "SplitBlob");
    await putChunks(server, blob);
    await splice(channel, blob);
  },
);

onEachStore("SpliceBlob refuses what is malformed, and what is not so", async (start) => {
  await using server = await start();
  const { channel } = server;
  const blob = made(22);
  await putChunks(server, blob);
  const [a, b, c] = blob.chunks.map(({ digest }) => wire(digest));
  const cases: [string, Partial<SpliceBlobRequest>][] = [
    ["has SHA256 hash", { chunkDigests: [c, b, a] }],
    ["bytes together instead of", { chunkDigests: [a, b] }],
    ["bytes together instead of", { chunkDigests: [a, b, c, c] }],
    ["bytes together instead of", { chunkDigests: [] }],
    ["is not a SHA256 hash", { chunkDigests: [{ ...a, hash: "ab" }, b, c] }],
    ["is not a SHA256 hash", { chunkDigests: [a, { ...b, hash: b.hash.toUpperCase() }, c] }],
    ["cannot have -1 bytes", { chunkDigests: [a, b, { ...c, sizeBytes: -1 }] }],
    ["is missing", { blobDigest: undefined }],
    ["is not supported", { digestFunction: 4 }],
    ["larger than", { blobDigest: { ...wire(blob.digest), sizeBytes: 2 ** 50 } }],
  ];
  await using small = await start({ maxBlobBytes: 2 << 20 });
  for (const [words, more] of cases) {
    const to = words === "larger than" ? small.channel : channel;
    const error = await fails(splice(to, blob, more), Code.INVALID_ARGUMENT, words);
    assertStringIncludes(error.message, words);
  }
  await fails(channel.unary(Cas.splitBlob, { instanceName }), Code.INVALID_ARGUMENT);
  await fails(splice(channel, blob, { instanceName: "//" }), Code.INVALID_ARGUMENT);
  await splice(channel, blob);
});

Deno.test("who may only read cannot splice, and who may not read cannot split", async () => {
  const store = new MemoryBlobStore(16 << 20);
  const blob = made(23);
  await store.put(scope, blob.digest, blob.data);
  for (const [access, split] of [[["public", "read"], true], [["public"], false]] as const) {
    const server = createRpcServer({
      routes: casRoutes({ store }),
      listen: ["127.0.0.1:0"],
      authorize: defaultPolicy({ anonymousAccess: access }),
    });
    const [{ address }] = await server.listen();
    const channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
    try {
      await fails(splice(channel, blob), Code.PERMISSION_DENIED);
      const answer = channel.unary(Cas.splitBlob, { instanceName, blobDigest: wire(blob.digest) });
      if (split) assert((await answer).chunkDigests.length > 0);
      else await fails(answer, Code.PERMISSION_DENIED);
    } finally {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
    }
  }
  await store[Symbol.asyncDispose]();
});

Deno.test("a store that can neither split nor splice offers neither", async () => {
  const whole = new MemoryBlobStore(16 << 20);
  const store = new Proxy(whole, {
    get(target, name) {
      if (name === "split" || name === "splice") return undefined;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const of = (options: Parameters<typeof casCapabilities>[0]) =>
    CacheCapabilitiesCodec.decode(CacheCapabilitiesCodec.encode(casCapabilities(options)));
  const without = of({ store });
  assertEquals([without.splitBlobSupport, without.spliceBlobSupport], [false, false]);
  assertEquals(without.fastCdc2020Params, undefined);
  const full = of({ store: whole });
  assertEquals([full.splitBlobSupport, full.spliceBlobSupport], [true, true]);
  assertEquals(full.fastCdc2020Params, { avgChunkSizeBytes: 256 * KIB, seed: 0 });
  assertEquals(full.repMaxCdcParams, undefined);
  assertEquals(
    casRoutes({ store: whole }).length - casRoutes({ store }).length,
    2,
  );
  await whole[Symbol.asyncDispose]();
});
