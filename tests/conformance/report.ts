/**
 * What a run prints: a table for people, JSON for programs, and the table of all rules for the documentation.
 *
 * @module
 */

import { groupOf, GROUPS } from "./rules.ts";
import type { Rule } from "./rule.ts";
import type { Verdict } from "./runner.ts";

/** How many verdicts there are of each kind. */
export interface Totals {
  readonly passed: number;
  /** Rules of level must that are broken. */
  readonly failed: number;
  /** Rules of level should that are broken. */
  readonly warnings: number;
  readonly skipped: number;
}

/** Counts verdicts. */
export function totals(verdicts: readonly Verdict[]): Totals {
  const count = (keep: (verdict: Verdict) => boolean) => verdicts.filter(keep).length;
  return {
    passed: count(({ result }) => result === "pass"),
    failed: count(({ result, rule }) => result === "fail" && rule.level === "must"),
    warnings: count(({ result, rule }) => result === "fail" && rule.level === "should"),
    skipped: count(({ result }) => result === "skip"),
  };
}

function mark({ result, rule }: Verdict): string {
  if (result === "pass") return "pass";
  if (result === "skip") return "skip";
  return rule.level === "must" ? "FAIL" : "warn";
}

/** The line of one verdict, and a second one with what is wrong. */
export function verdictLines(verdict: Verdict): string[] {
  const { rule, reason } = verdict;
  const lines = [`  ${mark(verdict)}  ${rule.id.padEnd(10)} ${rule.title}`];
  const indent = " ".repeat(19);
  if (verdict.result === "skip") lines.push(`${indent}skipped: ${reason}`);
  if (verdict.result === "fail") lines.push(`${indent}${reason}`, `${indent}rule: ${rule.source}`);
  return lines;
}

/** The last line of a report. */
export function summary(verdicts: readonly Verdict[]): string {
  const { passed, failed, warnings, skipped } = totals(verdicts);
  return `${passed} passed, ${failed} failed, ${warnings} warnings, ${skipped} skipped`;
}

/** The heading of a group. */
export function heading(group: string): string {
  return `${GROUPS[group] ?? group} (${group})`;
}

/** A report as JSON. */
export function jsonReport(endpoint: string, verdicts: readonly Verdict[]): string {
  const rules = verdicts.map(({ rule, result, reason, ms }) => ({
    id: rule.id,
    level: rule.level,
    title: rule.title,
    source: rule.source,
    result,
    ...reason === "" ? {} : { reason },
    ms: Math.round(ms),
  }));
  return JSON.stringify({ endpoint, ...totals(verdicts), rules }, null, 2);
}

const cell = (text: string) => text.replaceAll("|", "\\|");

/** All rules as tables of Markdown, a section for each group. */
export function rulesTable(rules: readonly Rule[]): string {
  const sections = Object.entries(GROUPS).map(([group, title]) => {
    const rows = rules.filter(({ id }) => groupOf(id) === group).map(({ id, title, level, source, needs }) =>
      `| ${id} | ${level} | ${cell(title)} | ${cell(source)} | ${(needs ?? []).join(", ")} |`
    );
    const head = [
      "| Rule | Level | What is true of a server that keeps it | Source | Needs |",
      "| --- | --- | --- | --- | --- |",
    ];
    return [`### ${title}`, "", ...head, ...rows].join("\n");
  });
  return sections.join("\n\n");
}
