import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseEndpoint, select } from "./main.ts";
import { jsonReport, rulesTable, summary, totals, verdictLines } from "./report.ts";
import { RULES } from "./rules.ts";
import type { Verdict } from "./runner.ts";

const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);

async function conformance(...args: string[]) {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--quiet", MAIN, ...args],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
}

Deno.test("parseEndpoint takes hosts, addresses and ports", () => {
  assertEquals(parseEndpoint("grpc://a.example:81"), { host: "a.example", port: 81, tls: false });
  assertEquals(parseEndpoint("grpcs://a.example"), { host: "a.example", port: 443, tls: true });
  assertEquals(parseEndpoint("grpc://[::1]:5/"), { host: "::1", port: 5, tls: false });
  for (const wrong of ["", "a:1", "http://a:1", "grpc://", "grpc://a:1/x"]) {
    assertThrows(() => parseEndpoint(wrong), Error, "is no endpoint");
  }
});

Deno.test("select takes ids and groups, in any case", () => {
  assertEquals(select(undefined).length, RULES.length);
  assertEquals(select("read-03,FMB-01").map(({ id }) => id), ["READ-03", "FMB-01"]);
  assertEquals(select("inst").every(({ id }) => id.startsWith("INST-")), true);
  assertThrows(() => select("NO-99"), Error, "names no rule");
});

const VERDICTS: readonly Verdict[] = (["pass", "fail", "skip"] as const).flatMap((result) =>
  (["must", "should"] as const).map((level) => ({
    rule: { id: `X-${level}`, title: "A title", source: "a source", level, run: () => Promise.resolve() },
    result,
    reason: result === "pass" ? "" : "a reason",
    ms: 1.4,
  }))
);

Deno.test("A report tells failures of rules that must be kept from warnings", () => {
  assertEquals(totals(VERDICTS), { passed: 2, failed: 1, warnings: 1, skipped: 2 });
  assertEquals(summary(VERDICTS), "2 passed, 1 failed, 1 warnings, 2 skipped");
  const text = VERDICTS.flatMap(verdictLines).join("\n");
  for (const word of ["FAIL  X-must", "warn  X-should", "skipped: a reason", "rule: a source"]) {
    assertStringIncludes(text, word);
  }
  const json = JSON.parse(jsonReport("grpc://x:1", VERDICTS));
  assertEquals([json.endpoint, json.failed, json.rules.length], ["grpc://x:1", 1, 6]);
  assertEquals(json.rules[2], {
    id: "X-must",
    level: "must",
    title: "A title",
    source: "a source",
    result: "fail",
    reason: "a reason",
    ms: 1,
  });
});

Deno.test("The table of the rules has each of them once", () => {
  const rows = rulesTable(RULES).split("\n").filter((line) => /^\| [A-Z]+-\d/.test(line));
  assertEquals(rows.length, RULES.length);
});

Deno.test("A wrong command line, or nobody there, ends with 2 and says why", async () => {
  for (
    const [args, words] of [
      [[], "Name one endpoint"],
      [["grpc://127.0.0.1:1", "--nothing"], "--nothing is no flag"],
      [["grpc://127.0.0.1:1", "--only=XYZ"], "XYZ names no rule"],
      [["grpc://127.0.0.1:1", "--ca=/dev/null"], "grpcs://"],
      [["grpc://127.0.0.1:1"], "ECONNREFUSED"],
    ] as const
  ) {
    const { code, stderr } = await conformance(...args);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, words);
  }
});
