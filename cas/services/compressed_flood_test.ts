// Many compressed calls at once on little memory: all of them end, and none holds what others wait for.

import { assert, assertEquals } from "@std/assert";
import { BrokkrError, ByteBudget, Code } from "@brokkr/common";
import { ByteStream, type Init, RawCas, type WriteRequest } from "@brokkr/proto";
import { compressWhole } from "../compression/mod.ts";
import { block, frame, join, prose } from "../compression/_testing.ts";
import { BLOB_COMPRESSORS, type BlobCompressor, COMPRESSOR_VALUES } from "../compressors.ts";
import { digestOf, formatUploadName, SHA256 } from "../mod.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { withDir } from "../store/_disk_testing.ts";
import { scope, startTestServer, wire } from "./_test_server.ts";

const MIB = 1 << 20;
const instanceName = "main";

async function packedBlobs(compressor: BlobCompressor, count: number, sizeBytes: number) {
  return await Promise.all(Array.from({ length: count }, async (_, i) => {
    const data = prose(sizeBytes, i + 1);
    return { digest: digestOf(SHA256, data), data, packed: await compressWhole(data, { compressor }) };
  }));
}

/** A frame with one raw block, and a window of 2 ** (10 + log) bytes. */
function raw(log: number, data: Uint8Array): Uint8Array {
  return frame({ header: [log << 3], body: [...block(data.length, 0, true), ...data] });
}

/** How many of `calls` fail, which they may for want of memory only; all of them end. */
async function outcomes(calls: readonly Promise<unknown>[]): Promise<number> {
  let failed = 0;
  for (const result of await Promise.allSettled(calls)) {
    if (result.status === "fulfilled") continue;
    assert(
      result.reason instanceof BrokkrError && result.reason.code === Code.RESOURCE_EXHAUSTED,
      `${result.reason}`,
    );
    failed++;
  }
  return failed;
}

for (
  const [compressor, budgetBytes] of BLOB_COMPRESSORS.flatMap((each) =>
    [[each, 4 * MIB], [each, 40 * MIB]] as const
  )
) {
  Deno.test(`${compressor}: blobs of one message, more than ${budgetBytes} bytes have room for, are all taken`, async () => {
    const budget = new ByteBudget(budgetBytes);
    await using server = await startTestServer({ budget });
    const blobs = await packedBlobs(compressor, 40, MIB);
    const writes = blobs.map(({ digest, packed }, i) => {
      const resourceName = formatUploadName(instanceName, `u${i}`, digest, compressor);
      async function* messages(): AsyncGenerator<Init<WriteRequest>, void, undefined> {
        yield await Promise.resolve({ resourceName, writeOffset: 0, finishWrite: true, data: packed });
      }
      return server.channel.clientStream(ByteStream.write, messages());
    });
    assertEquals(await outcomes(writes), 0);
    for (const { digest, data } of blobs) assertEquals(await server.store.get(scope, digest), data);
    assertEquals(budget.usedBytes, 0);
  });
}

for (const compressor of BLOB_COMPRESSORS) {
  Deno.test(`${compressor}: batches, more than the memory has room for, are all taken and given`, async () => {
    const budget = new ByteBudget(24 * MIB);
    await using server = await startTestServer({ budget });
    const blobs = await packedBlobs(compressor, 24, MIB);
    const groups = Array.from({ length: 8 }, (_, i) => blobs.slice(3 * i, 3 * i + 3));
    const updates = groups.map((group) =>
      server.channel.unary(RawCas.batchUpdateBlobs, {
        instanceName,
        requests: group.map(({ digest, packed }) => ({
          digest: wire(digest),
          data: packed,
          compressor: COMPRESSOR_VALUES[compressor],
        })),
      })
    );
    assertEquals(await outcomes(updates), 0);
    for (const { digest, data } of blobs) assertEquals(await server.store.get(scope, digest), data);
    const reads = groups.map((group) =>
      server.channel.unary(RawCas.batchReadBlobs, {
        instanceName,
        digests: group.map(({ digest }) => wire(digest)),
        acceptableCompressors: [COMPRESSOR_VALUES[compressor]],
      })
    );
    assertEquals(await outcomes(reads), 0);
    assertEquals(budget.usedBytes, 0);
  });
}

