/**
 * One process owns a data directory; a lock says who.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code } from "./errors.ts";

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
 * directory cannot be written; RESOURCE_EXHAUSTED when the disk is full or no file can be opened.
 */
export function openDataDirectory(path: string, role: string): DataDirectory {
  let file: Deno.FsFile;
  let absolute: string;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    absolute = Deno.realPathSync(path);
    file = Deno.openSync(`${absolute}/LOCK`, { create: true, read: true, write: true, mode: 0o600 });
  } catch (error) {
    throw unusable(path, error);
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
  try {
    // In place first, so that on a full disk the room of the owner before is enough.
    const owner = encoder.encode(`${role} with process id ${Deno.pid}\n`);
    for (let done = 0; done < owner.length;) done += file.writeSync(owner.subarray(done));
    file.truncateSync(owner.length);
  } catch (error) {
    file.close();
    throw unusable(absolute, error);
  }
  let held = true;
  const release = () => {
    if (!held) return;
    held = false;
    file.close();
  };
  return { path: absolute, release, [Symbol.dispose]: release };
}

function unusable(path: string, error: unknown): BrokkrError {
  const known = asBrokkrError(error, Code.PERMISSION_DENIED);
  const advice = known.code === Code.PERMISSION_DENIED ? "; name one that this user may write" : "";
  return new BrokkrError(known.code, `Cannot use ${path} as a data directory: ${known.message}${advice}`, {
    details: known.details,
    cause: error,
  });
}
