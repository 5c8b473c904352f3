import { assert, assertEquals, assertGreater, assertLessOrEqual, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { openDescriptors, TestDir, until } from "../_testing.ts";
import { groupsOf, lookAtMachine, runInside, uniqueName } from "./_testing.ts";
import { diskOf } from "./disks.ts";
import { killOneByOne } from "./group_tree.ts";
import { openDirectory } from "./_calls.ts";
import { close } from "../libc.ts";
import { AT_FDCWD } from "../linux.ts";
import { openCgroups } from "./open.ts";
import type { Controller } from "./types.ts";

const MIB = 1 << 20;
const machine = lookAtMachine();

/** Registers a test that needs control groups, and these controllers of them. */
function cgroupTest(name: string, needs: readonly Controller[], fn: () => Promise<void> | void): void {
  const lacking = needs.filter((controller) => !machine.controllers.has(controller));
  const reason = machine.unavailable ??
    (lacking.length === 0 ? undefined : `no ${lacking.join(", ")} controller here`);
  if (reason === undefined) Deno.test(name, fn);
  else Deno.test({ name: `${name} (skipped: ${reason})`, ignore: true, fn: () => {} });
}

function alive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

cgroupTest(
  "a process that takes more memory than its group may is killed, and that is told",
  ["memory"],
  async () => {
    using groups = openCgroups({ name: uniqueName("memory") });
    const group = groups.create("a", { memoryBytes: 48 * MIB });
    await using inside = runInside(
      group,
      `perl -e '$x = "a" x ${256 * MIB}; print "survived"'; echo "status $?"`,
    );
    const { stdout, code } = await inside.output;
    // Version 2 kills all of the group; version 1 kills perl, and bash tells of it.
    const text = new TextDecoder().decode(stdout);
    assert(
      machine.version === "v2" ? code === 137 : text === "status 137\n",
      `code ${code}, printed ${text}`,
    );
    const usage = group.usage();
    assertGreater(usage.oomKills, 0);
    if (usage.memoryPeakBytes !== undefined) {
      assertGreater(usage.memoryPeakBytes, 24 * MIB);
      assertLessOrEqual(usage.memoryPeakBytes, 48 * MIB);
    }
    await until(() => group.isEmpty(), "the group to be empty");
    group.remove();
  },
);

cgroupTest("memory is counted up to its peak", ["memory"], async () => {
  using groups = openCgroups({ name: uniqueName("peak") });
  const group = groups.create("a", { memoryBytes: 512 * MIB });
  await using inside = runInside(group, `perl -e '$x = "a" x ${64 * MIB}; print "ok"'`);
  assertEquals(new TextDecoder().decode((await inside.output).stdout), "ok");
  const { memoryPeakBytes, oomKills } = group.usage();
  assertEquals(oomKills, 0);
  if (memoryPeakBytes !== undefined) assertGreater(memoryPeakBytes, 64 * MIB);
  group.remove();
});

cgroupTest("processes beyond the limit are refused and counted", ["pids"], async () => {
  using groups = openCgroups({ name: uniqueName("pids") });
  const group = groups.create("a", { pids: 12 });
  const fork =
    'for $i (1..40) { $p = fork; if (!defined $p) { $no++ } elsif (!$p) { sleep 1000; exit } } print "$no\\n"';
  await using inside = runInside(group, `perl -e '$| = 1; ${fork}; kill 9, -$$' & wait; sleep 1000`);
  await until(() => group.usage().pidsRefused > 0, "a refusal");
  const { pidsPeak } = group.usage();
  if (pidsPeak !== undefined) assertEquals(pidsPeak, 12);
  group.kill();
  await until(() => group.isEmpty(), "the group to be empty");
  await inside.output;
  group.remove();
});

cgroupTest(
  "what wants more of the processor than its limit is held back, and all is counted",
  ["cpu"],
  async () => {
    using groups = openCgroups({ name: uniqueName("cpu") });
    const group = groups.create("a", { cpuMillis: 100 });
    await using inside = runInside(group, "while :; do :; done");
    const startMs = performance.now();
    await until(() => (group.usage().cpuThrottledMs ?? 0) > 300, "it to be held back");
    group.kill();
    await inside.output;
    const elapsedMs = performance.now() - startMs;
    const { cpuUserMs, cpuSystemMs } = group.usage();
    assert(cpuUserMs !== undefined && cpuSystemMs !== undefined);
    // A tenth of one processor, and a period's worth more that had begun.
    assertLessOrEqual(cpuUserMs + cpuSystemMs, elapsedMs * 0.1 + 100);
    assertGreater(cpuUserMs, 0);
  },
);

cgroupTest("the processor's time is counted without a limit", [], async () => {
  using groups = openCgroups({ name: uniqueName("time") });
  const group = groups.create("a", {});
  await using inside = runInside(group, "while :; do :; done");
  await until(() => (group.usage().cpuUserMs ?? 0) >= 50, "50 ms of the processor");
  group.kill();
  await inside.output;
});

cgroupTest("what goes to a disk is counted, and no faster than the limit", ["io"], async () => {
  // Where a test's directory is in memory, the file lies beside this one.
  const dirs = ["/var/tmp", "/run/scratch"].filter((path) => {
    try {
      return diskOf(path) !== undefined;
    } catch {
      return false;
    }
  });
  if (dirs.length === 0) return console.log("Not tried: no directory for temporary files is on a disk");
  const path = Deno.makeTempFileSync({ dir: dirs[0], prefix: "brokkr_cgroup_" });
  try {
    using groups = openCgroups({ name: uniqueName("io"), ioPaths: dirs.slice(0, 1) });
    assertEquals(groups.missing, []);
    const group = groups.create("a", { ioWriteBytesPerSecond: 2 * MIB });
    const startMs = performance.now();
    await using inside = runInside(group, `dd if=/dev/zero of=${path} bs=256k count=8 oflag=direct`);
    const { code, stderr } = await inside.output;
    if (code !== 0) return console.log(`Not tried: ${new TextDecoder().decode(stderr)}`);
    assertGreater(performance.now() - startMs, 500);
    const { ioWriteBytes } = group.usage();
    assert(ioWriteBytes !== undefined);
    assertGreater(ioWriteBytes, 2 * MIB - 1);
  } finally {
    Deno.removeSync(path);
  }
});

cgroupTest("kill ends a stopped tree of daemons that ignore signals", [], async () => {
  using dir = new TestDir();
  using groups = openCgroups({ name: uniqueName("kill") });
  const group = groups.create("a", {});
  assert(group.isEmpty());
  const daemon = "setsid bash -c 'trap \"\" TERM INT HUP; kill -STOP $$; sleep 1000'";
  const script = `cd ${dir.path}; ${daemon} & ${daemon} & : > ready; kill -STOP $$`;
  await using inside = runInside(group, script);
  const stopped = () => /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${inside.pid}/status`));
  await until(stopped, "the tree to stop itself");
  assert(!group.isEmpty());
  assertThrows(() => group.remove(), BrokkrError, "cannot be removed while processes are in it");
  assert(!group.isEmpty());
  group.kill();
  await until(() => group.isEmpty(), "the group to be empty");
  await inside.output;
  group.remove();
  group.kill();
});

cgroupTest("killing one by one leaves nothing of a tree that forks all the time", [], async () => {
  const name = uniqueName("onebyone");
  using groups = openCgroups({ name });
  for (const limits of [{}, { pids: 200 }]) {
    const group = groups.create("a", limits);
    const script =
      "f() { while :; do ( : ) & wait $!; done; }; f & f & setsid bash -c 'while :; do ( : ); done' & sleep 1000";
    await using inside = runInside(group, script);
    await until(() => (group.usage().cpuSystemMs ?? 1) > 0, "it to run");
    for (const path of groupsOf(name)) {
      const fd = openDirectory(AT_FDCWD, path);
      killOneByOne(fd, "action-a", path.includes("/unified/") || machine.version === "v2" ? "v2" : "v1");
      close(fd);
    }
    await until(() => group.isEmpty(), "the group to be empty");
    assertEquals((await inside.output).code, 137);
    group.remove();
  }
});

cgroupTest("a group starts from zero, whatever one of its name counted before", ["memory"], async () => {
  using groups = openCgroups({ name: uniqueName("fresh") });
  const first = groups.create("a", {});
  await using inside = runInside(first, `perl -e '$x = "a" x ${32 * MIB}'`);
  await inside.output;
  first.remove();
  const second = groups.create("a", {});
  const { memoryPeakBytes = 0, cpuUserMs, oomKills, pidsRefused, pidsPeak = 0 } = second.usage();
  assertEquals([cpuUserMs, oomKills, pidsRefused, pidsPeak], [0, 0, 0, 0]);
  assertLessOrEqual(memoryPeakBytes, MIB);
});

cgroupTest("groups and limits that cannot be are refused, and leave nothing", [], () => {
  const name = uniqueName("refused");
  using groups = openCgroups({ name });
  const descriptors = openDescriptors();
  const cases: [string, Record<string, number>][] = [
    ["", {}],
    ["..", {}],
    ["a/b", {}],
    ["a".repeat(101), {}],
    ["memory.max", {}],
    ["a", { memoryBytes: 0 }],
    ["a", { pids: -1 }],
    ["a", { cpuMillis: 1.5 }],
    ["a", { ioReadBytesPerSecond: NaN }],
  ];
  for (const [action, limits] of cases) {
    const error = assertThrows(() => groups.create(action, limits), BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT, error.message);
  }
  const there = groups.create("a", {});
  assertEquals(assertThrows(() => groups.create("a", {}), BrokkrError).code, Code.ALREADY_EXISTS);
  assert(there.isEmpty());
  there.remove();
  there.remove();
  assertEquals(openDescriptors(), descriptors);
});

cgroupTest("creating and removing leaks no descriptor and leaves nothing", [], () => {
  const name = uniqueName("leak");
  const before = Deno.readTextFileSync("/proc/self/cgroup");
  {
    using _ = openCgroups({ name });
  }
  const descriptors = openDescriptors();
  {
    using groups = openCgroups({ name });
    assertGreater(groupsOf(name).length, 0);
    for (let i = 0; i < 20; i++) {
      const group = groups.create(`a${i}`, { memoryBytes: MIB, pids: 3, cpuMillis: 100 });
      assertGreater(group.joinFds.length, 0);
      if (i % 2 === 0) group.closeJoinFds();
      group.usage();
      if (i % 3 !== 0) group.remove();
    }
  }
  assertEquals(openDescriptors(), descriptors);
  assertEquals(groupsOf(name), []);
  assertEquals(Deno.readTextFileSync("/proc/self/cgroup"), before);
});

cgroupTest("disposing kills and removes what still runs", [], async () => {
  const name = uniqueName("dispose");
  const groups = openCgroups({ name });
  const group = groups.create("a", {});
  const inside = runInside(group, "setsid sleep 1000 & sleep 1000");
  await until(() => !group.isEmpty(), "it to join");
  groups[Symbol.dispose]();
  groups[Symbol.dispose]();
  assertEquals((await inside.output).code, 137);
  assertEquals(groupsOf(name), []);
  assertThrows(() => groups.create("b", {}), BrokkrError, "disposed of");
});

cgroupTest("what a killed worker left is killed and removed by the next of its name", [], async () => {
  const name = uniqueName("left");
  const worker = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("testdata/leave_behind.ts", import.meta.url).pathname, name],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = worker.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  assertGreater(pid, 0);
  await until(() => {
    const [path] = groupsOf(name);
    return Deno.readTextFileSync(`${path}/action-left/cgroup.procs`).trim().split("\n").length > 2;
  }, "the processes to be in their group");
  {
    // The worker lives: one of its name gets a group beside, and touches nothing.
    using _ = openCgroups({ name });
    assert(alive(pid));
    assert(groupsOf(name).some((path) => path.endsWith(".1")));
  }
  assert(alive(pid));
  worker.kill("SIGKILL");
  await worker.status;
  await reader.cancel();
  assert(alive(pid));
  using groups = openCgroups({ name });
  assert(!alive(pid));
  assert(groupsOf(name).every((path) => !path.endsWith(".1")));
  groups.create("left", {}).remove();
});

cgroupTest(
  "empty groups of dead workers of any name are removed, and those of living ones are not",
  [],
  () => {
    const [dead, living] = [uniqueName("dead"), uniqueName("living")];
    using other = openCgroups({ name: living });
    const paths = groupsOf(living).map((path) => path.replace(living, dead));
    for (const path of paths) Deno.mkdirSync(`${path}/action-1`, { recursive: true });
    using _ = openCgroups({ name: uniqueName("tidy") });
    assertEquals(groupsOf(dead), []);
    assertEquals(groupsOf(living).length, paths.length);
    other.create("a", {}).remove();
  },
);

cgroupTest(
  "a process in a user namespace of its own joins by a descriptor of the worker's",
  ["pids"],
  async () => {
    using groups = openCgroups({ name: uniqueName("userns") });
    const group = groups.create("a", { pids: 50 });
    const before = Deno.uid() === 0
      ? [
        "setpriv",
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
        "unshare",
        "--user",
        "--map-root-user",
      ]
      : ["unshare", "--user", "--map-root-user"];
    const probe = await new Deno.Command(before[0], { args: [...before.slice(1), "true"], stderr: "null" })
      .output();
    if (!probe.success) return console.log("Not tried: this machine gives no user namespaces to everybody");
    await using inside = runInside(group, "cat /proc/self/cgroup; sleep 1000", before);
    await until(() => !group.isEmpty(), "it to join");
    group.kill();
    const { code, stdout } = await inside.output;
    assertEquals(code, 137);
    const lines = new TextDecoder().decode(stdout).split("\n").filter((line) => line.includes("action-a"));
    if (stdout.length > 0) assertEquals(lines.length, group.joinFds.length);
  },
);
