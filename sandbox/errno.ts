/**
 * The kernel's error numbers by name, the same on every architecture this project runs on.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

const NAMES: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [2, "ENOENT"],
  [3, "ESRCH"],
  [4, "EINTR"],
  [5, "EIO"],
  [6, "ENXIO"],
  [7, "E2BIG"],
  [8, "ENOEXEC"],
  [9, "EBADF"],
  [10, "ECHILD"],
  [11, "EAGAIN"],
  [12, "ENOMEM"],
  [13, "EACCES"],
  [14, "EFAULT"],
  [15, "ENOTBLK"],
  [16, "EBUSY"],
  [17, "EEXIST"],
  [18, "EXDEV"],
  [19, "ENODEV"],
  [20, "ENOTDIR"],
  [21, "EISDIR"],
  [22, "EINVAL"],
  [23, "ENFILE"],
  [24, "EMFILE"],
  [25, "ENOTTY"],
  [26, "ETXTBSY"],
  [27, "EFBIG"],
  [28, "ENOSPC"],
  [29, "ESPIPE"],
  [30, "EROFS"],
  [31, "EMLINK"],
  [32, "EPIPE"],
  [33, "EDOM"],
  [34, "ERANGE"],
  [35, "EDEADLK"],
  [36, "ENAMETOOLONG"],
  [37, "ENOLCK"],
  [38, "ENOSYS"],
  [39, "ENOTEMPTY"],
  [40, "ELOOP"],
  [61, "ENODATA"],
  [62, "ETIME"],
  [71, "EPROTO"],
  [74, "EBADMSG"],
  [75, "EOVERFLOW"],
  [87, "EUSERS"],
  [88, "ENOTSOCK"],
  [95, "EOPNOTSUPP"],
  [98, "EADDRINUSE"],
  [104, "ECONNRESET"],
  [110, "ETIMEDOUT"],
  [111, "ECONNREFUSED"],
  [114, "EALREADY"],
  [115, "EINPROGRESS"],
  [116, "ESTALE"],
  [122, "EDQUOT"],
  [125, "ECANCELED"],
  [129, "EKEYREJECTED"],
]);

const NUMBERS: ReadonlyMap<string, number> = new Map([...NAMES].map(([number, name]) => [name, number]));

/**
 * The name of an error number, such as `"ENOENT"`; `"errno 4000"` for one that has none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { errnoName } from "@brokkr/sandbox";
 * assertEquals(errnoName(2), "ENOENT");
 * ```
 */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** The number of an error name. @throws {RangeError} when there is no such name. */
export function errnoOf(name: string): number {
  const number = NUMBERS.get(name);
  if (number === undefined) throw new RangeError(`No error number is called ${name}`);
  return number;
}

function codeOf(name: string): Code {
  switch (name) {
    case "ENOENT":
      return Code.NOT_FOUND;
    case "EEXIST":
      return Code.ALREADY_EXISTS;
    case "EPERM":
    case "EACCES":
      return Code.PERMISSION_DENIED;
    case "ENOSPC":
    case "EDQUOT":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
      return Code.RESOURCE_EXHAUSTED;
    case "ENOSYS":
      return Code.UNIMPLEMENTED;
    case "ENOTDIR":
    case "EISDIR":
    case "ELOOP":
    case "EXDEV":
    case "ENAMETOOLONG":
    case "EROFS":
    case "EBUSY":
    case "ENOTEMPTY":
      return Code.FAILED_PRECONDITION;
    default:
      return Code.INTERNAL;
  }
}

/** A system call that failed: which, on what, and why. */
export class SyscallError extends BrokkrError {
  /** The call's name, such as `openat2`. */
  readonly call: string;
  /** What it was applied to, if that has a name. */
  readonly path: string | undefined;
  /** The kernel's error number. */
  readonly errno: number;
  /** Its name, such as `ENOENT`. */
  readonly errnoName: string;

  /** Makes the error; `hint` says what would be right. */
  constructor(call: string, errno: number, path?: string, hint?: string) {
    const name = errnoName(errno);
    const on = path === undefined ? "" : ` ${JSON.stringify(path)}`;
    super(codeOf(name), `System call ${call}${on} failed: ${name}${hint === undefined ? "" : `; ${hint}`}`);
    this.call = call;
    this.path = path;
    this.errno = errno;
    this.errnoName = name;
  }
}
