/**
 * Runs programs under a filter and nothing else of a sandbox, for tests.
 *
 * @module
 */

import type { Arch } from "../arch.ts";
import { close, memfdCreate, writeAll } from "../libc.ts";
import { MFD_CLOEXEC } from "../linux.ts";
import { param, type ParameterValue, type Program, ProgramBuilder } from "../program.ts";
import { INSTRUCTION_BYTES } from "./bpf.ts";
import {
  everyNumber,
  expectedProbe,
  loadFilter,
  type ProbeOutcome,
  probeProgram,
  readProbe,
} from "./probe.ts";

/** Starts a program of system calls; its standard output and error are pipes. */
export function start(image: Uint8Array<ArrayBuffer>, cwd?: string): Deno.ChildProcess {
  const fd = memfdCreate("seccomp", MFD_CLOEXEC, true);
  try {
    writeAll(fd, image);
    const path = `/proc/self/fd/${fd}`;
    return new Deno.Command(path, { stdin: "null", stdout: "piped", stderr: "piped", cwd }).spawn();
  } finally {
    close(fd);
  }
}

/** The parameters that {@linkcode loadFilter} needs. */
export function withFilter(filter: Uint8Array): Readonly<Record<"filter" | "filterLength", ParameterValue>> {
  return { filter, filterLength: filter.length / INSTRUCTION_BYTES };
}

/** Loads `$filter` and becomes `$executable` with `$argv` and `$env`. */
export function underFilterProgram(arch: Arch): Program {
  const builder = new ProgramBuilder(arch);
  loadFilter(builder);
  builder.call("execve", [param("executable"), param("argv"), param("env")], { next: "failed" });
  builder.label("failed");
  builder.call("exit_group", [127]);
  return builder.build();
}

/**
 * The outcomes of every number, with calls that the policy lets through and this kernel does not have shown as allowed:
 * they say ENOSYS with or without a filter.
 */
export async function allowedThoughMissing(
  arch: Arch,
  outcomes: readonly ProbeOutcome[],
): Promise<readonly ProbeOutcome[]> {
  const expected = expectedProbe(arch);
  const missing = everyNumber(arch)
    .filter((_, number) => expected[number] === "allowed" && outcomes[number] === "ENOSYS");
  if (missing.length === 0) return outcomes;
  const { stdout } = await start(probeProgram(arch, missing, { filter: false }).image({})).output();
  const plain = new Map(readProbe(stdout).map((outcome, index) => [missing[index].number, outcome]));
  return outcomes.map((outcome, number) => plain.get(number) === "ENOSYS" ? "allowed" : outcome);
}
