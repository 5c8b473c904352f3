/**
 * Names of files: which are allowed, and how they are ordered.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";

/** Longest name of a file, in bytes (Linux's NAME_MAX). */
export const MAX_NAME_BYTES = 255;
/** Longest target of a symbolic link and longest path, in bytes (Linux's PATH_MAX without its NUL). */
export const MAX_PATH_BYTES = 4095;

/** How many bytes `text` has as UTF-8. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of the pair's four bytes.
    length += unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xf800) === 0xd800 ? 2 : 3;
  }
  return length;
}

/** Orders strings by their UTF-8 bytes. JavaScript's own order is that of UTF-16, which differs above U+D7FF. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above every other unit.
    const xHigh = (x & 0xf800) === 0xd800;
    const yHigh = (y & 0xf800) === 0xd800;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** What makes `name` unfit as the name of a file, or undefined. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "a name may not be empty";
  if (name === "." || name === "..") return `a name may not be "${name}"`;
  if (name.includes("/")) return "a name may not hold a slash";
  if (name.includes("\0")) return "a name may not hold a NUL";
  if (!name.isWellFormed()) return "a name must be valid Unicode";
  if (name.length * 3 > MAX_NAME_BYTES && utf8Length(name) > MAX_NAME_BYTES) {
    return `a name may have at most ${MAX_NAME_BYTES} bytes`;
  }
  return undefined;
}

/** What makes `target` unfit as the target of a symbolic link, or undefined. */
export function targetProblem(target: string): string | undefined {
  if (target === "") return "a target may not be empty";
  if (target.includes("\0")) return "a target may not hold a NUL";
  if (!target.isWellFormed()) return "a target must be valid Unicode";
  if (target.length * 3 > MAX_PATH_BYTES && utf8Length(target) > MAX_PATH_BYTES) {
    return `a target may have at most ${MAX_PATH_BYTES} bytes`;
  }
  return undefined;
}

/**
 * The names on a relative path such as `a/b/c`; none for `""`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when a name on it is unfit or the path is too long.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { splitPath } from "@brokkr/cas";
 * assertEquals(splitPath("a/b"), ["a", "b"]);
 * assertThrows(() => splitPath("../b"));
 * ```
 */
export function splitPath(path: string): string[] {
  if (path === "") return [];
  const shown = JSON.stringify(path.slice(0, 200));
  if (path.startsWith("/")) {
    throw invalidArgument("path", `Path ${shown} is absolute; write it relative to the root of the tree`);
  }
  const names = path.split("/");
  for (const name of names) {
    const problem = nameProblem(name);
    if (problem !== undefined) throw invalidArgument("path", `Path ${shown} cannot be used: ${problem}`);
  }
  if (path.length * 3 > MAX_PATH_BYTES && utf8Length(path) > MAX_PATH_BYTES) {
    throw invalidArgument("path", `Path ${shown} is too long: at most ${MAX_PATH_BYTES} bytes are allowed`);
  }
  return names;
}
