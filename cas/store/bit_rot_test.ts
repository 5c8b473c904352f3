// What happens to blobs that a disk has spoiled: found by reads and by the scrubber, set aside, fetched again.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  assertHolds,
  blob,
  flipByte,
  MIB,
  missing,
  put,
  rejectsWith,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { systemError } from "./_faulty_files.ts";
import { HEADER_BYTES } from "./_record.ts";
import {
  dataOffset,
  fetched,
  filePath,
  filled,
  forge,
  name,
  quarantined,
  spoiling,
  until,
  verified,
} from "./_rot_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";

const SMALL = [blob(100, 1), blob(5000, 2), blob(200, 3), blob(MIB, 4)];
const LARGE = [blob(MIB + 1, 5), blob(3 * MIB, 6)];
const ALL = [...SMALL, ...LARGE];

Deno.test("A blob found damaged by a read is set aside with a note, counts as missing, and is taken again", () =>
  withDir(async (dir) => {
    await using store = await filled(dir, ALL);
    const [segment] = await segmentPaths(dir);
    await flipByte(segment, dataOffset(SMALL, SMALL[1]) + 7);
    await flipByte(filePath(dir, LARGE[1]), 2 * MIB);
    for (const one of [SMALL[1], LARGE[1]]) {
      const error = await rejectsWith(Code.DATA_LOSS, () => fetched(store, one));
      assertStringIncludes(error.message, "upload it again");
      assertEquals(await missing(store, [one]), [0]);
    }
    const aside = await until(
      () => quarantined(dir),
      (all) => [...all.values()].filter(({ bytes }) => bytes >= 5000).length === 2,
    );
    const small = aside.get(name(SMALL[1]));
    const large = aside.get(name(LARGE[1]));
    assertStringIncludes(small?.note.where ?? "", "segments/00000001.seg at ");
    assertStringIncludes(small?.note.found ?? "", "checksum");
    assert((small?.bytes ?? 0) > 5000);
    assertMatch(large?.note.found ?? "", /^its file has hash [0-9a-f]{64}$/);
    assertStringIncludes(large?.note.expected ?? "", "SHA256");
    assertEquals(large?.bytes, 3 * MIB);
    await assertHolds(store, ALL.filter((one) => one !== SMALL[1] && one !== LARGE[1]));
    await put(store, SMALL[1]);
    await put(store, LARGE[1]);
    await assertHolds(store, ALL);
  }));

