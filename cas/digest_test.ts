import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import * as fc from "fast-check";
import * as nodeCrypto from "node:crypto";
import {
  BLAKE3,
  blobSubject,
  DIGEST_FUNCTIONS,
  type DigestFunction,
  digestFunctionBySegment,
  digestFunctionByValue,
  digestFunctionNamed,
  digestKey,
  digestOf,
  makeDigest,
  parseDigest,
  parseDigestText,
  resolveDigestFunction,
  SHA256,
} from "./digest.ts";

/** REAPI's number, name, length in hex, whether names carry the segment, and the hash of "abc" (SHA256TREE: REAPI's). */
const TABLE: readonly (readonly [number, string, number, boolean, string])[] = [
  [1, "SHA256", 64, false, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [2, "SHA1", 40, false, "a9993e364706816aba3e25717850c26c9cd0d89d"],
  [3, "MD5", 32, false, "900150983cd24fb0d6963f7d28e17f72"],
  [
    5,
    "SHA384",
    96,
    false,
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
  ],
  [
    6,
    "SHA512",
    128,
    false,
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
  ],
  [8, "SHA256TREE", 64, true, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [9, "BLAKE3", 64, true, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"],
];

const abc = new TextEncoder().encode("abc");

function fnOf(value: number): DigestFunction {
  const fn = digestFunctionByValue(value);
  if (fn === undefined) throw new Error(`There is no function ${value}`);
  return fn;
}

for (const [value, name, hexLength, named, hash] of TABLE) {
  Deno.test(`The digest function ${name} has REAPI's number, length and hash`, () => {
    const fn = fnOf(value);
    assertEquals([fn.name, fn.segment, fn.hashBytes * 2, fn.named], [
      name,
      name.toLowerCase(),
      hexLength,
      named,
    ]);
    assertEquals(fn.hash(abc), hash);
    assertEquals(fn.hashBatch([abc, new Uint8Array(), abc]), [hash, fn.hash(new Uint8Array()), hash]);
    assertEquals(fn.hashBatch([]), []);
    const hasher = fn.hasher();
    hasher.update(abc.subarray(0, 1));
    hasher.update(abc.subarray(1));
    assertEquals(hasher.digestHex(), hash);
    assertEquals(digestFunctionBySegment(fn.segment), fn);
    assertEquals([digestFunctionNamed(name), digestFunctionNamed(fn.segment)], [fn, fn]);
  });

  Deno.test(`A digest of ${name} is read from the wire and from text, and refused when its length is wrong`, () => {
    const fn = fnOf(value);
    const digest = digestOf(fn, abc);
    assertEquals(parseDigest({ hash, sizeBytes: 3 }, value), digest);
    assertEquals(parseDigestText(`${fn.segment}:${hash}/3`), digest);
    const segment = named ? `${fn.segment}/` : "";
    assertEquals(blobSubject(digest), `blobs/${segment}${hash}/3`);
    for (const wrong of [hash.slice(2), hash + "00", hash.toUpperCase(), "g" + hash.slice(1), ""]) {
      assertThrows(() => makeDigest(fn, wrong, 3), BrokkrError, `is not a ${name} hash`);
    }
  });

  Deno.test(`Pieces, batches and the whole have the same ${name} hash`, () => {
    const fn = fnOf(value);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000, size: "max" }), { maxLength: 40 }), (pieces) => {
        const hasher = fn.hasher();
        for (const piece of pieces) hasher.update(piece);
        const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
        let at = 0;
        for (const piece of pieces) {
          whole.set(piece, at);
          at += piece.length;
        }
        assertEquals(hasher.digestHex(), fn.hash(whole));
        assertEquals(fn.hashBatch(pieces), pieces.map((piece) => fn.hash(piece)));
        if (!named) assertEquals(fn.hash(whole), nodeCrypto.hash(fn.segment, whole, "hex"));
      }),
      { numRuns: 20 },
    );
  });
}

Deno.test("Every digest function is in the table, SHA256 and BLAKE3 first", () => {
  assertEquals(
    DIGEST_FUNCTIONS.map((fn) => fn.value).toSorted((a, b) => a - b),
    TABLE.map(([value]) => value),
  );
  assertEquals(DIGEST_FUNCTIONS.slice(0, 2), [SHA256, BLAKE3]);
});

Deno.test("A function that is not named is told by the length of the hash, and never one that shares it", () => {
  for (const [value, name, hexLength, named] of TABLE) {
    assertEquals(resolveDigestFunction(0, hexLength).name, named ? "SHA256" : name);
    assertEquals(resolveDigestFunction(value, 0).name, name);
  }
  for (const length of [0, 31, 33, 39, 63, 65, 127, 129]) {
    assertThrows(() => resolveDigestFunction(0, length), BrokkrError, `has hashes of ${length} hex digits`);
  }
});

Deno.test("A function that cannot be computed here is refused by name, with those that can", () => {
  for (
    const [value, name] of [[4, "VSO"], [7, "MURMUR3"], [10, "GITSHA1"], [99, "99"], [-1, "-1"]] as const
  ) {
    const error = assertThrows(
      () => resolveDigestFunction(value, 64),
      BrokkrError,
      `Digest function ${name} is not`,
    );
    for (const [, known] of TABLE) assertEquals(error.message.includes(known), true, error.message);
  }
  assertThrows(
    () => digestFunctionNamed("murmur3"),
    BrokkrError,
    'Digest function "murmur3" is not supported',
  );
  assertThrows(() => parseDigestText(`gitsha1:${"0".repeat(40)}/3`), BrokkrError, "gitsha1 is not supported");
});

Deno.test("Equal hashes of different functions are different keys", () => {
  const small = fnOf(8);
  assertEquals(small.hash(abc), SHA256.hash(abc));
  assertNotEquals(digestKey(digestOf(small, abc)), digestKey(digestOf(SHA256, abc)));
});
