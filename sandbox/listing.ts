/**
 * Prints a program of system calls for review, in the manner of strace.
 *
 * @module
 */

import type { Op, Operand, Program } from "./program.ts";

function operand(arg: Operand): string {
  if (typeof arg === "number") return String(arg);
  return arg.kind === "parameter" ? `$${arg.name}` : arg.text;
}

function target(store: NonNullable<Op["store"]>): string {
  if (store.kind !== "field") return store.text;
  return store.field === "equals" ? `${store.label}.equals` : `${store.label}.arg${store.field}`;
}

function outcome(op: Op): string {
  if (op.syscall === "exit_group") return "";
  const parts: string[] = [];
  if (op.store !== undefined) parts.push(`store ${target(op.store)}`);
  if (op.onEqual !== undefined) parts.push(`== ${op.onEqual.value} -> ${op.onEqual.goto}`);
  parts.push(op.onError === "next" ? "errors ignored" : `error -> ${op.onError}`);
  if (op.next !== "next") parts.push(`else -> ${op.next}`);
  return parts.join(", ");
}

/**
 * The program as text: labels, then one line an operation with its arguments, and what happens with the result.
 * Parameters show as `$name`.
 */
export function listing(program: Program): string {
  const lines: string[] = [];
  program.ops.forEach((op, index) => {
    for (const [label, at] of program.labels) if (at === index) lines.push(`${label}:`);
    const call = `${op.syscall}(${op.args.map(operand).join(", ")})`;
    lines.push(`${String(index).padStart(4)}  ${call.padEnd(64)} ${outcome(op)}`.trimEnd());
  });
  return lines.join("\n") + "\n";
}
