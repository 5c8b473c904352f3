/**
 * A program that tries every system call number, to see on a real kernel what a filter answers.
 *
 * Each try is made by a process of its own with arguments that can do no harm: descriptors, addresses and sizes that
 * are not there (all bits set), or, where the policy looks at an argument, a value it lets pass together with others
 * that the kernel refuses. What a try ends in is told apart by the error alone, since none of the calls that are let
 * through fails with EPERM when called like this.
 *
 * @module
 */

import type { Arch } from "../arch.ts";
import * as linux from "../linux.ts";
import { named, param, type Program, ProgramBuilder } from "../program.ts";
import { RESULT_ADDRESS } from "../result_page.ts";
import { ARCHES, decide } from "./policy.ts";
import { type Action, type CallName, REFUSALS } from "./policy_types.ts";

/** How many numbers are tried, from 0: about twice as many as there are calls. */
export const PROBED_NUMBERS = 1024;

/** What a try ended in; `"allowed"` is everything that is no refusal, whatever came of it. */
export type ProbeOutcome = "allowed" | "EPERM" | "ENOSYS" | "killed";

/** A call to try. */
export interface Try {
  readonly number: number;
  /** Up to six arguments; those left out have all bits set. */
  readonly args: readonly number[];
}

/** Arguments that the policy lets pass and the kernel refuses, or that only ask. */
const ARGUMENTS: Readonly<Partial<Record<CallName, readonly number[]>>> = {
  arch_prctl: [0x1003], // ARCH_GET_FS, to nowhere
  clone: [0x10000], // CLONE_THREAD alone is refused
  ioctl: [-1, 0x541b], // FIONREAD of no descriptor
  ioprio_set: [-1, -1, 0],
  memfd_create: [-1, 0],
  mknod: [-1, 0o010000, 0],
  mknodat: [-1, -1, 0o010000, 0],
  mmap: [0, 0, 0, 0x22, -1, 0], // nothing
  prctl: [3, 0, 0, 0, 0], // PR_GET_DUMPABLE
  renameat2: [-1, -1, -1, -1, 0],
  sched_setscheduler: [-1, 0],
  seccomp: [2, 0], // SECCOMP_GET_ACTION_AVAIL of nowhere
  shmget: [-1, -1, 0],
  socket: [1, 15, 0], // AF_UNIX of no type
  socketpair: [1, 15, 0],
};

const ARGUMENT_COUNT = 6;
const RESULT_ENTRY_BYTES = 16;
const MAX_ERRNO = 4095;
const ITIMER_REAL = 0;
const SIGSYS = 31;
const MAP_SHARED_ANONYMOUS = 0x21;
/** A try that blocks (pause does) is ended after this: long enough that no other is. */
const BLOCKED_SECONDS = 2;

/** The name of each number. */
function namesOf(arch: Arch): ReadonlyMap<number, CallName> {
  const entries = Object.entries(ARCHES[arch.name].calls) as [CallName, number][];
  return new Map(entries.map(([name, number]) => [number, name]));
}

/** A try of every number. */
export function everyNumber(arch: Arch): readonly Try[] {
  const names = namesOf(arch);
  return Array.from({ length: PROBED_NUMBERS }, (_, number) => {
    const name = names.get(number);
    return { number, args: (name === undefined ? undefined : ARGUMENTS[name]) ?? [] };
  });
}

function argumentsOf({ args }: Try): readonly number[] {
  return Array.from({ length: ARGUMENT_COUNT }, (_, index) => args[index] ?? -1);
}

/**
 * The program. It writes what came of the tries to its standard output, for {@linkcode readProbe}.
 *
 * With `filter` it first loads the filter that its parameters `filter` (bytes) and `filterLength` (instructions) are;
 * without, it tells what whoever started it lets it do.
 */
export function probeProgram(
  arch: Arch,
  tries: readonly Try[],
  options: { readonly filter: boolean },
): Program {
  const builder = new ProgramBuilder(arch);
  mapResults(builder, tries.length);
  if (options.filter) loadFilter(builder);
  const timer = new Uint8Array(32);
  new DataView(timer.buffer).setUint32(16, BLOCKED_SECONDS, true);
  const limit = builder.bytes(timer, "{0, 2 s}");
  const setitimer = ARCHES[arch.name].calls.setitimer ?? 0;
  tries.forEach((tried, index) => {
    const at = RESULT_ADDRESS + index * RESULT_ENTRY_BYTES;
    builder.call("clone", [named(linux.SIGCHLD, "SIGCHLD"), 0, 0, 0, 0], {
      onEqual: { value: 0, goto: `try_${index}` },
    });
    builder.call("wait4", [-1, named(at + 8, `status[${index}]`), 0, 0], { next: `tried_${index}` });
    builder.label(`try_${index}`);
    builder.call(setitimer, [named(ITIMER_REAL, "ITIMER_REAL"), limit, 0], { name: "setitimer" });
    builder.call(tried.number, argumentsOf(tried), { onError: "next", store: named(at, `result[${index}]`) });
    builder.call("exit_group", [0]);
    builder.label(`tried_${index}`);
  });
  builder.call("write", [1, named(RESULT_ADDRESS, "results"), tries.length * RESULT_ENTRY_BYTES]);
  builder.call("exit_group", [0]);
  builder.label("failed");
  builder.call("exit_group", [127]);
  return builder.build();
}

