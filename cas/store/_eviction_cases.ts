/**
 * What every store that makes room for itself promises, as cases that run against each of them.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, yieldToEventLoop } from "@brokkr/common";
import { ActionResultCodec } from "@brokkr/proto";
import { ActionCache } from "../action_cache/action_cache.ts";
import { departuresOf } from "../action_cache/sweeper.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import {
  type Blob,
  blob,
  blobs,
  drain,
  type EvictionKind,
  fillWithPromises,
  HOUR,
  MAX_BYTES,
  MIB,
  MINUTE,
  rejectsWith,
  SCOPE,
  Subject,
} from "./_eviction_subject.ts";

/** A case. */
export interface EvictionCase {
  /** What it shows, as the end of a sentence about the store. */
  readonly name: string;
  /** Runs it. */
  run(kind: EvictionKind, dir: string): Promise<void>;
}

const LAST_USE_CASES: readonly EvictionCase[] = [
  {
    name: "lets go what was not used for longest, and no more than it must",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const all = await subject.fill(200, 1000);
      const left = await subject.left(all);
      assertEquals(left, all.map((_, i) => i).slice(-left.length), "others went before older ones");
      assert(left.length > 50, `only ${left.length} are left`);
      await subject.assertHolds(left.map((i) => all[i]));
    },
  },
  {
    name: "keeps what is read or stored again",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store } = subject;
      const [got, read, stored, unused] = [blobs(8, 0), blobs(8, 10), blobs(8, 20), blobs(8, 30)];
      await subject.put(...got, ...read, ...stored, ...unused);
      await subject.fill(150, 1000, async () => {
        if (subject.clock.monotonicMs() % (5 * MINUTE) !== 0) return;
        for (const { digest } of got) await store.get(SCOPE, digest);
        for (const { digest } of read) await drain(store, digest);
        await subject.put(...stored);
      });
      await subject.assertHolds([...got, ...read, ...stored]);
      await subject.assertGone(unused);
    },
  },
  {
    name: "keeps nothing for who only looks",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const looked = blobs(20);
      await subject.put(...looked);
      await subject.fill(150, 1000, () => subject.left(looked));
      await subject.assertGone(looked);
    },
  },
  {
    name: "misses what it let go, and takes it again",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store } = subject;
      const [small, large] = [blob(1), blob(2, 1_500_000)];
      await subject.put(small, large);
      const before = departuresOf(store);
      await subject.fill(150, 1000);
      assert(departuresOf(store) > before, "it tells that blobs went");
      for (const one of [small, large]) {
        assertEquals(await subject.ask([one]), 1);
        await rejectsWith(Code.NOT_FOUND, () => store.get(SCOPE, one.digest));
        await rejectsWith(Code.NOT_FOUND, () => drain(store, one.digest));
        assertEquals(await store.delete(SCOPE, one.digest), false);
        await subject.put(one);
        await subject.assertHolds([one]);
      }
    },
  },
  {
    name: "goes on with a read that had begun when its blob went",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const one = blob(1, 3 * MIB + 5);
      await subject.put(one);
      const reader = subject.store.read(SCOPE, one.digest)[Symbol.asyncIterator]();
      const whole = new Uint8Array(one.data.length);
      let length = 0;
      for (let step = await reader.next(); step.done !== true; step = await reader.next()) {
        whole.set(step.value, length);
        if (length === 0) {
          await subject.fill(100, 1000);
          await subject.assertGone([one]);
        }
        length += step.value.length;
      }
      assertEquals(length, one.data.length);
      assertEquals(whole, one.data);
    },
  },
];

