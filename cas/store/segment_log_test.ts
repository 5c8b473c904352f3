import { assertEquals } from "@std/assert";
import { noLog, systemClock } from "@brokkr/common";
import { type FileLayer, type StoreFile, systemFiles } from "./file_layer.ts";
import { type Record, RecordKind, SALT_BYTES } from "./_record.ts";
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
