import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, codeName, scopeOf } from "@brokkr/common";
import { batchOf, type BlobStore, digestOf, SHA256 } from "@brokkr/cas/client";
import { fsck, openDiskBlobStore } from "@brokkr/cas/disk";
import { testUnless } from "../_skip.ts";
import { numberedBlob, numberedDigest } from "./_numbered_blobs.ts";
import { Claims } from "./_store_claims.ts";
import { eventually, withDir } from "./_running.ts";

const SCOPE = scopeOf("");
const PROGRAM = new URL("./_store_load.ts", import.meta.url).pathname;
const DISK = "48m";
/** Free bytes at which every step of a store is taken. */
const LEVELS = [0, 4096, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 3 << 20];
const BLOBS_PER_LEVEL = 160;
/** A store that is refused so often in a row has no room. */
const REFUSED = 40;
const LIMIT_BYTES = 12 << 20;
/** It goes on: so many are taken although the disk is full. */
const TAKEN = 500;

async function command(name: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(name, { args, stdout: "null", stderr: "null" }).output();
  return success;
}

const notRoot = Deno.uid() !== 0
  ? "mounting needs root"
  : await command("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt")
  ? undefined
  : "nothing can be mounted here";

/** A small disk of memory at `path`. */
async function disk(path: string): Promise<AsyncDisposable> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  assert(await command("mount", "-t", "tmpfs", "-o", `size=${DISK},mode=700`, "none", path));
  return {
    [Symbol.asyncDispose]: async () => void await command("umount", "-l", path),
  };
}

/** Writes a file until the disk has no more than `freeBytes`. */
async function fill(path: string, freeBytes: number): Promise<void> {
  {
    using file = await Deno.open(path, { write: true, create: true });
    const block = new Uint8Array(4096);
    try {
      for (;;) await file.write(block);
    } catch { /* full */ }
  }
  const { size } = await Deno.stat(path);
  await Deno.truncate(path, Math.max(0, size - freeBytes));
}

/** Does one step of a store; false when it was refused for want of room. Any other failure is one of the test. */
async function tried(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    if (!(error instanceof BrokkrError)) throw error;
    assertEquals(codeName(error.code), codeName(Code.RESOURCE_EXHAUSTED), error.message);
    return false;
  }
}

function putOf(store: BlobStore, n: number): () => Promise<void> {
  return () => {
    const data = numberedBlob(n);
    return store.put(SCOPE, digestOf(SHA256, data), data);
  };
}

/**
 * Has the store say which blobs are there: it makes room on a full disk, but not of those. What it made room of before it
 * was asked is taken out of `numbers`; with room on the disk there is none.
 */
async function promise(store: BlobStore, numbers: Set<number>, full: boolean): Promise<void> {
  const all = [...numbers];
  const missing = await store.missing(SCOPE, batchOf(SHA256, all.map(numberedDigest)));
  assert(full || missing.length === 0, `${missing.length} that were acknowledged are missing`);
  for (const index of missing) numbers.delete(all[index]);
}

async function assertThere(store: BlobStore, numbers: Iterable<number>): Promise<void> {
  for (const n of numbers) {
    const digest = numberedDigest(n);
    const hasher = SHA256.hasher();
    for await (const piece of store.read(SCOPE, digest)) hasher.update(piece);
    assertEquals(hasher.digestHex(), digest.hash, `blob ${n}`);
  }
}

testUnless(
  notRoot,
  "Every step of a store on a full disk is done or refused, and loses nothing",
  async (t) => {
    await withDir(async (base) => {
      await using _disk = await disk(`${base}/disk`);
      const above = `${base}/disk/data`, filler = `${base}/disk/fill`;
      await Deno.mkdir(above);
      const there = new Set<number>();
      let next = 0;
      const options = { segmentBytes: 1 << 20, headroomBytes: 0 };
      for (const freeBytes of LEVELS) {
        await t.step(`${freeBytes} bytes free`, async () => {
          let refused = 0;
          // Half of them while there is room, so that there is something to lose.
          for (const full of [false, true]) {
            if (full) await fill(filler, freeBytes);
            await using store = await openDiskBlobStore(`${above}/cas`, options);
            await promise(store, there, full);
            await assertThere(store, there);
            for (let put = 0; put < BLOBS_PER_LEVEL / 2; put++, next++) {
              if (await tried(putOf(store, next))) {
                there.add(next);
                await promise(store, new Set([next]), false);
              } else {
                refused++;
                const missing = await store.missing(SCOPE, batchOf(SHA256, [numberedDigest(next)]));
                assertEquals(missing.length, 1, "what was refused is not there");
              }
            }
            for (const n of [...there].slice(0, full ? 6 : 0)) {
              await tried(() => store.delete(SCOPE, numberedDigest(n)));
              there.delete(n); // one that was refused may or may not be done after the next start
            }
            await tried(() => store.keeper.collect({}));
            await assertThere(store, there);
          }
          await using store = await openDiskBlobStore(`${above}/cas`, options);
          await promise(store, there, true);
          await assertThere(store, there);
          await Deno.remove(filler);
          const [n] = [next++];
          await eventually(putOf(store, n));
          there.add(n);
          console.log(`      ${refused} of ${BLOBS_PER_LEVEL} refused, ${there.size} are there`);
        });
        const { problems, findings } = await fsck(above);
        // A delete that was refused has left a record: the index does not know it, until it is made anew.
        const others = findings.filter(({ level, area }) => level === "problem" && area !== "index");
        assert(others.length === 0 && problems <= 1, JSON.stringify(findings));
        // The disk is small: what was stored makes room for the next level.
        await using store = await openDiskBlobStore(`${above}/cas`, options);
        for (const n of [...there].slice(0, there.size / 2)) {
          await store.delete(SCOPE, numberedDigest(n));
          there.delete(n);
        }
        await store.keeper.collect({});
      }
    });
  },
);

/** Runs the load until `enough` says so of all that it wrote, and kills it. */
async function load(args: readonly string[], enough: (text: string) => boolean): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", PROGRAM, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const complaints = new Response(child.stderr).text();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (enough(text)) break;
  }
  try {
    child.kill("SIGKILL");
  } catch { /* then it complains */ }
  await child.status;
  const complaint = await complaints;
  assert(enough(text), complaint);
  return text;
}

const count = (text: string, letter: string) => text.match(new RegExp(`^${letter} \\d+$`, "gm"))?.length ?? 0;

testUnless(
  notRoot,
  "A store killed on the disk it filled opens there with all it promised, and goes on",
  async () => {
    await withDir(async (base) => {
      await using _disk = await disk(`${base}/disk`);
      const claims = new Claims(), list = `${base}/claims`, above = `${base}/disk/data`;
      await Deno.writeTextFile(list, "[]");
      claims.take(await load([above, list, "0", "0", "0"], (text) => count(text, "x") >= REFUSED));
      claims.cut();
      await fill(`${base}/disk/fill`, 0);
      // A store on a full disk makes room, by itself and without a limit, but not of what it promised.
      const must = claims.mustBeThere(true);
      assert(must.length > 0, "nothing was promised");
      const first = String(claims.next(0));
      await Deno.writeTextFile(list, JSON.stringify(must));
      await load([above, list, first, "0", "0"], (text) => /^checked \d+$/m.test(text));
      await Deno.writeTextFile(list, "[]");
      const text = await load(
        [above, list, first, String(LIMIT_BYTES), "0"],
        (text) => count(text, "a") >= TAKEN,
      );
      console.log(
        `      ${must.length} had to be there; then ${count(text, "a")} more taken and ${
          count(text, "x")
        } refused`,
      );
    });
  },
);
