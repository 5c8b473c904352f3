import { assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  ActionCache,
  BytesCodec,
  ByteStream,
  Capabilities,
  ContentAddressableStorage as Cas,
  Execution,
  type Init,
  type Method,
  type WriteRequest,
} from "@brokkr/proto";
import {
  absentDigest,
  assertFailure,
  digest,
  EMPTY,
  failure,
  TestGrid,
  utf8,
  type WireDigest,
} from "./_grid.ts";

/** Every digest that cannot be, with what the answer must say of it. */
const BAD_DIGESTS: readonly { name: string; digest: Init<WireDigest>; words: string[] }[] = [
  { name: "a hash that is too short", digest: { hash: "ab".repeat(31), sizeBytes: 1 }, words: ["62"] },
  { name: "a hash that is too long", digest: { hash: "ab".repeat(33), sizeBytes: 1 }, words: ["66"] },
  { name: "no hash", digest: { hash: "", sizeBytes: 1 }, words: ["hash"] },
  { name: "an upper-case hash", digest: { hash: "AB".repeat(32), sizeBytes: 1 }, words: ["lower-case hex"] },
  {
    name: "a hash that is no hex",
    digest: { hash: "xy".repeat(32), sizeBytes: 1 },
    words: ["lower-case hex"],
  },
  { name: "a negative size", digest: { hash: "ab".repeat(32), sizeBytes: -1 }, words: ["-1"] },
  {
    name: "a hash that leaves its directory",
    digest: { hash: "../".repeat(21) + "x", sizeBytes: 1 },
    words: ["lower-case hex"],
  },
];

const BAD_INSTANCES = ["a//b", "/a", "a/", "team/blobs", "uploads", "a/operations", "x\0y", "a".repeat(2000)];

/** Writes some messages and gives the committed size. */
async function write(grid: TestGrid, messages: readonly Init<WriteRequest>[]): Promise<number> {
  async function* all(): AsyncGenerator<Init<WriteRequest>> {
    yield* messages;
  }
  return (await grid.channel.clientStream(ByteStream.write, all())).committedSize;
}

function uploadName(blob: Init<WireDigest>, uuid: string = crypto.randomUUID()): string {
  return `e2e/uploads/${uuid}/blobs/${blob.hash}/${blob.sizeBytes}`;
}

/** Content that nothing else uploads. */
const CONTENT = utf8("the content that was meant");
const MEANT = digest(CONTENT);
const OTHER = utf8("the content that was sent!");

interface WriteCase {
  readonly name: string;
  readonly messages: (blob: WireDigest) => readonly Init<WriteRequest>[];
  readonly code?: number;
  readonly words: readonly string[];
}

const half = CONTENT.length >> 1;

const WRITES: readonly WriteCase[] = [
  {
    name: "other content of the same size, in one message",
    messages: (blob) => [{ resourceName: uploadName(blob), data: OTHER, finishWrite: true }],
    words: [digest(OTHER).hash],
  },
  {
    name: "other content of the same size, in many messages",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: OTHER.subarray(0, half) },
      { writeOffset: half, data: OTHER.subarray(half) },
      { writeOffset: OTHER.length, finishWrite: true },
    ],
    words: [digest(OTHER).hash],
  },
  {
    name: "too little, in one message",
    messages: (blob) => [{ resourceName: uploadName(blob), data: CONTENT.subarray(1), finishWrite: true }],
    words: [`${CONTENT.length}`, `${CONTENT.length - 1}`],
  },
  {
    name: "too little, in many messages",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: CONTENT.subarray(0, half) },
      { writeOffset: half, data: CONTENT.subarray(half, -1), finishWrite: true },
    ],
    words: [`${CONTENT.length}`, `${CONTENT.length - 1}`],
  },
  {
    name: "nothing at all",
    messages: (blob) => [{ resourceName: uploadName(blob), finishWrite: true }],
    words: [`${CONTENT.length}`, "0"],
  },
  {
    name: "too much, in one message",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: new Uint8Array([...CONTENT, 1]), finishWrite: true },
    ],
    words: [`${CONTENT.length}`],
  },
  {
    name: "too much, in many messages",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: CONTENT },
      { writeOffset: CONTENT.length, data: new Uint8Array(1), finishWrite: true },
    ],
    words: [`${CONTENT.length}`],
  },
  {
    name: "a message after finish_write",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: CONTENT.subarray(0, half) },
      { writeOffset: half, data: CONTENT.subarray(half), finishWrite: true },
      { writeOffset: CONTENT.length, data: new Uint8Array(1) },
    ],
    words: ["finish"],
  },
  {
    name: "an offset with a gap",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: CONTENT.subarray(0, half) },
      { writeOffset: half + 1, data: CONTENT.subarray(half), finishWrite: true },
    ],
    words: ["write_offset", `${half + 1}`],
  },
  {
    name: "a first offset where nothing was written",
    messages: (blob) => [
      { resourceName: uploadName(blob), writeOffset: 5, data: CONTENT.subarray(5), finishWrite: true },
    ],
    words: ["QueryWriteStatus"],
  },
  {
    name: "a negative offset",
    messages: (blob) => [
      { resourceName: uploadName(blob), writeOffset: -1, data: CONTENT, finishWrite: true },
    ],
    words: ["-1"],
  },
  {
    name: "another resource in the second message",
    messages: (blob) => [
      { resourceName: uploadName(blob), data: CONTENT.subarray(0, half) },
      {
        resourceName: uploadName(EMPTY),
        writeOffset: half,
        data: CONTENT.subarray(half),
        finishWrite: true,
      },
    ],
    words: ["changed the resource"],
  },
  { name: "no message at all", messages: () => [], words: ["message"] },
];

