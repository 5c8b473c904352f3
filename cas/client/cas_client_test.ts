import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  BrokkrError,
  type Clock,
  Code,
  type Scope,
  seededRandom,
  systemClock,
  unavailable,
} from "@brokkr/common";
import { ActionResultCodec } from "@brokkr/proto";
import type { ReadRange } from "../blob_store.ts";
import { blobSubject, type Digest, digestOf, SHA256 } from "../digest.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import {
  blob,
  fails,
  noise,
  scope,
  startTestServer,
  type TestServer,
  wire,
} from "../services/_test_server.ts";
import { CasClient, type CasClientOptions, type TransferProgress, type UploadBlob } from "./mod.ts";

/** A clock on which waits between attempts take no time. */
const hasty: Clock = { ...systemClock, setTimer: (_delayMs, fn) => systemClock.setTimer(0, fn) };

function clientOf(server: TestServer, options: Partial<CasClientOptions> = {}): CasClient {
  return new CasClient({
    channel: server.channel,
    instance: "main",
    fn: SHA256,
    random: seededRandom(1),
    clock: hasty,
    ...options,
  });
}

function blobsOf(count: number, sizeBytes: (i: number) => number): { digest: Digest; data: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => {
    const data = noise(sizeBytes(i), i + 1);
    return { digest: digestOf(SHA256, data), data };
  });
}

/** The same blob, read piece by piece. */
function streamed({ digest, data }: { digest: Digest; data: Uint8Array }, pieceBytes = 70_000): UploadBlob {
  return {
    digest,
    data: async function* () {
      for (let at = 0; at < data.length; at += pieceBytes) {
        yield await Promise.resolve(data.subarray(at, at + pieceBytes));
      }
    },
  };
}

/** A store that fails or lies when told to. */
class Fickle extends MemoryBlobStore {
  failures = 0;
  damage = false;
  puts = 0;
  writers = 0;
  reads: number[] = [];
  breakReadsAfter = Infinity;

  constructor(maxBytes: number) {
    super(maxBytes);
    const begin = this.uploads.begin.bind(this.uploads);
    this.uploads.begin = (id) => {
      this.#fail();
      this.writers++;
      return begin(id);
    };
  }

  #fail(): void {
    if (this.failures > 0) {
      this.failures--;
      throw unavailable("Not now", 1);
    }
  }

  override async put(where: Scope, digest: Digest, data: Uint8Array) {
    this.#fail();
    this.puts++;
    return await super.put(where, digest, data);
  }

  override async get(where: Scope, digest: Digest) {
    this.#fail();
    const data = await super.get(where, digest);
    return this.damage ? data.map((byte) => byte ^ 1) : data;
  }

  override async *read(where: Scope, digest: Digest, range?: ReadRange, signal?: AbortSignal) {
    this.#fail();
    this.reads.push(range?.offset ?? 0);
    let pieces = 0;
    for await (const piece of super.read(where, digest, range, signal)) {
      if (++pieces > this.breakReadsAfter) throw unavailable("Broken off", 1);
      yield this.damage ? piece.map((byte) => byte ^ 1) : piece;
    }
  }
}

Deno.test("CasClient uploads what is missing, each blob once, and tells what it did", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const small = blobsOf(300, (i) => i * 100);
  const large = blobsOf(3, (i) => 1_000_000 + i * 1_500_000);
  const all = [...small, ...large.map((each) => streamed(each)), ...small.slice(0, 10)];
  const unique = [...small, ...large];
  const bytes = unique.reduce((sum, each) => sum + each.data.length, 0);
  await server.store.put(scope, small[7].digest, small[7].data);
  const steps: TransferProgress[] = [];
  const stat = await client.upload(all, { onProgress: (step) => steps.push(step) });
  // The first blob is the empty one, which is always there.
  assertEquals(stat, { blobs: 301, bytes: bytes - 700, sharedBytes: 0, skippedBlobs: 2, skippedBytes: 700 });
  assertEquals(steps.at(-1), {
    blobs: 301,
    bytes: bytes - 700,
    sharedBytes: 0,
    totalBlobs: 301,
    totalBytes: bytes - 700,
  });
  assert(steps.every((step, i) => i === 0 || step.bytes >= steps[i - 1].bytes));
  for (const { digest, data } of unique) {
    assertEquals((await server.store.get(scope, digest)).length, data.length);
  }
  assertEquals(await client.upload(all), {
    blobs: 0,
    bytes: 0,
    sharedBytes: 0,
    skippedBlobs: 303,
    skippedBytes: bytes,
  });
  assertEquals((await client.uploadKnownMissing(small.slice(0, 3))).blobs, 2);
});

