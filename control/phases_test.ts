import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ExecutedActionMetadata, ExecutedActionMetadataCodec, type Init } from "@brokkr/proto";
import { actionPhases, type PhasedRecord } from "./phases.ts";
import { durationMs, timestampOf } from "./_times.ts";

type Step = PhasedRecord["steps"][number];

/** A worker's times, in its own milliseconds. */
function metadata(times: Readonly<Record<string, number>>): ExecutedActionMetadata {
  const init: Init<ExecutedActionMetadata> = Object.fromEntries(
    Object.entries(times).map(([name, ms]) => [`${name}Timestamp`, timestampOf(1e12 + ms)]),
  );
  return ExecutedActionMetadataCodec.decode(ExecutedActionMetadataCodec.encode(init));
}

function step(kind: Step["kind"], startMs: number, worker = ""): Step {
  return { kind, startMs, worker };
}

const WHOLE = metadata({
  workerStart: 0,
  inputFetchStart: 1,
  inputFetchCompleted: 11,
  executionStart: 14,
  executionCompleted: 64,
  outputUploadStart: 65,
  outputUploadCompleted: 75,
  workerCompleted: 76,
});

const CACHED: PhasedRecord["end"] = {
  result: undefined,
  response: new Uint8Array(),
  cached: true,
  code: 0,
  message: "",
  exitCode: 0,
};

function told(
  steps: readonly Step[],
  finishedMs: number | undefined,
  worker?: ExecutedActionMetadata,
  nowMs = 0,
  end?: PhasedRecord["end"],
): string {
  const phases = actionPhases({ createdMs: 1000, finishedMs, steps, end }, worker, nowMs);
  return phases.map(({ name, duration }) => `${name} ${durationMs({ seconds: 0, nanos: 0, ...duration })}`)
    .join(", ");
}

const CHECK = step("cache check", 1000);

for (
  const [what, actual, expected] of [
    ["a cached action", told([CHECK], 1004, WHOLE, 0, CACHED), "cache check 4, total 4"],
    [
      "an executed action",
      told([CHECK, step("queued", 1002), step("on worker", 1010, "w1")], 1090, WHOLE),
      "cache check 2, queued 8, begin 1, fetch inputs 10, set up 3, execute 50, tear down 1, " +
      "upload outputs 10, clean up 1, report 4, total 90",
    ],
    [
      "an action on a worker that tells no times",
      told([CHECK, step("queued", 1002), step("on worker", 1010, "w1")], 1090, metadata({})),
      "cache check 2, queued 8, on worker 80, total 90",
    ],
    [
      "a timed-out action that uploaded nothing",
      told(
        [CHECK, step("queued", 1002), step("on worker", 1010, "w1")],
        1090,
        metadata({ workerStart: 5, executionStart: 10, executionCompleted: 70 }),
      ),
      "cache check 2, queued 8, set up 5, execute 60, report 15, total 90",
    ],
    [
      "an action cancelled in the queue",
      told([CHECK, step("queued", 1001)], 1051),
      "cache check 1, queued 50, total 51",
    ],
    [
      "an action cancelled on its worker",
      told([CHECK, step("queued", 1001), step("on worker", 1002, "w1")], 1051),
      "cache check 1, queued 1, on worker 49, total 51",
    ],
    [
      "an action that lost its worker and ran on another",
      told(
        [
          CHECK,
          step("queued", 1001),
          step("on worker", 1003, "w1"),
          step("queued", 1103),
          step("on worker", 1104, "w2"),
        ],
        1190,
        WHOLE,
      ),
      "cache check 1, queued 2, in vain on w1 100, queued again 1, begin 1, fetch inputs 10, set up 3, " +
      "execute 50, tear down 1, upload outputs 10, clean up 1, report 10, total 190",
    ],
    [
      "an operation that joined a running action",
      told([CHECK, step("on worker", 1001, "w1")], 1031, WHOLE),
      "cache check 1, fetch inputs 0, execute 18, tear down 1, upload outputs 10, clean up 1, total 31",
    ],
    [
      "an action that waits",
      told([CHECK, step("queued", 1001)], undefined, undefined, 1500),
      "cache check 1, queued 499, total 500",
    ],
  ] as const
) {
  Deno.test(`actionPhases tells where the time of ${what} went`, () => assertEquals(actual, expected));
}

Deno.test("actionPhases adds up and leaves no gap whatever a worker claims", () => {
  const moments = fc.dictionary(
    fc.constantFrom(
      "workerStart",
      "inputFetchStart",
      "inputFetchCompleted",
      "executionStart",
      "executionCompleted",
      "outputUploadStart",
      "outputUploadCompleted",
      "workerCompleted",
    ),
    fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  );
  const gaps = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 8 });
  const kinds: readonly Step["kind"][] = ["queued", "on worker"];
  fc.assert(fc.property(moments, gaps, (times, waits) => {
    let atMs = 1000;
    const steps = [CHECK, ...waits.map((ms, i) => step(kinds[i % 2], atMs += ms, i % 2 === 0 ? "" : "w"))];
    const phases = actionPhases(
      { createdMs: 1000, finishedMs: atMs + 3.3, steps, end: undefined },
      metadata(times),
      0,
    );
    const total = phases.pop();
    let sumMs = 0;
    for (const { start, duration } of phases) {
      const zero = { seconds: 0, nanos: 0 };
      assertEquals(Math.round(durationMs({ ...zero, ...start }) * 1000), Math.round(sumMs * 1000));
      sumMs += durationMs({ ...zero, ...duration });
    }
    assertEquals(
      Math.round(durationMs({ seconds: 0, nanos: 0, ...total?.duration }) * 1000),
      Math.round(sumMs * 1000),
    );
  }));
});
