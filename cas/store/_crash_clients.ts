/**
 * What the callers of a simulated store do to it, and what they conclude from its answers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { BrokkrError, Code, type Random, scopeOf, sleep } from "@brokkr/common";
import type { BlobStore, BlobWriter, UploadId, UploadWriter } from "../blob_store.ts";
import { SHA256 } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import { type CrashModel, listOf, type ModelBlob, Violation } from "./_crash_model.ts";
import { sameChunks } from "./_chunk_list.ts";
import type { Machine } from "./_crash_machine.ts";

const SCOPE = scopeOf("");

/** What the callers of one open store share. */
export interface Clients {
  readonly store: BlobStore;
  readonly model: CrashModel;
  readonly machine: Machine;
  readonly random: Random;
  /** Whether the disk may fail or be full, so that operations may. */
  readonly mayFail: boolean;
  /** Uploads under way, by their names: each has one writer at most. */
  readonly uploads: Set<string>;
  /** Counts what happened. */
  readonly count: (what: string) => void;
}

/** Answers of a store that works on a disk that does not. */
const FAILURES: ReadonlySet<Code> = new Set([Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED]);

/** What a store says that has not found everything again. */
const LOADING = /cannot tell|being counted|made anew/;

/** An error that the store may give. Anything else breaks the promise that errors say what is wrong. */
function expectFailure(clients: Clients, what: string, error: unknown): void {
  if (!(error instanceof BrokkrError)) throw error;
  if (error.code === Code.UNAVAILABLE && LOADING.test(error.message)) return clients.count("asked too early");
  if (
    FAILURES.has(error.code) &&
    (clients.mayFail || (clients.model.evicts && error.code === Code.RESOURCE_EXHAUSTED))
  ) {
    clients.count(error.codeName);
    return;
  }
  throw new Violation(`${what} failed with ${error.codeName}: ${error.message}`, { cause: error });
}

/** Whether the disk would not give something back. */
function isInjectedRead(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if (at.message.includes("(EIO)")) return true;
  return false;
}

function assertBytes(clients: Clients, blob: ModelBlob, data: Uint8Array): void {
  const { data: expected } = blob;
  if (Buffer.compare(data, expected) === 0) return;
  throw new Violation(`${clients.model.name(blob)} was read with other bytes, ${data.length} of them`);
}

/** Puts a blob in one piece or by a writer. */
async function put(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random, model, machine } = clients;
  const end = blob.beginPut();
  try {
    if (random.next() < 0.6) await store.put(SCOPE, blob.digest, blob.data);
    else await writeInPieces(clients, await store.writer(SCOPE, blob.digest), blob, 0);
    end(true);
    clients.count("put");
    machine.note(`acknowledged ${model.name(blob)}`);
  } catch (error) {
    end(false);
    expectFailure(clients, `Putting ${model.name(blob)}`, error);
  }
}

async function writeInPieces(
  { random }: Clients,
  writer: BlobWriter,
  blob: ModelBlob,
  from: number,
  to = blob.data.length,
): Promise<void> {
  try {
    for (let at = from; at < to;) {
      const length = Math.min(to - at, 1 + Math.floor(random.next() * 400_000));
      await writer.write(blob.data.subarray(at, at + length));
      at += length;
    }
    if (to === blob.data.length) await writer.commit();
  } finally {
    if (to === blob.data.length) await writer.abort();
  }
}

/** Uploads what of a blob's parts it feels like, and makes the blob of them. */
async function splice(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random, model, machine } = clients;
  if (blob.parts.length === 0) return await put(clients, blob);
  const all = random.next() < 0.8;
  const some = blob.parts.filter(() => all || random.next() < 0.7);
  await Promise.all(some.map((part) => put(clients, part)));
  const before = blob.parts.map(({ changes }) => changes);
  const end = blob.beginPut();
  try {
    const outcome = await store.splice?.(SCOPE, blob.digest, listOf(blob));
    end(true);
    clients.count(`spliced, ${outcome}`);
    machine.note(`spliced ${model.name(blob)}`);
  } catch (error) {
    end(false);
    if (error instanceof BrokkrError && error.code === Code.NOT_FOUND) {
      const lost = blob.parts.some((part, i) =>
        part.state !== "present" || part.changes !== before[i] || part.puts + part.deletes > 0
      );
      if (clients.mayFail && isInjectedRead(error)) {
        for (const part of blob.parts) for (const one of [part, ...part.wholes]) one.unsettle();
      } else if (!lost && !model.evicts && !model.mayLose) {
        throw new Violation(`No part of ${model.name(blob)} is missing`);
      }
      return clients.count("spliced, lacks a part");
    }
    expectFailure(clients, `Splicing ${model.name(blob)}`, error);
  }
}

