import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import { openDescriptors, TestDir } from "./_testing.ts";
import { Beneath, utf8OrUndefined } from "./beneath.ts";
import { SyscallError } from "./errno.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function sh(dir: TestDir, script: string): void {
  const { success, stderr } = new Deno.Command("/bin/sh", { args: ["-c", script], cwd: dir.path })
    .outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

Deno.test("Beneath.list gives every entry with its type, and names that are not UTF-8 as bytes", async () => {
  using dir = new TestDir();
  sh(
    dir,
    "mkdir sub; echo x > file; ln -s file link; ln -s loop loop; ln -s /missing dangling; mkfifo fifo; : > .hidden; " +
      ": > \"$(printf 'bad\\377')\"; : > \"$(printf '\\357\\273\\277bom')\"; : > ü",
  );
  using root = Beneath.open(dir.path);
  using listener = Deno.listen({ transport: "unix", path: dir.file("socket") });
  assert(listener.addr !== undefined);
  const entries = await root.list("");
  const byName = new Map(
    entries.map((entry) => [entry.name ?? `bytes ${entry.nameBytes.toHex()}`, entry.type]),
  );
  assertEquals(Object.fromEntries(byName), {
    sub: "directory",
    file: "file",
    link: "symlink",
    loop: "symlink",
    dangling: "symlink",
    fifo: "other",
    socket: "other",
    ".hidden": "file",
    "bytes 626164ff": "file",
    "\ufeffbom": "file",
    "ü": "file",
  });
  const bad = entries.find((entry) => entry.name === undefined);
  assert(bad !== undefined);
  assertEquals(root.stat(bad.nameBytes).type, "file");
  assertEquals(await root.list("sub"), []);
});

Deno.test("Beneath.list gives all of 5000 entries", async () => {
  using dir = new TestDir();
  sh(dir, 'i=0; while [ $i -lt 5000 ]; do : > "entry_with_a_longish_name_$i"; i=$((i+1)); done');
  using root = Beneath.open(dir.path);
  const names = (await root.list("")).map((entry) => entry.name).sort();
  assertEquals(
    names,
    Array.from({ length: 5000 }, (_, index) => `entry_with_a_longish_name_${index}`).sort(),
  );
});

Deno.test("Beneath.stat gives size, mode, time to the nanosecond and type, and never follows", () => {
  using dir = new TestDir();
  sh(
    dir,
    "printf hello > f; chmod 4751 f; touch -d '2001-02-03T04:05:06.123456789Z' f; ln f hard; ln -s f l; mkdir d",
  );
  using root = Beneath.open(dir.path);
  const stat = root.stat("f");
  assertEquals([stat.type, stat.sizeBytes, stat.mode, stat.nlink], ["file", 5, 0o4751, 2]);
  assertEquals(stat.mtimeNs, BigInt(Date.UTC(2001, 1, 3, 4, 5, 6)) * 1_000_000n + 123_456_789n);
  assertEquals([stat.uid, stat.gid], [Deno.uid(), Deno.gid()]);
  assertEquals([root.stat("hard").ino, root.stat("hard").dev], [stat.ino, stat.dev]);
  assertEquals(root.stat("l").type, "symlink");
  assertEquals(root.stat("d").type, "directory");
  assertEquals(root.stat("").type, "directory");
  assertEquals(root.stat("d/").type, "directory");
  assertEquals(root.tryStat("missing"), undefined);
  assertEquals(root.tryStat("f/below"), undefined);
  assertEquals(utf8OrUndefined(root.readLink("l")), "f");
  assertThrows(() => root.readLink("f"), BrokkrError, "is no symbolic link; it is of type file");
});