Deno.test("CasClient gets back what was uploaded, by every way", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const blobs = blobsOf(60, (i) => i < 57 ? i * 700 : 900_000 * (i - 55));
  await client.upload(blobs);
  for (const { digest, data } of [blobs[0], blobs[1], blobs[40], blobs[59]]) {
    assertEquals(digestOf(SHA256, await client.get(digest)), digest);
    const parts = await Array.fromAsync(client.read(digest), (part) => part.slice());
    assertEquals(parts.reduce((sum, part) => sum + part.length, 0), data.length);
  }
  const seen = new Map<string, Uint8Array>();
  const digests = blobs.map(({ digest }) => digest);
  const stat = await client.getMany([...digests, ...digests], (digest, data) => {
    assert(!seen.has(digest.hash), "each once");
    seen.set(digest.hash, data.slice());
  });
  const bytes = blobs.reduce((sum, { data }) => sum + data.length, 0);
  assertEquals(stat, { blobs: 59, bytes, sharedBytes: 0, skippedBlobs: 1, skippedBytes: 0 });
  for (const { digest } of blobs) assertEquals(digestOf(SHA256, seen.get(digest.hash) ?? noise(1)), digest);
  const streamedBytes: number[] = [];
  await client.getMany(digests, () => {}, {
    onLarge: async (digest, chunks) => {
      for await (const chunk of chunks) streamedBytes.push(chunk.length);
      assert(digest.sizeBytes > 1_000_000);
    },
  });
  assertEquals(streamedBytes.reduce((sum, each) => sum + each, 0), 900_000 * (2 + 3 + 4));
});

Deno.test("CasClient reads parts of blobs", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const [{ digest, data }] = blobsOf(1, () => 2_500_000);
  await server.store.put(scope, digest, data);
  for (
    const [offset, limit] of [[0, 0], [0, 1], [7, 2_000_000], [2_499_999, 5], [2_500_000, 5], [1, undefined]]
  ) {
    const parts = await Array.fromAsync(client.read(digest, { offset, limit }), (part) => part.slice());
    const got = new Uint8Array(await new Blob(parts).arrayBuffer());
    const expected = data.subarray(offset, limit === undefined ? undefined : (offset ?? 0) + limit);
    assertEquals(digestOf(SHA256, got), digestOf(SHA256, expected), `${offset} ${limit}`);
  }
  await fails(Array.fromAsync(client.read(digest, { offset: 2_500_001 })), Code.OUT_OF_RANGE);
});

Deno.test("CasClient findMissing names what is missing in order, however many are asked", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const digests = Array.from({ length: 45_000 }, (_, i) => blob(`${i}`).digest);
  await server.store.put(scope, digests[44_000], blob("44000").data);
  const missing = await client.findMissing([...digests, blob("").digest, digests[5]]);
  assertEquals(missing.length, 44_999);
  assertEquals(
    missing.map((each) => each.hash),
    digests.filter((_, i) => i !== 44_000).map((each) => each.hash),
  );
  assertEquals(await client.findMissing([]), []);
});

Deno.test("CasClient names every missing blob, and brings the others all the same", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const blobs = blobsOf(6, (i) => i < 4 ? 100 + i : 2_000_000 + i);
  for (const i of [0, 2, 4]) await server.store.put(scope, blobs[i].digest, blobs[i].data);
  const got: string[] = [];
  const error = await fails(
    client.getMany(blobs.map(({ digest }) => digest), (digest) => void got.push(digest.hash)),
    Code.FAILED_PRECONDITION,
  );
  const [detail] = error.details;
  assert(detail?.kind === "preconditionFailure");
  assertEquals(
    detail.violations.map(({ subject }) => subject).sort(),
    [1, 3, 5].map((i) => blobSubject(blobs[i].digest)).sort(),
  );
  assertEquals(got.sort(), [0, 2, 4].map((i) => blobs[i].digest.hash as string).sort());
  for (const i of [1, 5]) {
    await fails(client.get(blobs[i].digest), Code.NOT_FOUND);
    await fails(Array.fromAsync(client.read(blobs[i].digest)), Code.NOT_FOUND);
  }
});

Deno.test("CasClient refuses damaged blobs with DATA_LOSS, by every way", async () => {
  const store = new Fickle(64 << 20);
  await using server = await startTestServer({ store });
  const client = clientOf(server);
  const [small, large] = blobsOf(2, (i) => 100 + i * 2_000_000);
  await client.upload([small, large]);
  store.damage = true;
  for (const { digest } of [small, large]) {
    await fails(client.get(digest), Code.DATA_LOSS);
    await fails(Array.fromAsync(client.read(digest)), Code.DATA_LOSS);
    await fails(client.getMany([digest], () => {}), Code.DATA_LOSS);
    const onLarge = async (_digest: Digest, chunks: AsyncIterable<Uint8Array>) =>
      void await Array.fromAsync(chunks);
    await fails(client.getMany([digest], () => {}, { onLarge }), Code.DATA_LOSS);
  }
});

