// The scrubber in the background, and what it and readers do about damage beyond finding it.

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import {
  Code,
  ManualClock,
  noLog,
  noMetrics,
  seededRandom,
  systemClock,
  yieldToEventLoop,
} from "@brokkr/common";
import type { Metrics } from "@brokkr/common";
import { CasClient } from "../client/mod.ts";
import { SHA256 } from "../digest.ts";
import { startTestServer } from "../services/_test_server.ts";
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
import { FaultyFiles } from "./_faulty_files.ts";
import type { BlobSource } from "./_mender.ts";
import { Quarantine } from "./_quarantine.ts";
import { dataOffset, fetched, filePath, filled, quarantined, until, verified } from "./_rot_testing.ts";
import { systemFiles } from "./file_layer.ts";
import { MemoryBlobStore } from "./memory_store.ts";

const SMALL = [blob(100, 1), blob(5000, 2), blob(MIB, 4)];
const LARGE = [blob(MIB + 1, 5), blob(3 * MIB, 6)];
const ALL = [...SMALL, ...LARGE];
const DAY_MS = 24 * 3_600_000;

/** Instruments that remember. */
function counting(): { metrics: Metrics; value: (name: string) => number } {
  const values = new Map<string, number>();
  const instrument = (name: string) => ({
    add: (by: unknown, value = 1) =>
      void values.set(name, (values.get(name) ?? 0) + (typeof by === "number" ? by : value)),
    set: (value: number) => void values.set(name, value),
  });
  const metrics = { ...noMetrics, counter: instrument, gauge: instrument } as unknown as Metrics;
  return { metrics, value: (name) => values.get(name) ?? 0 };
}

/** Moves a clock on until `done`, giving what was begun time to end. */
async function advanceUntil(clock: ManualClock, stepMs: number, done: () => boolean): Promise<void> {
  while (!done()) {
    clock.advance(stepMs);
    for (let i = 0; i < 20 && !done(); i++) await yieldToEventLoop();
  }
}

Deno.test("The scrubber reads everything at its rate, finds damage, and begins again after a day", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const { metrics, value } = counting();
    await using store = await filled(dir, ALL, { clock, metrics, scrubBytesPerSecond: MIB });
    const [segment] = await segmentPaths(dir);
    await flipByte(segment, dataOffset(SMALL, SMALL[1]));
    const beganMs = clock.monotonicMs();
    await advanceUntil(clock, 100, () => value("brokkr_cas_scrub_round_end_seconds") > 0);
    const tookMs = clock.monotonicMs() - beganMs;
    const bytes = value("brokkr_cas_scrubbed_bytes_total");
    // All of 5 MiB and a bit at 1 MiB a second, after a rest of a minute; the last piece need not be waited for.
    assertGreater(bytes, 5 * MIB);
    assertGreater(tookMs, 60_000 + (bytes / MIB - 2) * 1000);
    assertEquals(value("brokkr_cas_scrub_damaged_total"), 1);
    assertEquals(value("brokkr_cas_damaged_total"), 1);
    assertEquals(value("brokkr_cas_scrub_progress"), 1);
    assertEquals(await missing(store, ALL), [1]);
    clock.advance(DAY_MS - (clock.monotonicMs() - beganMs) - 1000);
    for (let i = 0; i < 100; i++) await yieldToEventLoop();
    assertEquals(value("brokkr_cas_scrubbed_bytes_total"), bytes);
    await advanceUntil(clock, 1000, () => value("brokkr_cas_scrubbed_bytes_total") > bytes);
    assertLess(clock.monotonicMs() - beganMs, DAY_MS + 120_000);
  }));

Deno.test("The scrubber goes on after a restart where it was", () =>
  withDir(async (dir) => {
    const blobs = Array.from({ length: 20 }, (_, i) => blob(100_000 + i, i));
    const options = { segmentBytes: 100_000, scrubBytesPerSecond: 100_000 };
    let first: number;
    {
      const clock = new ManualClock();
      const { metrics, value } = counting();
      await using _store = await filled(dir, [...blobs, ...LARGE], { ...options, clock, metrics });
      await advanceUntil(clock, 500, () => value("brokkr_cas_scrubbed_bytes_total") > MIB);
      first = value("brokkr_cas_scrubbed_bytes_total");
    }
    const note = JSON.parse(await Deno.readTextFile(`${dir}/SCRUB`));
    assertGreater(note.position.segment, 5);
    const clock = new ManualClock();
    const { metrics, value } = counting();
    await using _store = await filled(dir, [], { ...options, clock, metrics });
    await advanceUntil(clock, 1000, () => value("brokkr_cas_scrub_round_end_seconds") > 0);
    const total = 20 * 100_000 + 4 * MIB;
    assertLess(value("brokkr_cas_scrubbed_bytes_total"), total - 8 * 100_000);
    assertGreater(first + value("brokkr_cas_scrubbed_bytes_total"), total);
  }));

