import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { blake3 } from "hash-wasm";
import {
  referenceBlake3,
  referenceSha256Cipher,
  referenceSha256Tree,
  squareRootFractions,
} from "./reference.ts";

/** 0, 1, ..., 250, 0, 1, ... */
function sequence(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

const LENGTHS = [
  0,
  1,
  63,
  64,
  65,
  127,
  128,
  1023,
  1024,
  1025,
  2048,
  2049,
  3072,
  3073,
  4096,
  4097,
  8193,
  31744,
];

Deno.test("The plain BLAKE3 computes what another implementation does", async () => {
  for (const length of LENGTHS) {
    assertEquals(
      referenceBlake3(sequence(length)).toHex(),
      await blake3(sequence(length)),
      `${length} bytes`,
    );
  }
});

Deno.test("The plain block cipher makes the SHA-256 of an empty input", () => {
  const block = new Uint8Array(64);
  block[0] = 0x80;
  const start = squareRootFractions(0, 8);
  const state = referenceSha256Cipher(start, block).map((word, i) => word + start[i]);
  const words = Array.from(state, (word) => word.toString(16).padStart(8, "0"));
  assertEquals(words.join(""), createHash("sha256").digest("hex"));
});

Deno.test("The plain SHA256TREE has the published hashes", async (t) => {
  const path = new URL("../../shared/vectors/sha256tree_test_vectors.txt", import.meta.url);
  const text = await Deno.readTextFile(path).catch(() => undefined);
  if (text === undefined) return console.log("skipped: the published vectors are not beside this clone");
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [length, hash] = line.split("\t");
    await t.step(
      `${length} bytes`,
      () => assertEquals(referenceSha256Tree(sequence(Number(length))).toHex(), hash),
    );
  }
});
