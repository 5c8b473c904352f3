/**
 * The formats of control groups' files. Pure; what cannot be read as a number is absent, never 0.
 *
 * @module
 */

/** Disks by number. */
export interface DeviceNumber {
  /** The driver's number. */
  readonly major: number;
  /** The disk's. */
  readonly minor: number;
}

/** A file with one number; undefined for `"max"`, and for what is not there. */
export function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const trimmed = text.trim();
  return /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}

/**
 * A file of lines `name number`: cpu.stat, memory.events, memory.oom_control, pids.events, cpuacct.stat.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseFlat } from "./stat_text.ts";
 * assertEquals(parseFlat("oom 1\noom_kill 3\n").get("oom_kill"), 3);
 * ```
 */
export function parseFlat(text: string | undefined): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of (text ?? "").split("\n")) {
    const space = line.indexOf(" ");
    const value = space < 0 ? undefined : parseNumber(line.slice(space + 1));
    if (value !== undefined) found.set(line.slice(0, space), value);
  }
  return found;
}

/** Bytes that went to and from disks. */
export interface IoBytes {
  /** Read. */
  readonly read: number;
  /** Written. */
  readonly written: number;
}

/** io.stat of version 2: lines `8:0 rbytes=1 wbytes=2 ...`, added up over the devices. */
export function parseIoStat(text: string): IoBytes {
  let read = 0;
  let written = 0;
  for (const match of text.matchAll(/\b(rbytes|wbytes)=(\d+)/g)) {
    if (match[1] === "rbytes") read += Number(match[2]);
    else written += Number(match[2]);
  }
  return { read, written };
}

/** blkio.throttle.io_service_bytes of version 1: lines `8:0 Read 1`, added up over the devices. */
export function parseServiceBytes(text: string): IoBytes {
  let read = 0;
  let written = 0;
  for (const match of text.matchAll(/^\d+:\d+ (Read|Write) (\d+)$/gm)) {
    if (match[1] === "Read") read += Number(match[2]);
    else written += Number(match[2]);
  }
  return { read, written };
}

/** cgroup.procs. What shows as 0 lives in another PID namespace and is left out: signalling 0 would hit ourselves. */
export function parsePids(text: string | undefined): number[] {
  return (text ?? "").split("\n").map((line) => parseNumber(line) ?? 0).filter((pid) => pid > 0);
}
