import type { Expected } from "../_attack.ts";

/** The same for several probes, their names with blanks between. */
export function all(names: string, expected: Expected): Record<string, Expected> {
  return Object.fromEntries(names.trim().split(/\s+/).map((name) => [name, expected]));
}

/** A file that is not there, or is and cannot be written to: which of them depends on the kernel. */
export const CLOSED = "EROFS|ENOENT|EACCES";
