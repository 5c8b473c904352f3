/**
 * The zygote: a process that waits for programs and forks a child for each. Forking it costs a fraction of what starting
 * a process from Deno costs, and what a child needs comes over a socket, so that the worker never has an inheritable
 * descriptor.
 *
 * It holds 0 and 2 (/dev/null), 1 (the pipe on which children tell that they ended), {@linkcode ZYGOTE_SOCKET} and
 * {@linkcode ZYGOTE_SELF}. A message carries the program of a child, as a memfd, then the descriptors that program
 * expects; they arrive from {@linkcode FIRST_PASSED} on. The child maps the program at {@linkcode PASSED_ADDRESS} and
 * goes on in it.
 *
 * @module
 */

import type { Arch } from "./arch.ts";
import { defaultSignals, dieWithParent, enter, setSignal } from "./_program_parts.ts";
import * as linux from "./linux.ts";
import { fieldOf, firstOperation, named, param, type Program, ProgramBuilder } from "./program.ts";

/** The zygote's socket, and its children's. */
export const ZYGOTE_SOCKET = 3;
/** The zygote's own image, from which it takes unused message headers. */
export const ZYGOTE_SELF = 4;
/** The first descriptor that was passed: the program. */
export const FIRST_PASSED = 5;
/** Most descriptors in one message: the kernel's SCM_MAX_FD. */
export const MAX_PASSED = 253;
/** Where a child maps its program: far below the result page, far above the zygote's own data. */
export const PASSED_ADDRESS = 0x2000_0000;
/** Bytes mapped there: more than a program with its parameters may take. */
export const PASSED_BYTES = 0x800_0000;

const CONTROL_BYTES = 16 + MAX_PASSED * 4 + 4;
/** SIG_IGN as a handler. */
const SIG_IGN = 1;

/** Builds the program. Parameters: `socket`, its descriptor, and `header`, which is {@linkcode headerOffset}. */
export function zygoteProgram(arch: Arch): { readonly program: Program; readonly headerOffset: number } {
  const builder = new ProgramBuilder(arch);
  builder.external("passed_program", firstOperation(PASSED_ADDRESS));
  enter(builder, "outer");
  dieWithParent(builder);
  builder.call("setsid", [], { onError: "next" });
  builder.call("umask", [0]);
  builder.call("dup3", [param("socket"), ZYGOTE_SOCKET, named(linux.O_CLOEXEC, "O_CLOEXEC")], {
    name: "dup3 socket",
  });
  builder.call("close_range", [ZYGOTE_SELF, named(0xffffffff, "~0"), 0]);
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string("/proc/self/exe"),
    named(linux.O_RDONLY | linux.O_CLOEXEC, "O_RDONLY|O_CLOEXEC"),
  ], { name: "open /proc/self/exe" });
  preferForOom(builder);
  defaultSignals(builder);
  builder.call("getpid", [], { store: fieldOf("child_parent", "equals") });
  // Children that ended go away by themselves.
  const ignore = builder.words([SIG_IGN, 0, 0, 0], "SIG_IGN");
  setSignal(builder, linux.SIGCHLD, ignore);
  const token = builder.room(8, "token");
  const iov = builder.words([token, 8], "[token, 8]");
  const control = builder.room(CONTROL_BYTES, "descriptors");
  const header = builder.words([0, 0, iov, 1, control, CONTROL_BYTES, 0], "message");
  builder.label("wait");
  // The kernel writes into a header what came; the file still has it as it was.
  builder.call("pread64", [ZYGOTE_SELF, header, 56, param("header")], { name: "pread64 message header" });
  builder.call("recvmsg", [ZYGOTE_SOCKET, header, named(linux.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC")], {
    onEqual: { value: 0, goto: "outer_exit" },
    onError: "outer_exit",
  });
  builder.call("clone", [named(linux.SIGCHLD, "SIGCHLD"), 0, 0, 0, 0], {
    name: "clone outer",
    onEqual: { value: 0, goto: "child" },
    onError: "no_child",
  });
  builder.label("close");
  builder.call("close_range", [FIRST_PASSED, named(0xffffffff, "~0"), 0], { next: "wait" });
  // Who waits for it hears that it ended, and finds that it never began.
  builder.label("no_child");
  builder.call("write", [1, token, 8], { name: "write token", onError: "close", next: "close" });
  builder.label("child");
  dieWithParent(builder);
  // If that had gone before, nothing would come.
  builder.label("child_parent");
  builder.call("getppid", [], { onEqual: { value: 0, goto: "child_program" }, next: "outer_exit" });
  builder.label("child_program");
  builder.call("mmap", [
    named(PASSED_ADDRESS, "program"),
    PASSED_BYTES,
    named(linux.PROT_READ | linux.PROT_WRITE, "PROT_READ|PROT_WRITE"),
    named(
      linux.MAP_PRIVATE | linux.MAP_FIXED_NOREPLACE | linux.MAP_NORESERVE,
      "MAP_PRIVATE|MAP_FIXED_NOREPLACE|MAP_NORESERVE",
    ),
    FIRST_PASSED,
    0,
  ], { name: "mmap program", next: "passed_program" });
  builder.label("outer_failed");
  builder.call("write", [1, token, 8], { name: "write token", onError: "next" });
  builder.label("outer_exit");
  builder.call("exit_group", [127]);
  const program = builder.build();
  return { program, headerOffset: program.fileOffset(header) };
}

/** When the machine runs out of memory, an action goes before the worker. */
function preferForOom(builder: ProgramBuilder): void {
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string("/proc/self/oom_score_adj"),
    named(linux.O_WRONLY | linux.O_CLOEXEC, "O_WRONLY|O_CLOEXEC"),
  ], { name: "open /proc/self/oom_score_adj", onError: "signals", store: fieldOf("oom_score", 0) });
  builder.label("oom_score");
  builder.call("write", [0, builder.string("500"), 3], { name: "write oom_score_adj", onError: "next" });
  builder.call("close_range", [FIRST_PASSED, named(0xffffffff, "~0"), 0]);
  builder.label("signals");
}
