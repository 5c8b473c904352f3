/**
 * Which files of a group set limits and which tell what was used, for each version. Pure: the files themselves are read
 * and written elsewhere.
 *
 * @module
 */

import { errnoOf } from "../errno.ts";
import type { V1Name } from "./proc_files.ts";
import { type DeviceNumber, parseFlat, parseIoStat, parseNumber, parseServiceBytes } from "./stat_text.ts";
import type { CgroupLimits, CgroupUsage, Controller } from "./types.ts";

/** One value to be written. */
export interface LimitWrite {
  /** The file in the group. */
  readonly file: string;
  /** What goes into it. */
  readonly value: string;
  /** Error numbers that are all right. */
  readonly tolerated?: readonly number[];
  /** What to write instead when the file is not there. */
  readonly otherwise?: LimitWrite;
}

/** Gives the text of a file of the group, or undefined when it has none of that name. */
export type ReadFile = (file: string) => string | undefined;

const ENOENT = errnoOf("ENOENT");
const EINVAL = errnoOf("EINVAL");

/** Period of the processor's quota. Short ones cost more switches, long ones stall longer. */
const CPU_PERIOD_US = 100_000;
/** The kernel's longest period; with its least quota of 1 ms a thousandth of a processor can be given. */
const LONGEST_CPU_PERIOD_US = 1_000_000;
const LEAST_QUOTA_US = 1000;

/** Quota and period for `cpuMillis` thousandths of a processor. */
export function cpuQuota(cpuMillis: number): { readonly quotaUs: number; readonly periodUs: number } {
  const quotaUs = cpuMillis * CPU_PERIOD_US / 1000;
  if (quotaUs >= LEAST_QUOTA_US) return { quotaUs, periodUs: CPU_PERIOD_US };
  return { quotaUs: cpuMillis * LONGEST_CPU_PERIOD_US / 1000, periodUs: LONGEST_CPU_PERIOD_US };
}

/** What sets `limits` in a group of version 2. */
export function v2Writes(
  controllers: ReadonlySet<Controller>,
  limits: CgroupLimits,
  devices: readonly DeviceNumber[],
): LimitWrite[] {
  const writes: LimitWrite[] = [];
  if (controllers.has("memory") && limits.memoryBytes !== undefined) {
    writes.push({ file: "memory.max", value: String(limits.memoryBytes) });
    // Absent where the kernel does not account for swap: there is none then, or nothing can be done.
    writes.push({ file: "memory.swap.max", value: "0", tolerated: [ENOENT] });
    // A tree that lost one of its processes gives wrong results at best.
    writes.push({ file: "memory.oom.group", value: "1", tolerated: [ENOENT] });
  }
  if (controllers.has("pids") && limits.pids !== undefined) {
    writes.push({ file: "pids.max", value: String(limits.pids) });
  }
  if (controllers.has("cpu") && limits.cpuMillis !== undefined) {
    const { quotaUs, periodUs } = cpuQuota(limits.cpuMillis);
    writes.push({ file: "cpu.max", value: `${quotaUs} ${periodUs}` });
  }
  const { ioReadBytesPerSecond: rbps, ioWriteBytesPerSecond: wbps } = limits;
  if (controllers.has("io") && (rbps !== undefined || wbps !== undefined)) {
    const rates = (rbps === undefined ? "" : ` rbps=${rbps}`) + (wbps === undefined ? "" : ` wbps=${wbps}`);
    for (const { major, minor } of devices) {
      writes.push({ file: "io.max", value: `${major}:${minor}${rates}` });
    }
  }
  return writes;
}

/** What sets `limits` in a group of a version 1 hierarchy that has `controllers`. */
export function v1Writes(
  controllers: readonly V1Name[],
  limits: CgroupLimits,
  devices: readonly DeviceNumber[],
): LimitWrite[] {
  const writes: LimitWrite[] = [];
  if (controllers.includes("memory") && limits.memoryBytes !== undefined) {
    const value = String(limits.memoryBytes);
    // The sum with swap may never be below memory alone: this order.
    writes.push({ file: "memory.limit_in_bytes", value });
    writes.push({
      file: "memory.memsw.limit_in_bytes",
      value,
      otherwise: { file: "memory.swappiness", value: "0", tolerated: [ENOENT] },
    });
  }
  if (controllers.includes("pids") && limits.pids !== undefined) {
    writes.push({ file: "pids.max", value: String(limits.pids) });
  }
  if (controllers.includes("cpu") && limits.cpuMillis !== undefined) {
    const { quotaUs, periodUs } = cpuQuota(limits.cpuMillis);
    writes.push({ file: "cpu.cfs_period_us", value: String(periodUs) });
    // EINVAL: more than a group above has, whose lower limit holds anyway.
    writes.push({ file: "cpu.cfs_quota_us", value: String(quotaUs), tolerated: [EINVAL] });
  }
  if (controllers.includes("blkio")) {
    for (const { major, minor } of devices) {
      for (
        const [kind, rate] of [["read", limits.ioReadBytesPerSecond], ["write", limits.ioWriteBytesPerSecond]]
      ) {
        if (rate === undefined) continue;
        writes.push({ file: `blkio.throttle.${kind}_bps_device`, value: `${major}:${minor} ${rate}` });
      }
    }
  }
  return writes;
}