Deno.test("CasClient tries again what failed for the moment, and gives up in the end", async () => {
  const store = new Fickle(64 << 20);
  await using server = await startTestServer({ store });
  const client = clientOf(server);
  const [small, large] = blobsOf(2, (i) => 100 + i * 2_000_000);
  for (const each of [small, streamed(large)]) {
    store.failures = 3;
    assertEquals((await client.uploadKnownMissing([each])).blobs, 1);
    assertEquals(store.failures, 0);
  }
  store.failures = 3;
  await client.getMany([small.digest], () => {});
  store.failures = 3;
  assertEquals(digestOf(SHA256, await client.get(large.digest)), large.digest);
  const [other] = blobsOf(1, () => 50);
  store.failures = 4;
  await fails(client.uploadKnownMissing([other]), Code.UNAVAILABLE);
  assertEquals(store.failures, 0);
});

Deno.test("CasClient goes on with a read where it broke off", async () => {
  const store = new Fickle(64 << 20);
  await using server = await startTestServer({ store });
  const [{ digest, data }] = blobsOf(1, () => 5 << 20);
  await store.put(scope, digest, data);
  store.breakReadsAfter = 1;
  assertEquals(digestOf(SHA256, await clientOf(server).get(digest)), digest);
  assertEquals(store.reads, [0, 1, 2, 3, 4].map((mib) => mib << 20));
});

Deno.test("CasClient tells when the data of an upload are not what was said", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const [small, large] = blobsOf(2, (i) => 1000 + i * 2_000_000);
  for (const { digest, data } of [small, large]) {
    for (const wrong of [data.subarray(1), new Uint8Array([...data, 1]), data.map((byte) => byte ^ 1)]) {
      await fails(client.upload([{ digest, data: wrong }]), Code.INVALID_ARGUMENT);
      await fails(client.upload([streamed({ digest, data: wrong })]), Code.INVALID_ARGUMENT);
    }
    await fails(
      client.upload([{
        digest,
        data: async function* () {
          yield await Promise.resolve(data.subarray(0, 10));
          throw new BrokkrError(Code.PERMISSION_DENIED, "The file cannot be read");
        },
      }]),
      Code.PERMISSION_DENIED,
    );
  }
  assertEquals((await server.store.stat()).blobs, 0);
});

Deno.test("CasClient stops when it is cancelled", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const abort = new AbortController();
  const [large] = blobsOf(1, () => 3_000_000);
  const upload = client.upload([{
    digest: large.digest,
    data: async function* () {
      yield await Promise.resolve(large.data.subarray(0, 1_000_000));
      abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
      yield large.data.subarray(1_000_000);
    },
  }], { signal: abort.signal });
  await fails(upload, Code.CANCELLED);
  assertEquals((await server.store.stat()).blobs, 0);
});

Deno.test("CasClient keeps batches within their limit", async () => {
  const store = new Fickle(64 << 20);
  await using server = await startTestServer({ store });
  const client = clientOf(server, { maxBatchBytes: 4_000_000, parallel: 2 });
  const blobs = blobsOf(40, (i) => 399_000 + i * 25);
  await client.upload([...blobs, ...blobsOf(2, (i) => 2_000_000 + i)]);
  assertEquals([store.puts, store.writers], [41, 1]);
  await client.getMany(blobs.map(({ digest }) => digest), () => {});
  // So many small ones that their framing weighs more than their bytes.
  const tiny = Array.from({ length: 30_000 }, (_, i) => blob(`tiny ${i}`));
  await client.upload(tiny);
  let count = 0;
  await client.getMany(tiny.map(({ digest }) => digest), () => void count++);
  assertEquals(count, 30_000);
});

Deno.test("CasClient reads and writes the action cache", async () => {
  await using server = await startTestServer();
  const client = clientOf(server);
  const action = blob("action").digest;
  assertEquals(await client.getActionResult(action), undefined);
  const output = blob("output");
  const result = {
    outputFiles: [{ path: "f", digest: wire(output.digest) }],
    stdoutDigest: wire(output.digest),
  };
  await fails(client.updateActionResult(action, result), Code.FAILED_PRECONDITION);
  await client.upload([output]);
  const updated = await client.updateActionResult(action, result);
  assertEquals(updated, ActionResultCodec.decode(ActionResultCodec.encode(result)));
  assertEquals(await client.getActionResult(action), updated);
  const inlined = await client.getActionResult(action, { inline: true });
  assertEquals(inlined?.stdoutRaw.slice(), output.data);
});

Deno.test("CasClient refuses malformed options and digests that contradict each other", async () => {
  await using server = await startTestServer();
  for (
    const options of [{ instance: "a//b" }, { maxBatchBytes: 4_000_001 }, { parallel: 0 }, { attempts: 0 }]
  ) {
    assertThrows(() => clientOf(server, options), BrokkrError);
  }
  const { digest, data } = blob("x");
  await assertRejects(
    () => clientOf(server).upload([{ digest, data }, { digest: { ...digest, sizeBytes: 2 }, data }]),
    BrokkrError,
    "two sizes",
  );
});
