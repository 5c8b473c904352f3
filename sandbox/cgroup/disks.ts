/**
 * Which disk a path lies on, as control groups count disks: whole ones, not partitions.
 *
 * @module
 */

import { statx } from "../file_calls.ts";
import { AT_FDCWD } from "../linux.ts";
import type { DeviceNumber } from "./stat_text.ts";

/** Reads a file, or gives undefined when it cannot be read. */
function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined; // whatever the reason: there is nothing to learn from it
  }
}

/** The source of the mount that `path` is on, by /proc/PID/mountinfo. */
export function mountSource(path: string, mountinfo: string): string | undefined {
  let best: { readonly mountPoint: string; readonly source: string } | undefined;
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const separator = fields.indexOf("-", 6);
    if (separator < 0 || fields.length < separator + 3) continue;
    const mountPoint = fields[4];
    const beneath = mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
    // Of equal ones the last lies on top.
    if (beneath && mountPoint.length >= (best?.mountPoint.length ?? 0)) {
      best = { mountPoint, source: fields[separator + 2] };
    }
  }
  return best?.source;
}

function wholeDisk({ major, minor }: DeviceNumber): DeviceNumber {
  const place = `/sys/dev/block/${major}:${minor}`;
  if (textOf(`${place}/partition`) === undefined) return { major, minor };
  const match = /^(\d+):(\d+)\s*$/.exec(textOf(`${place}/../dev`) ?? "");
  return match === null ? { major, minor } : { major: Number(match[1]), minor: Number(match[2]) };
}

/** How the C library packs a device's number into st_rdev. */
function unpack(rdev: number): DeviceNumber {
  const packed = BigInt(rdev);
  return {
    major: Number(((packed >> 8n) & 0xfffn) | ((packed >> 32n) & ~0xfffn)),
    minor: Number((packed & 0xffn) | ((packed >> 12n) & ~0xffn & 0xffffffffn)),
  };
}

/** The disk that `path` lies on, or undefined when it is on none: a memory, network or stacked file system. */
export function diskOf(path: string): DeviceNumber | undefined {
  const { dev } = statx(AT_FDCWD, path);
  const device = { major: Number(dev >> 32n), minor: Number(dev & 0xffffffffn) };
  if (device.major !== 0) return wholeDisk(device);
  // File systems that span disks (btrfs) have a number of their own, and name a disk as their source.
  const source = mountSource(Deno.realPathSync(path), textOf("/proc/self/mountinfo") ?? "");
  if (source === undefined || !source.startsWith("/dev/")) return undefined;
  try {
    const { rdev, isBlockDevice } = Deno.statSync(source);
    return isBlockDevice && rdev !== null ? wholeDisk(unpack(rdev)) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
