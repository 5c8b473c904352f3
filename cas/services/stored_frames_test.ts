// Frames of zstd that a store keeps travel as they are to those who take them.

import { assertEquals, assertNotEquals } from "@std/assert";
import { ByteStream, Compressor, RawCas } from "@brokkr/proto";
import type { Scope } from "@brokkr/common";
import { type BlobCompressor, compressWhole, decompressWhole } from "../compression/mod.ts";
import { join, prose } from "../compression/_testing.ts";
import { COMPRESSOR_VALUES } from "../compressors.ts";
import { type Digest, digestKey, digestOf, formatReadName, SHA256 } from "../mod.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { withDir } from "../store/_disk_testing.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { noise, scope, startTestServer, type TestServer, wire } from "./_test_server.ts";

const instanceName = "main";

/** A store that keeps, beside its blobs, a frame of each for which it was given one. */
class FramedStore extends MemoryBlobStore {
  readonly frames = new Map<string, Uint8Array>();

  frame(_scope: Scope, digest: Digest): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.frames.get(digestKey(digest)));
  }
}

async function streamed(
  { channel }: TestServer,
  digest: Digest,
  compressor: BlobCompressor,
  readOffset = 0,
): Promise<Uint8Array> {
  const resourceName = formatReadName(instanceName, digest, compressor);
  const parts: Uint8Array[] = [];
  for await (const { data } of channel.serverStream(ByteStream.read, { resourceName, readOffset })) {
    parts.push(data.slice());
  }
  return join(parts);
}

async function batched(
  { channel }: TestServer,
  digests: readonly Digest[],
  acceptableCompressors: Compressor[],
) {
  const request = { instanceName, digests: digests.map(wire), acceptableCompressors };
  return (await channel.unary(RawCas.batchReadBlobs, request)).responses;
}

Deno.test("A stored frame goes out byte for byte where zstd is taken, and nowhere else", async () => {
  const store = new FramedStore(256 << 20);
  await using server = await startTestServer({ store });
  const plain = noise(5000);
  const plainDigest = digestOf(SHA256, plain);
  await store.put(scope, plainDigest, plain);
  // Larger than a message of a stream may be in one case; none of them is what this server would make itself.
  for (const data of [prose(100), prose(60_000), prose(900_000), join([noise(700_000), prose(300_000)])]) {
    const digest = digestOf(SHA256, data);
    const kept = await compressWhole(data, { level: 12 });
    await store.put(scope, digest, data);
    store.frames.set(digestKey(digest), kept);
    assertNotEquals(await compressWhole(data), kept);

    assertEquals(await streamed(server, digest, "zstd"), kept);
    assertEquals(await streamed(server, digest, "zstd", 0), kept);
    for (const compressor of ["zstd", "brotli", "deflate"] as const) {
      for (const offset of compressor === "zstd" ? [1, data.length] : [0, 1]) {
        const got = await streamed(server, digest, compressor, offset);
        const rest = await decompressWhole(got, { compressor, sizeBytes: data.length - offset });
        assertEquals(rest, data.subarray(offset), `${compressor} from ${offset}`);
      }
    }
    const [first, second] = await batched(server, [digest, plainDigest], [
      Compressor.DEFLATE,
      Compressor.ZSTD,
    ]);
    assertEquals([first.compressor, first.data], [Compressor.ZSTD, kept]);
    assertEquals([second.compressor, second.data], [Compressor.IDENTITY, plain]);
    for (const acceptable of [[], [Compressor.IDENTITY], [Compressor.BROTLI]]) {
      const [{ compressor, data: got }] = await batched(server, [digest], acceptable);
      const whole = compressor === Compressor.IDENTITY
        ? got
        : await decompressWhole(got, { compressor: "brotli", sizeBytes: data.length });
      assertEquals([compressor === Compressor.ZSTD, whole], [false, data]);
    }
  }
});

Deno.test("The bytes that counters tell are the blobs' own, also of frames", async () => {
  const store = new FramedStore(256 << 20);
  await using server = await startTestServer({ store });
  const data = prose(50_000);
  const digest = digestOf(SHA256, data);
  await store.put(scope, digest, data);
  store.frames.set(digestKey(digest), await compressWhole(data));
  await streamed(server, digest, "zstd");
  await batched(server, [digest], [COMPRESSOR_VALUES.zstd]);
  assertEquals(server.counts["cas_read_bytes Read"], data.length);
  assertEquals(server.counts["cas_read_bytes BatchReadBlobs"], data.length);
});

Deno.test("What the disk store keeps compressed comes whole to every client", () =>
  withDir(async (dir) => {
    const store = await openDiskBlobStore(`${dir}/cas`);
    await using server = await startTestServer({ store });
    for (const data of [prose(400), prose(30_000), prose(1_000_000), noise(40_000)]) {
      const digest = digestOf(SHA256, data);
      await store.put(scope, digest, data);
      const kept = await store.frame?.(scope, digest);
      const got = await streamed(server, digest, "zstd");
      if (kept !== undefined) assertEquals(got, kept);
      assertEquals(await decompressWhole(got, { sizeBytes: data.length }), data);
      const [{ compressor, data: answer }] = await batched(server, [digest], [Compressor.ZSTD]);
      const whole = compressor === Compressor.ZSTD
        ? await decompressWhole(answer, { sizeBytes: data.length })
        : answer;
      assertEquals(whole, data);
    }
  }));
