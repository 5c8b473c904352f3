import { assert, assertEquals, assertRejects } from "@std/assert";
import { exists, openDescriptors, TestDir } from "./_testing.ts";
import { SyscallError } from "./errno.ts";
import { removeTree } from "./remove_tree.ts";

function sh(dir: TestDir, script: string): void {
  const { success, stderr } = new Deno.Command("/bin/sh", { args: ["-c", script], cwd: dir.path })
    .outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

Deno.test("removeTree removes everything, read-only directories included, and follows no link", async () => {
  using dir = new TestDir();
  sh(
    dir,
    "mkdir -p keep t/a/b t/none t/empty; : > keep/file; ln -s ../keep t/link; ln -s ../../keep/file t/a/link; " +
      ": > t/a/b/f; : > t/none/f; mkfifo t/fifo; ln -s loop t/loop; : > \"$(printf 't/bad\\377')\"; " +
      "chmod 444 t/a/b/f; chmod 0 t/none; chmod 555 t/a/b t/a t",
  );
  const before = openDescriptors();
  await removeTree(dir.file("t"));
  assertEquals(exists(dir.file("t")), false);
  assertEquals(exists(dir.file("keep/file")), true);
  assert(openDescriptors() <= before);
});

Deno.test("removeTree removes files and links, and is content with nothing", async () => {
  using dir = new TestDir();
  sh(dir, "mkdir keep; : > keep/file; : > file; ln -s keep link");
  for (const path of ["file", "link", "link", "missing/too", "keep/file/below"]) {
    await removeTree(dir.file(path));
  }
  assertEquals([...Deno.readDirSync(dir.path)].map(({ name }) => name), ["keep"]);
  await removeTree(dir.file("keep/"));
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("removeTree copes with a tree deeper than any path or descriptor limit", async () => {
  using dir = new TestDir();
  // Built from the inside out, since a path of this depth would be 33,000 bytes and the kernel takes 4,096.
  const chain = Array.from({ length: 300 }, () => "deep_dir_x").join("/");
  Deno.mkdirSync(dir.file("inner"));
  for (let level = 0; level < 10; level++) {
    Deno.mkdirSync(dir.file(`t/${chain}`), { recursive: true });
    Deno.writeTextFileSync(dir.file("t/deep_dir_x/file"), "");
    Deno.renameSync(dir.file("inner"), dir.file(`t/${chain}/inner`));
    Deno.chmodSync(dir.file("t/deep_dir_x/deep_dir_x"), 0o555);
    Deno.renameSync(dir.file("t"), dir.file("inner"));
  }
  Deno.renameSync(dir.file("inner"), dir.file("t"));
  await removeTree(dir.file("t"));
  assertEquals(exists(dir.file("t")), false);
});

Deno.test("removeTree lets timers run while it removes a wide tree", async () => {
  using dir = new TestDir();
  Deno.mkdirSync(dir.file("t"));
  Deno.writeTextFileSync(dir.file("first"), "");
  for (let i = 0; i < 5000; i++) Deno.linkSync(dir.file(i === 0 ? "first" : "t/0"), dir.file(`t/${i}`));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await removeTree(dir.file("t"));
  clearInterval(timer);
  assertEquals(exists(dir.file("t")), false);
  assertEquals(ticks > 0, true, "A timer ran in between");
});

Deno.test("removeTree says what it could not remove", async () => {
  await assertRejects(() => removeTree("/proc/self/task"), SyscallError, "failed: E");
});
