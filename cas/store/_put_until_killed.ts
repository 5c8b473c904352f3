/**
 * Puts numbered blobs and prints the number of each that was acknowledged, until it is killed. For a test.
 *
 * @module
 */

import { scopeOf } from "@brokkr/common";
import { digestOf, SHA256 } from "../digest.ts";
import { openDiskBlobStore } from "./disk_store.ts";

/** The blob with a number: mostly small, now and then a large one. */
export function numberedBlob(n: number): Uint8Array {
  const data = new Uint8Array(n % 500 === 499 ? (1 << 20) + n : 8 + (n * 37) % 9000);
  new DataView(data.buffer).setFloat64(0, n);
  return data;
}

if (import.meta.main) {
  const store = await openDiskBlobStore(Deno.args[0], { segmentBytes: 2 << 20 });
  const encoder = new TextEncoder();
  const lanes = Array.from({ length: 64 }, async (_, lane) => {
    for (let n = lane; n < 200_000; n += 64) {
      const data = numberedBlob(n);
      await store.put(scopeOf(""), digestOf(SHA256, data), data);
      await Deno.stdout.write(encoder.encode(`${n}\n`));
    }
  });
  await Promise.all(lanes);
}
