import { assert, assertEquals } from "@std/assert";
import { ManualClock } from "@brokkr/common";
import { type DiskUse, diskUse } from "./_disk_use.ts";
import { DiskWatch } from "./_disk_watch.ts";
import { asPlainUser, NOBODY } from "./_plain_user.ts";
import { openDescriptors, TestDir, until } from "./_testing.ts";

function bash(dir: TestDir, script: string): void {
  const { success, stderr } = new Deno.Command("bash", { args: ["-ec", script], cwd: dir.path }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Bytes that du(1) counts below a directory. */
function duBytes(dir: TestDir): number {
  const args = ["--block-size=1", "--summarize", "tree"];
  const { stdout } = new Deno.Command("du", { args, cwd: dir.path }).outputSync();
  const { blocks } = Deno.lstatSync(dir.file("tree"));
  // It counts the directory itself, which is not the action's.
  return parseInt(new TextDecoder().decode(stdout)) - (blocks ?? 0) * 512;
}

const TREES: readonly { name: string; script: string; inodes: number }[] = [
  { name: "nothing", script: "mkdir tree", inodes: 0 },
  {
    name: "hard links once",
    script: "mkdir tree; head -c 1M /dev/zero > tree/a; for i in 1 2 3 4; do ln tree/a tree/$i; done",
    inodes: 1,
  },
  {
    name: "names that are not UTF-8, and all that comes after them",
    script: `mkdir tree; for i in $(seq 40); do head -c 64K /dev/zero > tree/$i; done
      mkdir tree/$'\\xff'; head -c 1M /dev/zero > tree/$'\\xff/\\xfe\\n'`,
    inodes: 42,
  },
  {
    name: "trees deeper than a path is long",
    script:
      `mkdir tree; cd tree; for i in $(seq 400); do mkdir dddddddddddddddddddd; cd dddddddddddddddddddd; done
      head -c 1M /dev/zero > big`,
    inodes: 401,
  },
  {
    name: "no link's target",
    script: "mkdir tree; ln -s /usr tree/usr; ln -s . tree/loop; mkfifo tree/fifo",
    inodes: 3,
  },
];

Deno.test("diskUse counts what du counts", async (t) => {
  for (const { name, script, inodes } of TREES) {
    await t.step(name, async () => {
      using dir = new TestDir();
      const before = openDescriptors();
      bash(dir, script);
      assertEquals(await diskUse(dir.file("tree")), { bytes: duBytes(dir), inodes });
      assertEquals(openDescriptors(), before);
      bash(dir, "rm -r tree");
    });
  }
});

Deno.test("diskUse ends once there is too much, and closes what it opened", async () => {
  using dir = new TestDir();
  bash(dir, "mkdir -p tree/{a,b,c}/{d,e,f}; touch tree/{a,b,c}/{d,e,f}/{1,2,3}");
  const before = openDescriptors();
  const { inodes } = await diskUse(dir.file("tree"), { bytes: Infinity, inodes: 5 });
  assert(inodes > 5 && inodes < 39, `${inodes} were counted`);
  assertEquals(openDescriptors(), before);
});

Deno.test("diskUse gives a tree up that would take ever more descriptors", async () => {
  using dir = new TestDir();
  bash(dir, "mkdir tree; cd tree; for i in $(seq 200); do mkdir d e; touch d/f e/f; cd d; done");
  const before = openDescriptors();
  assertEquals(await diskUse(dir.file("tree")), { bytes: Infinity, inodes: Infinity });
  assertEquals(openDescriptors(), before);
});

Deno.test({
  name: "diskUse counts what is in directories that are closed, and leaves them closed" +
    (Deno.uid() === 0 ? "" : " (skipped: needs root to become another user)"),
  ignore: Deno.uid() !== 0,
  fn: async () => {
    assertEquals(await asPlainUser("disk_use_as_plain_user.ts"), {
      uid: NOBODY,
      bytes: 3 << 20,
      inodes: 6,
      modes: [0, 0o400, 0o100],
    });
  },
});

/** A watch on a directory, with figures of a file system that the test makes up. */
function watched(dir: TestDir, limit: DiskUse) {
  const clock = new ManualClock();
  const state = { free: { bytes: 1e9, inodes: 1e6 }, looks: 0, ended: 0 };
  const watch = new DiskWatch(clock, dir.path, limit, () => state.ended++, () => {
    state.looks++;
    return Promise.resolve(state.free);
  });
  const look = async () => {
    const { looks } = state;
    await until(() => {
      clock.advance(250);
      return state.looks > looks;
    }, "another look");
  };
  const end = () =>
    until(() => {
      clock.advance(250);
      return state.ended > 0;
    }, "the end");
  return { watch, state, look, end };
}

Deno.test("DiskWatch ends an action that fills the disk with what has no name", async () => {
  using dir = new TestDir();
  const { watch, state, look, end } = watched(dir, { bytes: 1e8, inodes: 1000 });
  using _ = watch;
  for (const bytes of [1e9, 5e8, 1e8]) {
    state.free = { bytes, inodes: 1e6 };
    await look();
  }
  assertEquals([state.ended, watch.exceeded], [0, false]);
  state.free = { bytes: 5e7, inodes: 1e6 };
  await end();
  assertEquals([state.ended, watch.exceeded], [1, true]);
});

Deno.test("DiskWatch ends an action that writes while as much is removed elsewhere", async () => {
  using dir = new TestDir();
  const { watch, state, look, end } = watched(dir, { bytes: 1 << 20, inodes: 1000 });
  using _ = watch;
  await look();
  bash(dir, "head -c 2M /dev/zero > big");
  await end();
  assertEquals([state.ended, watch.exceeded], [1, true]);
});

Deno.test("DiskWatch.check ends a look that is under way, and leaves the directory alone from then on", async () => {
  using dir = new TestDir();
  bash(dir, "for i in 1 2 3; do mkdir $i; (cd $i; seq 1000 | xargs touch); done");
  const { watch, state, look } = watched(dir, { bytes: 1e8, inodes: 1e6 });
  await look();
  const before = openDescriptors();
  state.free = { bytes: 9e8, inodes: 1e6 };
  await look();
  await until(() => openDescriptors() > before, "it to add up");
  await watch.check();
  const { looks } = state;
  assertEquals([openDescriptors(), watch.exceeded], [before, false]);
  assertEquals([state.looks, state.ended], [looks, 0]);
});