Deno.test("A note of the scrubber that is damaged has it begin anew", () =>
  withDir(async (dir) => {
    for (const text of ["", "{", "[]", '{"roundBeganMs":1,"roundEndedMs":-1,"bytes":0}', "x".repeat(9000)]) {
      await Deno.writeTextFile(`${dir}/SCRUB`, text).catch(() => {});
      const clock = new ManualClock();
      const { metrics, value } = counting();
      await using _store = await filled(`${dir}/s`, SMALL, { clock, metrics, scrubBytesPerSecond: 1e9 });
      await Deno.writeTextFile(`${dir}/s/SCRUB`, text);
      await advanceUntil(clock, 10_000, () => value("brokkr_cas_scrub_round_end_seconds") > 0);
    }
  }));

Deno.test("Verifying ends when its signal is aborted, when nobody looks, and when the store is closed", () =>
  withDir(async (dir) => {
    const store = await filled(dir, ALL);
    // The store's own timers keep no process alive.
    const alive = setInterval(() => {}, 1000);
    const verify = (signal?: AbortSignal) => store.keeper.verify({ bytesPerSecond: 1000, signal });
    await rejectsWith(Code.CANCELLED, async () => {
      const controller = new AbortController();
      for await (const _ of verify(controller.signal)) controller.abort();
    });
    for await (const { totalBytes } of verify()) {
      assertGreater(totalBytes, 5 * MIB);
      break;
    }
    let closing: PromiseLike<void> | undefined;
    await rejectsWith(Code.UNAVAILABLE, async () => {
      for await (const _ of verify()) closing ??= store[Symbol.asyncDispose]();
    });
    await closing;
    clearInterval(alive);
  }));

Deno.test("Verifying beside eviction, deletes and uploads finds nothing wrong", () =>
  withDir(async (dir) => {
    const { metrics, value } = counting();
    const options = { metrics, maxBytes: 24 * MIB, segmentBytes: MIB, headroomBytes: 0 };
    await using store = await filled(dir, [], options);
    let rounds = 0;
    let done = false;
    const verifying = (async () => {
      while (!done) {
        assertEquals((await verified(store)).damaged, []);
        rounds++;
      }
    })();
    for (let i = 0; i < 1500; i += 10) {
      const some = Array.from({ length: 10 }, (_, j) => blob(20_000 + 31 * j + (j === 9 ? MIB : 0), i + j));
      await Promise.all(some.map((one) => put(store, one)));
      await store.delete(SCOPE, some[3].digest);
      await store.delete(SCOPE, some[9].digest);
      if (i % 50 === 0) await put(store, some[9]);
    }
    done = true;
    await verifying;
    assertGreater(rounds, 2);
    assertGreater((await store.keeper.usage()).evicted.blobs, 500);
    assertEquals(value("brokkr_cas_damaged_total"), 0);
  }));

