/**
 * Runs the tests: `deno task test`. With arguments it is `deno test` with them. Without, everything is run, in two lanes
 * side by side: tests that mostly wait (for emulated machines, for limits to pass) keep no processor busy, so the others
 * go on beside them. The lane that is not shown live is printed when both have ended, and the last line counts both.
 *
 * @module
 */

const FLAGS: readonly string[] = ["-A", "--no-prompt"];

/** Folders of the second lane: what waits most of its time and bears a busy machine. A variable may name others. */
const WAITING: readonly string[] = Deno.env.get("BROKKR_TEST_LANE")?.split(",") ??
  ["tests/vm", "tests/chaos", "tests/evil", "tests/faults", "tests/docs"];

/** Of two processors that both lanes want, the other lane gets some three quarters. */
const NICENESS = "5";

/** What Deno's last line counts. */
export interface Counts {
  readonly passed: number;
  readonly steps: number;
  readonly failed: number;
  readonly failedSteps: number;
  readonly ignored: number;
  readonly ignoredSteps: number;
}

const NONE: Counts = { passed: 0, steps: 0, failed: 0, failedSteps: 0, ignored: 0, ignoredSteps: 0 };

/**
 * Reads the last line that counts in what `deno test` printed; undefined where there is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { countsOf } from "./run_tests.ts";
 *
 * assertEquals(countsOf("ok | 12 passed (3 steps) | 0 failed | 2 ignored (3s)\n")?.ignored, 2);
 * ```
 */
export function countsOf(output: string): Counts | undefined {
  const line = output.split("\n").findLast((each) => /^(ok|FAILED) \| \d+ passed/.test(each));
  if (line === undefined) return undefined;
  const count = (what: string): [number, number] => {
    const found = new RegExp(`(\\d+) ${what}(?: \\((\\d+) steps?\\))?`).exec(line);
    return [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)];
  };
  const [[passed, steps], [failed, failedSteps], [ignored, ignoredSteps]] = [
    count("passed"),
    count("failed"),
    count("ignored"),
  ];
  return { passed, steps, failed, failedSteps, ignored, ignoredSteps };
}

/** The sum of counts. */
export function sum(all: readonly Counts[]): Counts {
  return all.reduce((one, other) => ({
    passed: one.passed + other.passed,
    steps: one.steps + other.steps,
    failed: one.failed + other.failed,
    failedSteps: one.failedSteps + other.failedSteps,
    ignored: one.ignored + other.ignored,
    ignoredSteps: one.ignoredSteps + other.ignoredSteps,
  }), NONE);
}

/** A line like Deno's last; `well` is whether every lane exited with 0. */
export function summary(counts: Counts, well: boolean, seconds: number): string {
  const part = (count: number, what: string, steps: number) =>
    `${count} ${what}${steps === 0 ? "" : ` (${steps} step${steps === 1 ? "" : "s"})`}`;
  const parts = [
    well ? "ok" : "FAILED",
    part(counts.passed, "passed", counts.steps),
    part(counts.failed, "failed", counts.failedSteps),
    ...(counts.ignored + counts.ignoredSteps === 0
      ? []
      : [part(counts.ignored, "ignored", counts.ignoredSteps)]),
  ];
  return `${parts.join(" | ")} (${Math.floor(seconds / 60)}m${Math.floor(seconds % 60)}s)`;
}

/** How a lane ended. */
interface Lane {
  readonly output: string;
  readonly code: number;
}

/** Runs one lane; shown as it comes, or kept and behind the other when both want a processor. */
async function lane(args: readonly string[], live: boolean): Promise<Lane> {
  const child = new Deno.Command("nice", {
    args: ["-n", live ? "0" : NICENESS, Deno.execPath(), "test", ...FLAGS, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const read = async (from: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const piece of from) {
      output += decoder.decode(piece, { stream: true });
      if (live) await show(piece);
    }
  };
  const [{ code }] = await Promise.all([child.status, read(child.stdout), read(child.stderr)]);
  return { output, code };
}

async function show(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

async function everything(): Promise<number> {
  const startMs = performance.now();
  const [shown, kept] = await Promise.all([
    lane(["--doc", `--ignore=${WAITING.join(",")}`], true),
    lane(["--doc", ...WAITING], false),
  ]);
  await show(new TextEncoder().encode(`\n--- ${WAITING.join(", ")}, which ran beside that\n${kept.output}`));
  const lanes = [shown, kept];
  const counts = lanes.map(({ output }) => countsOf(output));
  const well = lanes.every(({ code }) => code === 0) && counts.every((each) => each !== undefined);
  const total = sum(counts.map((each) => each ?? NONE));
  console.log(`\n${summary(total, well, (performance.now() - startMs) / 1000)}`);
  return well ? 0 : 1;
}

if (import.meta.main) {
  if (Deno.args.length === 0) Deno.exit(await everything());
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", ...FLAGS, ...Deno.args],
    stdin: "inherit",
  }).spawn().status;
  Deno.exit(code);
}
