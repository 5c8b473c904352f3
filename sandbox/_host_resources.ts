/**
 * Checks of privileges, limits and settings that hold for the whole machine or for this process.
 *
 * @module
 */

import { readSetting, sysctl } from "./_host_kernel.ts";
import type { Finding } from "./host_finding.ts";
import { getrlimit } from "./libc.ts";

/** Capabilities that a worker uses which is root, by number. */
const NEEDED: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
};

/** Names of needed capabilities that are not in `effective`, the hexadecimal mask of /proc/self/status. */
export function missingCapabilities(effective: string): readonly string[] {
  const mask = BigInt(`0x${effective}`);
  return Object.keys(NEEDED).filter((name) => (mask >> BigInt(NEEDED[name]) & 1n) === 0n);
}

/** As root: whether it is root in more than name. */
export function checkCapabilities(status: string): Finding {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0";
  const missing = missingCapabilities(effective);
  const about = { id: "capabilities", requirement: "Capabilities" };
  if (missing.length === 0) return { ...about, level: "OK", found: "all that the worker uses" };
  return {
    ...about,
    level: "FAIL",
    found: `root without ${missing.join(", ")}`,
    meaning: "A worker that is root gives each slot a user of its own, and cannot without these",
    remedy:
      "start the worker as an ordinary user, or with these capabilities (docker run --cap-add SYS_ADMIN ...)",
  };
}

/** Ranges of `/proc/self/uid_map`: first id inside, how many. */
function mapped(map: string, first: number, count: number): boolean {
  return map.split("\n").some((line) => {
    const [inside, , size] = line.trim().split(/\s+/).map(Number);
    return first >= inside && first + count <= inside + size;
  });
}

/** What {@linkcode checkIds} looks at. */
export interface IdFacts {
  /** Text of /proc/self/uid_map. */
  readonly uidMap: string;
  /** Text of /etc/passwd. */
  readonly passwd: string;
}

/**
 * As root: whether there are ids to give to slots, and whether they are nobody else's. Without any, actions run as the
 * worker's own user, as they do for a worker that is not root.
 */
export function checkIds(
  { uidMap, passwd }: IdFacts,
  uidBase: number,
  slots: number,
): { readonly given: boolean; readonly finding: Finding } {
  const about = { id: "slot-users", requirement: "Users of slots" };
  const range = slots === 1 ? `${uidBase}` : `${uidBase} to ${uidBase + slots - 1}`;
  const remedy = "set worker.sandbox_uid_base to ids that ";
  if (!mapped(uidMap, uidBase, slots)) {
    return {
      given: false,
      finding: {
        ...about,
        level: "WARN",
        found: `${range} are outside of this user namespace`,
        meaning: "All actions run as the worker's own user: what the kernel counts for each user, they share",
        remedy: `${remedy}/proc/self/uid_map has`,
      },
    };
  }
  const taken = passwd.split("\n").map((line) => line.split(":"))
    .find(([, , id]) => Number(id) >= uidBase && Number(id) < uidBase + slots);
  if (taken === undefined) return { given: true, finding: { ...about, level: "OK", found: range } };
  return {
    given: true,
    finding: {
      ...about,
      level: "WARN",
      found: `${range}, and ${taken[0]} of /etc/passwd is ${taken[2]}`,
      meaning: "What the kernel counts for each user, such as processes, that user shares with actions",
      remedy: `${remedy}nobody has`,
    },
  };
}

const FEW_FILES = 65_536;
const FEW_PROCESSES = 4096;

function limitText(value: number): string {
  return value === Infinity ? "unlimited" : String(value);
}

/** Limits of this process that actions inherit. */
export function checkLimits(root: boolean): readonly Finding[] {
  const files = getrlimit("nofile").hard;
  const processes = getrlimit("nproc").soft;
  const enoughFiles = files >= FEW_FILES;
  const enoughProcesses = processes >= FEW_PROCESSES;
  return [
    {
      id: "open-files",
      requirement: "Open files",
      level: enoughFiles ? "OK" : "WARN",
      found: `${limitText(files)} at most`,
      ...(enoughFiles ? {} : {
        meaning:
          "Worker and actions can have no more files open; large builds and many transfers at once need more",
        remedy:
          `LimitNOFILE=1048576 in the systemd unit, or ulimit -Hn ${FEW_FILES} in the shell that starts the worker`,
      }),
    },
    {
      id: "processes",
      requirement: "Processes",
      level: enoughProcesses ? "OK" : "WARN",
      found: `${limitText(processes)} for ${
        root ? "each slot's user" : "this user, the worker's own included"
      }`,
      ...(enoughProcesses ? {} : {
        meaning: "Parallel builds fail to fork when they reach it",
        remedy:
          "LimitNPROC=infinity in the systemd unit, or ulimit -u unlimited in the shell that starts the worker",
      }),
    },
  ];
}

/** What the kernel does when memory runs out. */
export function checkMemory(): readonly Finding[] {
  const findings: Finding[] = [];
  const panics = (sysctl("vm.panic_on_oom") ?? "0") !== "0";
  const strict = sysctl("vm.overcommit_memory") === "2";
  findings.push({
    id: "out-of-memory",
    requirement: "Out of memory",
    level: panics || strict ? "WARN" : "OK",
    found: panics
      ? `vm.panic_on_oom=${sysctl("vm.panic_on_oom")}`
      : strict
      ? "vm.overcommit_memory=2"
      : "ends a process",
    ...(panics
      ? {
        meaning: "One action that needs too much memory stops the machine",
        remedy: "sysctl -w vm.panic_on_oom=0",
      }
      : strict
      ? {
        meaning:
          "Programs that reserve much memory and use little (Java, Go, Node, sanitizers) fail to start",
        remedy: "sysctl -w vm.overcommit_memory=0",
      }
      : {}),
  });
  const swapKib = Number(/^SwapTotal:\s*(\d+)/m.exec(readSetting("/proc/meminfo") ?? "")?.[1] ?? 0);
  findings.push({
    id: "swap",
    requirement: "Swap",
    level: "OK",
    found: swapKib === 0
      ? "none"
      : `${Math.round(swapKib / 1024)} MiB; actions with a memory limit use none of it`,
  });
  return findings;
}

/** Before this was written no clock can be right. */
const OLDEST = Date.UTC(2025, 0, 1);

/** Whether the clock was ever set. */
export function checkClock(nowMs: number): Finding {
  const set = nowMs >= OLDEST;
  return {
    id: "clock",
    requirement: "Clock",
    level: set ? "OK" : "WARN",
    found: new Date(nowMs).toISOString(),
    ...(set ? {} : {
      meaning: "Certificates are refused as not valid yet, and timestamps of results mean nothing",
      remedy: "timedatectl set-ntp true",
    }),
  };
}
