import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, type Clock, Code, seededRandom, systemClock } from "@brokkr/common";
import {
  type BatchUpdateBlobsRequest,
  Capabilities,
  Compressor,
  type Init,
  RawCas,
  type ServerCapabilities,
  type WriteRequest,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy, unary } from "@brokkr/proto/rpc/server";
import { type BlobCompressor, COMPRESSOR_VALUES } from "../compressors.ts";
import { digestOf, SHA256 } from "../digest.ts";
import { byteStreamRoutes, casCapabilities, casRoutes } from "../services/mod.ts";
import { noise, scope } from "../services/_test_server.ts";
import { compressWhole } from "../compression/mod.ts";
import { join, prose } from "../compression/_testing.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { CasClient, type CasClientOptions } from "./mod.ts";

const MIB = 1 << 20;
const hasty: Clock = { ...systemClock, setTimer: (_delayMs, fn) => systemClock.setTimer(0, fn) };

/** A server that says that it can do `capabilities`, and a client whose messages are looked at. */
async function startServer(
  capabilities: () => Init<ServerCapabilities> = () => ({ cacheCapabilities: casCapabilities() }),
) {
  const store = new MemoryBlobStore(256 * MIB);
  const byteStream = byteStreamRoutes({ store });
  const server = createRpcServer({
    routes: [
      ...casRoutes({ store }),
      ...byteStream.routes,
      unary(Capabilities.getCapabilities, "public", () => capabilities()),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ address }] = await server.listen();
  const channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
  /** Names of the streams, and compressors of what was sent in batches. */
  const seen: string[] = [];
  let sentBytes = 0;
  const spied: Channel = new Proxy(channel, {
    get(target, key) {
      if (key === "serverStream") {
        return (method: never, request: { resourceName: string }, options: never) => {
          seen.push(request.resourceName);
          return target.serverStream(method, request as never, options);
        };
      }
      if (key === "clientStream") {
        return (method: never, messages: AsyncIterable<Init<WriteRequest>>, options: never) => {
          async function* passed() {
            for await (const message of messages) {
              if (message.resourceName !== "") seen.push(message.resourceName ?? "");
              sentBytes += message.data?.length ?? 0;
              yield message;
            }
          }
          return target.clientStream(method, passed() as never, options);
        };
      }
      if (key === "unary") {
        return (method: never, request: Init<BatchUpdateBlobsRequest>, options: never) => {
          for (const each of request.requests ?? []) {
            seen.push(`batch ${each.compressor ?? 0}`);
            sentBytes += each.data?.length ?? 0;
          }
          return target.unary(method, request as never, options);
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return {
    store,
    seen,
    sentBytes: () => sentBytes,
    client: (options: Partial<CasClientOptions> = {}) =>
      new CasClient({
        channel: spied,
        instance: "main",
        fn: SHA256,
        random: seededRandom(1),
        clock: hasty,
        compression: "auto",
        // What goes by chunks is told elsewhere.
        chunking: "off",
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
      await byteStream[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

const blobs = [prose(50), prose(5000), noise(5000), prose(700_000), prose(3 * MIB, 2), noise(3 * MIB, 3)]
  .map((data) => ({ digest: digestOf(SHA256, data), data }));

Deno.test("A client with compression moves every blob both ways, and less over the wire", async () => {
  const taken: Record<string, number> = {};
  await using server = await startServer();
  const up = server.client();
  let reported = 0;
  const stat = await up.upload(
    blobs.map(({ digest, data }, i) => ({
      digest,
      data: i % 2 === 0 ? data : async function* () {
        // One buffer for all pieces, as readers of files have.
        const buffer = new Uint8Array(70_000);
        for (let at = 0; at < data.length; at += buffer.length) {
          const piece = data.subarray(at, at + buffer.length);
          buffer.set(piece);
          yield await Promise.resolve(buffer.subarray(0, piece.length));
        }
      },
    })),
    { onProgress: ({ bytes }) => reported = bytes },
  );
  const total = blobs.reduce((sum, { data }) => sum + data.length, 0);
  assertEquals([stat.bytes, reported], [total, total]);
  assert(server.sentBytes() < total * 0.7, `${server.sentBytes()} of ${total}`);
  for (const { digest, data } of blobs) {
    assertEquals(await server.store.get(scope, digest), data);
    assertEquals(await up.get(digest), data);
    const whole: Uint8Array[] = [];
    for await (const piece of up.read(digest)) whole.push(piece.slice());
    assertEquals(digestOf(SHA256, join(whole)), digest);
    for (const range of [{ offset: 10 }, { offset: 10, limit: 20 }, { limit: 30 }, { offset: data.length }]) {
      const parts: Uint8Array[] = [];
      for await (const piece of up.read(digest, range)) parts.push(piece.slice());
      const offset = range.offset ?? 0;
      const wanted = data.subarray(offset, offset + ("limit" in range ? range.limit ?? 0 : data.length));
      assertEquals(join(parts), wanted);
    }
  }
  await up.getMany(blobs.map(({ digest }) => digest), (digest, data) => {
    taken[digest.hash] = data.length;
    assertEquals(digestOf(SHA256, data), digest);
  });
  assertEquals(Object.keys(taken).length, blobs.length);
});

Deno.test("Compression is used when a server offers it and the client wants it, else not", async () => {
  const zstd = casCapabilities();
  const only = (compressor: Compressor) => ({
    cacheCapabilities: {
      ...zstd,
      supportedCompressors: [compressor],
      supportedBatchUpdateCompressors: [compressor],
    },
  });
  const noStreams = { ...zstd, supportedCompressors: [] };
  const noBatches = { ...zstd, supportedBatchUpdateCompressors: [] };
  type Case = readonly [string, Init<ServerCapabilities>, "auto" | "off", boolean, boolean, BlobCompressor?];
  const cases: readonly Case[] = [
    ["offered and wanted", { cacheCapabilities: zstd }, "auto", true, true],
    ["offered, not wanted", { cacheCapabilities: zstd }, "off", false, false],
    ["not offered for streams", { cacheCapabilities: noStreams }, "auto", false, true],
    ["not offered for batches", { cacheCapabilities: noBatches }, "auto", true, false],
    ["nothing told", {}, "auto", false, false],
    ["brotli alone", only(Compressor.BROTLI), "auto", true, true, "brotli"],
    ["deflate alone", only(Compressor.DEFLATE), "auto", true, true, "deflate"],
    ["nothing known", only(77), "auto", false, false],
  ];
  for (const [what, capabilities, compression, streams, batches, compressor = "zstd"] of cases) {
    let asked = 0;
    await using server = await startServer(() => (asked++, capabilities));
    const client = server.client({ compression });
    const [, small, , , large] = blobs;
    await client.upload([small, large]);
    for await (const _ of client.read(large.digest));
    for await (const _ of client.read(large.digest, { limit: 10 }));
    assertEquals(asked, compression === "off" ? 0 : 1, what);
    const names = server.seen.filter((each) => !each.startsWith("batch"));
    assertEquals(
      names.map((name) => name.includes(`/compressed-blobs/${compressor}/`)),
      [streams, streams, false],
      what,
    );
    assertEquals(server.seen.filter((each) => each.startsWith("batch")), [
      `batch ${batches ? COMPRESSOR_VALUES[compressor] : 0}`,
    ], what);
    const got: string[] = [];
    await client.getMany([small.digest, large.digest], (digest, data) => {
      assertEquals(digestOf(SHA256, data), digest);
      got.push(digest.hash);
    });
    assertEquals(got.length, 2, what);
  }
});

Deno.test("A client whose server cannot say what it can do sends plain data and asks again later", async () => {
  let asked = 0;
  await using server = await startServer(() => {
    asked++;
    if (asked === 1) throw new BrokkrError(Code.PERMISSION_DENIED, "Not for you");
    return { cacheCapabilities: casCapabilities() };
  });
  const client = server.client();
  await client.upload([blobs[4]]);
  assertEquals(asked, 1);
  assertEquals(await client.get(blobs[4].digest), blobs[4].data);
  assertEquals(asked, 2);
  assertEquals(server.seen.map((name) => name.includes("zstd")), [false, true]);
});

Deno.test("A compressed answer that is damaged, or that nobody asked for, is DATA_LOSS", async () => {
  const packed = await compressWhole(blobs[1].data);
  const { digest } = blobs[1];
  const answers: readonly (readonly [Uint8Array, number, "auto" | "off"])[] = [
    [packed.subarray(0, packed.length - 1), 1, "auto"],
    [packed, 2, "auto"],
    [packed, 1, "off"],
    [blobs[1].data, 1, "auto"],
  ];
  for (const [data, compressor, compression] of answers) {
    const server = createRpcServer({
      routes: [
        unary(RawCas.batchReadBlobs, "read", () => ({ responses: [{ digest, data, compressor }] })),
        unary(Capabilities.getCapabilities, "public", () => ({ cacheCapabilities: casCapabilities() })),
      ],
      listen: ["127.0.0.1:0"],
      authorize: defaultPolicy({ anonymousAccess: ["public", "read"] }),
    });
    const [{ address }] = await server.listen();
    const channel = connect(`grpc://${address}`);
    const options = {
      channel,
      instance: "main",
      fn: SHA256,
      random: seededRandom(1),
      clock: hasty,
      compression,
    };
    const error = await assertRejects(() => new CasClient(options).get(digest), BrokkrError);
    assertEquals(error.code, Code.DATA_LOSS, error.message);
    await channel.close();
    await server.shutdown({ graceMs: 0 });
  }
});

Deno.test("More reads at once than a client has room for codecs all go on, the others plain", async () => {
  await using server = await startServer();
  const client = server.client();
  const blobs = Array.from({ length: 12 }, (_, i) => prose(3 * MIB, i + 1));
  const digests = blobs.map((data) => digestOf(SHA256, data));
  for (const [i, data] of blobs.entries()) await server.store.put(scope, digests[i], data);
  const compressed = () => server.seen.filter((name) => name.includes("compressed-blobs/zstd")).length;
  const readAll = async () => {
    // All have begun before one goes on: whoever waited for another's end would wait for ever.
    const reads = digests.map((digest) => client.read(digest)[Symbol.asyncIterator]());
    const parts = await Promise.all(
      reads.map(async (read) => [(await read.next()).value ?? new Uint8Array()]),
    );
    for (const [i, read] of reads.entries()) {
      for (let step = await read.next(); step.done !== true; step = await read.next()) {
        parts[i].push(step.value);
      }
      assertEquals(digestOf(SHA256, join(parts[i])), digests[i]);
    }
  };
  await readAll();
  assertEquals([server.seen.length, compressed()], [12, 7]);
  await readAll();
  assertEquals([server.seen.length, compressed()], [24, 14], "room was given back");
});
