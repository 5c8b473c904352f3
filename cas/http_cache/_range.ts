/**
 * Range requests (RFC 9110, section 14): one range of bytes. Where several are asked for, or something that is none, the
 * whole is answered, as the standard allows.
 *
 * @module
 */

/** A part of a blob, `[start, end)`. */
export interface ByteRange {
  /** First byte. */
  readonly start: number;
  /** The byte after the last. */
  readonly end: number;
}

/** Longer headers are not looked at. */
const MAX_LENGTH = 100;
const ONE_RANGE = /^bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i;

/**
 * What of `sizeBytes` bytes the header asks for: a part, the whole, or nothing that is there.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseRange } from "./_range.ts";
 * assertEquals(parseRange("bytes=2-4", 10), { start: 2, end: 5 });
 * assertEquals(parseRange("bytes=-4", 10), { start: 6, end: 10 });
 * assertEquals(parseRange("bytes=0-1,4-5", 10), "whole");
 * assertEquals(parseRange("bytes=10-", 10), "unsatisfiable");
 * ```
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | "whole" | "unsatisfiable" {
  if (header === undefined || header.length > MAX_LENGTH) return "whole";
  const match = ONE_RANGE.exec(header);
  if (match === null) return "whole";
  const [, first, last] = match;
  if (first === "") {
    if (last === "") return "whole";
    const suffix = Number(last);
    if (suffix === 0) return "unsatisfiable";
    // Nothing of nothing cannot be said as a range.
    if (sizeBytes === 0) return "whole";
    return { start: Math.max(0, sizeBytes - suffix), end: sizeBytes };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (last !== "" && Number(last) < start) return "whole";
  return start >= sizeBytes ? "unsatisfiable" : { start, end };
}