Deno.test("Beneath refuses every way out of its root", async () => {
  using dir = new TestDir();
  sh(
    dir,
    "mkdir -p in/sub out; echo secret > out/secret; ln -s ../out in/up; ln -s sub in/within; ln -s /etc in/abs",
  );
  sh(dir, "ln -s loop in/loop; ln -s ../out/secret in/file; ln -s /proc/self/fd/0 in/magic");
  using root = Beneath.open(dir.file("in"));
  const refused: [path: string, message: string][] = [
    ["..", 'must not hold ".."'],
    ["../out", 'must not hold ".."'],
    ["sub/../sub", 'must not hold ".."'],
    ["sub/..", 'must not hold ".."'],
    ["/etc/passwd", "must be relative to its root"],
    ["up/secret", "ELOOP"],
    ["within/x", "ELOOP"],
    ["abs/passwd", "ELOOP"],
    ["loop/x", "ELOOP"],
    ["up/", "ELOOP"],
    ["a\0b", "must not hold a NUL"],
  ];
  for (const [path, message] of refused) {
    assertThrows(() => root.stat(path), BrokkrError, message, path);
    assertThrows(() => root.stat(bytes(path)), BrokkrError, message, path);
    assertThrows(() => root.tryStat(path), BrokkrError, message, path);
    assertThrows(() => root.openFile(path), BrokkrError, message, path);
    assertThrows(() => root.readLink(path), BrokkrError, message, path);
    await assertRejects(() => root.list(path), BrokkrError, message, path);
  }
  for (const link of ["up", "abs", "loop", "file", "magic"]) {
    assertThrows(() => root.openFile(link), BrokkrError, "is no regular file; it is of type symlink", link);
    await assertRejects(() => root.list(link), SyscallError, undefined, link);
  }
});

Deno.test("Beneath.openFile opens regular files only and blocks on nothing", () => {
  using dir = new TestDir();
  sh(dir, "mkdir d; mkfifo fifo; : > empty");
  using root = Beneath.open(dir.path);
  using listener = Deno.listen({ transport: "unix", path: dir.file("socket") });
  assert(listener.addr !== undefined);
  assertThrows(() => root.openFile("fifo"), BrokkrError, "is no regular file; it is of type other");
  assertThrows(() => root.openFile("socket"), BrokkrError, "is no regular file; it is of type other");
  assertThrows(() => root.openFile("d"), BrokkrError, "is no regular file; it is of type directory");
  assertThrows(() => root.openFile("missing"), SyscallError, "ENOENT");
  using empty = root.openFile("empty");
  assertEquals([empty.sizeBytes, empty.read(new Uint8Array(8), 0)], [0, 0]);
});

Deno.test("OpenFile.chunks yields the whole file in pieces", async () => {
  using dir = new TestDir();
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  Deno.writeFileSync(dir.file("f"), content, { mode: 0o640 });
  using root = Beneath.open(dir.path);
  using file = root.openFile("f");
  assertEquals([file.sizeBytes, file.mode & 0o700], [60_000, 0o600]);
  for (const size of [1000, 7777, 60_000, 1 << 20]) {
    const pieces: Uint8Array[] = [];
    for await (const piece of file.chunks(size)) pieces.push(piece);
    assertEquals(pieces.length, Math.ceil(60_000 / size));
    const whole = new Uint8Array(60_000);
    let at = 0;
    for (const piece of pieces) whole.set(piece, (at += piece.length) - piece.length);
    assertEquals(whole, content);
  }
  const buffer = new Uint8Array(10);
  assertEquals(file.read(buffer, 59_995), 5);
  assertEquals(buffer.subarray(0, 5), content.subarray(59_995));
  Deno.truncateSync(dir.file("f"), 100);
  await assertRejects(
    async () => {
      for await (const _ of file.chunks()) { /* until it ends too early */ }
    },
    BrokkrError,
    "ended after 100 of 60000 bytes",
  );
  file.close();
  assertThrows(() => file.read(buffer, 0), BrokkrError, "is closed");
});

Deno.test("Beneath keeps no descriptor, whatever fails", async () => {
  using dir = new TestDir();
  sh(dir, "mkdir d; mkfifo fifo; echo x > f; ln -s f l");
  const before = openDescriptors();
  {
    using root = Beneath.open(dir.path);
    for (const path of ["d", "fifo", "f", "l", "missing", "l/x", ".."]) {
      try {
        root.stat(path);
        root.readLink(path);
      } catch { /* refused */ }
      try {
        root.openFile(path).close();
      } catch { /* refused */ }
      try {
        await root.list(path);
      } catch { /* refused */ }
    }
  }
  assert(openDescriptors() <= before);
  assertThrows(() => Beneath.open(dir.file("f")), SyscallError, "ENOTDIR");
  const closed = Beneath.open(dir.path);
  closed.close();
  assertThrows(() => closed.stat("f"), BrokkrError, "is closed");
});