Deno.test("What is damaged or gone is fetched again from another store", async (t) => {
  await using memory = new MemoryBlobStore(64 * MIB);
  await using served = new MemoryBlobStore(64 * MIB);
  for (const one of ALL) await Promise.all([put(memory, one), put(served, one)]);
  await using server = await startTestServer({ store: served });
  const client = new CasClient({
    channel: server.channel,
    instance: "",
    fn: SHA256,
    random: seededRandom(1),
    clock: systemClock,
  });
  const sources: Record<string, BlobSource> = {
    "in memory": memory,
    "behind gRPC": { read: (_scope, digest, range, signal) => client.read(digest, range, { signal }) },
  };
  for (const [where, repairFrom] of Object.entries(sources)) {
    await t.step(`${where}, found by verifying`, () =>
      withDir(async (dir) => {
        const { metrics, value } = counting();
        await using store = await filled(dir, ALL, { repairFrom, metrics });
        const [segment] = await segmentPaths(dir);
        await flipByte(segment, dataOffset(SMALL, SMALL[0]));
        await flipByte(filePath(dir, LARGE[0]), 77);
        await Deno.remove(filePath(dir, LARGE[1]));
        const { damaged } = await verified(store);
        assertEquals(damaged.map(({ outcome }) => outcome), ["repaired", "repaired", "repaired"]);
        assertEquals(value("brokkr_cas_repaired_total"), 3);
        assertEquals((await quarantined(dir)).size, 2);
        await assertHolds(store, ALL);
        assertEquals((await verified(store)).damaged, []);
      }));
    await t.step(`${where}, found by a read`, () =>
      withDir(async (dir) => {
        await using store = await filled(dir, ALL, { repairFrom });
        await flipByte(filePath(dir, LARGE[0]), 77);
        await rejectsWith(Code.DATA_LOSS, () => fetched(store, LARGE[0]));
        await until(() => missing(store, ALL), (those) => those.length === 0);
        await assertHolds(store, ALL);
      }));
  }
  await t.step("that has something else under its name: it stays missing", () =>
    withDir(async (dir) => {
      const lying: BlobSource = {
        async *read() {
          yield await Promise.resolve(new Uint8Array(100));
        },
      };
      await using store = await filled(dir, ALL, { repairFrom: lying });
      const [segment] = await segmentPaths(dir);
      await flipByte(segment, dataOffset(SMALL, SMALL[0]));
      const { damaged } = await verified(store);
      assertEquals(damaged.map(({ outcome }) => outcome), ["quarantined"]);
      assertEquals(await missing(store, ALL), [0]);
    }));
});

Deno.test("A quarantine keeps to its bounds, the oldest going first, also over restarts", () =>
  withDir(async (dir) => {
    const clock = new ManualClock();
    const parts = { files: systemFiles, dir: `${dir}/q`, clock, random: seededRandom(3), log: noLog };
    const note = (n: number) => ({ where: `${n}`, expected: "", found: "" });
    let quarantine = new Quarantine({ ...parts, maxEntries: 5, maxBytes: 100_000 });
    for (let n = 0; n < 4; n++) {
      clock.advance(10);
      assert(await quarantine.keepBytes(note(n), new Uint8Array(1000)) !== undefined);
    }
    quarantine = new Quarantine({ ...parts, maxEntries: 5, maxBytes: 100_000 });
    for (let n = 4; n < 8; n++) {
      clock.advance(10);
      await quarantine.keepBytes(note(n), new Uint8Array(1000));
    }
    assertEquals(await kept(`${dir}/q`), ["3", "4", "5", "6", "7"]);
    clock.advance(10);
    await Deno.writeFile(`${dir}/big`, new Uint8Array(98_000));
    assert(await quarantine.keepFile(note(8), `${dir}/big`) !== undefined);
    assertEquals(await kept(`${dir}/q`), ["8"]);
    // Larger than all of it: it goes.
    await Deno.writeFile(`${dir}/big`, new Uint8Array(100_001));
    assertEquals(await quarantine.keepFile(note(9), `${dir}/big`), undefined);
    assertEquals(await systemFiles.size(`${dir}/big`), undefined);
    assertEquals(await kept(`${dir}/q`), ["8"]);
  }));

Deno.test("On a full disk what is damaged is dropped, and counts as missing all the same", () =>
  withDir(async (dir) => {
    const files = new FaultyFiles(systemFiles);
    await using store = await filled(dir, ALL, { files });
    files.fault = (operation, path) =>
      operation === "write" && path.includes("quarantine") ? "ENOSPC" : undefined;
    await flipByte(filePath(dir, LARGE[0]), 9);
    const [segment] = await segmentPaths(dir);
    await flipByte(segment, dataOffset(SMALL, SMALL[0]));
    const { damaged } = await verified(store);
    assertEquals(damaged.map(({ outcome }) => outcome), ["left", "left"]);
    assertEquals(await systemFiles.size(filePath(dir, LARGE[0])), undefined);
    assertEquals((await systemFiles.list(`${dir}/quarantine`)).length, 0);
    assertEquals(await missing(store, ALL), [0, 3]);
  }));

async function kept(dir: string): Promise<string[]> {
  const wheres: string[] = [];
  for (const { name } of await systemFiles.list(dir)) {
    if (name.endsWith(".json")) wheres.push(JSON.parse(await Deno.readTextFile(`${dir}/${name}`)).where);
  }
  return wheres.sort();
}
