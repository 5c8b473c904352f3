/**
 * Processes that do not end, signals to those that must go on, and commands that are an attack by themselves.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Code, codeName } from "@brokkr/common";
import type { Assault } from "../_attack.ts";

const TIMEOUT = codeName(Code.DEADLINE_EXCEEDED);
const REFUSED = codeName(Code.INVALID_ARGUMENT);
/** What ends an action whose processes end nothing by themselves. */
const SECONDS = 1;

function withEnvironment(name: string, value: string): Assault["command"] {
  return {
    arguments: ["/bin/true"],
    environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }, { name, value }],
  };
}

/** The attacks. */
export const PROCESSES: readonly Assault[] = [
  {
    name: "signals to PID 1",
    why: "with it everything would end, its report too",
    attacks: ["signals_to_init"],
    ends: { status: "OK", exitCode: "0" },
    probes: { "signals_to_init.init": "ALIVE|EPERM", "signals_to_init.count": "ALL" },
  },
  {
    name: "limits of PID 1",
    why:
      "prlimit reaches every process of one's user: without descriptors and time PID 1 might not tell how it ended",
    attacks: ["init_limits"],
    ends: { status: "OK", exitCode: "0|137" },
  },
  {
    name: "kill -1",
    why: "every process that it may signal",
    attacks: ["kill_all"],
    ends: { status: "OK", exitCode: "137" },
    probes: { "kill_all.from_parent": "OK|ESRCH" },
  },
  {
    name: "daemons",
    why: "fork twice, setsid, ignore TERM: what outlives its action sees the next one",
    attacks: ["daemons"],
    timeoutSeconds: 30,
    ends: { status: "OK", exitCode: "0" },
    probes: { "daemons.left": "OK" },
  },
  {
    name: "fork chain",
    why: "a process that is another one each time one looks cannot be killed by number",
    attacks: ["fork_chain"],
    needs: "pids",
    timeoutSeconds: 30,
    ends: { status: "OK", exitCode: "0" },
    probes: { "fork_chain.left": "OK" },
  },
  {
    name: "spin",
    why: "takes all processors past its timeout, deaf to TERM, in sessions of its own",
    attacks: ["spin"],
    timeoutSeconds: SECONDS,
    ends: { status: TIMEOUT },
  },
  {
    name: "stopped children",
    why: "a stopped process handles no signal but KILL",
    attacks: ["stopped"],
    timeoutSeconds: 30,
    ends: { status: "OK", exitCode: "0" },
    probes: { "stopped.left": "OK" },
  },
  {
    name: "stopped",
    why: "what stops itself never ends",
    attacks: ["stop_self"],
    timeoutSeconds: SECONDS,
    ends: { status: TIMEOUT },
  },
  {
    name: "vfork",
    why: "a parent in vfork is deaf to all but KILL",
    attacks: ["vfork_stuck"],
    timeoutSeconds: SECONDS,
    ends: { status: TIMEOUT },
  },
  {
    name: "zombies",
    why: "what nobody buries keeps its number and its place in the group",
    attacks: ["zombies"],
    ends: { status: "OK", exitCode: "0" },
    probes: { "zombies.made": "OK" },
  },
  {
    name: "crash",
    why: "core_pattern names a program of the host, which gets what crashed",
    attacks: ["crash"],
    ends: { status: "OK", exitCode: "0" },
    probes: { "crash.attack": "SIGSEGV" },
  },
  {
    name: "/proc/self/exe as program",
    why: "CVE-2019-5736 began like this: before its execve a process is still the program that set it up",
    command: { arguments: ["./link"] },
    files: { link: { symlink: "/proc/self/exe" } },
    timeoutSeconds: 10,
    // It may run once more what set it up, without any of its rights.
    ends: { status: `OK|${REFUSED}|${codeName(Code.UNAVAILABLE)}|${TIMEOUT}` },
  },
  {
    name: "#!/proc/self/exe",
    why: "the same by the first line of a script",
    command: { arguments: ["./script"] },
    files: { "script*": "#!/proc/self/exe\n" },
    timeoutSeconds: 10,
    ends: { status: `OK|${REFUSED}|${codeName(Code.UNAVAILABLE)}|${TIMEOUT}` },
  },
  {
    name: "working directory /proc/self/fd/N",
    why: "CVE-2024-21626: a working directory behind a descriptor that was left open is one of the host's",
    attacks: ["descriptors"],
    command: { arguments: ["/bin/true"], workingDirectory: "directory" },
    files: { directory: { symlink: "/proc/self/fd/7" } },
    ends: { status: `${REFUSED}|${codeName(Code.FAILED_PRECONDITION)}` },
  },
  {
    name: "working directory outside",
    why: "the same without any finesse",
    command: { arguments: ["/bin/true"], workingDirectory: "../../.." },
    ends: { status: REFUSED },
  },
  {
    name: "LD_PRELOAD",
    why: "code that no input of the action holds",
    command: withEnvironment("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/libSegFault.so"),
    ends: { status: REFUSED, says: "LD_PRELOAD" },
  },
  {
    name: "LD_AUDIT",
    why: "the same by another name",
    command: withEnvironment("LD_AUDIT", "/work/evil.so"),
    ends: { status: REFUSED, says: "LD_AUDIT" },
  },
  {
    name: "GLIBC_TUNABLES",
    why: "CVE-2023-4911 overflowed the loader of setuid programs, of which there are none",
    command: {
      arguments: ["/usr/bin/su", "--help"],
      environmentVariables: [{
        name: "GLIBC_TUNABLES",
        value: `glibc.malloc.mxfast=glibc.malloc.mxfast=${"A".repeat(2000)}`,
      }],
    },
    ends: { status: "OK", exitCode: "0|1|127|139" },
  },
  {
    name: "arguments without end",
    why: "what the kernel refuses to pass must not be the worker's fault",
    command: { arguments: ["/bin/true", ...Array.from({ length: 20 }, () => "x".repeat(131_071))] },
    ends: { status: `OK|${REFUSED}` },
    check: ({ exitCode }) => assertEquals(exitCode <= 0, true),
  },
];
