import { assertEquals, assertThrows } from "@std/assert";
import { TestDir } from "./_testing.ts";
import { Beneath } from "./beneath.ts";
import { SyscallError } from "./errno.ts";
import { createFile, linkFile, setMtime } from "./file_tools.ts";

Deno.test("setMtime sets the time of files, directories and links themselves", () => {
  using dir = new TestDir();
  Deno.writeTextFileSync(dir.file("f"), "x");
  Deno.mkdirSync(dir.file("d"));
  Deno.symlinkSync("f", dir.file("l"));
  Deno.symlinkSync("missing", dir.file("dangling"));
  using root = Beneath.open(dir.path);
  const times = [0n, 1n, 1_000_000_000n, 946_684_800_123_456_789n, -1n, -1_500_000_000n];
  for (const name of ["f", "d", "l", "dangling"]) {
    for (const time of times) {
      setMtime(dir.file(name), time);
      assertEquals(root.stat(name).mtimeNs, time, name);
    }
  }
  setMtime(dir.file("f"), 5_000_000_000n);
  setMtime(dir.file("l"), 6_000_000_000n);
  assertEquals(root.stat("f").mtimeNs, 5_000_000_000n);
  assertThrows(() => setMtime(dir.file("missing"), 0n), SyscallError, "ENOENT");
});

Deno.test("createFile gives exactly this content, mode and time, and never replaces anything", () => {
  using dir = new TestDir();
  using root = Beneath.open(dir.path);
  const content = crypto.getRandomValues(new Uint8Array(50_000));
  for (const [index, mode] of [0o444, 0o555, 0o777, 0o600, 0o000].entries()) {
    createFile(dir.file(`f${index}`), content, { mode, mtimeNs: 42n });
    const stat = root.stat(`f${index}`);
    assertEquals([stat.mode, stat.mtimeNs, stat.sizeBytes], [mode, 42n, 50_000]);
  }
  assertEquals(Deno.readFileSync(dir.file("f0")), content);
  createFile(dir.file("empty"), new Uint8Array(0), { mode: 0o644 });
  assertEquals(root.stat("empty").sizeBytes, 0);
  assertThrows(() => createFile(dir.file("f0"), content, { mode: 0o644 }), SyscallError, "EEXIST");
  Deno.symlinkSync(dir.file("elsewhere"), dir.file("dangling"));
  assertThrows(() => createFile(dir.file("dangling"), content, { mode: 0o644 }), SyscallError, "EEXIST");
});

Deno.test("linkFile makes a second name for a file, and names why it cannot", () => {
  using dir = new TestDir();
  using root = Beneath.open(dir.path);
  Deno.writeTextFileSync(dir.file("f"), "x");
  linkFile(dir.file("f"), dir.file("g"));
  assertEquals(root.stat("g"), { ...root.stat("f"), nlink: 2 });
  assertThrows(() => linkFile(dir.file("f"), dir.file("g")), SyscallError, "EEXIST");
  assertThrows(() => linkFile(dir.file("missing"), dir.file("h")), SyscallError, "ENOENT");
});
