import { assert, assertEquals, assertRejects } from "@std/assert";
import { hashBatchHex, hashBatchInSlices } from "./mod.ts";

const inputs = [
  ...Array.from({ length: 9000 }, (_, i) => new Uint8Array(i % 70).fill(i)),
  ...Array.from({ length: 20 }, (_, i) => new Uint8Array(300_000 + i).fill(i)),
  new Uint8Array(3),
];

Deno.test("A batch in slices has the hashes of the whole, in order", async () => {
  for (const name of ["sha256", "blake3", "md5"] as const) {
    assertEquals(await hashBatchInSlices(name, inputs), hashBatchHex(name, inputs));
  }
  assertEquals(await hashBatchInSlices("sha256", []), []);
});

Deno.test("Others have their turn between the slices of a batch", async () => {
  let turns = 0;
  let done = false;
  const others = (async () => {
    while (!done) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      turns++;
    }
  })();
  await hashBatchInSlices("sha256", inputs);
  done = true;
  await others;
  assert(turns >= 10, `${turns} turns`);
});

Deno.test("A batch in slices ends early when it is aborted", async () => {
  const controller = new AbortController();
  const pending = hashBatchInSlices("sha256", inputs, { signal: controller.signal });
  controller.abort(new Error("no longer wanted"));
  await assertRejects(() => pending, Error, "no longer wanted");
  await assertRejects(() => hashBatchInSlices("sha1", inputs, { engine: "wasm" }), RangeError, "no kernel");
});
