/**
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { SyscallError } from "@brokkr/sandbox";

/** Errors that the action itself brought about, as such: another worker would meet them too. */
export function asRefusal(error: unknown): unknown {
  const denied = error instanceof SyscallError &&
    (error.errnoName === "EACCES" || error.errnoName === "EPERM");
  if (!denied && !(error instanceof Deno.errors.PermissionDenied)) return error;
  return new BrokkrError(Code.FAILED_PRECONDITION, `An output may not be read: ${error.message}`, {
    cause: error,
  });
}