const H = "ab".repeat(32);

/** Names of reads and writes that cannot be. */
const NAMES: readonly { name: string; words: string[]; code?: number; only?: "read" | "write" }[] = [
  { name: "", words: ["missing"] },
  { name: "nonsense", words: ["nonsense"] },
  { name: `blobs/${H}`, words: [], only: "read" },
  { name: `blobs/${H}/`, words: ["decimal"], only: "read" },
  { name: `blobs/${H}/-1`, words: ["decimal"], only: "read" },
  { name: `blobs/${H}/1e3`, words: ["decimal"], only: "read" },
  { name: `blobs/${H}/01`, words: ["decimal"], only: "read" },
  { name: `blobs/${H}/99999999999999999999`, words: ["decimal"], only: "read" },
  { name: `blobs/${H}/5/6`, words: ["goes on"], only: "read" },
  { name: `blobs/${H.toUpperCase()}/5`, words: [], only: "read" },
  { name: `blobs/${"../".repeat(10)}etc/passwd`, words: [], only: "read" },
  { name: `/blobs/${H}/5`, words: ["slash"], only: "read" },
  { name: `a//b/blobs/${H}/5`, words: ["empty segment"], only: "read" },
  { name: `blobs/murmur3/${H}/5`, words: ["murmur3", "supported"], only: "read" },
  { name: `compressed-blobs/zip/${H}/5`, words: ["zip"], only: "read" },
  { name: `compressed-blobs/identity/${H}/5`, words: ["identity", "supported: zstd"], only: "read" },
  { name: `uploads/u/blobs/${H}/5`, words: ["upload"], only: "read" },
  { name: "x".repeat(100_000), words: ["100000"] },
  { name: `blobs/${H}/5`, words: ["uploads/{uuid}"], only: "write" },
  { name: `uploads/blobs/${H}/5`, words: [], only: "write" },
  { name: `uploads//blobs/${H}/5`, words: ["upload id"], only: "write" },
  { name: `uploads/u/blobs/${H}/-5`, words: ["decimal"], only: "write" },
  { name: `uploads/u/blobs/${H.slice(2)}/5`, words: [], only: "write" },
  { name: `uploads/u/compressed-blobs/gzip/${H}/5`, words: ["gzip", "supported: zstd"], only: "write" },
];

