import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import fc from "fast-check";
import { BLOB_COMPRESSORS } from "./compressors.ts";
import { digestOf, SHA256 } from "./digest.ts";
import {
  checkInstanceName,
  formatReadName,
  formatUploadName,
  parseReadName,
  parseUploadName,
  RESERVED_SEGMENTS,
} from "./resource_name.ts";

const digest = digestOf(SHA256, new TextEncoder().encode("hello"));
const HASH = digest.hash;

function codeOf(fn: () => unknown): number {
  try {
    fn();
  } catch (error) {
    assert(error instanceof BrokkrError, `threw ${error}`);
    return error.code;
  }
  return Code.OK;
}

Deno.test("parseReadName takes every form that REAPI allows", () => {
  for (
    const [name, instance] of [
      [`blobs/${HASH}/5`, ""],
      [`main/blobs/${HASH}/5`, "main"],
      [`a/b/c/blobs/${HASH}/5`, "a/b/c"],
      [`blobs/sha256/${HASH}/5`, ""],
    ]
  ) {
    assertEquals(parseReadName(name), { instance, digest });
    const compressed = name.replace("blobs", "compressed-blobs/zstd");
    assertEquals(parseReadName(compressed), { instance, digest, compressor: "zstd" });
  }
});

Deno.test("parseUploadName takes every form that REAPI allows and ignores what follows the size", () => {
  for (
    const [name, instance] of [
      [`uploads/u-1/blobs/${HASH}/5`, ""],
      [`main/uploads/u-1/blobs/${HASH}/5`, "main"],
      [`a/b/uploads/u-1/blobs/${HASH}/5/some/file.o`, "a/b"],
      [`uploads/u-1/blobs/sha256/${HASH}/5/blobs/x`, ""],
    ]
  ) {
    assertEquals(parseUploadName(name), { instance, uuid: "u-1", digest });
    for (const compressor of BLOB_COMPRESSORS) {
      const compressed = name.replace("blobs", `compressed-blobs/${compressor}`);
      assertEquals(parseUploadName(compressed), { instance, uuid: "u-1", digest, compressor });
    }
  }
});

Deno.test("parseReadName refuses malformed names, and compressors that it does not know, with INVALID_ARGUMENT", () => {
  const cases: readonly (readonly [string, Code])[] = [
    ["", Code.INVALID_ARGUMENT],
    ["/", Code.INVALID_ARGUMENT],
    [`/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`a//blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`/a/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/5/`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/5/meta`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/-5`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/+5`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/05`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/5.0`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/1e3`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/99999999999999999999`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}/9999999999999999`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH.toUpperCase()}/5`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH.slice(1)}/5`, Code.INVALID_ARGUMENT],
    [`blobs/${HASH}a/5`, Code.INVALID_ARGUMENT],
    [`blobs/murmur3/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/vso/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/gitsha1/${HASH.slice(24)}/5`, Code.INVALID_ARGUMENT],
    [`blobs/sha512/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/BLAKE3/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/blake3/${HASH.slice(1)}/5`, Code.INVALID_ARGUMENT],
    [`blobs/blake3/blake3/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`blobs/../${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads/u/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`operations/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`a\0b/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`compressed-blobs/lz77/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`compressed-blobs`, Code.INVALID_ARGUMENT],
    [`compressed-blobs/zstd`, Code.INVALID_ARGUMENT],
    [`compressed-blobs/zstd/${HASH}`, Code.INVALID_ARGUMENT],
    [`compressed-blobs/identity/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`compressed-blobs/ZSTD/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`main/compressed-blobs/gzip/${HASH}/5`, Code.INVALID_ARGUMENT],
    ["x".repeat(3000), Code.INVALID_ARGUMENT],
  ];
  for (const [name, code] of cases) assertEquals(codeOf(() => parseReadName(name)), code, name);
});

Deno.test("parseUploadName refuses malformed names", () => {
  const cases: readonly (readonly [string, Code])[] = [
    [`blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads//blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads/${"u".repeat(129)}/blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads/u`, Code.INVALID_ARGUMENT],
    [`uploads/u/blobs`, Code.INVALID_ARGUMENT],
    [`uploads/u/compressed-blobs/br/${HASH}/5`, Code.INVALID_ARGUMENT],
    [`uploads/u/compressed-blobs/${HASH}/5`, Code.INVALID_ARGUMENT],
  ];
  for (const [name, code] of cases) assertEquals(codeOf(() => parseUploadName(name)), code, name);
});

Deno.test("checkInstanceName refuses each reserved word and each malformed name", () => {
  for (const word of RESERVED_SEGMENTS) {
    assertThrows(() => checkInstanceName(word), BrokkrError, "reserved segment");
    assertThrows(() => checkInstanceName(`a/${word}/b`), BrokkrError, "reserved segment");
  }
  for (const name of ["/", "a/", "/a", "a//b", "a\nb", "x".repeat(513)]) {
    assertThrows(() => checkInstanceName(name), BrokkrError);
  }
  for (const name of ["", "a", "a/b", "Blobs", "ünï"]) checkInstanceName(name);
});

const segment = fc.stringMatching(/^[A-Za-z0-9_.:~-]{1,12}$/).filter((each) => !RESERVED_SEGMENTS.has(each));
const instances = fc.array(segment, { maxLength: 4 }).map((each) => each.join("/"));
const digests = fc.record({
  bytes: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  size: fc.maxSafeNat(),
}).map(({ bytes, size }) => ({ ...digestOf(SHA256, bytes), sizeBytes: size }));

Deno.test("resource names that were formatted parse back to the same parts", () => {
  fc.assert(fc.property(instances, digests, segment, (instance, digest, uuid) => {
    assertEquals(parseReadName(formatReadName(instance, digest)), { instance, digest });
    assertEquals(parseUploadName(formatUploadName(instance, uuid, digest)), { instance, uuid, digest });
    const compressor = "zstd";
    assertEquals(parseReadName(formatReadName(instance, digest, compressor)), {
      instance,
      digest,
      compressor,
    });
    const upload = formatUploadName(instance, uuid, digest, compressor);
    assertEquals(parseUploadName(upload), { instance, uuid, digest, compressor });
  }));
});

Deno.test("resource names of any text either parse or are refused with a BrokkrError", () => {
  const parts = fc.oneof(
    fc.constantFrom("blobs", "uploads", "compressed-blobs", "zstd", "sha256", HASH, "5", "", "..", "actions"),
    fc.string({ maxLength: 10 }),
  );
  fc.assert(fc.property(fc.array(parts, { maxLength: 9 }), (segments) => {
    const name = segments.join("/");
    for (const parse of [parseReadName, parseUploadName]) {
      const code = codeOf(() => parse(name));
      assert(code === Code.OK || code === Code.INVALID_ARGUMENT);
      if (code === Code.OK) checkInstanceName(parse(name).instance);
    }
  }));
});