Deno.test("A read that fails once, or gives wrong bytes once, costs no blob", async (t) => {
  for (const kind of ["EIO", "wrong"] as const) {
    for (const one of ALL) {
      await t.step(`${kind} at ${one.data.length} bytes`, () =>
        withDir(async (dir) => {
          let reads = -Infinity;
          const files = spoiling((path, buffer, read) => {
            if (!/\/(segments|blobs)\//.test(path) || ++reads !== 1) return;
            if (kind === "EIO") throw systemError("EIO", `read ${path}`);
            buffer[read >> 1] ^= 1;
          });
          await using store = await filled(dir, ALL, { files, verifyReads: "always" });
          reads = 0;
          // Pieces of a large blob that were handed out cannot be taken back, so that read fails; the next does not.
          if (one.data.length > MIB) await rejectsWith(Code.UNAVAILABLE, () => fetched(store, one));
          await assertHolds(store, ALL);
          assertEquals((await quarantined(dir)).size, 0);
        }));
    }
  }
});

Deno.test("With verifyReads always, damage after the first read of a blob is found by the next", () =>
  withDir(async (dir) => {
    for (const verifyReads of ["first", "always"] as const) {
      await using store = await filled(`${dir}/${verifyReads}`, ALL, { verifyReads });
      await assertHolds(store, ALL);
      await flipByte(filePath(`${dir}/${verifyReads}`, LARGE[0]), 5);
      if (verifyReads === "first") await fetched(store, LARGE[0]);
      else await rejectsWith(Code.DATA_LOSS, () => fetched(store, LARGE[0]));
    }
  }));

Deno.test("With verifyReads always, a cached blob is compared, too", () =>
  withDir(async (dir) => {
    await using store = await filled(dir, SMALL, { verifyReads: "always", cacheBytes: 64 * MIB });
    const cached = await store.get(SCOPE, SMALL[0].digest);
    // What the store hands out is not to be changed; here it stands for memory that fails.
    cached[3] ^= 1;
    assertEquals(await store.get(SCOPE, SMALL[0].digest), SMALL[0].data);
  }));

Deno.test("Verifying finds everything that is not what it was, and nothing else", () =>
  withDir(async (dir) => {
    await using store = await filled(dir, ALL);
    assertEquals(await verified(store).then(({ damaged, last }) => [damaged, last.blobs]), [[], ALL.length]);
    const [segment] = await segmentPaths(dir);
    // The header of a record, so that nothing says whose it is; the data of another; a forged one; files.
    await flipByte(segment, dataOffset(SMALL, SMALL[0]) - 32 - HEADER_BYTES);
    await flipByte(segment, dataOffset(SMALL, SMALL[2]) + 1);
    await forge(segment, dataOffset(SMALL, SMALL[1]));
    await flipByte(filePath(dir, LARGE[0]), MIB);
    await Deno.remove(filePath(dir, LARGE[1]));
    // With its checksum right, "first" is content with it.
    assertEquals((await store.get(SCOPE, SMALL[1].digest)).length, 5000);
    const { damaged, last } = await verified(store);
    const outcomes = damaged.map(({ digest, outcome }) => `${digest?.hash} ${outcome}`).sort();
    assertEquals(
      outcomes,
      [
        ...[SMALL[0], SMALL[2], SMALL[1], LARGE[0]].map((one) => `${one.digest.hash} quarantined`),
        `${LARGE[1].digest.hash} left`,
      ].sort(),
    );
    assertEquals(last.blobs, 1);
    const problems = new Map(damaged.map(({ digest, problem }) => [digest?.hash, problem]));
    assertMatch(problems.get(SMALL[1].digest.hash) ?? "", /^its data has hash [0-9a-f]{64}$/);
    assertEquals(problems.get(LARGE[1].digest.hash), "it is gone");
    assertEquals(await missing(store, ALL), [0, 1, 2, 4, 5]);
    assertEquals((await verified(store)).damaged, []);
    for (const one of ALL) await put(store, one);
    await assertHolds(store, ALL);
    assertEquals((await verified(store)).damaged, []);
  }));

Deno.test("A forged record stays away when the index is made anew", () =>
  withDir(async (dir) => {
    {
      await using store = await filled(dir, SMALL);
      await forge((await segmentPaths(dir))[0], dataOffset(SMALL, SMALL[1]));
      assertEquals((await verified(store)).damaged.length, 1);
    }
    await Deno.remove(`${dir}/index`, { recursive: true });
    await using store = await openDiskBlobStore(dir);
    assertEquals(await missing(store, SMALL), [1]);
  }));

Deno.test("A catalog that names a place where its blob is not loses only that blob", () =>
  withDir(async (dir) => {
    await using store = await filled(dir, SMALL.slice(0, 3), { segmentBytes: 300 });
    // A whole segment in the place of another: its records are good, and somebody else's.
    const paths = await segmentPaths(dir);
    await Deno.copyFile(paths[2], paths[0]);
    const { damaged } = await verified(store);
    assertEquals(damaged.map(({ digest }) => digest?.hash), [SMALL[0].digest.hash]);
    assertEquals(await missing(store, SMALL.slice(0, 3)), [0]);
  }));

Deno.test("A disk that reads nothing any more costs no blobs, one that reads most costs those it does not", () =>
  withDir(async (dir) => {
    let broken = false;
    let goneAt = -1;
    const files = spoiling((path, _buffer, read, position) => {
      if (!path.includes("/segments/")) return;
      if (broken || (position <= goneAt && goneAt < position + read)) {
        throw systemError("EIO", `read ${path}`);
      }
    });
    const many = Array.from({ length: 300 }, (_, i) => blob(100 + i, i));
    await using store = await filled(dir, many, { files });
    broken = true;
    await rejectsWith(Code.UNAVAILABLE, () => verified(store));
    broken = false;
    assertEquals(await missing(store, many), []);
    goneAt = dataOffset(many, many[3]);
    const { damaged } = await verified(store);
    assertEquals(damaged.map(({ digest, problem }) => [digest?.hash, problem]), [[
      many[3].digest.hash,
      "the disk cannot read it (EIO)",
    ]]);
    assertEquals(await missing(store, many), [3]);
  }));