/** Asks how a blob is cut. */
async function split(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, model, machine } = clients;
  if (blob.parts.length === 0) return await readBlob(clients, blob);
  const could = blob.state !== "absent";
  const before = blob.changes;
  const ends = blob.parts.map((part) => part.beginPut());
  try {
    const list = await store.split?.(SCOPE, blob.digest);
    for (const end of ends) end(list !== undefined);
    if (list === undefined) return clients.count("not split");
    if (!could && blob.changes === before) {
      throw new Violation(`${model.name(blob)} was split without being there`);
    }
    if (!sameChunks(list.chunks, listOf(blob).chunks)) {
      throw new Violation(`${model.name(blob)} was cut elsewhere`);
    }
    clients.count("split");
    machine.note(`split ${model.name(blob)}`);
  } catch (error) {
    for (const end of ends) end(false);
    if (error instanceof Violation) throw error;
    const given = error instanceof BrokkrError && error.code === Code.DATA_LOSS && isInjectedRead(error);
    if (!given || !clients.mayFail) return expectFailure(clients, `Splitting ${model.name(blob)}`, error);
    blob.state = "open";
  }
}

/** Sends other bytes than the digest says. */
async function putWrong(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random, model } = clients;
  const wrong = blob.data.slice();
  wrong[Math.floor(random.next() * wrong.length)] ^= 1;
  const before = blob.changes;
  const could = blob.state !== "absent";
  try {
    if (random.next() < 0.5) await store.put(SCOPE, blob.digest, wrong);
    else {
      await using writer = await store.writer(SCOPE, blob.digest);
      await writer.write(wrong);
      await writer.commit();
    }
  } catch (error) {
    if (error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT) return clients.count("wrong");
    return expectFailure(clients, `Putting wrong bytes as ${model.name(blob)}`, error);
  }
  // What is there need not be looked at again.
  if (!could && blob.changes === before) throw new Violation(`Wrong bytes were taken as ${model.name(blob)}`);
}

/** Begins to write and gives up. */
async function abandon(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random, model } = clients;
  try {
    await using writer = await store.writer(SCOPE, blob.digest);
    await writer.write(blob.data.subarray(0, Math.floor(random.next() * blob.data.length)));
    clients.count("abandoned");
  } catch (error) {
    expectFailure(clients, `Writing ${model.name(blob)}`, error);
  }
}

/** Uploads a part and leaves it, or goes on with what was left, to the end or not. */
async function upload(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random, model, uploads } = clients;
  const uuid = `upload-${blob.index}`;
  if (uploads.has(uuid)) return;
  uploads.add(uuid);
  const id: UploadId = { scope: SCOPE, uuid, digest: blob.digest };
  const whole = random.next() < 0.5;
  const end = whole ? blob.beginPut() : () => {};
  try {
    const kept = await store.uploads.keptBytes(id);
    const resumed: UploadWriter | undefined = kept === 0 ? undefined : await store.uploads.resume(id, kept);
    if (resumed !== undefined) clients.count("resumed");
    const writer = resumed ?? await store.uploads.begin(id);
    const from = writer.writtenBytes;
    try {
      if (whole) {
        await writeInPieces(clients, writer, blob, from);
        clients.count("uploaded");
      } else {
        const to = from + Math.floor(random.next() * (blob.data.length - from));
        if (to > from) await writeInPieces(clients, writer, blob, from, to);
        await writer.suspend();
        clients.count("suspended");
      }
    } finally {
      await writer.abort();
    }
    end(true);
  } catch (error) {
    end(false);
    const inherited = error instanceof BrokkrError && error.code === Code.UNAVAILABLE &&
      error.message.includes("does not fit what followed");
    if (inherited) clients.count("refused what was inherited");
    else expectFailure(clients, `Uploading ${model.name(blob)}`, error);
  } finally {
    uploads.delete(uuid);
  }
}

