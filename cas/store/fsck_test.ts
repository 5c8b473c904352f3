// Damages real data directories in every way, and checks and repairs them.

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, openDataDirectory } from "@brokkr/common";
import { type ActionResult, ActionResultCodec } from "@brokkr/proto";
import { ActionCache } from "../action_cache/mod.ts";
import { LmdbEnv } from "../metadata/lmdb_env.ts";
import { openLmdbMetadataStore } from "../metadata/lmdb_store.ts";
import {
  assertHolds,
  type Blob,
  blob,
  copyDirectory,
  flipByte,
  MIB,
  missing,
  put,
  SCOPE,
  segmentPaths,
  withDir,
} from "./_disk_testing.ts";
import { HEADER_BYTES } from "./_record.ts";
import { dataOffset, filePath, forge } from "./_rot_testing.ts";
import { openDiskBlobStore } from "./disk_store.ts";
import { fsck, type FsckReport } from "./fsck.ts";
import { systemFiles } from "./file_layer.ts";

/** Four in the first segment, two in the second, then files. */
const FIRST = [blob(100, 1), blob(5000, 2), blob(200_000, 3), blob(300, 4)];
const SECOND = [blob(150_000, 5), blob(400, 6)];
const LARGE = [blob(MIB + 1, 7), blob(3 * MIB, 8), blob(2 * MIB, 9)];
const ALL = [...FIRST, ...SECOND, ...LARGE];
const SEGMENT_BYTES = 210_000;

/** A data directory as control leaves it, with a result for every blob. */
async function makeData(dir: string): Promise<void> {
  await using store = await openDiskBlobStore(`${dir}/cas`, { segmentBytes: SEGMENT_BYTES });
  for (const one of ALL) await put(store, one);
  await using metadata = await openLmdbMetadataStore(`${dir}/meta`);
  const cache = new ActionCache({ metadata, blobs: store });
  for (const [i, { digest: { hash, sizeBytes } }] of ALL.entries()) {
    const result: Partial<ActionResult> = { exitCode: 0, stdoutDigest: { hash, sizeBytes } };
    await cache.update(SCOPE, blob(10, 100 + i).digest, ActionResultCodec.encode(result), "test");
  }
}

let base: string | undefined;

/** Runs `run` with a copy of such a directory. */
async function withData(run: (dir: string) => Promise<void>): Promise<void> {
  if (base === undefined) {
    base = await Deno.makeTempDir({ prefix: "brokkr-fsck-" });
    const made = base;
    globalThis.addEventListener("unload", () => Deno.removeSync(made, { recursive: true }));
    await makeData(base);
  }
  const from = base;
  await withDir(async (dir) => {
    await copyDirectory(from, `${dir}/data`);
    await run(`${dir}/data`);
  });
}

const segments = (dir: string) => segmentPaths(`${dir}/cas`);
const file = (dir: string, one: Blob) => filePath(`${dir}/cas`, one);
const problems = ({ findings }: FsckReport) =>
  findings.filter(({ level }) => level === "problem").map(({ area, where, problem }) =>
    `${area}: ${where}: ${problem}`
  );

/** Changes entries of the index. */
async function editIndex(dir: string, edit: (key: Uint8Array, value: Uint8Array) => Uint8Array | undefined) {
  await using env = LmdbEnv.open(`${dir}/cas/index`);
  for await (const slice of env.entries(Uint8Array.of(1))) {
    for (const { key, value } of slice) {
      const changed = edit(key, value.slice());
      if (changed === undefined) await env.apply([{ op: "delete", key }]);
      else await env.apply([{ op: "put", key, value: changed }]);
    }
  }
}

const isOf = (one: Blob) => (key: Uint8Array) => key.subarray(2).toHex() === one.digest.hash;

interface Case {
  readonly name: string;
  readonly damage: (dir: string) => Promise<unknown>;
  /** What the problems say. */
  readonly says: readonly RegExp[];
  /** Blobs that are lost. */
  readonly lost?: readonly Blob[];
}