function mapResults(builder: ProgramBuilder, count: number): void {
  builder.call("mmap", [
    named(RESULT_ADDRESS, "results"),
    count * RESULT_ENTRY_BYTES,
    named(linux.PROT_READ | linux.PROT_WRITE, "PROT_READ|PROT_WRITE"),
    named(MAP_SHARED_ANONYMOUS + linux.MAP_FIXED_NOREPLACE, "MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE"),
    -1,
    0,
  ]);
}

/** Loads the filter of the parameters `filter` (bytes) and `filterLength` (instructions). */
export function loadFilter(builder: ProgramBuilder): void {
  builder.call("prctl", [named(linux.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0]);
  builder.call("seccomp", [
    named(linux.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"),
    0,
    builder.words([param("filterLength"), param("filter")], "filter"),
  ]);
}

/**
 * The program that makes all tries in one process, for a filter that lets none of them through to the kernel, whatever
 * their arguments. Nothing can be called any more after that, so the process ends by a fault and its parent writes.
 * Parameters and output are those of {@linkcode probeProgram}.
 */
export function answersProgram(arch: Arch, tries: readonly Try[]): Program {
  const builder = new ProgramBuilder(arch);
  mapResults(builder, tries.length);
  builder.call("clone", [named(linux.SIGCHLD, "SIGCHLD"), 0, 0, 0, 0], {
    onEqual: { value: 0, goto: "tries" },
  });
  builder.call("wait4", [-1, 0, 0, 0]);
  builder.call("write", [1, named(RESULT_ADDRESS, "results"), tries.length * RESULT_ENTRY_BYTES]);
  builder.call("exit_group", [0]);
  builder.label("failed");
  builder.call("exit_group", [127]);
  builder.label("tries");
  loadFilter(builder);
  tries.forEach((tried, index) => {
    const store = named(RESULT_ADDRESS + index * RESULT_ENTRY_BYTES, `result[${index}]`);
    builder.call(tried.number, argumentsOf(tried), { onError: "next", store });
  });
  builder.call("getpid", [], { onError: "next", store: named(8, "nowhere") });
  builder.call("exit_group", [1]);
  return builder.build();
}

/** The results in a probe's output: a call's result, and the status of the process that made it. */
export function readResults(
  output: Uint8Array,
): readonly { readonly result: number; readonly status: number }[] {
  const view = new DataView(output.buffer, output.byteOffset, output.byteLength);
  return Array.from({ length: Math.floor(output.length / RESULT_ENTRY_BYTES) }, (_, index) => {
    const at = index * RESULT_ENTRY_BYTES;
    return { result: Number(view.getBigInt64(at, true)), status: view.getUint32(at + 8, true) };
  });
}

/** What {@linkcode probeProgram} wrote, a try each. */
export function readProbe(output: Uint8Array): readonly ProbeOutcome[] {
  return readResults(output).map(({ result, status }) => {
    if ((status & 0x7f) === SIGSYS) return "killed";
    // One that ended the process otherwise, or was blocked until the timer did, has been let through.
    if (status !== 0 || result < -MAX_ERRNO) return "allowed";
    if (result === -REFUSALS.EPERM) return "EPERM";
    return result === -REFUSALS.ENOSYS ? "ENOSYS" : "allowed";
  });
}

function outcomeOf(action: Action): ProbeOutcome {
  if (action === "kill") return "killed";
  return action === "EPERM" || action === "ENOSYS" ? action : "allowed";
}

/** What the policy says that the probe of every number finds. */
export function expectedProbe(arch: Arch): readonly ProbeOutcome[] {
  const { auditArch } = ARCHES[arch.name];
  return everyNumber(arch).map((tried) => {
    const args = argumentsOf(tried).map((value) => BigInt.asUintN(64, BigInt(value)));
    return outcomeOf(decide(arch.name, { auditArch, number: tried.number, args }));
  });
}

/** What came of the tries of every number as text, a line each: number, name, outcome. */
export function probeTable(arch: Arch, outcomes: readonly ProbeOutcome[]): string {
  const names = namesOf(arch);
  return outcomes.map((outcome, number) =>
    `${String(number).padStart(4)} ${(names.get(number) ?? "-").padEnd(24)} ${outcome}\n`
  ).join("");
}