/** Whole milliseconds of what was counted in smaller units. */
function scaled(value: number | undefined, unitsPerMs: number): number | undefined {
  return value === undefined ? undefined : Math.round(value / unitsPerMs);
}

/** What a group of version 2 counted. */
export function v2Usage(controllers: ReadonlySet<Controller>, readFile: ReadFile): CgroupUsage {
  const cpu = parseFlat(readFile("cpu.stat"));
  const io = controllers.has("io") ? readFile("io.stat") : undefined;
  const ioBytes = io === undefined ? undefined : parseIoStat(io);
  return {
    cpuUserMs: scaled(cpu.get("user_usec"), 1000),
    cpuSystemMs: scaled(cpu.get("system_usec"), 1000),
    cpuThrottledMs: scaled(cpu.get("throttled_usec"), 1000),
    memoryPeakBytes: controllers.has("memory") ? parseNumber(readFile("memory.peak")) : undefined,
    pidsPeak: controllers.has("pids") ? parseNumber(readFile("pids.peak")) : undefined,
    ioReadBytes: ioBytes?.read,
    ioWriteBytes: ioBytes?.written,
    oomKills: controllers.has("memory") ? parseFlat(readFile("memory.events")).get("oom_kill") ?? 0 : 0,
    pidsRefused: controllers.has("pids") ? parseFlat(readFile("pids.events")).get("max") ?? 0 : 0,
  };
}

const NANOS_PER_MS = 1_000_000;

/** What a group of a version 1 hierarchy that has `controllers` counted. */
export function v1Usage(controllers: readonly V1Name[], readFile: ReadFile): CgroupUsage {
  const has = (name: V1Name) => controllers.includes(name);
  const io = has("blkio") ? readFile("blkio.throttle.io_service_bytes") : undefined;
  const ioBytes = io === undefined ? undefined : parseServiceBytes(io);
  return {
    ...(has("cpuacct") ? v1Cpu(readFile) : {}),
    cpuThrottledMs: has("cpu")
      ? scaled(parseFlat(readFile("cpu.stat")).get("throttled_time"), NANOS_PER_MS)
      : undefined,
    memoryPeakBytes: has("memory") ? parseNumber(readFile("memory.max_usage_in_bytes")) : undefined,
    pidsPeak: has("pids") ? parseNumber(readFile("pids.peak")) : undefined,
    ioReadBytes: ioBytes?.read,
    ioWriteBytes: ioBytes?.written,
    oomKills: has("memory") ? parseFlat(readFile("memory.oom_control")).get("oom_kill") ?? 0 : 0,
    pidsRefused: has("pids") ? parseFlat(readFile("pids.events")).get("max") ?? 0 : 0,
  };
}

/** In nanoseconds; cpuacct.stat beside it has hundredths of a second only. */
function v1Cpu(readFile: ReadFile): Pick<CgroupUsage, "cpuUserMs" | "cpuSystemMs"> {
  const user = parseNumber(readFile("cpuacct.usage_user"));
  const system = parseNumber(readFile("cpuacct.usage_sys"));
  return { cpuUserMs: scaled(user, NANOS_PER_MS), cpuSystemMs: scaled(system, NANOS_PER_MS) };
}

const FIELDS = [
  "cpuUserMs",
  "cpuSystemMs",
  "memoryPeakBytes",
  "pidsPeak",
  "ioReadBytes",
  "ioWriteBytes",
  "cpuThrottledMs",
] as const;

/** What the groups of several hierarchies counted together: each number from the first that has it. */
export function mergeUsage(parts: readonly CgroupUsage[]): CgroupUsage {
  const merged: { -readonly [K in keyof CgroupUsage]: CgroupUsage[K] } = { oomKills: 0, pidsRefused: 0 };
  for (const part of parts) {
    for (const field of FIELDS) merged[field] ??= part[field];
    merged.oomKills += part.oomKills;
    merged.pidsRefused += part.pidsRefused;
  }
  return merged;
}
