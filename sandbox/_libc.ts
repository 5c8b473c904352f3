/**
 * The C library, bound once and lazily, and how its errors become exceptions.
 *
 * All calls are synchronous and made on the calling thread: errno lives there.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { errnoOf, SyscallError } from "./errno.ts";

// Sizes are capped at 1 GiB by the wrappers, so that a ssize_t fits an i32 and no call has to allocate a bigint.
// `syscall` is bound once for each signature; the kernel itself narrows what it declares as int to 32 bits.
/** What is bound. */
export const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  close: { parameters: ["i32"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  open_tree: { name: "syscall", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  mount_setattr: {
    name: "syscall",
    parameters: ["i32", "i32", "buffer", "u32", "buffer", "usize"],
    result: "i32",
  },
  fcntl: { parameters: ["i32", "i32", "i64"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  getxattr: { parameters: ["buffer", "buffer", "buffer", "usize"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" },
  renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  umask: { parameters: ["u32"], result: "u32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  pidfd_open: { name: "syscall", parameters: ["i32", "i32", "u32"], result: "i32" },
  pidfd_send_signal: { name: "syscall", parameters: ["i32", "i32", "i32", "usize", "u32"], result: "i32" },
  openat2: { name: "syscall", parameters: ["i32", "i32", "buffer", "buffer", "usize"], result: "i32" },
  getdents64: { name: "syscall", parameters: ["i32", "i32", "buffer", "u32"], result: "i32" },
  statx: { name: "syscall", parameters: ["i32", "i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The library and this thread's errno. */
export interface Bound {
  readonly c: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly errno: () => number;
}

let bound: Bound | undefined;

function open(): Deno.DynamicLibrary<typeof SYMBOLS> {
  const names = ["libc.so.6", `libc.musl-${currentArch().name}.so.1`];
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      return Deno.dlopen(name, SYMBOLS);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `The C library could not be loaded (tried ${names.join(", ")}); deno needs --allow-ffi for it`,
    { cause: new AggregateError(failures) },
  );
}

/** The C library. @throws {BrokkrError} FAILED_PRECONDITION when it cannot be loaded. */
export function libc(): Bound {
  if (bound !== undefined) return bound;
  const c = open().symbols;
  const location = c.__errno_location();
  if (location === null) throw new BrokkrError(Code.INTERNAL, "The C library has no errno for this thread");
  // SAFETY: errno's address is fixed for a thread's life, and this module's instance belongs to one thread.
  const view = new Deno.UnsafePointerView(location);
  bound = { c, errno: () => view.getInt32(0) };
  return bound;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Most bytes of one read or write. */
export const MAX_IO_BYTES = 1 << 30;

/** A path as the kernel takes it. */
export type PathLike = string | Uint8Array;

/** A path for messages; bytes that are not UTF-8 show as U+FFFD. */
export function pathText(path: PathLike): string {
  return typeof path === "string" ? path : decoder.decode(path);
}

/**
 * The bytes of a path with the NUL that ends it.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when the path holds a NUL itself.
 */
export function cString(path: PathLike): Uint8Array<ArrayBuffer> {
  const bytes = typeof path === "string" ? encoder.encode(path) : path;
  if (bytes.includes(0)) {
    throw new BrokkrError(
      Code.INVALID_ARGUMENT,
      `A path must not hold a NUL byte: ${JSON.stringify(pathText(path))}`,
    );
  }
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  return out;
}

/** Throws what errno says when `result` is negative. */
export function check(result: number, call: string, path?: PathLike): number {
  if (result >= 0) return result;
  const errno = libc().errno();
  throw new SyscallError(call, errno, path === undefined ? undefined : pathText(path));
}

/** Interrupted by a signal: to be tried again. */
export const EINTR = errnoOf("EINTR");
