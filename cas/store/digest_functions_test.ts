// What every store does in every digest function, and that no function answers for another.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code, scopeOf } from "@brokkr/common";
import type { BlobStore } from "../blob_store.ts";
import {
  type Digest,
  DIGEST_FUNCTIONS,
  type DigestFunction,
  digestFunctionBySegment,
  digestOf,
  type HashHex,
  SHA256,
} from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { crashCopy, withDir } from "./_disk_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { fsck } from "./fsck.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const SCOPE = scopeOf("");
const MIB = 1 << 20;

/** Below what is a batch of the kernels, a record, packed and not, and a file. */
const SIZES = [1, 700, 40_000, MIB + 4097];

/** Noise, which stays as large as it is, but for the third blob. */
function bytes(size: number, seed: number): Uint8Array {
  if (seed === 3) return Uint8Array.from({ length: size }, (_, i) => i >>> 9);
  let state = seed;
  return Uint8Array.from(
    { length: size },
    () => (state = Math.imul(state, 1_664_525) + 1_013_904_223) >>> 24,
  );
}

const DATA = SIZES.map((size, i) => bytes(size, i + 1));

/** The blobs of one function. */
function digestsOf(fn: DigestFunction): Digest[] {
  return DATA.map((data) => digestOf(fn, data));
}

async function missing(store: BlobStore, fn: DigestFunction, digests = digestsOf(fn)): Promise<number[]> {
  return [...await store.missing(SCOPE, batchOf(fn, digests))];
}

async function put(store: BlobStore, fn: DigestFunction): Promise<void> {
  const digests = digestsOf(fn);
  await Promise.all(DATA.slice(0, -1).map((data, i) => store.put(SCOPE, digests[i], data)));
  await using writer = await store.writer(SCOPE, digests[DATA.length - 1]);
  const last = DATA[DATA.length - 1];
  for (let at = 0; at < last.length; at += 300_000) await writer.write(last.subarray(at, at + 300_000));
  await writer.commit();
}

