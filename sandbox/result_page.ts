/**
 * The page a running program and its host share: who was started, how it ended, and which step failed.
 *
 * It is a memfd that the outer process maps at a fixed address; the kernel itself writes process ids, statuses and
 * resource use into it, so nothing has to be copied and nothing is lost when a process is killed between two steps.
 *
 * @module
 */

import { pread } from "./libc.ts";
import { type Named, named } from "./program.ts";

/** Where programs map it: far from code, data, heap, stack and libraries of a static image. */
export const RESULT_ADDRESS = 0x1_0000_0000;
/** Its size. */
export const RESULT_BYTES = 4096;

/** A process of a program; see {@linkcode actionProgram}. */
export type Role = "outer" | "init" | "action";
/** All of them; each has a fault record of its own. */
export const ROLES: readonly Role[] = ["outer", "init", "action"];

const OFFSET = {
  /** 16 bytes for each role: address of the failed operation, its result. */
  faults: 0,
  /** int, host's numbering: the PID 1 of the action's namespace. Written by clone before it runs. */
  initPid: 48,
  /** Not zero once the outer process has waited for that PID 1, so that its id may belong to another. */
  initReaped: 56,
  /** int: the action's process, in the numbering of its parent. */
  actionPid: 64,
  /** Not zero once the action has ended and status and rusage are its own. */
  finished: 72,
  /** int, as wait4 gives it. */
  status: 80,
  /** struct rusage, 144 bytes. */
  rusage: 88,
  /** Process id of the outer process, host's numbering, where it tells it itself. */
  outerPid: 232,
  end: 240,
} as const;

/** Addresses of the page's fields, for programs. */
export const RESULT: Readonly<
  Record<
    "page" | "initPid" | "initReaped" | "actionPid" | "finished" | "status" | "rusage" | "outerPid",
    Named
  >
> = {
  page: named(RESULT_ADDRESS, "result"),
  initPid: named(RESULT_ADDRESS + OFFSET.initPid, "result.initPid"),
  initReaped: named(RESULT_ADDRESS + OFFSET.initReaped, "result.initReaped"),
  actionPid: named(RESULT_ADDRESS + OFFSET.actionPid, "result.actionPid"),
  finished: named(RESULT_ADDRESS + OFFSET.finished, "result.finished"),
  status: named(RESULT_ADDRESS + OFFSET.status, "result.status"),
  rusage: named(RESULT_ADDRESS + OFFSET.rusage, "result.rusage"),
  outerPid: named(RESULT_ADDRESS + OFFSET.outerPid, "result.outerPid"),
};

/** Where in the memfd the fault record of a role belongs. */
export function faultOffset(role: Role): number {
  return OFFSET.faults + ROLES.indexOf(role) * 16;
}

/** A step that failed. */
export interface Fault {
  /** Which process. */
  readonly role: Role;
  /** Address of the operation. */
  readonly address: number;
  /** The error number. */
  readonly errno: number;
}

/** What the page says. */
export interface ResultPage {
  /** Steps that failed, innermost process first. */
  readonly faults: readonly Fault[];
  /** The outer process where it says so itself; 0 before. */
  readonly outerPid: number;
  /** Host process id of the namespace's PID 1; 0 if there is none. */
  readonly initPid: number;
  /** Whether that was waited for. */
  readonly initReaped: boolean;
  /** The action's process in the numbering of its parent, which without a PID namespace is the host's; 0 before. */
  readonly actionPid: number;
  /** Whether the action ended and the rest is valid. */
  readonly finished: boolean;
  /** wait4's status. */
  readonly status: number;
  /** User CPU time of the action and what it waited for. */
  readonly userMs: number;
  /** System CPU time of the action and what it waited for. */
  readonly systemMs: number;
  /** Largest resident set of any of those. */
  readonly maxRssBytes: number;
}

/** Reads the page from its memfd. */
export function readResultPage(fd: number): ResultPage {
  const bytes = new Uint8Array(OFFSET.end);
  pread(fd, bytes, 0);
  const view = new DataView(bytes.buffer);
  const int64 = (offset: number) => Number(view.getBigInt64(offset, true));
  const faults: Fault[] = [];
  for (const role of ["action", "init", "outer"] as const) {
    const address = int64(faultOffset(role));
    if (address !== 0) faults.push({ role, address, errno: -int64(faultOffset(role) + 8) });
  }
  const timeMs = (offset: number) => int64(offset) * 1000 + int64(offset + 8) / 1000;
  return {
    faults,
    outerPid: view.getInt32(OFFSET.outerPid, true),
    initPid: view.getInt32(OFFSET.initPid, true),
    initReaped: int64(OFFSET.initReaped) !== 0,
    actionPid: view.getInt32(OFFSET.actionPid, true),
    finished: int64(OFFSET.finished) !== 0,
    status: view.getInt32(OFFSET.status, true),
    userMs: timeMs(OFFSET.rusage),
    systemMs: timeMs(OFFSET.rusage + 16),
    maxRssBytes: int64(OFFSET.rusage + 32) * 1024,
  };
}