const CASES: readonly Case[] = [
  {
    name: "a bit flipped in a record's data",
    damage: async (dir) => await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[1]) + 99),
    says: [/^segments: segments\/00000001.seg at 240: 5072 bytes are no record$/],
    lost: [FIRST[1]],
  },
  {
    name: "a bit flipped in a record's header",
    damage: async (dir) =>
      await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[2]) - HEADER_BYTES - 32),
    says: [/^segments: .*bytes are no record$/],
    lost: [FIRST[2]],
  },
  {
    name: "a bit flipped in a record's hash",
    damage: async (dir) => await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[0]) - 5),
    says: [/^segments: .*bytes are no record$/],
    lost: [FIRST[0]],
  },
  {
    name: "two records damaged side by side, and one elsewhere",
    damage: async (dir) => {
      await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[1]));
      await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[2]));
      await flipByte((await segments(dir))[1], dataOffset(SECOND, SECOND[0]));
    },
    says: [/no record \(2 blobs\)$/, /00000002.seg .*no record$/],
    lost: [FIRST[1], FIRST[2], SECOND[0]],
  },
  {
    name: "a record whose checksum is right and whose data is not",
    damage: async (dir) => await forge((await segments(dir))[0], dataOffset(FIRST, FIRST[1])),
    says: [/^segments: .*: its data has hash [0-9a-f]{64}$/],
    lost: [FIRST[1]],
  },
  {
    name: "a segment's header",
    damage: async (dir) => await flipByte((await segments(dir))[0], 2),
    says: [/^segments: segments\/00000001.seg at 0: its header is damaged: its magic is wrong$/],
  },
  {
    name: "the newest segment cut off in a record",
    damage: async (dir) => await Deno.truncate((await segments(dir))[1], dataOffset(SECOND, SECOND[1]) + 7),
    says: [/^segments: segments\/00000002.seg at .* bytes are no record$/],
    lost: [SECOND[1]],
  },
  {
    name: "an older segment cut off between records",
    damage: async (dir) =>
      await Deno.truncate((await segments(dir))[0], dataOffset(FIRST, FIRST[3]) - HEADER_BYTES - 32),
    says: [/^index: index: it lies beyond the end of its segment/],
    lost: [FIRST[3]],
  },
  {
    name: "a segment removed",
    damage: async (dir) => await Deno.remove((await segments(dir))[0]),
    says: FIRST.map(() => /^index: index: its segment is gone \(00000001.seg at \d+\)$/),
    lost: FIRST,
  },
  {
    name: "a stray file among segments",
    damage: (dir) => Deno.writeTextFile(`${dir}/cas/segments/notes.txt`, "x"),
    says: [/^segments: segments\/notes.txt: it is no segment/],
  },
  {
    name: "a bit flipped in a file",
    damage: (dir) => flipByte(file(dir, LARGE[1]), 2 * MIB),
    says: [/^files: blobs\/sha256\/.*: its file has hash [0-9a-f]{64}$/],
    lost: [LARGE[1]],
  },
  {
    name: "a file cut off",
    damage: (dir) => Deno.truncate(file(dir, LARGE[0]), MIB),
    says: [/^files: .*: its file has hash/],
    lost: [LARGE[0]],
  },
  {
    name: "a file removed",
    damage: (dir) => Deno.remove(file(dir, LARGE[0])),
    says: [/^index: index: its file is gone$/],
    lost: [LARGE[0]],
  },
  {
    name: "two files swapped",
    damage: async (dir) => {
      await Deno.rename(file(dir, LARGE[0]), `${dir}/x`);
      await Deno.rename(file(dir, LARGE[1]), file(dir, LARGE[0]));
      await Deno.rename(`${dir}/x`, file(dir, LARGE[1]));
    },
    says: [/its file has hash/, /its file has hash/],
  },
  {
    name: "a stray file among blobs",
    damage: (dir) => Deno.writeTextFile(`${dir}/cas/blobs/sha256/ab`, "x"),
    says: [/^files: blobs\/sha256\/ab: it is no blob's file/],
  },
  {
    name: "a file that the index does not know",
    damage: (dir) => editIndex(dir, (key, value) => isOf(LARGE[2])(key) ? undefined : value),
    says: [/^files: blobs\/.*: the index does not know it$/],
  },
  {
    name: "a record that the index does not know",
    damage: (dir) => editIndex(dir, (key, value) => isOf(FIRST[1])(key) ? undefined : value),
    says: [/^index: index: 1 good records are not in it, such as 00000001.seg at 240/],
  },
  {
    name: "an index entry with another offset",
    damage: (dir) =>
      editIndex(dir, (key, value) => {
        if (isOf(FIRST[1])(key)) value[4] ^= 1;
        return value;
      }),
    says: [/its entry points to 00000001.seg at \d+, where its record's checksum is wrong$/],
  },
  {
    name: "an index entry with the place of another blob",
    damage: async (dir) => {
      let other: Uint8Array | undefined;
      await editIndex(dir, (key, value) => {
        if (isOf(FIRST[0])(key)) other = value;
        return value;
      });
      await editIndex(dir, (key, value) => isOf(FIRST[1])(key) ? other : value);
    },
    says: [/where another blob lies in its place/],
  },
  {
    name: "an index entry with another size",
    damage: (dir) =>
      editIndex(dir, (key, value) => {
        if (isOf(FIRST[1])(key)) new DataView(value.buffer).setFloat64(8, 5001, true);
        return value;
      }),
    says: [/where its record is of a blob of 5000 bytes$/],
  },
  {
    name: "an index entry with the size of nothing",
    damage: (dir) =>
      editIndex(dir, (key, value) => {
        if (isOf(LARGE[1])(key)) new DataView(value.buffer).setFloat64(8, NaN, true);
        return value;
      }),
    says: [/^index: index: an entry is none/],
  },
  {
    name: "an index without some bytes",
    damage: (dir) => editIndex(dir, (key, value) => isOf(FIRST[1])(key) ? value.subarray(0, 7) : value),
    says: [/^index: index: an entry is none/, /^index: index: 1 good records are not in it/],
  },
  {
    name: "no index",
    damage: (dir) => Deno.remove(`${dir}/cas/index`, { recursive: true }),
    says: [/^index: index: there is none$/],
  },
  {
    name: "an index that is something else",
    damage: (dir) => Deno.writeFile(`${dir}/cas/index/data.mdb`, new Uint8Array(20_000).fill(7)),
    says: [/^index: index: LMDB data file .* is damaged/],
  },
  {
    name: "an index at which two checks ended",
    damage: (dir) => Deno.writeTextFile(`${dir}/cas/FSCK`, "2\n"),
    says: [/^index: index: it is damaged: the last checks ended while they read it$/],
  },
  {
    name: "no FORMAT",
    damage: (dir) => Deno.remove(`${dir}/cas/FORMAT`),
    says: [/^format: FORMAT: it is gone$/],
  },
  {
    name: "a damaged FORMAT",
    damage: (dir) => Deno.writeTextFile(`${dir}/cas/FORMAT`, "brokkr-blobs 2\nid 12"),
    says: [/^format: FORMAT: it is damaged/],
  },
  {
    name: "a FORMAT of another store",
    damage: (dir) => Deno.writeTextFile(`${dir}/cas/FORMAT`, `brokkr-blobs 2\nid ${"0".repeat(32)}\n`),
    says: [/^format: FORMAT: it names another store than the one that wrote the segments$/],
  },
  {
    name: "an action result cut short",
    damage: async (dir) => {
      await using env = LmdbEnv.open(`${dir}/meta`);
      for await (const slice of env.entries(Uint8Array.of(1, 0x61, 0x63, 0x2f))) {
        await env.apply([{ op: "put", key: slice[0].key, value: slice[0].value.slice(0, 50) }]);
        return;
      }
    },
    says: [/^results: meta [0-9a-f]+: A stored action result is damaged/],
  },
];

for (const { name, damage, says, lost = [] } of CASES) {
  Deno.test(`fsck finds ${name}, and repairs it`, () =>
    withData(async (dir) => {
      assertEquals((await fsck(dir)).problems, 0);
      await damage(dir);
      const before = await fsck(dir);
      const sorted = problems(before).sort();
      const expected = [...says].sort((a, b) => a.source < b.source ? -1 : 1);
      assertEquals(sorted.length, expected.length, sorted.join("\n"));
      for (const pattern of expected) {
        assert(sorted.some((line) => pattern.test(line)), `${pattern}\n${sorted.join("\n")}`);
      }
      assertEquals([before.problems, before.repaired], [says.length, 0]);

      const repaired = await fsck(dir, { repair: true });
      assertEquals(
        [repaired.problems, repaired.repaired],
        [says.length, says.length],
        problems(repaired).join("\n"),
      );
      const after = await fsck(dir);
      assertEquals(problems(after), []);

      await using store = await openDiskBlobStore(`${dir}/cas`, { segmentBytes: SEGMENT_BYTES });
      assertEquals(
        (await missing(store, ALL)).map((i) => ALL[i].digest.hash),
        lost.map(({ digest }) => digest.hash),
      );
      await assertHolds(store, ALL.filter((one) => !lost.includes(one)));
      await using metadata = await openLmdbMetadataStore(`${dir}/meta`);
      const cache = new ActionCache({ metadata, blobs: store });
      const dropped = name.startsWith("an action result") ? 1 : lost.length;
      assertEquals(await cache.count(), ALL.length - dropped);
      // It takes again what was lost.
      for (const one of lost) await put(store, one);
      await assertHolds(store, ALL);
    }));
}

Deno.test("fsck finds nothing wrong with a directory whose process was killed, and says what it left", () =>
  withDir(async (dir) => {
    await using store = await openDiskBlobStore(`${dir}/live/cas`, { segmentBytes: SEGMENT_BYTES });
    for (const one of ALL) await put(store, one);
    await using upload = await store.uploads.begin({
      scope: SCOPE,
      uuid: "u",
      digest: blob(2 * MIB, 77).digest,
    });
    await upload.write(new Uint8Array(MIB));
    await copyDirectory(`${dir}/live`, `${dir}/killed`);
    const [, newest] = await segments(`${dir}/killed`);
    await Deno.writeFile(newest, new Uint8Array(1001).fill(0x42), { append: true });
    await Deno.writeFile(`${dir}/killed/cas/tmp/left`, new Uint8Array(10));
    for (const repair of [false, true]) {
      const { problems, findings, counts } = await fsck(`${dir}/killed`, { repair });
      assertEquals(problems, 0);
      const said = findings.map(({ where, problem }) => `${where}: ${problem}`).join("\n");
      assertMatch(said, /CLEAN: the store was not closed in good order/);
      assertMatch(said, /00000002.seg at \d+: 1001 bytes are no record: a write that was cut short/);
      assertMatch(said, /tmp: 1 files of writers/);
      assertEquals([counts.records, counts.files], [6, 3]);
    }
    assertEquals((await fsck(`${dir}/killed`)).findings.filter(({ area }) => area === "segments"), []);
    await using again = await openDiskBlobStore(`${dir}/killed/cas`);
    await assertHolds(again, ALL);
    await upload.abort();
  }));

Deno.test("fsck refuses a directory that a process owns, and says which", () =>
  withData(async (dir) => {
    using _owned = openDataDirectory(dir, "control");
    for (const path of [dir, `${dir}/cas`]) {
      const error = await assertRejects(() => fsck(path), BrokkrError);
      assertStringIncludes(error.message, `in use by control with process id ${Deno.pid}`);
    }
  }));

Deno.test("fsck finds the store in the directory of brokk up, and refuses what is none", () =>
  withData(async (dir) => {
    await Deno.mkdir(`${dir}/up`);
    for (const name of ["cas", "meta"]) {
      await Deno.mkdir(`${dir}/up/control`, { recursive: true });
      await Deno.rename(`${dir}/${name}`, `${dir}/up/control/${name}`);
    }
    assertEquals((await fsck(`${dir}/up`)).counts.files, LARGE.length);
    assertEquals((await fsck(`${dir}/up/control`)).counts.results, ALL.length);
    assertEquals((await fsck(`${dir}/up/control/cas`)).counts.records, FIRST.length + SECOND.length);
    await assertRejects(() => fsck(`${dir}/up/control/meta`), BrokkrError, "holds no store to check");
    await assertRejects(() => fsck(`${dir}/nowhere`), BrokkrError, "holds no store to check");
    assertEquals(await systemFiles.size(`${dir}/nowhere`), undefined);
    await Deno.writeTextFile(`${dir}/up/control/cas/FORMAT`, "brokkr-blobs 77\n");
    await assertRejects(() => fsck(`${dir}/up`), BrokkrError, "has format 77");
  }));

Deno.test("fsck without --repair changes nothing", () =>
  withData(async (dir) => {
    await flipByte((await segments(dir))[0], dataOffset(FIRST, FIRST[1]) + 99);
    await flipByte(file(dir, LARGE[1]), 2 * MIB);
    const before = await contents(dir);
    await fsck(dir);
    assertEquals(await contents(dir), before);
  }));

/** Names and hashes of what is in a directory, apart from what a lock and LMDB's readers leave. */
async function contents(dir: string, at = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    if (name === "LOCK" || name === "lock.mdb") continue;
    if (isDirectory) found.push(...await contents(`${dir}/${name}`, `${at}${name}/`));
    else {
      const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(`${dir}/${name}`));
      found.push(`${at}${name} ${new Uint8Array(hash).toHex()}`);
    }
  }
  return found.sort();
}
