import { assert, assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import { ContentAddressableStorage as Cas, RawCas } from "@brokkr/proto";
import { batchOf, digestOf, SHA256 } from "../mod.ts";
import { blob, fails, noise, onEachStore, scope, wire } from "./_test_server.ts";

const hello = blob("hello");
const empty = blob("");
const instanceName = "main";

onEachStore("FindMissingBlobs names exactly what is missing, as it came and in order", async (start) => {
  await using server = await start();
  await server.store.put(scope, hello.digest, hello.data);
  const others = ["a", "b", "c"].map((text) => blob(text).digest);
  const blobDigests = [others[0], hello.digest, others[1], empty.digest, others[2], others[0]].map(wire);
  const request = { instanceName, blobDigests };
  for (const digestFunction of [0, 1]) {
    const response = await server.channel.unary(Cas.findMissingBlobs, { ...request, digestFunction });
    assertEquals(response.missingBlobDigests, [...others, others[0]].map(wire));
  }
  assertEquals(server.counts["cas_hits FindMissingBlobs"], 4);
  assertEquals(server.counts["cas_misses FindMissingBlobs"], 8);
});

onEachStore("FindMissingBlobs counts a blob of another size as missing", async (start) => {
  await using server = await start();
  await server.store.put(scope, hello.digest, hello.data);
  const blobDigests = [{ hash: hello.digest.hash, sizeBytes: 6 }];
  const response = await server.channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests });
  assertEquals(response.missingBlobDigests, blobDigests);
});

onEachStore("FindMissingBlobs of nothing is nothing", async (start) => {
  await using server = await start();
  assertEquals((await server.channel.unary(Cas.findMissingBlobs, {})).missingBlobDigests, []);
});

onEachStore(
  "FindMissingBlobs takes tens of thousands of digests, in one slice and in several",
  async (start) => {
    await using server = await start();
    const all = Array.from({ length: 20_000 }, (_, i) => blob(`blob ${i}`));
    const kept = all.filter((_, i) => i % 3 === 0);
    await Promise.all(kept.map(({ digest, data }) => server.store.put(scope, digest, data)));
    for (const count of [8191, 8192, 8193, 10_000, 20_000]) {
      const digests = all.slice(0, count).map(({ digest }) => digest);
      const response = await server.channel.unary(RawCas.findMissingBlobs, { instanceName, digests });
      const expected = digests.filter((_, i) => i % 3 !== 0);
      assertEquals(response.count, expected.length);
      const plain = await server.channel.unary(Cas.findMissingBlobs, {
        instanceName,
        blobDigests: digests.map(wire),
      });
      assertEquals(plain.missingBlobDigests, expected.map(wire));
    }
  },
);

onEachStore("the CAS calls refuse malformed requests with INVALID_ARGUMENT", async (start) => {
  await using server = await start();
  const { channel } = server;
  const good = wire(hello.digest);
  const bad = [
    { hash: good.hash.toUpperCase(), sizeBytes: 5 },
    { hash: good.hash.slice(1), sizeBytes: 5 },
    { hash: good.hash.slice(1) + "g", sizeBytes: 5 },
    { hash: good.hash.slice(1) + "é", sizeBytes: 5 },
    { hash: "", sizeBytes: 0 },
    { hash: good.hash, sizeBytes: -1 },
  ];
  for (const digest of bad) {
    const find = channel.unary(Cas.findMissingBlobs, {
      instanceName,
      blobDigests: [good, digest],
      digestFunction: 1,
    });
    await fails(find, Code.INVALID_ARGUMENT, JSON.stringify(digest));
    const read = channel.unary(Cas.batchReadBlobs, { instanceName, digests: [digest] });
    await fails(read, Code.INVALID_ARGUMENT, JSON.stringify(digest));
  }
  const error = await fails(
    channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests: [good, bad[2]] }),
    Code.INVALID_ARGUMENT,
  );
  assert(error.message.includes("blob_digests[1]"), error.message);
  for (const digestFunction of [7, 42, -1]) {
    await fails(
      channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests: [good], digestFunction }),
      Code.INVALID_ARGUMENT,
    );
    await fails(channel.unary(Cas.batchReadBlobs, { instanceName, digests: [good], digestFunction }), 3);
    await fails(channel.unary(Cas.batchUpdateBlobs, { instanceName, requests: [], digestFunction }), 3);
  }
  await fails(channel.unary(Cas.findMissingBlobs, { instanceName: "a/blobs", blobDigests: [good] }), 3);
  await fails(channel.unary(Cas.batchReadBlobs, { instanceName: "//", digests: [good] }), 3);
  await fails(channel.unary(Cas.batchUpdateBlobs, { instanceName: "uploads" }), Code.INVALID_ARGUMENT);
});