async function remove(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, model, machine } = clients;
  const end = blob.beginDelete();
  try {
    // That it is not there, which is the other answer, says nothing of what a put that failed has left.
    const deleted = await store.delete(SCOPE, blob.digest);
    end(deleted);
    if (!deleted) return clients.count("nothing to delete");
    clients.count("deleted");
    machine.note(`deleted ${model.name(blob)}`);
  } catch (error) {
    end(false);
    expectFailure(clients, `Deleting ${model.name(blob)}`, error);
  }
}

/** Reads a blob and looks at every byte. */
export async function readBlob(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, model, machine } = clients;
  const sure = () => blob.state === "present" && blob.deletes === 0;
  const before = blob.changes;
  const wasSure = sure();
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of store.read(SCOPE, blob.digest)) pieces.push(piece.slice());
    const data = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      data.set(piece, at);
      at += piece.length;
    }
    assertBytes(clients, blob, data);
    clients.count("read");
  } catch (error) {
    if (!(error instanceof BrokkrError)) throw error;
    if (error.code === Code.NOT_FOUND) {
      if (wasSure && sure() && blob.changes === before) model.gone(blob, machine.clock.wallMs());
      return clients.count("not found");
    }
    if (
      error.code === Code.DATA_LOSS && clients.mayFail && isInjectedRead(error)
    ) {
      // The disk would not give it back, so it counts as missing from now on.
      blob.state = "open";
      for (const whole of blob.wholes) whole.unsettle();
      for (const part of blob.parts) part.unsettle();
      return clients.count("given up");
    }
    expectFailure(clients, `Reading ${model.name(blob)}`, error);
  }
}

/** Asks for all blobs at once. */
export async function ask(clients: Clients): Promise<void> {
  const { store, model, machine } = clients;
  const before = model.blobs.map(({ changes }) => changes);
  try {
    const answer = store.missing(SCOPE, model.batch);
    if (!(answer instanceof Promise)) model.heard(answer, machine.clock.wallMs());
    else {
      // What happened to a blob meanwhile may be in the answer or not. And while the log is read again, one may be found
      // whose deletion is found later: of what is not promised already, only the answers count that come when all is read.
      const missing = await answer;
      const still = model.blobs.filter(({ state, index, changes, puts, deletes }) =>
        state === "present" && puts === 0 && deletes === 0 && changes === before[index]
      );
      model.heard(missing, machine.clock.wallMs(), true, still);
      clients.count("asked while loading");
    }
    clients.count("asked");
  } catch (error) {
    if (error instanceof Violation) throw error;
    expectFailure(clients, "Asking what is missing", error);
  }
}

/** Hears what a store could say at this very moment, without touching anything. */
export function overhear({ store, model, machine }: Clients): void {
  let answer: Uint32Array | Promise<Uint32Array>;
  try {
    answer = store.missing(SCOPE, model.batch, { peek: true });
  } catch {
    // It was closed, and what it evicted before nobody was told.
    return model.unheard(machine.clock.wallMs());
  }
  if (answer instanceof Promise) answer.catch(() => {});
  else model.heard(answer, machine.clock.wallMs(), false);
}

/** Waits until the store knows everything. */
export async function settled({ store, model, machine }: Clients): Promise<void> {
  for (;;) {
    const answer = store.missing(SCOPE, model.batch, { peek: true });
    if (!(answer instanceof Promise)) return;
    answer.catch(() => {});
    await sleep(machine.clock, 500);
  }
}

async function pin(clients: Clients, blob: ModelBlob): Promise<void> {
  const { store, random } = clients;
  try {
    await store.pin(SCOPE, batchOf(SHA256, [blob.digest]), random.next() * 3_600_000);
  } catch (error) {
    expectFailure(clients, "Pinning", error);
  }
}

type Act = (clients: Clients, blob: ModelBlob) => Promise<void>;

const ACTS: readonly (readonly [weight: number, act: Act])[] = [
  [30, put],
  [10, remove],
  [15, readBlob],
  [8, ask],
  [6, upload],
  [12, splice],
  [8, split],
  [3, putWrong],
  [3, abandon],
  [3, pin],
];
const TOTAL = ACTS.reduce((sum, [weight]) => sum + weight, 0);

/** Does some thing. */
export async function actOnce(clients: Clients): Promise<void> {
  const blob = clients.model.any(clients.random);
  let at = clients.random.next() * TOTAL;
  for (const [weight, act] of ACTS) {
    at -= weight;
    if (at < 0) return await act(clients, blob);
  }
}
