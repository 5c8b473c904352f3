/** A real grid against every rule. What it does not keep is listed here, with the reason, and nowhere else. */

import { assertEquals } from "@std/assert";
import { startGrid } from "@brokkr/cli/up";
import { parseEndpoint } from "./main.ts";
import { rulesTable } from "./report.ts";
import { groupOf, GROUPS, RULES } from "./rules.ts";
import { Target, type Verdict } from "./runner.ts";

/** Rules that are to be kept and are not yet. One that is kept must leave this list. */
const PENDING: Readonly<Record<string, string>> = {
  "GRPC-36": "grpc-js takes every compressed flag but 1 for 0",
};

/** Rules that are broken on purpose. */
const DELIBERATE: Readonly<Record<string, string>> = {
  "OUT-08": "clients of before 2.1, such as Bazel, rely on output directories being there",
};

/** Rules about what the grid does not offer. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  "CAP-12": "RepMaxCDC is not offered",
};

/** What a verdict should have been; undefined when it is that. */
function wrong({ rule: { id, source }, result, reason }: Verdict): string | undefined {
  const expected = id in PENDING || id in DELIBERATE ? "fail" : id in NOT_OFFERED ? "skip" : "pass";
  if (result === expected) return undefined;
  const listed = PENDING[id] ?? DELIBERATE[id] ?? NOT_OFFERED[id];
  if (result === "fail") return `${id} is broken: ${reason} (${source})`;
  if (result === "skip") return `${id} was skipped: ${reason}`;
  return `${id} is kept; take it off the list, where it stands because "${listed}"`;
}

Deno.test("A grid keeps every rule of the conformance suite", async (t) => {
  await using grid = await startGrid({ slots: 8 });
  const { host, port } = parseEndpoint(grid.endpoint);
  await using target = await Target.connect({ wire: { host, port }, instance: "conformance/suite" });
  const verdicts = target.judgeAll(RULES, 4);
  for (const [i, { id, title }] of RULES.entries()) {
    await t.step({
      name: `${id} ${title}`,
      fn: async () => assertEquals(wrong(await verdicts[i]), undefined),
      // Other rules are judged while one is waited for; the test around all of them looks at what is left.
      sanitizeOps: false,
      sanitizeResources: false,
    });
  }
});

Deno.test("Every rule has an id of its own, a known group and a source", () => {
  assertEquals(new Set(RULES.map(({ id }) => id)).size, RULES.length);
  assertEquals(new Set(RULES.map(({ id, title }) => `${groupOf(id)} ${title}`)).size, RULES.length, "titles");
  for (const { id, source } of RULES) {
    assertEquals([id, groupOf(id) in GROUPS, source.length > 5], [id, true, true]);
  }
});

Deno.test("Every exception names a rule", () => {
  for (const id of [PENDING, DELIBERATE, NOT_OFFERED].flatMap((list) => Object.keys(list))) {
    assertEquals(RULES.some((rule) => rule.id === id), true, id);
  }
});

Deno.test("docs/conformance.md has the table of the rules", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/conformance.md", import.meta.url));
  const [, table] = page.split("<!-- rules -->\n");
  assertEquals(
    table?.replace(/<!-- .* -->/g, "").trim(),
    rulesTable(RULES).trim(),
    "It is out of date; write it anew: deno run -A tests/conformance/document.ts",
  );
});
