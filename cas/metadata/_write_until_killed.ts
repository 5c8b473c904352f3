/**
 * Writes pairs of keys and prints the number of each that was acknowledged, until it is killed. For a test.
 *
 * @module
 */

import { openLmdbMetadataStore } from "./lmdb_store.ts";

const store = await openLmdbMetadataStore(Deno.args[0]);
const encoder = new TextEncoder();
const lanes = Array.from({ length: 8 }, async (_, lane) => {
  for (let n = lane; n < 60_000; n += 8) {
    await store.write([1, 2].map((first) => ({
      op: "put",
      key: Uint8Array.from([first, n >> 8, n & 255]),
      value: new Uint8Array(500),
    })));
    await Deno.stdout.write(encoder.encode(`${n}\n`));
  }
});
await Promise.all(lanes);