const PROMISE_CASES: readonly EvictionCase[] = [
  {
    name: "keeps what it said to be there as long as promised, and no longer",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir, { promiseMs: 4 * HOUR });
      const promised = blobs(20);
      await subject.put(...promised);
      assertEquals(await subject.ask(promised), 0);
      await subject.fill(220, 1000);
      await subject.assertHolds(promised.slice(0, 10));
      // Reading makes no promise any longer, but is a use.
      await subject.fill(150, 2000);
      await subject.assertGone(promised);
    },
  },
  {
    name: "keeps what is pinned for its time, and what is unpinned no longer",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const [pinned, unpinned, twice] = [blobs(10, 0), blobs(10, 20), blobs(10, 40)];
      await subject.put(...pinned, ...unpinned, ...twice);
      await subject.pin([...pinned, ...unpinned, ...twice], 2 * HOUR);
      // A shorter pin takes nothing from a longer one.
      await subject.pin(twice, MINUTE);
      await subject.pin(unpinned, 0);
      await subject.fill(110, 1000);
      assertEquals((await subject.left([...pinned, ...twice])).length, 20);
      await subject.assertGone(unpinned);
      await subject.fill(120, 2000);
      await subject.assertGone([...pinned, ...twice]);
    },
  },
  {
    name: "keeps what is pinned by hand whatever comes, and takes no more of that than its share",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const [pinned, others] = [blobs(50, 0), blobs(20, 100)];
      await subject.put(...pinned, ...others);
      await subject.pin(pinned, 24 * HOUR);
      const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, () => subject.pin(others, 24 * HOUR));
      assertStringIncludes(error.message, "cas_max_size");
      await subject.fill(150, 1000);
      subject.clock.advance(12 * HOUR);
      await subject.fill(100, 2000);
      assertEquals((await subject.left(pinned)).length, pinned.length);
      await subject.assertGone(others);
      subject.clock.advance(12 * HOUR);
      await subject.fill(150, 3000);
      await subject.assertGone(pinned);
    },
  },
  {
    name: "renews what is pinned by hand, which takes no more of its share for that",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const pinned = blobs(50, 0);
      await subject.put(...pinned);
      for (let i = 0; i < 3; i++) {
        await subject.pin(pinned, 24 * HOUR);
        subject.clock.advance(12 * HOUR);
      }
      await subject.fill(150, 1000);
      assertEquals((await subject.left(pinned)).length, pinned.length);
    },
  },
  {
    name: "breaks the oldest promises beyond their share of the store, and no others",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const promised = blobs(72);
      for (const one of promised) {
        subject.clock.advance(1000);
        await subject.put(one);
        await subject.ask([one]);
      }
      subject.clock.advance(11 * MINUTE);
      await subject.fill(100, 1000);
      const left = await subject.left(promised);
      assertEquals(left, promised.map((_, i) => i).slice(-left.length), "others went before older ones");
      const bytes = left.reduce((sum, i) => sum + promised[i].data.length, 0);
      const share = bytes / subject.maxBytes;
      // A store on disk lets go whole segments.
      assert(share > 0.6 && share <= 0.72, `what is promised takes ${share} of the store`);
    },
  },
  {
    name: "says that it is too small rather than take away what builds were promised a moment ago",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const promised = blobs(70);
      await subject.put(...promised);
      assertEquals(await subject.ask(promised), 0);
      subject.clock.advance(9 * MINUTE);
      const error = await fillWithPromises(subject, blobs(50, 1000));
      for (const words of ["smaller than what is built with it", "raise its limit", "cas_max_size"]) {
        assertStringIncludes(error.message, words);
      }
      await subject.checkLimit();
      await subject.assertHolds(promised);
      subject.clock.advance(11 * MINUTE);
      await subject.fill(20, 2000);
    },
  },
];

/** Stores a blob in one go or through a writer, looking at the limit again and again. */
async function storeInPieces(subject: Subject, { digest, data }: Blob, whole: boolean): Promise<void> {
  const { store } = subject;
  if (whole) {
    await store.put(SCOPE, digest, data);
  } else {
    await using writer = await store.writer(SCOPE, digest);
    for (let at = 0; at < data.length; at += 64 << 10) {
      await writer.write(data.subarray(at, at + (64 << 10)));
      await subject.checkLimit();
      await yieldToEventLoop();
    }
    await writer.commit();
  }
  await subject.checkLimit();
}

