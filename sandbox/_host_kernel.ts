/**
 * Checks of the kernel: its version, what it lets a process do, and the calls that programs are made of.
 *
 * @module
 */

import { attempt, type Failure, type Steps } from "./_host_probe.ts";
import type { Finding } from "./host_finding.ts";
import * as linux from "./linux.ts";
import { fieldOf, named } from "./program.ts";

/** Oldest kernel for a worker that is not root. */
export const ROOTLESS_KERNEL = "5.12";
/** Oldest kernel for a worker that is root, whose inputs are shown with other owners beneath an overlay. */
export const ROOT_KERNEL = "5.19";

/** A file of /proc without its last newline; undefined when it cannot be read. */
export function readSetting(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch {
    return undefined; // this kernel has no such setting, or hides it: both say the same here
  }
}

/** A setting of sysctl by its dotted name. */
export function sysctl(name: string): string | undefined {
  return readSetting(`/proc/sys/${name.replaceAll(".", "/")}`);
}

/** Whether release `has`, such as `6.1.0-18-amd64`, is at least version `needs`, such as `5.12`. */
export function kernelAtLeast(has: string, needs: string): boolean {
  const numbers = (text: string) => (/^(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [major, minor] = numbers(has);
  const [neededMajor, neededMinor] = numbers(needs);
  if (major === undefined || minor === undefined) return false;
  return major > neededMajor || (major === neededMajor && minor >= neededMinor);
}

/** A finding from an attempt: good without a failure, and with one as `missing` says. */
export function fromAttempt(
  about: Pick<Finding, "id" | "requirement" | "kernel">,
  failure: Failure | undefined,
  good: string,
  missing: { readonly level?: "WARN" | "FAIL"; readonly meaning: string; readonly remedy: string },
): Finding {
  if (failure === undefined) return { ...about, level: "OK", found: good };
  return {
    ...about,
    level: missing.level ?? "FAIL",
    found: failureText(failure),
    meaning: missing.meaning,
    remedy: missing.remedy,
  };
}

/** A failure in words. */
export function failureText({ step, reason }: Failure): string {
  return `${step}: ${reason}`;
}

/** The version of the kernel. */
export function checkKernel(release: string, root: boolean): Finding {
  const needs = root ? ROOT_KERNEL : ROOTLESS_KERNEL;
  const about = { id: "kernel", requirement: "Kernel", kernel: needs, found: `Linux ${release}` };
  if (kernelAtLeast(release, needs)) return { ...about, level: "OK" };
  return {
    ...about,
    level: "FAIL",
    meaning: `Actions cannot be isolated by a kernel before ${needs}` +
      (root && kernelAtLeast(release, ROOTLESS_KERNEL) ? " when the worker is root" : ""),
    remedy: root && kernelAtLeast(release, ROOTLESS_KERNEL)
      ? "start the worker as an ordinary user, or install a newer kernel"
      : "install a newer kernel",
  };
}

/** Whether there are programs for this processor. */
export function checkArchitecture(os: string, arch: string): Finding {
  const known = os === "linux" && (arch === "x86_64" || arch === "aarch64");
  return {
    id: "architecture",
    requirement: "Processor",
    level: known ? "OK" : "FAIL",
    found: `${os} on ${arch}`,
    ...(known ? {} : {
      meaning: "The programs that isolate actions are made for Linux on x86_64 and aarch64 alone",
      remedy: "use a machine with one of those",
    }),
  };
}

/** Whether a program in memory can be started, which is how all the others are. */
export async function checkMemfd(): Promise<Finding> {
  const failure = await attempt(() => {});
  const blocked = sysctl("vm.memfd_noexec") === "2";
  return fromAttempt(
    { id: "memory-programs", requirement: "Programs in memory", kernel: "3.17" },
    failure,
    "memfd_create and execve",
    {
      meaning:
        "The programs that isolate actions are never written to a disk; without this none can be started",
      remedy: blocked
        ? "sysctl -w vm.memfd_noexec=0"
        : "allow memfd_create and execve of /proc/self/fd (a filter around this process forbids them)",
    },
  );
}

function newCalls({ builder }: Steps): void {
  const how = builder.bytes(new Uint8Array(24), "{}");
  builder.call("close_range", [200, 200, named(4, "CLOSE_RANGE_CLOEXEC")]);
  builder.call("getpid", [], { store: fieldOf("pidfd", 0) });
  builder.label("pidfd");
  builder.call("pidfd_open", [0, 0]);
  builder.call("openat2", [named(linux.AT_FDCWD, "AT_FDCWD"), builder.string("/"), how, 24]);
}

/** Calls that are younger than most. */
export async function checkCalls(): Promise<Finding> {
  return fromAttempt(
    { id: "system-calls", requirement: "System calls", kernel: "5.11" },
    await attempt(newCalls),
    "close_range, pidfd_open, openat2",
    {
      meaning: "Processes could not be started without descriptors of others, nor outputs be read safely",
      remedy:
        "install a newer kernel, or lift the filter around this process (in a container: its seccomp profile)",
    },
  );
}

const SECCOMP_GET_ACTION_AVAIL = 2;
const ACTIONS = { KILL_PROCESS: 0x80000000, ERRNO: 0x00050000, ALLOW: 0x7fff0000 } as const;

/** Whether calls can be filtered. */
export async function checkSeccomp(): Promise<Finding> {
  const failure = await attempt(({ builder }) => {
    for (const [name, value] of Object.entries(ACTIONS)) {
      const action = builder.bytes(new Uint8Array(new Uint32Array([value]).buffer), name);
      builder.call("seccomp", [named(SECCOMP_GET_ACTION_AVAIL, "SECCOMP_GET_ACTION_AVAIL"), 0, action], {
        name: `seccomp action ${name}`,
      });
    }
    builder.call("prctl", [named(38, "PR_SET_NO_NEW_PRIVS"), 1, 0, 0, 0], { name: "no_new_privs" });
  });
  return fromAttempt(
    { id: "seccomp", requirement: "System call filter", kernel: "4.14" },
    failure,
    "seccomp and no_new_privs",
    {
      meaning: "Actions could make every call that the kernel has",
      remedy: "use a kernel with CONFIG_SECCOMP_FILTER=y",
    },
  );
}