onEachStore("BatchUpdateBlobs stores what is right and tells of each blob what is not", async (start) => {
  await using server = await start({ maxBlobBytes: 1000 });
  const cases: readonly (readonly [
    { digest?: { hash: string; sizeBytes: number }; data?: Uint8Array; compressor?: number },
    Code,
  ])[] = [
    [{ digest: wire(hello.digest), data: hello.data }, Code.OK],
    [{ digest: wire(hello.digest), data: hello.data }, Code.OK],
    [{ digest: wire(empty.digest) }, Code.OK],
    [{ digest: wire(blob("other").digest), data: hello.data }, Code.INVALID_ARGUMENT],
    [
      { digest: { ...wire(blob("size").digest), sizeBytes: 5 }, data: blob("size").data },
      Code.INVALID_ARGUMENT,
    ],
    [{ digest: wire(blob("truncated").digest), data: blob("truncate").data }, Code.INVALID_ARGUMENT],
    [{ digest: wire(blob("over").digest), data: blob("over!").data }, Code.INVALID_ARGUMENT],
    [{ digest: { hash: "nonsense", sizeBytes: 5 }, data: hello.data }, Code.INVALID_ARGUMENT],
    [{ data: hello.data }, Code.INVALID_ARGUMENT],
    [
      { digest: wire(blob("zipped").digest), data: blob("zipped").data, compressor: 1 },
      Code.INVALID_ARGUMENT,
    ],
    [
      { digest: wire(blob("x".repeat(1001)).digest), data: blob("x".repeat(1001)).data },
      Code.INVALID_ARGUMENT,
    ],
    [{ digest: wire(blob("y".repeat(1000)).digest), data: blob("y".repeat(1000)).data }, Code.OK],
  ];
  const requests = cases.map(([each]) => each);
  const { responses } = await server.channel.unary(RawCas.batchUpdateBlobs, { instanceName, requests });
  assertEquals(responses.length, cases.length);
  for (const [i, [request, code]] of cases.entries()) {
    assertEquals(responses[i].status?.code ?? 0, code, `${i}: ${responses[i].status?.message}`);
    assertEquals(responses[i].digest, request.digest);
  }
  assertEquals((await server.store.stat()).blobs, 2);
  assertEquals(await server.store.get(scope, hello.digest), hello.data);
});

onEachStore("the batch calls take exactly 4,000,000 bytes and refuse one more", async (start) => {
  await using server = await start();
  const { channel } = server;
  for (const [length, ok] of [[4_000_000, true], [4_000_001, false]] as const) {
    const parts = [noise(1_000_000), noise(length - 1_000_000, 2)];
    const digests = parts.map((data) => digestOf(SHA256, data));
    const requests = parts.map((data, i) => ({ digest: wire(digests[i]), data }));
    const update = channel.unary(RawCas.batchUpdateBlobs, { instanceName, requests });
    const read = () => channel.unary(RawCas.batchReadBlobs, { instanceName, digests: digests.map(wire) });
    if (ok) {
      assertEquals((await update).responses.map((each) => each.status?.code ?? 0), [0, 0]);
      const { responses } = await read();
      assertEquals(responses.map((each) => digestOf(SHA256, each.data)), digests);
    } else {
      await fails(update, Code.INVALID_ARGUMENT);
      assertEquals((await server.store.missing(scope, batchOf(SHA256, digests))).length, 1);
      for (const [i, digest] of digests.entries()) await server.store.put(scope, digest, parts[i]);
      await fails(read(), Code.INVALID_ARGUMENT);
    }
  }
});

onEachStore("BatchReadBlobs tells of each blob whether it is there", async (start) => {
  await using server = await start();
  await server.store.put(scope, hello.digest, hello.data);
  const digests = [hello.digest, blob("gone").digest, empty.digest, hello.digest].map(wire);
  digests.push({ hash: hello.digest.hash, sizeBytes: 4 });
  const { responses } = await server.channel.unary(Cas.batchReadBlobs, { instanceName, digests });
  assertEquals(responses.map((each) => [each.digest, each.status?.code ?? 0, each.data.length]), [
    [digests[0], Code.OK, 5],
    [digests[1], Code.NOT_FOUND, 0],
    [digests[2], Code.OK, 0],
    [digests[3], Code.OK, 5],
    [digests[4], Code.NOT_FOUND, 0],
  ]);
  assertEquals(responses[0].data.slice(), hello.data);
  assertEquals(server.counts["cas_misses BatchReadBlobs"], 2);
});

onEachStore(
  "BatchReadBlobs refuses so many small blobs that the answer would not fit a message",
  async (start) => {
    await using server = await start();
    const data = noise(300);
    const digest = digestOf(SHA256, data);
    await server.store.put(scope, digest, data);
    const ask = (count: number) =>
      server.channel.unary(RawCas.batchReadBlobs, {
        instanceName,
        digests: new Array(count).fill(wire(digest)),
      });
    assertEquals((await ask(9_700)).responses.length, 9_700);
    const error = await fails(ask(10_000), Code.INVALID_ARGUMENT);
    assert(error.message.includes("ask for at most"), error.message);
  },
);

onEachStore("one blob written by many at once is stored once and every writer succeeds", async (start) => {
  await using server = await start();
  const data = noise(100_000);
  const digest = digestOf(SHA256, data);
  const requests = [{ digest: wire(digest), data }];
  const answers = await Promise.all(
    Array.from(
      { length: 32 },
      () => server.channel.unary(RawCas.batchUpdateBlobs, { instanceName, requests }),
    ),
  );
  assertEquals(answers.every(({ responses }) => (responses[0].status?.code ?? 0) === 0), true);
  assertEquals((await server.store.stat()).blobs, 1);
});