const LIMIT_CASES: readonly EvictionCase[] = [
  {
    name: "holds no more blobs than it may",
    async run(kind, dir) {
      const maxBlobs = 100;
      await using subject = await Subject.make(kind, dir, { maxBlobs, maxBytes: 64 * MIB });
      const all = blobs(400, 0, 50);
      for (const one of all) {
        subject.clock.advance(MINUTE);
        await subject.put(one);
        assert((await subject.store.stat()).blobs <= maxBlobs);
      }
      await subject.settle();
      const left = await subject.left(all);
      assertEquals(left, all.map((_, i) => i).slice(-left.length));
      assert(left.length > 60, `only ${left.length} are left`);
      const rest = left.map((i) => all[i]);
      await subject.ask(rest);
      const error = await fillWithPromises(subject, blobs(200, 1000, 50));
      assertStringIncludes(error.message, "cas_max_blobs");
      await subject.assertHolds(rest);
    },
  },
  {
    name: "refuses a blob that is larger than all of it, and lets nothing go for it",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store } = subject;
      const held = blobs(70);
      await subject.put(...held);
      const large = blob(1, MAX_BYTES + 1);
      const attempts = [
        () => store.put(SCOPE, large.digest, large.data),
        async () => {
          await using writer = await store.writer(SCOPE, large.digest);
          for (let at = 0; at < large.data.length; at += MIB) {
            await writer.write(large.data.subarray(at, at + MIB));
          }
          await writer.commit();
        },
      ];
      for (const attempt of attempts) {
        const error = await rejectsWith(Code.RESOURCE_EXHAUSTED, attempt);
        assertStringIncludes(error.message, "no place for one of this size");
        assertStringIncludes(error.message, "cas_max_size");
      }
      await subject.assertHolds(held);
    },
  },
  {
    name: "never takes more than it may, and all find room, however many store at once",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      // Far more at once than there is room for: those who come later wait for those before them.
      const all = [...blobs(60, 0), ...blobs(12, 100, 1_200_000)];
      await Promise.all(all.map((one, i) => storeInPieces(subject, one, i % 2 === 0)));
      await subject.settle();
      const left = await subject.left(all);
      assert(left.length > 0);
      await subject.assertHolds(left.map((i) => all[i]));
    },
  },
  {
    name: "gives back the room of what was begun and not ended",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store } = subject;
      for (let i = 0; i < 20; i++) {
        const one = blob(i, 3 * MIB);
        await using writer = await store.writer(SCOPE, one.digest);
        await writer.write(one.data.subarray(0, MIB));
        if (i % 2 === 0) await writer.abort();
        else {
          await writer.write(one.data.subarray(0, 2 * MIB));
          await rejectsWith(Code.INVALID_ARGUMENT, () => writer.commit());
        }
      }
      const held = blobs(50, 1000);
      await subject.put(...held);
      await subject.assertHolds(held);
    },
  },
];

/** An encoded result with these files. */
function resultOf(files: readonly Blob[]): Uint8Array {
  return ActionResultCodec.encode({
    outputFiles: files.map(({ digest: { hash, sizeBytes } }, i) => ({
      path: `f${i}`,
      digest: { hash, sizeBytes },
    })),
  });
}

const RESULT_CASES: readonly EvictionCase[] = [
  {
    name: "makes a miss of a result whose blob went, and the sweep drops it",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store, clock } = subject;
      await using metadata = new MemoryMetadataStore();
      await using cache = new ActionCache({ metadata, blobs: store, clock });
      const [kept, lost] = [blobs(5, 0), blobs(5, 10)];
      await subject.put(...kept, ...lost);
      await cache.update(SCOPE, kept[0].digest, resultOf(kept), "env");
      await cache.update(SCOPE, lost[0].digest, resultOf(lost), "env");
      const hit = async ([{ digest }]: readonly Blob[]) => (await cache.get(SCOPE, digest, "env")).hit;
      assertEquals([await hit(kept), await hit(lost)], [true, true]);
      // Longer than what was promised, with hits that promise anew; a result that is not asked for is not kept alive
      // by those who look at all of them.
      let dropped = 0;
      await subject.fill(300, 1000, async () => {
        if (clock.monotonicMs() % (20 * MINUTE) !== 0) return;
        assertEquals(await hit(kept), true);
        await cache.usage();
        dropped += (await cache.sweep()).incomplete;
      });
      await subject.assertGone(lost);
      assertEquals([await hit(lost), dropped, await cache.count()], [false, 1, 1]);
      await subject.assertHolds(kept);
    },
  },
  {
    name: "holds all that a result names from the moment it is stored",
    async run(kind, dir) {
      await using subject = await Subject.make(kind, dir);
      const { store, clock } = subject;
      await using metadata = new MemoryMetadataStore();
      await using cache = new ActionCache({ metadata, blobs: store, clock });
      let stored = 0;
      for (let i = 0; i < 40; i++) {
        const files = blobs(3, 10 * i);
        clock.advance(MINUTE);
        // Others store at the same time, far more than there is room for.
        const noise = Promise.all(blobs(10, 10_000 + 10 * i).map((other) => subject.put(other)));
        await subject.put(...files);
        try {
          await cache.update(SCOPE, files[0].digest, resultOf(files), "env");
        } catch (error) {
          assert(error instanceof BrokkrError && error.code === Code.FAILED_PRECONDITION, String(error));
          await noise;
          continue;
        }
        await noise;
        stored++;
        await subject.put(...blobs(30, 20_000 + 30 * i));
        assert((await cache.get(SCOPE, files[0].digest, "env")).hit);
        await subject.assertHolds(files);
      }
      assert(stored > 20, `only ${stored} could be stored`);
    },
  },
];

/** All of them. */
export const EVICTION_CASES: readonly EvictionCase[] = [
  ...LAST_USE_CASES,
  ...PROMISE_CASES,
  ...LIMIT_CASES,
  ...RESULT_CASES,
];
