/**
 * Finds the program that a command names, as execvp(3) would, with the PATH of the command and not the worker's.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

/**
 * Where programs are looked for when the command sets no PATH. The API leaves it to the worker; this is what the C
 * library's execvp does (confstr `_CS_PATH`), so that it does not depend on how the worker was started. The command's
 * environment stays without PATH.
 */
export const DEFAULT_PATH = "/bin:/usr/bin";

/** Most directories of a PATH that are looked through: each takes a call to the kernel, and a client wrote it. */
const MAX_PATH_ENTRIES = 1000;

/**
 * What execve must be given to run `name`: `name` itself when it holds a slash (absolute, or relative to the working
 * directory), else the first executable file of that name on PATH.
 *
 * @param cwd absolute path of the working directory, for relative entries of PATH (an empty entry means it too).
 * @throws {BrokkrError} INVALID_ARGUMENT when there is none, or PATH names more than a thousand directories.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { findProgram } from "@brokkr/worker";
 * assertEquals(findProgram("sh", "/nowhere:/bin", "/"), "/bin/sh");
 * assertEquals(findProgram("./sh", "/bin", "/"), "./sh");
 * ```
 */
export function findProgram(name: string, path: string | undefined, cwd: string): string {
  if (name.includes("/")) return name;
  let unusable: string | undefined;
  for (const entry of pathEntries(name, path)) {
    const directory = entry === "" ? cwd : entry.startsWith("/") ? entry : `${cwd}/${entry}`;
    const candidate = `${directory}/${name}`;
    const stat = tryStat(candidate);
    if (stat === undefined || !stat.isFile) continue;
    if (((stat.mode ?? 0) & 0o111) !== 0) return candidate;
    unusable ??= candidate;
  }
  const where = shownPath(path);
  throw new BrokkrError(
    Code.INVALID_ARGUMENT,
    unusable === undefined
      ? `Program ${JSON.stringify(name)} was not found in PATH ${where}`
      : `Program ${
        JSON.stringify(name)
      } was found at ${unusable}, which is not executable, and nowhere else in PATH ${where}`,
  );
}

/** A PATH as messages show it. */
export function shownPath(path: string | undefined): string {
  return path === undefined ? `${DEFAULT_PATH} (the command sets no PATH)` : JSON.stringify(path);
}

/** The directories of a PATH, each once. */
function pathEntries(name: string, path: string | undefined): ReadonlySet<string> {
  const entries = new Set((path ?? DEFAULT_PATH).split(":"));
  if (entries.size <= MAX_PATH_ENTRIES) return entries;
  throw new BrokkrError(
    Code.INVALID_ARGUMENT,
    `PATH names ${entries.size} directories to look for ${
      JSON.stringify(name)
    } in; at most ${MAX_PATH_ENTRIES} are looked through`,
  );
}

/**
 * Where a program may be, in the order in which execve is to try: `name` itself when it holds a slash, else in each
 * directory of PATH. Relative ones are relative to the working directory, and an empty entry is that.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when PATH names more than a thousand directories.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { programCandidates } from "@brokkr/worker";
 * assertEquals(programCandidates("sh", "/usr/bin:tools::/usr/bin"), ["/usr/bin/sh", "tools/sh", "./sh"]);
 * assertEquals(programCandidates("a/b", "/usr/bin"), ["a/b"]);
 * ```
 */
export function programCandidates(name: string, path: string | undefined): string[] {
  if (name.includes("/")) return [name];
  return [...pathEntries(name, path)].map((entry) => `${entry === "" ? "." : entry}/${name}`);
}

function tryStat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    // Not there, not to be reached, a name too long: whatever it is, the program cannot be run from here.
    return undefined;
  }
}
