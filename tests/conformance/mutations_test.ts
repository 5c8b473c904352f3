/** The suite itself under test: servers that misbehave in one chosen way each, and the rules that must notice. */

import { assertEquals } from "@std/assert";
import { startGrid } from "@brokkr/cli/up";
import { Mutant } from "./_mutant.ts";
import { type Case, CASES } from "./_mutations.ts";
import { parseEndpoint } from "./main.ts";
import { groupOf, GROUPS, RULES } from "./rules.ts";
import { Target } from "./runner.ts";
import { Wire } from "./wire.ts";

Deno.test("The rules notice servers that misbehave", async (t) => {
  await using grid = await startGrid({ slots: 8 });
  const { host, port } = parseEndpoint(grid.endpoint);
  await using upstream = new Wire({ host, port });
  const judge = async (mutation: Case) => {
    await using mutant = await Mutant.start(upstream, mutation);
    const { timeoutMs } = mutation;
    await using target = await Target.connect({
      wire: { host: "127.0.0.1", port: mutant.port, timeoutMs },
      instance: "mutants",
      actionTimeoutMs: timeoutMs,
      patienceMs: mutation.manner === "late" ? 2000 : undefined,
    });
    const results: Record<string, string> = {};
    const rules = RULES.filter(({ id }) => mutation.breaks.includes(id));
    for (const { rule, result, reason } of await Promise.all(target.judgeAll(rules, 4))) {
      results[rule.id] = result === "skip" ? `skip: ${reason}` : result;
    }
    return results;
  };
  const all = [...new Set(CASES.flatMap(({ breaks }) => breaks))];
  await t.step("A proxy that changes nothing breaks none of them", async () => {
    const results = await judge({ name: "honest", breaks: all });
    assertEquals(Object.entries(results).filter(([, result]) => result !== "pass"), []);
  });
  for (const one of CASES) {
    await t.step(`A server that ${one.name} breaks ${one.breaks.join(", ")}`, async () => {
      assertEquals(await judge(one), Object.fromEntries(one.breaks.map((id) => [id, "fail"]).sort()));
    });
  }
});

Deno.test("Every group has a mutation that one of its rules must notice", () => {
  const groups = new Set(CASES.flatMap(({ breaks }) => breaks.map(groupOf)));
  assertEquals(Object.keys(GROUPS).filter((group) => !groups.has(group)), []);
});