Deno.test("A grid refuses what cannot be stored, stores nothing of it, and says why", async (t) => {
  await using grid = await TestGrid.start();
  const { channel, instance: instanceName } = grid;

  for (const { name, digest: bad, words } of BAD_DIGESTS) {
    await t.step(`every call refuses a digest with ${name}`, async () => {
      const batch = await channel.unary(Cas.batchUpdateBlobs, {
        instanceName,
        requests: [{ digest: bad, data: new Uint8Array(1) }, { digest: digest(OTHER), data: OTHER }],
      });
      assertFailure(batch.responses[0].status, Code.INVALID_ARGUMENT, ...words);
      assertEquals(batch.responses[1].status?.code, Code.OK, "The good one of a batch is stored");
      for (
        const call of [
          () => channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests: [bad] }),
          () => channel.unary(Cas.batchReadBlobs, { instanceName, digests: [bad] }),
          () => channel.unary(ActionCache.getActionResult, { instanceName, actionDigest: bad }),
          () => channel.unary(ActionCache.updateActionResult, { instanceName, actionDigest: bad }),
          () => grid.execute(bad).response(),
          () => write(grid, [{ resourceName: uploadName(bad), data: new Uint8Array(1), finishWrite: true }]),
        ]
      ) assertFailure(await failure(call), Code.INVALID_ARGUMENT);
      assertFailure(await failure(() => grid.execute(bad).response()), Code.INVALID_ARGUMENT, ...words);
    });
  }

  await t.step("a digest that is missing is said to be missing", async () => {
    for (
      const call of [
        () => channel.unary(ActionCache.getActionResult, { instanceName }),
        () => channel.unary(ActionCache.updateActionResult, { instanceName }),
        () => grid.execute(undefined).response(),
      ]
    ) assertFailure(await failure(call), Code.INVALID_ARGUMENT, "missing", "action_digest");
  });

  await t.step("a digest function that is not advertised is refused by name", async () => {
    const actionDigest = MEANT;
    const others = [[4, "VSO"], [7, "MURMUR3"], [10, "GITSHA1"], [99, "99"], [-1, "-1"]] as const;
    for (const [digestFunction, named] of others) {
      for (
        const call of [
          () => channel.unary(Cas.findMissingBlobs, { instanceName, digestFunction, blobDigests: [EMPTY] }),
          () => channel.unary(Cas.findMissingBlobs, { instanceName, digestFunction }),
          () => channel.unary(Cas.batchUpdateBlobs, { instanceName, digestFunction }),
          () => channel.unary(Cas.batchReadBlobs, { instanceName, digestFunction, digests: [EMPTY] }),
          () => channel.unary(ActionCache.getActionResult, { instanceName, digestFunction, actionDigest }),
          () => grid.execute(actionDigest, { digestFunction }).response(),
        ]
      ) assertFailure(await failure(call), Code.INVALID_ARGUMENT, named, "SHA256");
    }
  });

  for (const bad of BAD_INSTANCES) {
    const shown = JSON.stringify(bad.length > 20 ? `${bad.slice(0, 20)}…` : bad);
    await t.step(`every call refuses the instance name ${shown}`, async () => {
      const actionDigest = MEANT;
      for (
        const call of [
          () => channel.unary(Capabilities.getCapabilities, { instanceName: bad }),
          () => channel.unary(Cas.findMissingBlobs, { instanceName: bad }),
          () => channel.unary(Cas.batchUpdateBlobs, { instanceName: bad }),
          () => channel.unary(Cas.batchReadBlobs, { instanceName: bad }),
          () => channel.unary(ActionCache.getActionResult, { instanceName: bad, actionDigest }),
          () => grid.execute(actionDigest, { instanceName: bad }).response(),
        ]
      ) assertFailure(await failure(call), Code.INVALID_ARGUMENT, "nstance name");
    });
  }

  await t.step("BatchUpdateBlobs refuses wrong, short and long content one by one", async () => {
    const wanted = digest(utf8("only this"));
    const { responses } = await channel.unary(Cas.batchUpdateBlobs, {
      instanceName,
      requests: [
        { digest: wanted, data: utf8("only that") },
        { digest: wanted, data: utf8("only") },
        { digest: wanted, data: utf8("only this and more") },
        { digest: wanted, data: utf8("only this"), compressor: 4 },
        { data: utf8("only this") },
      ],
    });
    assertFailure(responses[0].status, Code.INVALID_ARGUMENT, wanted.hash);
    assertFailure(responses[1].status, Code.INVALID_ARGUMENT, "4", "9");
    assertFailure(responses[2].status, Code.INVALID_ARGUMENT, "18", "9");
    assertFailure(responses[3].status, Code.INVALID_ARGUMENT, "ompressor 4", "ZSTD");
    assertFailure(responses[4].status, Code.INVALID_ARGUMENT, "missing");
    assertEquals(await grid.missing([wanted]), [wanted], "Nothing of it was stored");
  });

  await t.step("a batch above the advertised size is refused with what may be done instead", async () => {
    const data = new Uint8Array(1_000_001);
    const requests = [1, 2, 3, 4].map((fill) => ({ digest: digest(data.fill(fill)), data: data.slice() }));
    assertFailure(
      await failure(() => channel.unary(Cas.batchUpdateBlobs, { instanceName, requests })),
      Code.INVALID_ARGUMENT,
      "4000004",
      "ByteStream",
    );
    const digests = [absentDigest(3_000_000), absentDigest(3_000_000)];
    assertFailure(
      await failure(() => channel.unary(Cas.batchReadBlobs, { instanceName, digests })),
      Code.INVALID_ARGUMENT,
      "6000000",
      "ByteStream",
    );
  });

  for (const { name, messages, words, code = Code.INVALID_ARGUMENT } of WRITES) {
    await t.step(`ByteStream.Write refuses ${name}`, async () => {
      assertFailure(await failure(() => write(grid, messages(MEANT))), code, ...words);
      assertEquals(await grid.missing([MEANT]), [MEANT], "Nothing of it was stored");
    });
  }

  await t.step("a blob larger than the largest is refused at its name", async () => {
    const huge = absentDigest(2 ** 45);
    const { responses } = await channel.unary(Cas.batchUpdateBlobs, {
      instanceName,
      requests: [{ digest: huge, data: CONTENT }],
    });
    assertFailure(responses[0].status, Code.INVALID_ARGUMENT, `${2 ** 45}`);
    assertFailure(
      await failure(() => write(grid, [{ resourceName: uploadName(huge), data: CONTENT }])),
      Code.INVALID_ARGUMENT,
      `${2 ** 45}`,
    );
  });

  for (const { name, words, code = Code.INVALID_ARGUMENT, only } of NAMES) {
    await t.step(
      `ByteStream refuses to ${only ?? "read or write"} ${JSON.stringify(name.slice(0, 80))}`,
      async () => {
        const calls = [];
        if (only !== "write") {
          calls.push(async () => {
            for await (const _ of channel.serverStream(ByteStream.read, { resourceName: name }));
          });
        }
        if (only !== "read") {
          calls.push(
            () => write(grid, [{ resourceName: name, data: CONTENT, finishWrite: true }]),
            () => channel.unary(ByteStream.queryWriteStatus, { resourceName: name }),
          );
        }
        for (const call of calls) assertFailure(await failure(call), code, ...words);
      },
    );
  }

  await t.step("ByteStream.Read tells ranges that cannot be from blobs that are not there", async () => {
    const blob = await grid.put(OTHER);
    const read = async (of: WireDigest, readOffset: number, readLimit: number) => {
      const resourceName = `e2e/blobs/${of.hash}/${of.sizeBytes}`;
      for await (const _ of channel.serverStream(ByteStream.read, { resourceName, readOffset, readLimit }));
    };
    const { length } = OTHER;
    assertFailure(await failure(() => read(blob, length + 1, 0)), Code.OUT_OF_RANGE, `0 to ${length}`);
    assertFailure(await failure(() => read(blob, -1, 0)), Code.OUT_OF_RANGE, "-1");
    assertFailure(await failure(() => read(blob, 0, -1)), Code.INVALID_ARGUMENT, "-1");
    const absent = absentDigest();
    assertFailure(await failure(() => read(absent, 0, 0)), Code.NOT_FOUND, absent.hash);
    // The right hash with another size is another name, which nobody has.
    assertFailure(await failure(() => read({ ...blob, sizeBytes: 5 }, 0, 0)), Code.NOT_FOUND, blob.hash);
  });

  await t.step("an action result that names what is not there is not taken", async () => {
    const absent = absentDigest();
    const error = await failure(() =>
      channel.unary(ActionCache.updateActionResult, {
        instanceName,
        actionDigest: MEANT,
        actionResult: { outputFiles: [{ path: "a", digest: absent }], exitCode: 0 },
      })
    );
    assertFailure(error, Code.FAILED_PRECONDITION);
    const [detail] = error.details;
    assertEquals(
      detail.kind === "preconditionFailure" && detail.violations.map(({ subject }) => subject),
      [`blobs/${absent.hash}/${absent.sizeBytes}`],
    );
  });

  await t.step("a method that is not there is UNIMPLEMENTED, and says so", async () => {
    const method = { ...Cas.splitBlob, name: "TearBlob", path: Cas.splitBlob.path.replace("Split", "Tear") };
    const error = await failure(() => channel.unary(method, { instanceName, blobDigest: EMPTY }));
    assertFailure(error, Code.UNIMPLEMENTED);
    assertFailure(
      await failure(async () => {
        for await (const _ of channel.serverStream(Execution.waitExecution, { name: "" }));
      }),
      Code.NOT_FOUND,
    );
  });

  await t.step("a request that is no message is refused by the name of the message", async () => {
    for (const method of [Cas.findMissingBlobs, Cas.batchUpdateBlobs, ActionCache.getActionResult]) {
      const raw = { ...method, request: BytesCodec } as Method<Uint8Array, unknown>;
      // A field of seven bytes that has two.
      assertFailure(
        await failure(() => channel.unary(raw, new Uint8Array([0x0a, 7, 1, 2]))),
        Code.INVALID_ARGUMENT,
        "Request",
      );
    }
  });

  await t.step("a message above the limit is refused with the limit", async () => {
    const data = new Uint8Array(6_000_000);
    assertFailure(
      await failure(() =>
        channel.unary(Cas.batchUpdateBlobs, { instanceName, requests: [{ digest: digest(data), data }] })
      ),
      Code.RESOURCE_EXHAUSTED,
      "larger than max",
    );
  });

  await t.step("and it still works", () => grid.assertGood());
});
