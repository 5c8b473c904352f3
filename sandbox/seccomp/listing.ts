/**
 * Prints the policy for review: what becomes of every system call, and why.
 *
 * @module
 */

import { ARCHES, FOREIGN_ARCH, policy, type SeccompArch, UNNAMED } from "./policy.ts";
import type { Action, Case, Condition, Rule, SeccompOptions } from "./policy_types.ts";

const WIDTH = 110;
const INDENT = "           ";

const WORDS: Readonly<Partial<Record<Action, string>>> = {
  allow: "allowed",
  succeed: "returns 0",
  kill: "killed",
};

function word(action: Action): string {
  return WORDS[action] ?? action;
}

/** Items behind each other, as many to a line as fit. */
function wrapped(items: readonly string[], indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const [index, item] of items.entries()) {
    const text = index + 1 < items.length ? `${item}, ` : item;
    if (line.length + text.trimEnd().length > WIDTH && line !== indent) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += text;
  }
  return [...lines, line].map((line) => `${line}\n`).join("");
}

function shown(value: number): string {
  return value < 0x100 ? String(value) : `0x${value.toString(16)}`;
}

function condition({ arg, mask, is }: Condition, lead: string): string {
  const what = mask === undefined ? `argument ${arg}` : `argument ${arg} & ${shown(mask)}`;
  const values = Object.entries(is).map(([name, value]) => `${name} ${shown(value)}`);
  return `${INDENT}${lead} ${what} is\n${wrapped(values, `${INDENT}    `)}`;
}

function caseLines({ when, action, reason }: Case): string {
  const conditions = when.map((each, index) => condition(each, index === 0 ? `${word(action)} if` : "  and"));
  return conditions.join("") + (reason === undefined ? "" : `${INDENT}  because: ${reason}\n`);
}

function ruleLines(rule: Rule, calls: readonly string[]): string {
  const { cases, action, reason } = rule;
  const head = cases === undefined ? word(action) : "depends";
  const title = `${head.padEnd(INDENT.length)}${reason}\n${wrapped(calls, INDENT)}`;
  if (cases === undefined) return title;
  return `${title}${cases.map(caseLines).join("")}${INDENT}${word(action)} otherwise\n`;
}

/**
 * The policy for an architecture as text: rules by purpose, each with what happens, why, and the calls with their
 * numbers. Calls that the architecture does not have are left out. Only the lower 32 bits of arguments are compared.
 *
 * @example
 * ```ts
 * import { assertMatch } from "@std/assert";
 * import { seccompListing } from "./listing.ts";
 * assertMatch(seccompListing("x86_64"), /clone3 435/);
 * ```
 */
export function seccompListing(arch: SeccompArch, options: SeccompOptions = {}): string {
  const { calls, auditArch } = ARCHES[arch];
  const sections = policy(options).map(({ title, rules }) => {
    const lines = rules.flatMap((rule) => {
      const present = rule.calls.filter((name) => calls[name] !== undefined);
      return present.length === 0 ? [] : [ruleLines(rule, present.map((name) => `${name} ${calls[name]}`))];
    });
    return lines.length === 0 ? "" : `\n${title}\n\n${lines.join("")}`;
  });
  return `System calls of actions on ${arch}

${word(FOREIGN_ARCH).padEnd(INDENT.length)}The process, when a call comes in as one of any architecture but ${
    shown(auditArch)
  }
${
    word(UNNAMED).padEnd(INDENT.length)
  }Every number that is not listed here: newer than this list, or another ABI's
${sections.join("")}`;
}
