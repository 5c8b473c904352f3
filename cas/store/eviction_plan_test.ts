import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ageBucket,
  bucketAge,
  BUILD_SECONDS,
  type EvictionGoal,
  EvictionSurvey,
  pinKind,
  PROMISED_SHARE,
} from "./_eviction_plan.ts";

const NOW_S = 200_000_000;
const NOW_MS = 5_000_000;
const PROMISE_MS = 3 * 3_600_000;
const MOMENT = { nowS: NOW_S, nowMs: NOW_MS, promiseMs: PROMISE_MS };

interface Blob {
  readonly bytes: number;
  readonly ageS: number;
  readonly pinMs: number;
}

const AGE = fc.oneof(
  fc.nat({ max: 300 }),
  fc.integer({ min: BUILD_SECONDS - 20, max: BUILD_SECONDS + 20 }),
  fc.nat({ max: 40 * 86_400 }),
);
const PIN = fc.oneof(
  fc.constant(-NOW_MS),
  fc.integer({ min: -1000, max: 1000 }),
  fc.integer({ min: 1, max: PROMISE_MS }),
  fc.integer({ min: 2 * PROMISE_MS, max: 100 * PROMISE_MS }),
);
const BLOBS = fc.array(
  fc.record<Blob>({ bytes: fc.integer({ min: 1, max: 10_000 }), ageS: AGE, pinMs: PIN }),
  { maxLength: 60 },
);

function kind({ pinMs }: Blob) {
  return pinKind(NOW_MS + pinMs, MOMENT);
}

/** What must not go, said as plainly as can be: the list is sorted, and read off. */
function reference(blobs: readonly Blob[], goal: EvictionGoal) {
  const hand = blobs.filter((blob) => kind(blob) === "hand");
  const promised = blobs.filter((blob) => kind(blob) === "promise").sort((a, b) => b.ageS - a.ageS);
  const share = goal.limitBytes * PROMISED_SHARE - sum(hand);
  const demoted = new Set<Blob>();
  let left = sum(promised);
  for (let at = 0; at < promised.length && left > share;) {
    // Those of one age go together.
    const bucket = ageBucket(promised[at].ageS);
    if (bucket <= ageBucket(BUILD_SECONDS)) break;
    for (; at < promised.length && ageBucket(promised[at].ageS) === bucket; at++) {
      demoted.add(promised[at]);
      left -= promised[at].bytes;
    }
  }
  const may = blobs.filter((blob) => kind(blob) === "none" || demoted.has(blob)).sort((a, b) =>
    b.ageS - a.ageS
  );
  const goes = new Set<Blob>();
  let bytes = 0;
  for (let at = 0; at < may.length && (bytes < goal.bytes || goes.size < goal.blobs);) {
    const bucket = ageBucket(may[at].ageS);
    for (; at < may.length && ageBucket(may[at].ageS) === bucket; at++) {
      goes.add(may[at]);
      bytes += may[at].bytes;
    }
  }
  return { goes, bytes, enough: bytes >= goal.bytes && goes.size >= goal.blobs };
}

function sum(blobs: readonly Blob[]): number {
  return blobs.reduce((bytes, blob) => bytes + blob.bytes, 0);
}

Deno.test("a rule lets go exactly what a sorted list does", () => {
  fc.assert(fc.property(BLOBS, fc.nat({ max: 400_000 }), fc.nat({ max: 60 }), fc.nat({ max: 500_000 }), (
    blobs,
    bytes,
    count,
    limitBytes,
  ) => {
    const goal = { bytes, blobs: count, limitBytes };
    const survey = new EvictionSurvey(MOMENT);
    for (const blob of blobs) survey.add(blob.bytes, NOW_S - blob.ageS, NOW_MS + blob.pinMs);
    const rule = survey.rule(goal);
    const expected = reference(blobs, goal);
    const goes = blobs.filter((blob) => rule.verdict(NOW_S - blob.ageS, NOW_MS + blob.pinMs) !== "keep");
    assertEquals(new Set(goes), expected.goes);
    assertEquals(rule.goes, { blobs: goes.length, bytes: sum(goes) });
    assertEquals(rule.enough, expected.enough);
    const broken = goes.filter((blob) => rule.verdict(NOW_S - blob.ageS, NOW_MS + blob.pinMs) === "break");
    assertEquals(rule.broken, { blobs: broken.length, bytes: sum(broken) });
  }));
});

Deno.test("a rule never lets go what was pinned by hand, or promised within a build's length", () => {
  fc.assert(fc.property(BLOBS, fc.nat({ max: 500_000 }), (blobs, limitBytes) => {
    const survey = new EvictionSurvey(MOMENT);
    for (const blob of blobs) survey.add(blob.bytes, NOW_S - blob.ageS, NOW_MS + blob.pinMs);
    const { verdict } = survey.rule({ bytes: Infinity, blobs: Infinity, limitBytes });
    for (const blob of blobs) {
      const stays = kind(blob) === "hand" || (kind(blob) === "promise" && blob.ageS <= BUILD_SECONDS);
      if (stays) assertEquals(verdict(NOW_S - blob.ageS, NOW_MS + blob.pinMs), "keep");
    }
  }));
});

Deno.test("promises within their share of the store are kept, whatever else must go", () => {
  const survey = new EvictionSurvey(MOMENT);
  survey.add(700, NOW_S - 9000, NOW_MS + 1000);
  survey.add(300, NOW_S - 1, 0);
  const rule = survey.rule({ bytes: 1000, blobs: 0, limitBytes: 1000 });
  assertEquals(rule.verdict(NOW_S - 9000, NOW_MS + 1000), "keep");
  assertEquals(rule.verdict(NOW_S - 1, 0), "evict");
  assertEquals(rule.enough, false);
});

Deno.test("ages are numbered in order, exact while young and within a hundredth later", () => {
  fc.assert(fc.property(fc.nat({ max: 2 ** 31 }), fc.nat({ max: 2 ** 31 }), (a, b) => {
    if (a <= b) assert(ageBucket(a) <= ageBucket(b));
    const low = bucketAge(ageBucket(a));
    assert(low <= a && a - low <= a / 100, `${a} is in the bucket of ${low}`);
  }));
  assertEquals(ageBucket(-5), 0);
});
