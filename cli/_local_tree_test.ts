import { BLAKE3, digestKey, digestOf, SHA256, TreeBuilder } from "@brokkr/cas/client";
import { BrokkrError } from "@brokkr/common";
import { assertEquals, assertRejects } from "@std/assert";
import { DiskPace } from "./_disk_pace.ts";
import { BlobSet, LocalTreeReader, readSource } from "./_local_tree.ts";
import { inTempDir } from "./_testing.ts";

class Slow extends DiskPace {
  override get slow(): boolean {
    return true;
  }
}

/** Slow from the third call on. */
class Slowing extends DiskPace {
  #calls = 0;
  override get slow(): boolean {
    return this.#calls >= 3;
  }
  override timed<T>(call: () => T): T {
    this.#calls++;
    return super.timed(call);
  }
}

/** Told before each file is read. */
class Watched extends DiskPace {
  constructor(private readonly onCall: () => void) {
    super();
  }
  override timed<T>(call: () => T): T {
    this.onCall();
    return super.timed(call);
  }
}

const KIB = 1024;
/** Around what is kept in memory, what is hashed together, what is read at once, and empty. */
const SIZES = [
  0,
  1,
  16 * KIB - 1,
  16 * KIB,
  16 * KIB + 1,
  64 * KIB - 1,
  64 * KIB,
  64 * KIB + 1,
  KIB * KIB,
  1_300_000,
];

async function bytesOf(source: Parameters<typeof readSource>[0]): Promise<Uint8Array> {
  const parts: number[] = [];
  for await (const piece of readSource(source)) for (const byte of piece) parts.push(byte);
  return Uint8Array.from(parts);
}

Deno.test("LocalTreeReader hashes files of all sizes right, on a fast disk, a slow one, and one that becomes slow", async () => {
  await inTempDir(async (directory) => {
    const contents = new Map<string, Uint8Array>();
    const add = (name: string, length: number) => {
      const data = new Uint8Array(length).map((_, i) => (i * (contents.size + 3)) >> 4);
      Deno.writeFileSync(`${directory}/${name}`, data);
      contents.set(name, data);
    };
    SIZES.forEach((size, i) => add(`size${i}`, size));
    // More than one group, by number and by bytes.
    for (let i = 0; i < 300; i++) add(`small${i}`, i);
    for (let i = 0; i < 40; i++) add(`larger${i}`, 60 * KIB + i);
    for (const fn of [SHA256, BLAKE3]) {
      for (const pace of [new DiskPace(), new Slow(), new Slowing()]) {
        const tree = new TreeBuilder();
        const blobs = new BlobSet();
        await new LocalTreeReader(fn, tree, blobs, undefined, pace).add(directory, "");
        const expected = new TreeBuilder();
        for (const [name, data] of contents) expected.addFile(name, digestOf(fn, data), false);
        assertEquals(tree.build(fn).rootDigest.hash, expected.build(fn).rootDigest.hash);
        const digests = new Map([...contents.values()].map((data) => [digestKey(digestOf(fn, data)), data]));
        assertEquals(blobs.sources().length, digests.size);
        for (const source of blobs.sources().slice(0, 30)) {
          assertEquals(await bytesOf(source), digests.get(digestKey(source.digest)));
        }
      }
    }
  });
});

Deno.test("LocalTreeReader takes files as they are when it reads them, not as they were when it found them", async () => {
  await inTempDir(async (directory) => {
    const names = ["a", "b", "c"];
    for (const name of names) await Deno.writeTextFile(`${directory}/${name}`, "short");
    let calls = 0;
    const pace = new Watched(() => {
      // Three entries are looked at, then they are read.
      if (++calls !== 4) return;
      Deno.writeTextFileSync(`${directory}/a`, "longer than it was".repeat(1000));
      Deno.writeTextFileSync(`${directory}/b`, "s");
    });
    const tree = new TreeBuilder();
    const blobs = new BlobSet();
    await new LocalTreeReader(SHA256, tree, blobs, undefined, pace).add(directory, "");
    for (const name of names) {
      const digest = digestOf(SHA256, await Deno.readFile(`${directory}/${name}`));
      assertEquals(blobs.has(digest), true, name);
    }
  });
});

Deno.test("LocalTreeReader names a file that goes while it reads", async () => {
  for (const after of [1, 3]) {
    await inTempDir(async (directory) => {
      await Deno.writeTextFile(`${directory}/a`, "x");
      await Deno.writeTextFile(`${directory}/b`, "x");
      let calls = 0;
      const pace = new Watched(() => {
        if (++calls !== after) return;
        Deno.removeSync(`${directory}/a`);
        Deno.removeSync(`${directory}/b`);
      });
      const reader = new LocalTreeReader(SHA256, new TreeBuilder(), new BlobSet(), undefined, pace);
      await assertRejects(() => reader.add(directory, ""), BrokkrError, "does not exist");
    });
  }
});

Deno.test("DiskPace calls a disk slow that takes its time often, not once", () => {
  let nowMs = 0;
  const pace = new DiskPace(() => nowMs);
  const take = (ms: number) => pace.timed(() => void (nowMs += ms));
  take(45);
  for (let i = 0; i < 1000; i++) take(0.05);
  assertEquals(pace.slow, false);
  for (let i = 0; i < 200; i++) take(5);
  assertEquals(pace.slow, true);
});
