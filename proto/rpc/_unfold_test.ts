import { assertEquals, assertRejects } from "@std/assert";
import { deflateSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { BrokkrError, codeName } from "@brokkr/common";
import { isFolded, unfold, unprefixed } from "./_unfold.ts";

function prefixed(content: Uint8Array, flag: number): Uint8Array {
  const message = new Uint8Array(5 + content.length);
  message[0] = flag;
  new DataView(message.buffer).setUint32(1, content.length);
  message.set(content, 5);
  return message;
}

Deno.test("A message that was folded comes out as it went in", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 100_000 }),
      fc.nat(200_000),
      async (noise, zeros) => {
        const content = new Uint8Array(noise.length + zeros);
        content.set(noise);
        for (const [encoding, fold] of [["gzip", gzipSync], ["deflate", deflateSync]] as const) {
          const message = prefixed(fold(content), 1);
          assertEquals(isFolded(message), true);
          assertEquals(await unfold(message, encoding, content.length), content);
        }
        const plain = prefixed(content, 0);
        assertEquals(isFolded(plain), false);
        assertEquals(unprefixed(plain), content);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("A message that would be too large, or is not what it says, is refused", async () => {
  const folded = gzipSync(new Uint8Array(1_000_000));
  const cases: [string, Uint8Array, number, string, string][] = [
    ["one byte too many", folded, 999_999, "RESOURCE_EXHAUSTED", "is larger than 999999 bytes"],
    ["cut off", folded.subarray(0, folded.length - 9), 1_000_000, "INVALID_ARGUMENT", "not to its end"],
    ["nothing", new Uint8Array(), 1_000_000, "INVALID_ARGUMENT", "not to its end"],
    ["something else", new Uint8Array(100).fill(7), 1_000_000, "INVALID_ARGUMENT", "is said to be gzip"],
    ["the other encoding", deflateSync(new Uint8Array(9)), 100, "INVALID_ARGUMENT", "is said to be gzip"],
  ];
  for (const [name, content, limit, code, words] of cases) {
    const error = await assertRejects(() => unfold(prefixed(content, 1), "gzip", limit), BrokkrError, words);
    assertEquals(codeName(error.code), code, name);
  }
});
