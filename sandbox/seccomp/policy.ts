/**
 * The policy of system calls as a whole, and what it says about one call, worked out the slow and plain way: the
 * filter that the kernel runs is held against it in tests.
 *
 * @module
 */

import { ALLOWED_CALLS } from "./allowed_calls.ts";
import { AARCH64_CALLS } from "./calls_aarch64.ts";
import { X86_64_CALLS } from "./calls_x86_64.ts";
import { filteredCalls } from "./filtered_calls.ts";
import type { Action, CallName, Group, Rule, SeccompOptions } from "./policy_types.ts";
import { REFUSED_CALLS } from "./refused_calls.ts";

/** An architecture that there are filters for. */
export type SeccompArch = "x86_64" | "aarch64";

/** What a filter has to know of an architecture. */
export interface ArchFacts {
  /** How the kernel tells filters which architecture a call came from: AUDIT_ARCH of linux/audit.h. */
  readonly auditArch: number;
  /** Its call numbers. */
  readonly calls: Readonly<Partial<Record<CallName, number>>>;
}

/** The architectures there are filters for. */
export const ARCHES: Readonly<Record<SeccompArch, ArchFacts>> = {
  x86_64: { auditArch: 0xc000003e, calls: X86_64_CALLS },
  aarch64: { auditArch: 0xc00000b7, calls: AARCH64_CALLS },
};

/** What becomes of calls that come in as another architecture's: of 32-bit programs, or through their entry. */
export const FOREIGN_ARCH: Action = "kill";
/** What becomes of numbers that no rule names, x32's (from 0x40000000 up) among them. */
export const UNNAMED: Action = "ENOSYS";

/** All rules, grouped by purpose. */
export function policy(options: SeccompOptions = {}): readonly Group[] {
  return [...ALLOWED_CALLS, ...filteredCalls(options), ...REFUSED_CALLS];
}

/** A call as the kernel shows it to a filter. */
export interface Call {
  /** AUDIT_ARCH of the entry it came through. */
  readonly auditArch: number;
  /** Its number, unsigned. */
  readonly number: number;
  /** All six arguments, unsigned 64 bits each. */
  readonly args: readonly bigint[];
}

/** What a rule says about a call with these arguments. */
export function decideByRule(rule: Rule, args: readonly bigint[]): Action {
  for (const { when, action } of rule.cases ?? []) {
    const holds = when.every(({ arg, mask = 0xffffffff, is }) => {
      const looked = Number(args[arg] & BigInt(mask));
      return Object.values(is).includes(looked);
    });
    if (holds) return action;
  }
  return rule.action;
}

/** What the policy says about a call. */
export function decide(arch: SeccompArch, call: Call, options: SeccompOptions = {}): Action {
  const { auditArch, calls } = ARCHES[arch];
  if (call.auditArch !== auditArch) return FOREIGN_ARCH;
  for (const { rules } of policy(options)) {
    for (const rule of rules) {
      if (rule.calls.some((name) => calls[name] === call.number)) return decideByRule(rule, call.args);
    }
  }
  return UNNAMED;
}
