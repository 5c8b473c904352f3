/**
 * Reads the report `deno test --junit-path` writes. Not an XML parser: it knows what that one program emits.
 *
 * @module
 */

/** What became of one test. */
export interface TestOutcome {
  /** The file it is in, as the report names it. */
  readonly file: string;
  /** The test's name. */
  readonly name: string;
  /** How it ended. */
  readonly state: "passed" | "failed" | "ignored";
  /** From its start to its end. */
  readonly ms: number;
  /** Why it failed, the failures of its steps included; empty otherwise. */
  readonly message: string;
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescape(text: string): string {
  return text.replaceAll(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (whole, hexadecimal?: string, decimal?: string, name?: string) => {
      if (hexadecimal) return String.fromCodePoint(parseInt(hexadecimal, 16));
      if (decimal) return String.fromCodePoint(Number(decimal));
      return ENTITIES[name ?? ""] ?? whole;
    },
  );
}

function attribute(tag: string, name: string): string {
  return unescape(new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? "");
}

/**
 * The tests of a report, each with its steps folded into it: a step is a test case of its own there, named
 * `test > step` and listed after its test.
 *
 * @example
 * ```ts
 * import { readJunit } from "./junit.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [test] = readJunit('<testcase name="a &lt; b" classname="./x_test.ts" time="0.250">\n</testcase>');
 * assertEquals(test, { file: "./x_test.ts", name: "a < b", state: "passed", ms: 250, message: "" });
 * ```
 */
export function readJunit(xml: string): TestOutcome[] {
  const tests: { file: string; name: string; state: TestOutcome["state"]; ms: number; message: string }[] =
    [];
  for (const [, tag, body] of xml.matchAll(/<testcase\b([^>]*)>(.*?)<\/testcase>/gs)) {
    const file = attribute(tag, "classname");
    const name = attribute(tag, "name");
    const failure = /<failure\b[^>]*>(.*?)<\/failure>/s.exec(body)?.[1];
    const message = failure === undefined ? "" : unescape(failure);
    const parent = tests.find((test) => test.file === file && name.startsWith(`${test.name} > `));
    if (parent === undefined) {
      const state = failure !== undefined ? "failed" : body.includes("<skipped") ? "ignored" : "passed";
      tests.push({ file, name, state, ms: Math.round(Number(attribute(tag, "time")) * 1000), message });
    } else if (failure !== undefined) {
      parent.state = "failed";
      parent.message += `\nstep ${name.slice(parent.name.length + 3)}: ${message}`;
    }
  }
  return tests;
}
