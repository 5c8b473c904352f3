import { assertEquals } from "@std/assert";
import { createHasher, hashHex, stopHashThreads } from "./mod.ts";
import { hashLongStreamsOnTwoThreads } from "./threads.ts";

const MIB = 2 ** 20;
const NOISE = new Uint8Array(9 * MIB);
for (let at = 0; at < NOISE.length; at += 65536) crypto.getRandomValues(NOISE.subarray(at, at + 65536));

Deno.test("streams that are said to be long have the hash they have, whatever is true of that", async () => {
  hashLongStreamsOnTwoThreads();
  try {
    for (const length of [0, 1, MIB, 2 * MIB, 2 * MIB + 1, 9 * MIB]) {
      const bytes = NOISE.subarray(0, length);
      for (const sizeBytes of [undefined, 0, length, 3 * MIB, 2 ** 40]) {
        for (const name of ["blake3", "sha256", "sha256tree"] as const) {
          const hasher = createHasher(name, { sizeBytes });
          for (let at = 0; at < length; at += 300_000) hasher.update(bytes.subarray(at, at + 300_000));
          assertEquals(
            hasher.digestHex(),
            hashHex(name, bytes),
            `${name} of ${length}, said to be ${sizeBytes}`,
          );
        }
        // So that the second thread, where there is one, gets to run.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  } finally {
    await stopHashThreads();
  }
});
