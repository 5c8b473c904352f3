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
import { loadFilter } from "./probe.ts";

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
