// Where a read begins and ends, at every edge, and the blob that is always there.

import { assert, assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import { ByteStream, ContentAddressableStorage as Cas } from "@brokkr/proto";
import { type Digest, digestOf, formatReadName, formatUploadName, SHA256 } from "../mod.ts";
import { blob, fails, noise, onEachStore, scope, type TestServer, wire } from "./_test_server.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
/** On both sides of what is read at once, kept in a segment, and read in pieces. */
const SIZES = [1, 2, 64 * KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 2 * MIB + 3];

async function read(
  server: TestServer,
  digest: Digest,
  readOffset: number,
  readLimit: number,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const request = { resourceName: formatReadName("main", digest), readOffset, readLimit };
  for await (const { data } of server.channel.serverStream(ByteStream.read, request)) {
    assert(data.length > 0, "an empty piece says nothing");
    pieces.push(data.slice());
  }
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

onEachStore("Read gives exactly the bytes asked for, for blobs of every size", async (start) => {
  await using server = await start();
  for (const size of SIZES) {
    const data = noise(size, size);
    const digest = digestOf(SHA256, data);
    await server.store.put(scope, digest, data);
    const offsets = new Set([0, 1, size >> 1, size - 1, size, Math.min(size, MIB - 1), Math.min(size, MIB)]);
    const limits = new Set([0, 1, 2, size - 1, size, size + 1, MIB, Number.MAX_SAFE_INTEGER]);
    for (const offset of offsets) {
      for (const limit of limits) {
        const end = limit === 0 ? size : Math.min(size, offset + limit);
        const got = await read(server, digest, offset, limit);
        const about = `${size} bytes from ${offset}, at most ${limit}`;
        assertEquals(got.length, end - offset, about);
        assertEquals(digestOf(SHA256, got), digestOf(SHA256, data.subarray(offset, end)), about);
      }
    }
    for (const offset of [size + 1, 2 * size + MIB, Number.MAX_SAFE_INTEGER, -1, -Number.MAX_SAFE_INTEGER]) {
      for (const limit of [0, 1]) {
        await fails(read(server, digest, offset, limit), Code.OUT_OF_RANGE, `${offset}`);
      }
    }
    for (const limit of [-1, -size]) {
      await fails(read(server, digest, 0, limit), Code.INVALID_ARGUMENT, `${limit}`);
    }
    const absent = { ...blob(`${size}`).digest, sizeBytes: size };
    for (const offset of [0, size]) await fails(read(server, absent, offset, 0), Code.NOT_FOUND, `${offset}`);
    // The same hash under another size is another blob.
    await fails(read(server, { ...digest, sizeBytes: size + 1 }, 0, 0), Code.NOT_FOUND);
  }
});

onEachStore("the empty blob is there for every call, though nobody brought it", async (start) => {
  await using server = await start();
  const { channel } = server;
  const instanceName = "main";
  const empty = wire(blob("").digest);
  const absent = wire(blob("absent").digest);
  for (let round = 0; round < 2; round++) {
    const { missingBlobDigests } = await channel.unary(Cas.findMissingBlobs, {
      instanceName,
      blobDigests: [empty, absent, empty],
    });
    assertEquals(missingBlobDigests, [absent]);
    for (const limit of [0, 1, MIB]) {
      assertEquals(await read(server, blob("").digest, 0, limit), new Uint8Array(0));
    }
    for (const offset of [1, -1]) await fails(read(server, blob("").digest, offset, 0), Code.OUT_OF_RANGE);
    const { responses } = await channel.unary(Cas.batchReadBlobs, { instanceName, digests: [empty] });
    assertEquals(responses.map(({ digest, data, status }) => [digest, data.length, status?.code]), [[
      empty,
      0,
      0,
    ]]);
    const trees = await Array.fromAsync(
      channel.serverStream(Cas.getTree, { instanceName, rootDigest: empty }),
    );
    assertEquals(trees.map(({ directories }) => directories.map(({ files }) => files)), [[[]]]);
    const resourceName = formatUploadName("main", "u", blob("").digest);
    assertEquals(await channel.unary(ByteStream.queryWriteStatus, { resourceName }), {
      committedSize: 0,
      complete: true,
    });
    // It may be brought, in one message or with none of its bytes, and stays one that takes no room.
    for (
      const messages of [[{ resourceName, finishWrite: true }], [{ resourceName }, { finishWrite: true }]]
    ) {
      const call = channel.clientStream(
        ByteStream.write,
        (async function* () {
          yield* messages;
        })(),
      );
      assertEquals(await call, { committedSize: 0 });
    }
    const update = await channel.unary(Cas.batchUpdateBlobs, { instanceName, requests: [{ digest: empty }] });
    assertEquals(update.responses.map(({ status }) => status?.code), [0]);
    assertEquals((await server.store.stat()).blobs, 0);
    assertEquals(await server.store.delete(scope, blob("").digest), false);
  }
});
