import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { openDescriptors } from "./_testing.ts";
import { errnoName, errnoOf, SyscallError } from "./errno.ts";
import { openPath, statx } from "./file_calls.ts";
import * as libc from "./libc.ts";
import { MFD_CLOEXEC, O_CLOEXEC, O_NONBLOCK, O_RDONLY } from "./linux.ts";

Deno.test("a failing call throws an error that names the call, the path and the error", () => {
  const cases: [name: string, code: Code, fn: () => unknown][] = [
    ["ENOENT", Code.NOT_FOUND, () => openPath("/does/not/exist", O_RDONLY)],
    ["ENOTDIR", Code.FAILED_PRECONDITION, () => openPath("/dev/null/x", O_RDONLY)],
    ["EBADF", Code.INTERNAL, () => libc.fchmod(-1, 0)],
    ["EBADF", Code.INTERNAL, () => libc.close(-1)],
    ["EINVAL", Code.INTERNAL, () => libc.prctl(-1)],
  ];
  for (const [name, code, fn] of cases) {
    const error = assertThrows(fn, SyscallError, name);
    assertEquals([error.errnoName, error.code, error.errno], [name, code, errnoOf(name)]);
    assert(error instanceof BrokkrError);
  }
  const error = assertThrows(() => openPath("/does/not/exist", O_RDONLY), SyscallError);
  assertEquals(error.message, 'System call openat "/does/not/exist" failed: ENOENT');
  assertThrows(() => openPath("a\0b", O_RDONLY), BrokkrError, "must not hold a NUL");
});

Deno.test("errnoName and errnoOf know each other", () => {
  for (let errno = 1; errno < 133; errno++) {
    const name = errnoName(errno);
    if (name.startsWith("E")) assertEquals(errnoOf(name), errno);
  }
  assertEquals(errnoName(4000), "errno 4000");
  assertThrows(() => errnoOf("ENOTHING"), RangeError);
});

Deno.test("a memfd holds what is written to it", () => {
  const before = openDescriptors();
  const fd = libc.memfdCreate("test", MFD_CLOEXEC);
  const content = crypto.getRandomValues(new Uint8Array(65_000));
  libc.writeAll(fd, content);
  assertEquals(statx(fd, "").sizeBytes, 65_000);
  const back = new Uint8Array(70_000);
  assertEquals(libc.pread(fd, back, 1000), 64_000);
  assertEquals(back.subarray(0, 64_000), content.subarray(1000));
  libc.ftruncate(fd, 10);
  assertEquals(libc.pread(fd, back, 0), 10);
  assertEquals(libc.pwrite(fd, new Uint8Array([1, 2]), 9), 2);
  assertEquals(statx(fd, "").sizeBytes, 11);
  libc.close(fd);
  assert(openDescriptors() <= before);
});

Deno.test("the read end of a pipe is empty while its writer lives and at its end afterwards", () => {
  const { readFd, writeFd } = libc.pipe2(O_CLOEXEC | O_NONBLOCK);
  const byte = new Uint8Array(1);
  assertThrows(() => libc.read(readFd, byte), SyscallError, "EAGAIN");
  libc.close(writeFd);
  assertEquals(libc.read(readFd, byte), 0);
  libc.close(readFd);
});

Deno.test("duplicate and setCloseOnExec decide what a child inherits", () => {
  const fd = libc.memfdCreate("test", MFD_CLOEXEC);
  const copy = libc.duplicate(fd, 50);
  const seen = () => {
    const { stdout } = new Deno.Command("/bin/sh", {
      args: ["-c", `[ -e /proc/self/fd/${copy} ] && echo yes`],
    })
      .outputSync();
    return new TextDecoder().decode(stdout) === "yes\n";
  };
  assert(copy >= 50);
  assertEquals(seen(), true);
  libc.setCloseOnExec(copy, true);
  assertEquals(seen(), false);
  libc.close(copy);
  libc.close(fd);
});

Deno.test("kill tells of processes that are not there", async () => {
  const child = new Deno.Command("/bin/sleep", { args: ["1000"] }).spawn();
  assertEquals(libc.kill(child.pid, 0), true);
  assertEquals(libc.kill(child.pid, 9), true);
  await child.status;
  assertEquals(libc.kill(child.pid, 0), false);
});

Deno.test("getrlimit reads this process's limits", () => {
  const { soft, hard } = libc.getrlimit("nofile");
  assert(soft > 0 && soft <= hard);
});