Deno.test("compressed streams whose windows grow do not wait for each other for ever", async () => {
  const budget = new ByteBudget(40 * MIB);
  await using server = await startTestServer({ budget });
  // Two frames: each decoder begins with little, and then all of them want 8 MiB of the 10 that codecs may have.
  const small = prose(1000, 1);
  const first = raw(0, small);
  const second = raw(13, small);
  const digest = (i: number) => digestOf(SHA256, join([small, small, new Uint8Array([i & 255, i >> 8])]));
  let begun = 0;
  const all = Promise.withResolvers<void>();
  const writes = Array.from({ length: 12 }, (_, i) => {
    const resourceName = formatUploadName(instanceName, `u${i}`, digest(i), "zstd");
    async function* messages(): AsyncGenerator<Init<WriteRequest>, void, undefined> {
      yield { resourceName, writeOffset: 0, data: first };
      if (++begun === 12) all.resolve();
      await all.promise;
      yield { writeOffset: first.length, data: second };
      const tail = raw(0, new Uint8Array([i & 255, i >> 8]));
      yield { writeOffset: first.length + second.length, data: tail, finishWrite: true };
    }
    return server.channel.clientStream(ByteStream.write, messages());
  });
  await outcomes(writes);
  while (budget.usedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 1));
});

/** The least that makes a decoder take its room: the largest window, and no block yet. */
const STALLED: readonly (readonly [BlobCompressor, Uint8Array])[] = [
  ["zstd", frame({ header: [13 << 3], body: [] })],
  ["brotli", Uint8Array.of(0x0f)],
  ["deflate", Uint8Array.of(0)],
];

for (const [compressor, head] of STALLED) {
  Deno.test(`${compressor}: 60 writes that stand still leave plain ones what they need`, () =>
    withDir(async (dir) => {
      const budget = new ByteBudget(64 * MIB);
      const store = await openDiskBlobStore(`${dir}/cas`, { budget: new ByteBudget(16 * MIB) });
      await using server = await startTestServer({ budget, store });
      const data = prose(2 * MIB, 7);
      const aborts = Array.from({ length: 60 }, () => new AbortController());
      const stalled = aborts.map(({ signal }, i) => {
        const digest = { ...digestOf(SHA256, new TextEncoder().encode(`${i}`)), sizeBytes: 2 * MIB };
        const resourceName = formatUploadName(instanceName, `u${i}`, digest, compressor);
        const never = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => never.resolve());
        async function* messages(): AsyncGenerator<Init<WriteRequest>, void, undefined> {
          yield { resourceName, writeOffset: 0, data: head };
          await never.promise;
        }
        return server.channel.clientStream(ByteStream.write, messages(), { signal }).catch((error) => error);
      });
      while (budget.usedBytes === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const digest = digestOf(SHA256, data);
      const resourceName = formatUploadName(instanceName, "plain", digest);
      async function* messages(): AsyncGenerator<Init<WriteRequest>, void, undefined> {
        yield await Promise.resolve({ resourceName, writeOffset: 0, data: data.subarray(0, MIB) });
        yield { writeOffset: MIB, data: data.subarray(MIB), finishWrite: true };
      }
      assertEquals(await server.channel.clientStream(ByteStream.write, messages()), {
        committedSize: data.length,
      });
      assert(budget.usedBytes <= budget.limitBytes / 4, `${budget.usedBytes}`);
      for (const abort of aborts) abort.abort();
      await Promise.all(stalled);
      while (budget.usedBytes > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      assertEquals(await server.store.get(scope, digest), data);
    }));
}
