/**
 * A process that checks a store that was killed, and then loads it until it is killed itself.
 *
 * Arguments: the directory above the store's, a file with the numbers that must be there (JSON), the number of the first blob it is
 * to put, the store's limit in bytes, 0 for none, and what it leaves free on the disk, if not the default. It writes `checked N`, then what `Claims` reads.
 *
 * @module
 */

import { BrokkrError, Code, scopeOf } from "@brokkr/common";
import { batchOf, type BlobStore, digestOf, SHA256 } from "@brokkr/cas/client";
import { fsck, openDiskBlobStore } from "@brokkr/cas/disk";
import { isLarge, numberedBlob, numberedDigest } from "./_numbered_blobs.ts";

const SCOPE = scopeOf("");
const LANES = 32;
const SEGMENT_BYTES = 2 << 20;
const PIECE_BYTES = 64 << 10;
const DELETE_EVERY = 40;
const PROMISE_EVERY = 10;
/** How far back in its own lane a blob lies that is looked at, or deleted. */
const BACK = 3;
/** A process that nobody kills ends by itself. */
const MAX_BLOBS = 200_000;

const encoder = new TextEncoder();

/** Says a line before anything else happens. */
function say(line: string): void {
  const bytes = encoder.encode(`${line}\n`);
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/** Asserts that every blob that must be there is, and that every one of `upTo` that is there is right. */
async function check(store: BlobStore, must: readonly number[], upTo: number): Promise<number> {
  const required = new Set(must);
  let there = 0;
  for (let n = 0; n < upTo; n++) {
    const digest = numberedDigest(n);
    const isThere = (await store.missing(SCOPE, batchOf(SHA256, [digest]), { peek: true })).length === 0;
    if (!isThere) {
      if (required.has(n)) throw new Error(`Blob ${n} was acknowledged and is missing`);
      continue;
    }
    const hasher = SHA256.hasher();
    for await (const piece of store.read(SCOPE, digest)) hasher.update(piece);
    if (hasher.digestHex() !== digest.hash) throw new Error(`Blob ${n} has other bytes`);
    there++;
  }
  return there;
}

async function put(store: BlobStore, n: number): Promise<void> {
  const data = numberedBlob(n);
  const digest = digestOf(SHA256, data);
  if (!isLarge(n)) return await store.put(SCOPE, digest, data);
  await using writer = await store.writer(SCOPE, digest);
  for (let at = 0; at < data.length; at += PIECE_BYTES) {
    await writer.write(data.subarray(at, at + PIECE_BYTES));
  }
  await writer.commit();
}

async function step(store: BlobStore, n: number, turn: number): Promise<void> {
  try {
    await put(store, n);
  } catch (error) {
    if (!(error instanceof BrokkrError && error.code === Code.RESOURCE_EXHAUSTED)) throw error;
    say(`x ${n}`);
    return;
  }
  say(`a ${n}`);
  if (turn < BACK) return;
  const old = n - BACK * LANES;
  const digest = numberedDigest(old);
  if (turn % DELETE_EVERY === 0) {
    say(`d ${old}`);
    await store.delete(SCOPE, digest);
  } else if (turn % PROMISE_EVERY === 0) {
    const missing = await store.missing(SCOPE, batchOf(SHA256, [digest]));
    if (missing.length === 0) say(`f ${old}`);
  }
}

if (import.meta.main) {
  const [above, claims, first, limit, headroom] = Deno.args;
  const fixed = {
    segmentBytes: SEGMENT_BYTES,
    ...(headroom === undefined ? {} : { headroomBytes: Number(headroom) }),
  };
  const dir = `${above}/cas`;
  let there = 0;
  await Deno.mkdir(above, { recursive: true });
  const must: number[] = JSON.parse(await Deno.readTextFile(claims));
  {
    await using store = await openDiskBlobStore(dir, fixed);
    there = await check(store, must, Number(first));
  }
  // fsck wants to lock the directory, which a full disk may refuse.
  const { problems, findings } = headroom === undefined ? await fsck(above) : { problems: 0, findings: [] };
  if (problems > 0) throw new Error(`fsck finds ${problems} problems: ${JSON.stringify(findings)}`);
  say(`checked ${there}`);
  const options = { ...fixed, ...(limit === "0" ? {} : { maxBytes: Number(limit) }) };
  const store = await openDiskBlobStore(dir, options);
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    for (let turn = 0; turn * LANES < MAX_BLOBS; turn++) {
      await step(store, Number(first) + turn * LANES + lane, turn);
    }
  });
  await Promise.all(lanes);
}
