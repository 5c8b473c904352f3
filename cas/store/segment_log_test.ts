import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { Code, noLog, systemClock } from "@brokkr/common";
import { DIGEST_FUNCTIONS, digestOf } from "../digest.ts";
import { type FileLayer, type StoreFile, systemFiles } from "./file_layer.ts";
import { Group } from "./_group.ts";
import { decodeRecord, type Record, recordBytes, RecordKind, SALT_BYTES } from "./_record.ts";
import { SegmentLog } from "./_segment_log.ts";
import { nextTurn } from "./_turn.ts";

const HASH_BYTES = 32;

/** Files that keep nothing and answer without a turn of the event loop; syncs wait for `gate`. */
function instantFiles(gate: { promise: Promise<void> }): FileLayer {
  const file: StoreFile = {
    readSync: () => 0,
    read: () => Promise.resolve(0),
    write: (buffer) => Promise.resolve(buffer.length),
    syncData: () => gate.promise,
    truncate: () => Promise.resolve(),
    size: () => Promise.resolve(0),
    close: () => {},
  };
  return {
    ...systemFiles,
    open: () => Promise.resolve(file),
    remove: () => Promise.resolve(false),
    syncDirectory: () => Promise.resolve(),
  };
}

function record(seed: number): Record {
  const hash = new Uint8Array(HASH_BYTES).fill(seed);
  return { kind: RecordKind.BLOB, fnValue: 1, hash, sizeBytes: 10, data: new Uint8Array(10).fill(seed) };
}

Deno.test("SegmentLog commits a record that is appended just as its last group ends", async () => {
  // Somewhere among these microtasks lies the moment when the log has found nothing more to do and has not said so yet.
  for (let microtasks = 0; microtasks < 30; microtasks++) {
    const gate = Promise.withResolvers<void>();
    const log = new SegmentLog({
      files: instantFiles(gate),
      dir: "",
      salt: new Uint8Array(SALT_BYTES),
      segmentBytes: 1 << 20,
      groupBytes: 1 << 16,
      pendingBytes: 1 << 20,
      clock: systemClock,
      log: noLog,
      onCommitted: () => {},
      segments: [],
    });
    const committed: number[] = [];
    const append = (seed: number) =>
      log.append(HASH_BYTES, 10, () => record(seed)).then(() => void committed.push(seed));
    const first = append(1);
    await nextTurn();
    gate.resolve();
    for (let i = 0; i < microtasks; i++) await Promise.resolve();
    const second = append(2);
    await first;
    for (let i = 0; i < 3; i++) await nextTurn();
    assertEquals(committed, [1, 2], `appended after ${microtasks} microtasks`);
    await second;
    await log.close();
  }
});

Deno.test("A group holds what is what its digest says, in order, and tells each of the others why it is not kept", () => {
  const salt = new Uint8Array(SALT_BYTES).fill(7);
  const blobs = fc.array(
    fc.record({
      size: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 200_000 })),
      fn: fc.nat({ max: DIGEST_FUNCTIONS.length - 2 }), // but SHA256TREE, which is like SHA256
      lies: fc.boolean(),
      checked: fc.boolean(),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(blobs, (given) => {
      const group = new Group(new Uint8Array(5 << 20));
      const added = given.map(({ size, fn, lies, checked }, i) => {
        const data = new Uint8Array(size).fill(i + 1);
        const digest = digestOf(DIGEST_FUNCTIONS[fn], data);
        const hash = Uint8Array.fromHex(digest.hash);
        const sent = lies ? new Uint8Array(size + 1) : data.slice();
        const record = { kind: RecordKind.BLOB, fnValue: digest.fn.value, hash, sizeBytes: size, data: sent };
        const pending = group.add(record, salt, checked ? digest : undefined);
        sent.fill(99); // too late: it was copied
        return { pending, digest, good: !lies || !checked, length: recordBytes(hash.length, sent.length) };
      });
      group.seal();
      const kept = added.filter(({ good }) => good);
      assertEquals(group.entries.length, kept.length);
      assertEquals(group.used, kept.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const { digest, length } of kept) {
        const read = decodeRecord(group.buffer.subarray(0, group.used), at, salt);
        assert(typeof read === "object");
        assertEquals([read.hash.toHex(), read.fnValue], [digest.hash, digest.fn.value]);
        at += length;
      }
      for (const { pending, good } of added) {
        assertEquals(pending.error?.code, good ? undefined : Code.INVALID_ARGUMENT);
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("A group of nothing but lies is not written", async () => {
  const gate = Promise.withResolvers<void>();
  gate.resolve();
  let committed = 0;
  const log = new SegmentLog({
    files: instantFiles(gate),
    dir: "",
    salt: new Uint8Array(SALT_BYTES),
    segmentBytes: 1 << 20,
    groupBytes: 1 << 16,
    pendingBytes: 1 << 20,
    clock: systemClock,
    log: noLog,
    onCommitted: (records) => committed += records.length,
    segments: [],
  });
  const [fn] = DIGEST_FUNCTIONS;
  const digest = digestOf(fn, new Uint8Array(10));
  const ends = await Promise.allSettled(
    [1, 2, 3].map((seed) => log.append(HASH_BYTES, 10, () => record(seed), digest)),
  );
  assertEquals(ends.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  assertEquals([committed, log.segmentCount], [0, 0]);
  await log.append(HASH_BYTES, 10, () => ({ ...record(0), data: new Uint8Array(10) }), digest);
  assertEquals([committed, log.segmentCount], [1, 1]);
  await log.close();
});
