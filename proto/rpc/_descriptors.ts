/**
 * How many connections a process may take before nothing is left to open files with.
 *
 * @module
 */

import type { Logger } from "@brokkr/common";

/** What is kept for files, listeners and outgoing connections. */
const RESERVE = 256;

/** File descriptors this process may have; undefined where the system does not tell. Deno raises the limit to the hard one. */
export function descriptorLimit(): number | undefined {
  try {
    // A file of the kernel's, some hundred bytes, read once.
    const match = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"));
    return match === null ? undefined : Number(match[1]);
  } catch {
    return undefined;
  }
}

/** `wanted` connections, or what `descriptors` leave room for: all but a reserve, which is half of them when they are few. */
export function connectionsWithin(wanted: number, descriptors: number | undefined, log: Logger): number {
  if (descriptors === undefined) return wanted;
  const most = Math.max(1, descriptors - Math.min(RESERVE, Math.ceil(descriptors / 2)));
  if (wanted <= most) return wanted;
  log.warn("There are too few file descriptors for max_connections; raise the limit with ulimit -n", {
    maxConnections: wanted,
    most,
    descriptors,
  });
  return most;
}
