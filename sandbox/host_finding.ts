/**
 * What a check of the host found, and how a person reads it.
 *
 * @module
 */

/** Good; works with something missing; does not work. */
export type FindingLevel = "OK" | "WARN" | "FAIL";

/** One requirement of the sandbox, and what this host has of it. */
export interface Finding {
  /** Stable name for scripts, such as `user-namespaces`. */
  readonly id: string;
  /** What is required. */
  readonly requirement: string;
  /** Whether it is there. */
  readonly level: FindingLevel;
  /** What was found. */
  readonly found: string;
  /** Oldest kernel that has it. */
  readonly kernel?: string;
  /** What it means that it is missing; absent when it is there. */
  readonly meaning?: string;
  /** What mends it: a command where there is one; absent when it is there. */
  readonly remedy?: string;
}

/** Whether actions can be isolated on the host: nothing failed. */
export function isFunctional(findings: readonly Finding[]): boolean {
  return findings.every(({ level }) => level !== "FAIL");
}

const COLOURS: Readonly<Record<FindingLevel, string>> = { OK: "32", WARN: "33", FAIL: "31" };
const LEVEL_WIDTH = 4;

function paint(level: FindingLevel, colour: boolean): string {
  const text = level.padEnd(LEVEL_WIDTH);
  return colour ? `\x1b[${COLOURS[level]}m${text}\x1b[0m` : text;
}

function count(findings: readonly Finding[], level: FindingLevel): number {
  return findings.filter((finding) => finding.level === level).length;
}

/** Control characters shown and not obeyed: parts of this come from files of the host. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Findings as a table, what is amiss explained beneath its row, and the verdict in the last line.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { hostReport } from "@brokkr/sandbox";
 * const text = hostReport([{
 *   id: "swap",
 *   requirement: "Swap",
 *   level: "WARN",
 *   found: "2 GiB",
 *   meaning: "Actions may swap",
 *   remedy: "swapoff -a",
 * }]);
 * assertEquals(text, `WARN  Swap  2 GiB
 *             Actions may swap
 *             Remedy: swapoff -a
 *
 * The sandbox works here: 0 OK, 1 WARN, 0 FAIL
 * `);
 * ```
 */
export function hostReport(
  findings: readonly Finding[],
  options: { readonly colour?: boolean } = {},
): string {
  const width = Math.max(0, ...findings.map(({ requirement }) => requirement.length));
  const indent = " ".repeat(LEVEL_WIDTH + 2 + width + 2);
  let text = "";
  for (const { level, requirement, found, kernel, meaning, remedy } of findings) {
    const needs = kernel === undefined ? "" : ` (needs Linux ${kernel})`;
    text += `${paint(level, options.colour ?? false)}  ${requirement.padEnd(width)}  ${
      plain(found)
    }${needs}\n`;
    if (meaning !== undefined) text += `${indent}${plain(meaning)}\n`;
    if (remedy !== undefined) text += `${indent}Remedy: ${plain(remedy)}\n`;
  }
  const verdict = isFunctional(findings) ? "The sandbox works here" : "The sandbox does not work here";
  const counts = (["OK", "WARN", "FAIL"] as const).map((level) => `${count(findings, level)} ${level}`);
  return `${text}\n${verdict}: ${counts.join(", ")}\n`;
}
