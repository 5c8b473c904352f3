import { assertEquals } from "@std/assert";
import { HandleCache } from "./_handles.ts";
import type { StoreFile } from "./file_layer.ts";

/** A cache over files that are opened when the test says so. */
function cacheOf() {
  const open = new Set<StoreFile>();
  const opening: (() => void)[] = [];
  const cache = new HandleCache(() => {
    const { promise, resolve } = Promise.withResolvers<StoreFile>();
    const file: StoreFile = {
      readSync: () => 0,
      read: () => Promise.resolve(0),
      write: () => Promise.resolve(0),
      syncData: () => Promise.resolve(),
      truncate: () => Promise.resolve(),
      size: () => Promise.resolve(0),
      close: () => void open.delete(file),
    };
    opening.push(() => {
      open.add(file);
      resolve(file);
    });
    return promise;
  }, 8);
  return { cache, open, opening };
}

Deno.test("a file that is dropped while it is being opened is closed when its use ends", async () => {
  const { cache, open, opening } = cacheOf();
  const uses = [1, 2].map(() => cache.use(7, () => Promise.resolve(open.size)));
  cache.drop(7);
  opening[0]();
  assertEquals(await Promise.all(uses), [1, 1]);
  assertEquals(open.size, 0);
  assertEquals(cache.peek(7), undefined);
  // Who comes later opens it anew, and that stays.
  const later = cache.use(7, () => Promise.resolve());
  opening[1]();
  await later;
  assertEquals(open.size, 1);
  cache.close();
  assertEquals(open.size, 0);
});