async function read(store: BlobStore, digest: Digest): Promise<Uint8Array> {
  const pieces = await Array.fromAsync(store.read(SCOPE, digest), (piece) => piece.slice());
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

async function assertHolds(store: BlobStore, fn: DigestFunction): Promise<void> {
  const digests = digestsOf(fn);
  assertEquals(await missing(store, fn), [], fn.name);
  for (let i = 0; i < DATA.length; i++) {
    assertEquals(await store.get(SCOPE, digests[i]), DATA[i], fn.name);
    assertEquals(await read(store, digests[i]), DATA[i], fn.name);
    assertEquals(await store.sizeOf?.(SCOPE, fn, digests[i].hash), SIZES[i], fn.name);
  }
}

async function codeOf(run: () => Promise<unknown>): Promise<Code> {
  return (await assertRejects(run, BrokkrError)).code;
}

const KINDS: readonly { readonly name: string; open(dir: string): Promise<BlobStore> }[] = [
  { name: "MemoryBlobStore", open: () => Promise.resolve(new MemoryBlobStore(80 * MIB)) },
  { name: "DiskBlobStore", open: (dir) => openDiskBlobStore(dir) },
];

for (const { name, open } of KINDS) {
  Deno.test(`${name} keeps blobs of every digest function, each for itself`, async () => {
    await withDir(async (dir) => {
      await using store = await open(`${dir}/cas`);
      for (const fn of DIGEST_FUNCTIONS) {
        assertEquals(await missing(store, fn), [0, 1, 2, 3], fn.name);
        await put(store, fn);
        await assertHolds(store, fn);
      }
      for (const fn of DIGEST_FUNCTIONS) await assertHolds(store, fn);
      assertEquals((await store.stat()).blobs, DIGEST_FUNCTIONS.length * DATA.length);
      for (const fn of DIGEST_FUNCTIONS) {
        for (const digest of digestsOf(fn)) assert(await store.delete(SCOPE, digest));
        assertEquals(await missing(store, fn), [0, 1, 2, 3], fn.name);
      }
      assertEquals((await store.stat()).blobs, 0);
    });
  });

  Deno.test(`${name} does not answer for a function whose hashes look alike`, async () => {
    await withDir(async (dir) => {
      await using store = await open(`${dir}/cas`);
      const alike = DIGEST_FUNCTIONS.filter(({ hashBytes }) => hashBytes === SHA256.hashBytes);
      assertEquals(alike.length, 3);
      for (const data of [DATA[0], DATA[3]]) {
        const digest = digestOf(SHA256, data);
        await store.put(SCOPE, digest, data);
        for (const fn of alike.filter((each) => each !== SHA256)) {
          const other = { ...digest, fn };
          assertEquals(await missing(store, fn, [other]), [0], fn.name);
          assertEquals(await store.sizeOf?.(SCOPE, fn, digest.hash), undefined);
          assertEquals(await codeOf(() => store.get(SCOPE, other)), Code.NOT_FOUND);
          assertEquals(await store.delete(SCOPE, other), false);
          await store.pin(SCOPE, batchOf(fn, [other]), 1000);
        }
        assertEquals(await missing(store, SHA256, [digest]), []);
      }
    });
  });

  Deno.test(`${name} refuses data of another hash in every function, alone and among good ones`, async () => {
    await withDir(async (dir) => {
      await using store = await open(`${dir}/cas`);
      for (const fn of DIGEST_FUNCTIONS) {
        const wrong = digestsOf(fn).map(({ hash, sizeBytes }) => ({ fn, hash: flipped(hash), sizeBytes }));
        const ends = await Promise.allSettled(
          DATA.flatMap((
            data,
            i,
          ) => [store.put(SCOPE, wrong[i], data), store.put(SCOPE, digestsOf(fn)[i], data)]),
        );
        for (const [i, end] of ends.entries()) {
          if (i % 2 === 1) assertEquals(end.status, "fulfilled", fn.name);
          else {
            assert(end.status === "rejected" && end.reason instanceof BrokkrError);
            assertEquals(end.reason.code, Code.INVALID_ARGUMENT);
            assert(end.reason.message.includes(`has ${fn.name} hash`), end.reason.message);
          }
        }
        assertEquals(await missing(store, fn, wrong), [0, 1, 2, 3], fn.name);
        await assertHolds(store, fn);
        const writer = await store.writer(SCOPE, wrong[3]);
        await writer.write(DATA[3]);
        assertEquals(await codeOf(() => writer.commit()), Code.INVALID_ARGUMENT);
      }
    });
  });
}

function flipped(hash: string): HashHex {
  return ((hash[0] === "0" ? "1" : "0") + hash.slice(1)) as HashHex;
}

Deno.test("DiskBlobStore finds blobs of every function after a crash, after a clean end and without an index", async () => {
  await withDir(async (dir) => {
    const store = await openDiskBlobStore(`${dir}/cas`);
    for (const fn of DIGEST_FUNCTIONS) await put(store, fn);
    const crashed = await crashCopy(`${dir}/cas`);
    const tested = await crashCopy(`${dir}/cas`);
    await Deno.remove(`${tested}/index`, { recursive: true });
    await store[Symbol.asyncDispose]();
    for (const place of [crashed, tested, `${dir}/cas`]) {
      await using again = await openDiskBlobStore(place);
      for (const fn of DIGEST_FUNCTIONS) await assertHolds(again, fn);
      const usage = await again.keeper.usage();
      const counts = usage.functions.map(({ fn, blobs }) => `${fn.name} ${blobs}`).sort();
      assertEquals(counts, DIGEST_FUNCTIONS.map(({ name }) => `${name} ${DATA.length}`).sort());
    }
  });
});

Deno.test("fsck and the verification of a store find damage in every function and name it", async () => {
  await withDir(async (dir) => {
    const store = await openDiskBlobStore(`${dir}/cas`);
    for (const fn of DIGEST_FUNCTIONS) await put(store, fn);
    for await (const { damaged } of store.keeper.verify()) assertEquals(damaged, []);
    await store[Symbol.asyncDispose]();
    assertEquals((await fsck(dir)).problems, 0);
    const segments = DIGEST_FUNCTIONS.map(({ segment }) => segment).sort();
    const found = (await Array.fromAsync(Deno.readDir(`${dir}/cas/blobs`), ({ name }) => name)).sort();
    assertEquals(found.filter((each) => digestFunctionBySegment(each) !== undefined), segments);
    const large = DIGEST_FUNCTIONS.map((fn) => digestsOf(fn)[3]);
    for (const { fn, hash } of large) {
      const path = `${dir}/cas/blobs/${fn.segment}/${hash.slice(0, 2)}/${hash}`;
      await Deno.chmod(path, 0o644);
      using file = await Deno.open(path, { write: true });
      await file.seek(1000, Deno.SeekMode.Start);
      await file.write(new TextEncoder().encode("rot"));
    }
    assertEquals((await fsck(dir)).findings.length, large.length);
    await using again = await openDiskBlobStore(`${dir}/cas`);
    const damaged: string[] = [];
    for await (const progress of again.keeper.verify()) {
      for (const { digest } of progress.damaged) damaged.push(`${digest?.fn.name} ${digest?.hash}`);
    }
    assertEquals(damaged.sort(), large.map(({ fn, hash }) => `${fn.name} ${hash}`).sort());
    for (const digest of large) {
      assertEquals(await missing(again, digest.fn, [digest]), [0], digest.fn.name);
      assertEquals((await again.keeper.whyGone(digest))?.reason, "damaged");
      assertEquals((await again.keeper.whyGone(digest))?.digest.fn, digest.fn);
    }
  });
});

Deno.test("Uploads that broke off go on in every function", async () => {
  await withDir(async (dir) => {
    const data = DATA[3];
    const uploads = DIGEST_FUNCTIONS.map((fn) => ({
      scope: SCOPE,
      uuid: `u-${fn.segment}`,
      digest: digestOf(fn, data),
    }));
    {
      await using store = await openDiskBlobStore(`${dir}/cas`);
      for (const id of uploads) {
        const writer = await store.uploads.begin(id);
        await writer.write(data.subarray(0, 800_000));
        await writer.suspend();
      }
    }
    await using store = await openDiskBlobStore(`${dir}/cas`);
    for (const id of uploads) {
      const at = await store.uploads.keptBytes(id);
      assert(at > 0, id.digest.fn.name);
      await using writer = await store.uploads.resume(id, at);
      assert(writer !== undefined);
      await writer.write(data.subarray(at));
      await writer.commit();
      assertEquals(await store.get(SCOPE, id.digest), data);
    }
  });
});
