/**
 * Tries system calls in a process of their own, which ends whatever it has made: that is how the host is asked what it
 * can do without changing it.
 *
 * @module
 */

import { asBrokkrError } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { errnoName } from "./errno.ts";
import { FAULT_BYTES } from "./interpreter.ts";
import { close, memfdCreate, writeAll } from "./libc.ts";
import * as linux from "./linux.ts";
import {
  FAULT,
  fieldOf,
  named,
  type Operand,
  param,
  type ParameterValue,
  ProgramBuilder,
} from "./program.ts";

/** Why an attempt did not work. */
export interface Failure {
  /** What was tried, such as `mount /proc`. */
  readonly step: string;
  /** The error's name, such as `EPERM`, or what else happened. */
  readonly reason: string;
}

const CLONE_FLAGS = {
  user: linux.CLONE_NEWUSER,
  mount: linux.CLONE_NEWNS,
  pid: linux.CLONE_NEWPID,
  network: linux.CLONE_NEWNET,
  ipc: linux.CLONE_NEWIPC,
  uts: linux.CLONE_NEWUTS,
  cgroup: linux.CLONE_NEWCGROUP,
} as const;

/** The kinds of namespaces. */
export type Namespace = keyof typeof CLONE_FLAGS;

/** Flags of unshare(2) for namespaces, with their names. */
export function namespaceFlags(namespaces: readonly Namespace[]): Operand {
  const kernelName = (name: Namespace) =>
    ({ mount: "CLONE_NEWNS", network: "CLONE_NEWNET" } as Partial<Record<Namespace, string>>)[name] ??
      `CLONE_NEW${name.toUpperCase()}`;
  // Not `|`, which has 32 bits with a sign.
  const value = namespaces.reduce((sum, name) => sum + CLONE_FLAGS[name], 0);
  return named(value, namespaces.map(kernelName).join("|"));
}

/** Steps of an attempt, on top of the builder they go into. */
export class Steps {
  readonly builder: ProgramBuilder;
  readonly #hostId: number | undefined;
  #count = 0;

  /** Appends to `builder`; see {@linkcode attempt} for `hostId`. */
  constructor(builder: ProgramBuilder, hostId: number | undefined) {
    this.builder = builder;
    this.#hostId = hostId;
  }

  /** A label of its own. */
  fresh(what: string): string {
    return `${what}_${this.#count++}`;
  }

  /** Opens `path` and gives its descriptor to an argument of the operation at a label. */
  open(path: Operand, flags: number, label: string, field: 0 | 1 | 2 | 3 | 4 | 5, name: string): void {
    this.builder.call("openat", [named(linux.AT_FDCWD, "AT_FDCWD"), path, flags | linux.O_CLOEXEC], {
      name,
      store: fieldOf(label, field),
    });
  }

  /** Writes text into a file. */
  write(path: string, text: Operand, size: Operand): void {
    const label = this.fresh("write");
    this.open(this.builder.string(path), linux.O_WRONLY, label, 0, `open ${path}`);
    this.builder.label(label);
    this.builder.call("write", [0, text, size], { name: `write ${path}` });
  }

