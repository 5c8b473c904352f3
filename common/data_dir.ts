/**
 * One process owns a data directory; a lock says who.
 *
 * @module
 */

import { BrokkrError, Code } from "./errors.ts";

/** A held data directory; released by `using` or when the process ends, however it ends. */
export interface DataDirectory extends Disposable {
  /** Its absolute path. */
  readonly path: string;
  /** Lets it go. */
  release(): void;
}

const encoder = new TextEncoder();

/**
 * Makes the directory if need be and takes its lock (`flock` on `<path>/LOCK`, so a dead owner leaves none behind).
 *
 * @param role what the owner is, such as `control` or `worker`; written into the lock for the next who asks.
 * @throws {BrokkrError} FAILED_PRECONDITION naming the owner when another process holds it; PERMISSION_DENIED when the
 * directory cannot be written.
 */
export function openDataDirectory(path: string, role: string): DataDirectory {
  let file: Deno.FsFile;
  let absolute: string;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    absolute = Deno.realPathSync(path);
    file = Deno.openSync(`${absolute}/LOCK`, { create: true, read: true, write: true, mode: 0o600 });
  } catch (error) {
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `Cannot use ${path} as a data directory: ${
        error instanceof Error ? error.message : String(error)
      }; name one that this user may write`,
      { cause: error },
    );
  }
  if (!file.tryLockSync(true)) {
    const owner = Deno.readTextFileSync(`${absolute}/LOCK`).trim();
    file.close();
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Data directory ${absolute} is in use by ${
        owner === "" ? "another process" : owner
      }; stop it or name another directory`,
    );
  }
  file.truncateSync(0);
  file.writeSync(encoder.encode(`${role} with process id ${Deno.pid}\n`));
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    file.close();
  };
  return { path: absolute, release, [Symbol.dispose]: release };
}
