import { assertEquals } from "@std/assert";
import { type Counts, countsOf, sum, summary } from "./run_tests.ts";

const FULL: Counts = { passed: 12, steps: 3, failed: 1, failedSteps: 2, ignored: 4, ignoredSteps: 1 };
const FEW: Counts = { passed: 5, steps: 0, failed: 0, failedSteps: 0, ignored: 0, ignoredSteps: 0 };

const LINES: readonly (readonly [string, Counts])[] = [
  ["FAILED | 12 passed (3 steps) | 1 failed (2 steps) | 4 ignored (1 step) (29m34s)", FULL],
  ["ok | 5 passed | 0 failed (41ms)", FEW],
  ["ok | 5 passed | 0 failed | 0 ignored (2 steps) | 3 filtered out (1s)", { ...FEW, ignoredSteps: 2 }],
];

for (const [line, counts] of LINES) {
  Deno.test(`countsOf reads "${line}"`, () => {
    assertEquals(countsOf(`ok | 1 passed | 0 failed (1ms)\nmore\n${line}\n\nerror: Test failed\n`), counts);
  });
}

Deno.test("countsOf finds none where nothing was run to its end", () => {
  assertEquals(countsOf("running 2 tests from ./a_test.ts\nfirst ... ok (1ms)\n"), undefined);
});

Deno.test("What summary writes, countsOf reads", () => {
  for (const counts of [FULL, FEW, sum([FULL, FEW])]) {
    assertEquals(countsOf(summary(counts, true, 61)), counts);
  }
});

Deno.test("summary of what went well and of what did not", () => {
  assertEquals(summary(FEW, true, 61.9), "ok | 5 passed | 0 failed (1m1s)");
  assertEquals(
    summary(FULL, false, 1774),
    "FAILED | 12 passed (3 steps) | 1 failed (2 steps) | 4 ignored (1 step) (29m34s)",
  );
});

/** Runs the tests of two lanes, of which each has one file. */
async function run(shown: string, kept: string): Promise<{ code: number; last: string; text: string }> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-lanes-" });
  try {
    await Deno.mkdir(`${dir}/kept`);
    await Deno.writeTextFile(`${dir}/shown_test.ts`, shown);
    await Deno.writeTextFile(`${dir}/kept/kept_test.ts`, kept);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", new URL("run_tests.ts", import.meta.url).pathname],
      cwd: dir,
      env: { NO_COLOR: "1", BROKKR_TEST_LANE: "kept" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    return {
      code,
      last: text.trimEnd().split("\n").at(-1) ?? "",
      text: text + new TextDecoder().decode(stderr),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const PASSES = 'Deno.test("passes", () => {});\n';
const FAILS = 'Deno.test("fails", () => { throw new Error("on purpose"); });\n';
const BROKEN = 'throw new Error("not even loaded");\n';

const LANES: readonly (readonly [string, string, string, number, RegExp])[] = [
  ["both pass", PASSES, PASSES, 0, /^ok \| 2 passed \| 0 failed \(/],
  ["the one that is shown fails", FAILS, PASSES, 1, /^FAILED \| 1 passed \| 1 failed \(/],
  ["the one that is kept fails", PASSES, FAILS, 1, /^FAILED \| 1 passed \| 1 failed \(/],
  ["the one that is kept does not load", PASSES, BROKEN, 1, /^FAILED \| 1 passed \| \d failed \(/],
  ["the one that is kept has no tests", PASSES, "", 0, /^ok \| 1 passed \| 0 failed \(/],
];

for (const [what, shown, kept, expected, line] of LANES) {
  Deno.test(`Two lanes of which ${what}`, async () => {
    const { code, last, text } = await run(shown, kept);
    assertEquals([code, line.test(last)], [expected, true], text);
  });
}
