import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, Code } from "@brokkr/common";
import {
  decodeFindMissing,
  decodeFindMissingResponse,
  type Digest,
  DigestCodec,
  encodeFindMissing,
  encodeFindMissingResponse,
  encodeMissingDigests,
  FindMissingBlobsRequestCodec,
  FindMissingBlobsResponseCodec,
  type PackedDigests,
  packedHash,
} from "../mod.ts";
import { concat, damaged, digest, lengthField, message, text, varintField } from "./_arbitrary.ts";

const plainDigest = fc.record({
  hash: fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 0, maxLength: 140 }),
  sizeBytes: fc.oneof(fc.constant(0), fc.nat(300), fc.maxSafeNat()),
});

const strangeRequest = message(
  lengthField(1, text),
  lengthField(2, digest),
  lengthField(2, plainDigest.map((it) => DigestCodec.encode(it))),
  varintField(3),
);

function unpack(digests: PackedDigests): Digest[] {
  return Array.from({ length: digests.count }, (_, i) => ({
    hash: packedHash(digests, i),
    sizeBytes: digests.size[i],
  }));
}

function refusal<T>(work: () => T): T | "refused" {
  try {
    return work();
  } catch (error) {
    // A hash that is not UTF-8 is found out when its text is asked for.
    if (error instanceof TypeError) return "refused";
    if (error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT) return "refused";
    throw error;
  }
}

Deno.test("decodeFindMissing reads what the generated codec reads, whatever order, repetition or harm", () => {
  fc.assert(
    fc.property(damaged(strangeRequest), (bytes) => {
      const expected = refusal(() => FindMissingBlobsRequestCodec.decode(bytes));
      const actual = refusal(() => {
        const { instanceName, digestFunction, digests } = decodeFindMissing(bytes);
        return { instanceName, blobDigests: unpack(digests), digestFunction };
      });
      assertEquals(actual, expected);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("decodeFindMissingResponse reads what the generated codec reads", () => {
  const bytes = damaged(
    message(lengthField(2, digest), lengthField(2, plainDigest.map((it) => DigestCodec.encode(it)))),
  );
  fc.assert(
    fc.property(bytes, (it) => {
      const expected = refusal(() => FindMissingBlobsResponseCodec.decode(it).missingBlobDigests);
      assertEquals(refusal(() => unpack(decodeFindMissingResponse(it))), expected);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("the ranges of a packed digest are its message's bytes", () => {
  fc.assert(fc.property(fc.array(digest, { maxLength: 6 }), (parts) => {
    const request = concat(
      parts.map((part) => concat([new Uint8Array([0x12, 0x80 | part.length & 127, part.length >> 7]), part])),
    );
    const { digests } = decodeFindMissing(request);
    assertEquals(digests.count, parts.length);
    parts.forEach((part, i) => assertEquals(request.subarray(digests.start[i], digests.end[i]), part));
  }));
});

Deno.test("encodeFindMissingResponse copies any choice of digests as they came", () => {
  fc.assert(fc.property(strangeRequest, fc.infiniteStream(fc.boolean()), (bytes, choose) => {
    const { digests } = decodeFindMissing(bytes);
    const missing = Uint32Array.from({ length: digests.count }, (_, i) => i).filter(() =>
      choose.next().value
    );
    const response = decodeFindMissingResponse(encodeFindMissingResponse({ digests, missing }));
    assertEquals(response.count, missing.length);
    missing.forEach((index, k) => {
      const sent = response.bytes.subarray(response.start[k], response.end[k]);
      assertEquals(sent, bytes.subarray(digests.start[index], digests.end[index]));
    });
  }));
});

Deno.test("encodeFindMissing writes the generated codec's bytes", () => {
  const request = fc.record({
    instanceName: fc.string({ unit: "grapheme" }),
    digests: fc.array(plainDigest),
    digestFunction: fc.nat(10),
  });
  fc.assert(fc.property(request, ({ instanceName, digests, digestFunction }) => {
    const expected = FindMissingBlobsRequestCodec.encode({
      instanceName,
      blobDigests: digests,
      digestFunction,
    });
    assertEquals(new Uint8Array(encodeFindMissing({ instanceName, digests, digestFunction })), expected);
    assertEquals(
      new Uint8Array(encodeFindMissing({ instanceName, digests: new Set(digests), digestFunction })),
      expected,
    );
    const response = FindMissingBlobsResponseCodec.encode({ missingBlobDigests: digests });
    assertEquals(new Uint8Array(encodeMissingDigests(digests)), response);
  }));
});

Deno.test("decodeFindMissing grows past its first guess", () => {
  const bytes = new Uint8Array(4096);
  for (let i = 0; i < bytes.length; i += 2) bytes[i] = 0x12;
  const { digests } = decodeFindMissing(bytes);
  assertEquals([digests.count, digests.end[2047]], [2048, 4096]);
});

Deno.test("decodeFindMissing names the message that is malformed", () => {
  const error = assertThrows(() => decodeFindMissing(new Uint8Array([0x12, 9, 0x0a])), BrokkrError);
  assertEquals(error.code, Code.INVALID_ARGUMENT);
  assertEquals(
    error.message,
    "Malformed build.bazel.remote.execution.v2.FindMissingBlobsRequest message: " +
      "a length of 9 reaches past the end at byte 1",
  );
});
