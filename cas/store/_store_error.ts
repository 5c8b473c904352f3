/**
 * What the system says when the disk fails, as errors that say what to do.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code } from "@brokkr/common";

/** When a client may try again, in milliseconds. */
const RETRY_MS = 5000;

const ADVICE: Readonly<Record<string, string>> = {
  EROFS: "its file system is read-only; look why in the kernel's log and mount it for writing",
  EIO: "the disk reports an error; look into the kernel's log, and replace the disk if it fails",
  ENOENT: "something removed it; the store opens itself again, try again",
  ENOTDIR: "something replaced it; the store opens itself again, try again",
  ESTALE: "the file system took it away; the store opens itself again, try again",
  EACCES: "its permissions have changed; give this user the right to read and write it",
  EPERM: "its permissions have changed; give this user the right to read and write it",
};

/** The code of an error of the system, such as `EIO`, also where it is the cause of another. */
export function systemCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as { code?: unknown };
    if (typeof code === "string") return code;
  }
  return undefined;
}

/** An error of the system as one that says what failed, where, and what would help. Others stay what they are. */
export function storeError(what: string, dir: string, error: unknown, after = ""): BrokkrError {
  if (error instanceof BrokkrError) return error;
  const known = asBrokkrError(error, Code.UNAVAILABLE);
  const advice = ADVICE[systemCode(error) ?? ""];
  const details = known.details.length > 0 || known.code !== Code.UNAVAILABLE
    ? known.details
    : [{ kind: "retryInfo" as const, retryDelayMs: RETRY_MS }];
  const why = advice === undefined ? known.message : `${advice} (${known.message})`;
  return new BrokkrError(known.code, `Cannot ${what} in ${dir}: ${why}${after}`, { details, cause: error });
}
