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

/** What a listing shows beside the calls. */
export interface ListingOptions {
  /** Which process runs what follows, and what error messages call each step where that is not the call's name. */
  readonly steps?: boolean;
}

/**
 * The program as text: labels, then one line an operation with its arguments, and what happens with the result.
 * Parameters show as `$name`.
 */
export function listing(program: Program, { steps = false }: ListingOptions = {}): string {
  const lines: string[] = [];
  let role: string | undefined;
  program.ops.forEach((op, index) => {
    if (steps && op.role !== role) lines.push(`-- ${role = op.role} --`);
    for (const [label, at] of program.labels) if (at === index) lines.push(`${label}:`);
    const call = `${op.syscall}(${op.args.map(operand).join(", ")})`;
    const step = steps && op.name !== op.syscall ? `  # ${op.name}` : "";
    lines.push(`${String(index).padStart(4)}  ${call.padEnd(64)} ${outcome(op)}${step}`.trimEnd());
  });
  return lines.join("\n") + "\n";
}