  /** Goes into a user namespace with one id, and into `others` that belong to it. */
  enterUser(others: readonly Namespace[] = []): void {
    const { builder } = this;
    const all: readonly Namespace[] = ["user", ...others];
    if (this.#hostId !== undefined) {
      builder.call("setresgid", [this.#hostId, this.#hostId, this.#hostId]);
      builder.call("setresuid", [this.#hostId, this.#hostId, this.#hostId]);
      // Other credentials clear it, and without it /proc/self would be root's.
      builder.call("prctl", [named(linux.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), 1], {
        name: "prctl PR_SET_DUMPABLE",
      });
    }
    builder.call("unshare", [namespaceFlags(all)], { name: `unshare of namespaces (${all.join(", ")})` });
    this.write("/proc/self/setgroups", builder.string("deny"), 4);
    this.write("/proc/self/uid_map", param("uidMap"), param("uidMapBytes"));
    this.write("/proc/self/gid_map", param("gidMap"), param("gidMapBytes"));
  }

  /** mount(2); `source` also names the step. */
  mount(type: string, target: Operand, options: string, flags = 0, name = `mount of a ${type}`): void {
    const { builder } = this;
    const text = builder.string(type);
    builder.call("mount", [text, target, text, flags, options === "" ? 0 : builder.string(options)], {
      name,
    });
  }

  /** mkdirat(2) of a path. */
  mkdir(path: Operand): void {
    this.builder.call("mkdirat", [named(linux.AT_FDCWD, "AT_FDCWD"), path, 0o755], { name: "mkdir" });
  }

  /** What follows happens in a child, for which this process waits. */
  inChild(): void {
    const { builder } = this;
    const child = this.fresh("child");
    const wait = this.fresh("wait");
    builder.call("clone", [named(linux.SIGCHLD, "SIGCHLD"), 0, 0, 0, 0], {
      onEqual: { value: 0, goto: child },
      store: fieldOf(wait, 0),
    });
    builder.label(wait);
    builder.call("wait4", [0, 0, 0, 0]);
    builder.call("exit_group", [0]);
    builder.label(child);
  }
}

/** Ids that an attempt in a user namespace maps: its own, as those of actions. */
function idMaps(hostId: number | undefined): Record<string, ParameterValue> {
  const uidMap = `1000 ${hostId ?? Deno.uid() ?? 0} 1`;
  const gidMap = `1000 ${hostId ?? Deno.gid() ?? 0} 1`;
  return { uidMap, uidMapBytes: uidMap.length, gidMap, gidMapBytes: gidMap.length };
}

/** An attempt as an executable image, and what its steps are called. */
export function attemptProgram(steps: (steps: Steps) => void, hostId?: number) {
  const builder = new ProgramBuilder(currentArch());
  steps(new Steps(builder, hostId));
  builder.call("exit_group", [0]);
  builder.label("failed");
  builder.call("write", [1, FAULT, FAULT_BYTES], { onError: "next" });
  builder.call("exit_group", [127]);
  const program = builder.build();
  return { program, image: program.image(idMaps(hostId)) };
}

/** Starts an executable image; what it writes to standard output is piped. */
export function startImage(image: Uint8Array<ArrayBuffer>, stdin: "null" | "piped"): Deno.ChildProcess {
  const fd = memfdCreate("brokkr-check", linux.MFD_CLOEXEC, true);
  try {
    writeAll(fd, image);
    const options = { clearEnv: true, stdin, stdout: "piped", stderr: "null" } as const;
    return new Deno.Command(`/proc/self/fd/${fd}`, options).spawn();
  } finally {
    close(fd);
  }
}

/**
 * Tries `steps` in a process of their own; why they do not work, or undefined if they do.
 *
 * @param hostId As root: user and group id that goes into user namespaces, as actions do; its own otherwise.
 */
export async function attempt(
  steps: (steps: Steps) => void,
  hostId?: number,
): Promise<Failure | undefined> {
  const { program, image } = attemptProgram(steps, hostId);
  let child: Deno.ChildProcess;
  try {
    child = startImage(image, "null");
  } catch (error) {
    return { step: "start of a program in memory", reason: asBrokkrError(error).message };
  }
  const { code, signal, stdout } = await child.output();
  if (stdout.length >= FAULT_BYTES) {
    const view = new DataView(stdout.buffer, stdout.byteOffset);
    const name = program.opAt(Number(view.getBigUint64(0, true)))?.name ?? "a step";
    return { step: name, reason: errnoName(-Number(view.getBigInt64(8, true))) };
  }
  if (code === 0) return undefined;
  return { step: "a program of system calls", reason: signal ?? `exit code ${code}` };
}
