/**
 * Uses a store while no file can be opened any more, and prints what it answers. For a test, in a process of its own.
 *
 * @module
 */

import { BrokkrError, scopeOf } from "@brokkr/common";
import { digestOf, SHA256 } from "../digest.ts";
import { openDiskBlobStore } from "./disk_store.ts";

const SCOPE = scopeOf("");

function blob(size: number, seed: number) {
  const data = new Uint8Array(size).fill(seed);
  return { data, digest: digestOf(SHA256, data) };
}

if (import.meta.main) {
  await using store = await openDiskBlobStore(Deno.args[0], { cacheBytes: 0 });
  const large = blob(3 << 20, 1);
  await store.put(SCOPE, large.digest, large.data);
  const open: Deno.FsFile[] = [];
  try {
    for (;;) open.push(Deno.openSync("/dev/null"));
  } catch (error) {
    if (open.length < 10) throw error;
  }
  const other = blob(2 << 20, 2);
  const calls = [
    () => store.get(SCOPE, large.digest),
    () => Array.fromAsync(store.read(SCOPE, large.digest)),
    () => store.put(SCOPE, other.digest, other.data),
    async () => {
      await using writer = await store.uploads.begin({ scope: SCOPE, uuid: "u", digest: other.digest });
      await writer.write(other.data);
      await writer.commit();
    },
  ];
  for (const call of calls) {
    try {
      await call();
      console.log("no error");
    } catch (error) {
      console.log(error instanceof BrokkrError ? `${error.codeName} ${error.message}` : String(error));
    }
  }
  for (const file of open) file.close();
  await store.put(SCOPE, other.digest, other.data);
  const [a, b] = [await store.get(SCOPE, large.digest), await store.get(SCOPE, other.digest)];
  console.log(a.length === large.data.length && b.length === other.data.length ? "works" : "broken");
}
