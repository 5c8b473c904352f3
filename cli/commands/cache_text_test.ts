/** What the commands that look after the store say. */

import { assertEquals, assertMatch } from "@std/assert";
import {
  GetStoreUsageResponseCodec,
  WhyGoneResponse_Reason as Reason,
  WhyGoneResponseCodec,
} from "@brokkr/proto";
import { collectedText, whyGoneText } from "./_cache_upkeep.ts";
import { usageText } from "./_cache_usage.ts";

const NOW_MS = Date.UTC(2026, 10, 21, 18, 23, 11);
const at = (ms: number) => ({ seconds: ms / 1000, nanos: 0 });
const gone = at(NOW_MS - 180_000);
const used = at(NOW_MS - 180_000 - 2 * 3_600_000);
const WHEN = "2026-11-21 18:20:11Z (3m00s ago)";

for (
  const [answer, text] of [
    [{ present: true }, "It is there"],
    [
      { gone, used, reason: Reason.EVICTED },
      `Evicted ${WHEN}, unused for 2h before; the store was at its limit`,
    ],
    [{ gone, reason: Reason.EVICTED }, `Evicted ${WHEN}; the store was at its limit`],
    [
      { gone, reason: Reason.PROMISE_BROKEN },
      `Evicted ${WHEN}, although a client had been told that it is there: the store is too small for what its builds ` +
      "use at a time",
    ],
    [{ gone, used, reason: Reason.DELETED }, `Deleted ${WHEN}, unused for 2h before`],
    [{ gone, reason: Reason.DAMAGED }, `Set aside ${WHEN}; it was damaged`],
    [{ gone, reason: Reason.COLLECTED }, `Evicted ${WHEN}; an operator made room ("brokk cache gc")`],
    [{ gone, reason: 99 }, `Gone ${WHEN}`],
    [{}, "It is not there, and not in the log of what went: it was never there, or went before"],
    [
      { logSince: at(NOW_MS - 86_400_000) },
      "It is not there, and not in the log of what went (which goes back to 2026-11-20 18:23:11Z): it was never there, " +
      "or went before",
    ],
  ] as const
) {
  Deno.test(`why-gone says: ${text.slice(0, 60)}`, () => {
    assertEquals(whyGoneText(WhyGoneResponseCodec.decode(WhyGoneResponseCodec.encode(answer)), NOW_MS), text);
  });
}

Deno.test("gc says what went, why it is not more, and how old it was", () => {
  const ages = [
    { upTo: { seconds: 3600, nanos: 0 }, count: { blobs: 0, bytes: 0 } },
    { upTo: undefined, count: { blobs: 2, bytes: 2048 } },
  ];
  const collected = {
    gone: { blobs: 2, bytes: 2048 },
    freedBytes: 4096,
    copiedBytes: 100,
    diskBytes: 1 << 20,
    ages,
  };
  assertEquals(
    collectedText({ ...collected, shortfall: "The rest is pinned" }, false),
    "2 blobs, 2.0 KiB evicted; 4.0 KiB freed by copying 100 B; 1.0 MiB are left on disk\n" +
      "Not less: The rest is pinned\n\nLAST USED     BLOBS  BYTES\nup to 1h ago  0      0 B\nover 1h ago   2      2.0 KiB\n",
  );
  const nothing = { gone: undefined, freedBytes: 0, copiedBytes: 0, diskBytes: 0, ages: [], shortfall: "" };
  assertEquals(
    collectedText(nothing, true),
    "No blob would be evicted; 0 B would be freed; 0 B would be left on disk\n",
  );
});

Deno.test("stat says how far back the cache reaches, and what the store warns of, as plain text", () => {
  const usage = GetStoreUsageResponseCodec.decode(GetStoreUsageResponseCodec.encode({
    blobs: { blobs: 1, bytes: 5 },
    diskBytes: 50,
    storedBytes: 40,
    savedBytes: 100,
    maxBytes: 200,
    maxBlobs: 7,
    evicted: { blobs: 3, bytes: 30 },
    brokenPromises: { blobs: 1, bytes: 9 },
    retention: { seconds: 3 * 3600, nanos: 0 },
    warning: "It is too small\x1b[31m",
    instances: [{ instanceName: "main", results: 2, bytes: 10 }, { results: 1, bytes: 5, unknown: true }],
  }));
  const text = usageText(usage);
  assertMatch(text, /^holds +1 blob, 5 B of at most 7 blobs\non disk +50 B of 200 B \(25 %\), /);
  assertMatch(text, /^compressed +140 B kept as 40 B \(3\.5 to 1\)$/m);
  assertMatch(
    text,
    /^evicted +3 blobs, 30 B since the start; what is evicted now had not been used for 3h$/m,
  );
  assertMatch(text, /^broken +1 blob, 9 B promised and evicted all the same$/m);
  assertMatch(text, /^warning +It is too small\\u001b\[31m$/m);
  assertMatch(text, /^INSTANCE +RESULTS +BYTES\nmain +2 +10 B\n\(not known\) +1 +5 B\n$/m);
});
