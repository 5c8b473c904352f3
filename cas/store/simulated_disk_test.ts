// The simulated disk loses no less than a real one may, and no more: otherwise what is tested on it says nothing.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { seededRandom } from "@brokkr/common";
import type { Fault, FileOperation } from "./_faulty_files.ts";
import { SimulatedDisk } from "./_simulated_disk.ts";
import { SECTOR_BYTES, type Survival } from "./_simulated_file.ts";
import { indexStateAt, setIndexState, simulatedIndex } from "./_simulated_index.ts";
import { readFully, replaceText, type StoreFile, writeAll } from "./file_layer.ts";

/** A disk whose operations fail as `faults` says, the next first. */
function diskWith(
  faults: Partial<Record<FileOperation, Fault[]>> = {},
  capacityBytes?: number,
): SimulatedDisk {
  return new SimulatedDisk({
    random: seededRandom(1),
    fault: (operation) => faults[operation]?.shift(),
    ...(capacityBytes === undefined ? {} : { capacityBytes }),
  });
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

async function make(disk: SimulatedDisk, path: string, text: string): Promise<StoreFile> {
  const file = await disk.open(path, "create");
  await writeAll(file, bytesOf(text), 0);
  return file;
}

async function textAt(disk: SimulatedDisk, path: string): Promise<string | undefined> {
  const size = await disk.size(path);
  if (size === undefined) return undefined;
  const file = await disk.open(path, "read");
  const buffer = new Uint8Array(size);
  return new TextDecoder().decode(buffer.subarray(0, await readFully(file, buffer, 0)));
}

/** What a file holds after many mixed cuts, each from the same disk. */
async function after(disk: SimulatedDisk, path: string, cuts = 200): Promise<Set<string | undefined>> {
  const seen = new Set<string | undefined>();
  for (let seed = 0; seed < cuts; seed++) {
    seen.add(await textAt(disk.afterCut({ random: seededRandom(seed) }, "mixed"), path));
  }
  return seen;
}

Deno.test("SimulatedDisk keeps through any cut what was synced, file and name", async () => {
  const disk = diskWith();
  const file = await make(disk, "/a", "whole");
  await file.syncData();
  await disk.syncDirectory("/");
  for (const survival of ["lost", "kept", "mixed"] satisfies Survival[]) {
    assertEquals(await textAt(disk.afterCut({ random: seededRandom(2) }, survival), "/a"), "whole");
  }
  assertEquals(await after(disk, "/a"), new Set(["whole"]));
});

Deno.test("SimulatedDisk loses a synced file whose name was not synced, and a name whose directory was not", async () => {
  const disk = diskWith();
  await (await make(disk, "/a", "text")).syncData();
  assertEquals(await after(disk, "/a"), new Set([undefined, "text"]));
  await disk.makeDirectory("/d");
  await (await make(disk, "/d/b", "text")).syncData();
  await disk.syncDirectory("/d");
  assertEquals(await after(disk, "/d/b"), new Set([undefined, "text"]));
  await disk.syncDirectory("/");
  assertEquals(await after(disk, "/d/b"), new Set(["text"]));
});

Deno.test("SimulatedDisk loses, keeps and tears unsynced sectors, each for itself", async () => {
  const disk = diskWith();
  const file = await make(disk, "/a", "a".repeat(3 * SECTOR_BYTES));
  await file.syncData();
  await disk.syncDirectory("/");
  await file.write(bytesOf("b".repeat(3 * SECTOR_BYTES)), 0);
  const seen = [...await after(disk, "/a")].map((text) => text ?? "");
  for (const text of seen) assertEquals(text.length, 3 * SECTOR_BYTES);
  const sectorsOf = (text: string) =>
    [0, 1, 2].map((i) => text.slice(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES));
  const whole = seen.map((text) =>
    sectorsOf(text).map((sector) => /^a+$/.test(sector) ? "a" : /^b+$/.test(sector) ? "b" : "t")
  );
  const kinds = new Set(whole.map((kinds) => kinds.join("")));
  for (const kind of ["aaa", "bbb", "aba", "bab", "abb"]) assert(kinds.has(kind), `${kind} of ${[...kinds]}`);
  assert([...kinds].some((kind) => kind.includes("t")), "no sector was torn");
  // The beginning is the new one, as far as it got.
  for (const text of seen) for (const sector of sectorsOf(text)) assert(/^b*a*$/.test(sector));
});

Deno.test("SimulatedDisk may have the length of one moment and the bytes of another", async () => {
  const disk = diskWith();
  const file = await make(disk, "/a", "12345678");
  await file.syncData();
  await disk.syncDirectory("/");
  await file.truncate(4);
  await file.write(bytesOf("abcdefgh"), 4);
  const seen = await after(disk, "/a");
  for (const text of ["1234abcdefgh", "12345678", "1234abcd"]) {
    assert(seen.has(text), `${text} of ${[...seen]}`);
  }
  assert([...seen].some((text) => text?.length === 4), "the cut alone was never there");
  assert([...seen].some((text) => text?.includes("\0")), "the length alone was never there");
});

Deno.test("SimulatedDisk replaces a file by a rename wholly or not at all", async () => {
  const disk = diskWith();
  await replaceText(disk, "/", "F", "old");
  const file = await make(disk, "/F.new", "new");
  await file.syncData();
  await disk.rename("/F.new", "/F");
  assertEquals(await after(disk, "/F"), new Set(["old", "new"]));
  await disk.syncDirectory("/");
  assertEquals(await after(disk, "/F"), new Set(["new"]));
});

Deno.test("SimulatedDisk forgets what a failed sync was to write, shows it all the same, and says that a later sync worked", async () => {
  const lost = new Set<string | undefined>();
  for (let seed = 0; seed < 50; seed++) {
    const faults: Fault[] = [];
    const disk = new SimulatedDisk({
      random: seededRandom(seed),
      fault: (operation) => operation === "syncData" ? faults.shift() : undefined,
    });
    const file = await make(disk, "/a", "old");
    await file.syncData();
    await disk.syncDirectory("/");
    await file.write(bytesOf("new"), 0);
    faults.push("EIO");
    await assertRejects(() => file.syncData(), Error, "EIO");
    assertEquals(await textAt(disk, "/a"), "new");
    await file.syncData();
    lost.add(await textAt(disk.afterCut({ random: seededRandom(seed) }, "kept"), "/a"));
    disk.dropPages();
    assertEquals(
      await textAt(disk, "/a"),
      await textAt(disk.afterCut({ random: seededRandom(9) }, "kept"), "/a"),
    );
    // Written again it is written.
    await file.write(bytesOf("new"), 0);
    await file.syncData();
    assertEquals(await textAt(disk.afterCut({ random: seededRandom(seed) }, "lost"), "/a"), "new");
  }
  assert(lost.has("old") && lost.has("new"), [...lost].join());
});

Deno.test("SimulatedDisk keeps after a kill what was written, synced or not", async () => {
  const disk = diskWith();
  await make(disk, "/a", "unsynced");
  const next = disk.afterKill({ random: seededRandom(3) });
  assertEquals(await textAt(next, "/a"), "unsynced");
  assertEquals(await textAt(next.afterCut({ random: seededRandom(3) }, "lost"), "/a"), undefined);
});

Deno.test("SimulatedDisk answers as a file system does where something is not there, or is", async () => {
  const disk = diskWith();
  await disk.makeDirectory("/d");
  assertEquals(await disk.makeDirectory("/d"), false);
  assertEquals(await disk.remove("/none"), false);
  assertEquals(await disk.list("/none"), []);
  assertEquals(await disk.size("/none/none"), undefined);
  const file = await make(disk, "/d/f", "text");
  for (
    const [code, run] of [
      ["EEXIST", () => disk.open("/d/f", "create")],
      ["ENOENT", () => disk.open("/d/g", "update")],
      ["ENOENT", () => disk.rename("/d/g", "/d/h")],
      ["ENOENT", () => disk.makeDirectory("/none/d")],
      ["ENOTEMPTY", () => disk.remove("/d")],
    ] as const
  ) await assertRejects(run, Error, code);
  await disk.remove("/d/f");
  // Nobody will find it again.
  await assertRejects(() => file.syncData(), Error, "ENOENT");
  file.close();
  await assertRejects(() => file.write(new Uint8Array(1), 0), Error, "EBADF");
});

Deno.test("SimulatedDisk is full when it is full, and has room again when something goes", async () => {
  const disk = diskWith({}, 10);
  const file = await make(disk, "/a", "12345");
  assertEquals(await disk.freeBytes("/"), 5);
  assertEquals(await file.write(bytesOf("6789012345"), 5), 5);
  await assertRejects(() => file.write(bytesOf("x"), 10), Error, "ENOSPC");
  await disk.remove("/a");
  assertEquals(await disk.freeBytes("/"), 10);
});

Deno.test("SimulatedDisk fails as it is told: before, after, or in the middle", async () => {
  const disk = diskWith({ write: ["partial", "short", "late"], rename: ["late"] });
  const file = await disk.open("/a", "create");
  await assertRejects(() => file.write(bytesOf("0123456789"), 0), Error, "ENOSPC");
  assert(await file.size() <= 10);
  assert(await file.write(bytesOf("0123456789"), 0) <= 10);
  await assertRejects(() => file.write(bytesOf("0123456789"), 0), Error, "EIO");
  assertEquals(await file.size(), 10);
  await assertRejects(() => disk.rename("/a", "/b"), Error, "EIO");
  assertEquals(await disk.size("/b"), 10);
});

Deno.test("simulatedIndex commits in order, all or nothing, and can be set back, damaged and lost", async () => {
  const disk = diskWith();
  const open = simulatedIndex({ disk, execute: (_operation, _path, run) => Promise.resolve().then(run) });
  const key = (n: number) => Uint8Array.of(1, n);
  {
    await using env = open("/index");
    await env.apply([{ op: "put", key: key(2), value: Uint8Array.of(2) }, {
      op: "put",
      key: key(1),
      value: Uint8Array.of(1),
    }]);
    await env.apply([{ op: "delete", key: key(2) }]);
    const keys = (await Array.fromAsync(env.entries(Uint8Array.of(1)))).flat().map((entry) => entry.key[1]);
    assertEquals(keys, [1]);
  }
  const state = indexStateAt(disk, "/index");
  assert(state !== undefined);
  setIndexState(disk, "/index", state.at(1));
  {
    await using env = open("/index");
    assertEquals(env.get(key(2)), Uint8Array.of(2));
  }
  state.damaged = true;
  setIndexState(disk, "/index", state);
  assert(
    (await assertRejects(async () => void await open("/index").get(key(1)), Error)).message.includes(
      "damaged",
    ),
  );
  disk.vanish("/index");
  assertEquals(indexStateAt(disk, "/index"), undefined);
});
