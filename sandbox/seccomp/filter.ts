/**
 * The policy as a program of the kernel's filter machine.
 *
 * @module
 */

import { assemble, DATA, Graph, type Node } from "./bpf.ts";
import { ARCHES, FOREIGN_ARCH, policy, type SeccompArch, UNNAMED } from "./policy.ts";
import { type Action, type Condition, REFUSALS, type Rule, type SeccompOptions } from "./policy_types.ts";

/** What filters answer (linux/seccomp.h). */
export const ANSWER = { ALLOW: 0x7fff0000, ERRNO: 0x00050000, KILL_PROCESS: 0x80000000 } as const;

/** The number a filter answers for an action. */
export function answerOf(action: Action): number {
  switch (action) {
    case "allow":
      return ANSWER.ALLOW;
    case "succeed":
      return ANSWER.ERRNO;
    case "kill":
      return ANSWER.KILL_PROCESS;
    default:
      return ANSWER.ERRNO + REFUSALS[action];
  }
}

function conditionNode(graph: Graph, { arg, mask, is }: Condition, yes: Node, no: Node): Node {
  const outcomes = new Map(Object.values(is).map((value) => [value, yes]));
  return graph.load(DATA.args + arg * DATA.argBytes, graph.select(outcomes, no), mask);
}

function ruleNode(graph: Graph, rule: Rule): Node {
  let node = graph.answer(answerOf(rule.action));
  for (const { when, action } of (rule.cases ?? []).toReversed()) {
    const otherwise = node;
    node = graph.answer(answerOf(action));
    for (const condition of when.toReversed()) node = conditionNode(graph, condition, node, otherwise);
  }
  return node;
}

/**
 * The filter for a process of an action: an array of `struct sock_filter` for seccomp(SECCOMP_SET_MODE_FILTER), whose
 * length is the number of bytes divided by 8. It must be loaded with no_new_privs set, by the last thing that is done
 * before execve.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { seccompFilter } from "./filter.ts";
 * const program = seccompFilter("x86_64");
 * assert(program.length % 8 === 0 && program.length / 8 <= 4096);
 * ```
 */
export function seccompFilter(arch: SeccompArch, options: SeccompOptions = {}): Uint8Array<ArrayBuffer> {
  const graph = new Graph();
  const { auditArch, calls } = ARCHES[arch];
  const outcomes = new Map<number, Node>();
  for (const { rules } of policy(options)) {
    for (const rule of rules) {
      const node = ruleNode(graph, rule);
      for (const name of rule.calls) {
        const number = calls[name];
        if (number === undefined) continue;
        if (outcomes.has(number)) throw new Error(`Two rules name ${name}`);
        outcomes.set(number, node);
      }
    }
  }
  const byNumber = graph.load(DATA.number, graph.select(outcomes, graph.answer(answerOf(UNNAMED))));
  const byArch = graph.equal(auditArch, byNumber, graph.answer(answerOf(FOREIGN_ARCH)));
  return assemble(graph.load(DATA.arch, byArch));
}
