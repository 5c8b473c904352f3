import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code, ManualClock } from "@brokkr/common";
import { asPlainUser, NOBODY } from "./_plain_user.ts";
import { SANDBOX_CASES, TestSandbox } from "./_sandbox_cases.ts";
import { isAlive } from "./_process_tree.ts";
import type { Cgroups } from "./cgroup/mod.ts";
import { openPath } from "./file_calls.ts";
import { close, kill } from "./libc.ts";
import { O_CLOEXEC, O_RDONLY, SIGKILL, SIGSTOP } from "./linux.ts";
import { Sandbox } from "./sandbox.ts";
import type { SandboxRequest } from "./sandbox_options.ts";
import { openDescriptors, TestDir, until } from "./_testing.ts";

async function whyNot(): Promise<string | undefined> {
  try {
    await using _ = await TestSandbox.open();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const reason = await whyNot();
// In the machine of tests/vm the whole file is run as such a user.
const plainUserToo = Deno.uid() === 0 && Deno.env.get("BROKKR_TEST_MACHINE") === undefined;
const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;

Deno.test({
  name: `Sandbox${skipped}`,
  ignore: reason !== undefined,
  fn: async (t) => {
    await using test = await TestSandbox.open();
    for (const { name, sees, expected } of SANDBOX_CASES) {
      await t.step(name, async () => assertEquals(await sees(test), expected));
    }
  },
});

Deno.test({
  name: "Sandbox for a user without privileges" +
    (plainUserToo ? "" : " (skipped: without root all the other tests show it)"),
  ignore: !plainUserToo,
  fn: async (t) => {
    const found = await asPlainUser("sandbox_cases_as_plain_user.ts") as {
      uid: number;
      unavailable?: string;
      seen: Record<string, unknown>;
    };
    assertEquals(found.uid, NOBODY);
    const { unavailable } = found;
    for (const { name, expected } of SANDBOX_CASES) {
      await t.step({
        name: unavailable === undefined ? name : `${name} (skipped: ${unavailable})`,
        ignore: unavailable !== undefined,
        fn: () => assertEquals(found.seen[name], JSON.parse(JSON.stringify(expected))),
      });
    }
  },
});

Deno.test({
  name: `Sandbox.close ends what runs${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    const test = await TestSandbox.open();
    const running = test.sandbox.launch(test.request("sleep 1000"));
    await test[Symbol.asyncDispose]();
    assertEquals((await running.done).exitCode, 137);
  },
});

Deno.test({
  name:
    `Sandbox goes on with a new zygote when the old one was killed, and tells whose action went with it${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    const request = test.request("echo begun; sleep 1000");
    const running = test.sandbox.launch(request);
    await until(() => Deno.readTextFileSync(`${request.out}.stdout`) !== "", "the action to begin");
    const { initPid } = running;
    kill(test.sandbox.zygotePid, SIGKILL);
    const report = await running.done;
    report.work?.[Symbol.dispose]();
    assertEquals([report.exitCode, report.signal], [137, 9]);
    assert(!isAlive(initPid), "its PID 1 lives on");
    assertEquals((await test.run("exit 6")).report.exitCode, 6);
  },
});

Deno.test({
  name: `Sandbox tells of actions that its zygote never got to, and leaves no descriptor of it${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    await test.run("true");
    const before = openDescriptors();
    for (let round = 0; round < 5; round++) {
      const pid = test.sandbox.zygotePid;
      kill(pid, SIGSTOP);
      const running = [1, 2].map(() => test.sandbox.launch(test.request("true")));
      kill(pid, SIGKILL);
      for (const { done } of running) {
        await assertRejects(() => done, BrokkrError, "No process could be made");
      }
      await until(() => !isAlive(pid), "the zygote to go");
      assertEquals((await test.run("exit 7")).report.exitCode, 7);
    }
    await until(() => openDescriptors() <= before, "all descriptors to be closed");
  },
});

Deno.test({
  name: `Sandbox ends an action that its zygote does not begin, and goes on with a new one${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    const clock = new ManualClock();
    await using test = await TestSandbox.open({ clock });
    const before = (await test.run("exit 3")).report.exitCode;
    const pid = test.sandbox.zygotePid;
    kill(pid, SIGSTOP);
    const running = test.sandbox.launch(test.request("sleep 1000"));
    running.kill();
    clock.advance(30_000);
    await assertRejects(() => running.done, BrokkrError, "No process could be made");
    await until(() => !isAlive(pid), "the zygote to go");
    assertEquals([before, (await test.run("exit 4")).report.exitCode], [3, 4]);
  },
});

Deno.test({
  name: `Sandbox ends an action whose first process is stopped${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    const clock = new ManualClock();
    await using test = await TestSandbox.open({ clock });
    const request = test.request("echo begun; sleep 1000");
    const running = test.sandbox.launch(request);
    await until(() => Deno.readTextFileSync(`${request.out}.stdout`) !== "", "the action to begin");
    const { pid } = running;
    kill(pid, SIGSTOP);
    running.kill();
    clock.advance(30_000);
    const { work, exitCode, survivors } = await running.done;
    work?.[Symbol.dispose]();
    assertEquals([exitCode, survivors, isAlive(pid)], [137, 0, false]);
  },
});

Deno.test({
  name: `Sandbox ends an action on disk that was killed and whose zygote went before it began${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    const pid = test.sandbox.zygotePid;
    kill(pid, SIGSTOP);
    const writable = test.disk(1 << 20);
    // Adding these up takes several turns of the event loop, which must come.
    if (writable.kind === "disk") {
      for (let i = 0; i < 5000; i++) Deno.writeTextFileSync(`${writable.path}/${i}`, "");
    }
    const running = test.sandbox.launch(test.request("true", { writable }));
    running.kill();
    kill(pid, SIGKILL);
    await assertRejects(() => running.done, BrokkrError, "No process could be made");
  },
});

Deno.test({
  name: `Sandbox.close ends a zygote that is stopped${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    const pid = test.sandbox.zygotePid;
    kill(pid, SIGSTOP);
    await test.sandbox.close();
    assert(!isAlive(pid), "it lives on");
  },
});

Deno.test({
  name: `Sandbox tells whether its slots have users of their own, however many are taken${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open({ slots: 1 });
    const { privileged } = test.sandbox;
    const running = test.sandbox.launch(test.request("sleep 1000"));
    assertEquals(test.sandbox.privileged, privileged);
    running.kill();
    (await running.done).work?.[Symbol.dispose]();
  },
});

/** Control groups that a test makes. */
function testGroups(create: Cgroups["create"]): Cgroups {
  return { version: "v2", controllers: new Set(), missing: [], create, [Symbol.dispose]: () => {} };
}

Deno.test({
  name: `Sandbox leaves no descriptor open and no slot taken by what cannot be launched${skipped}`,
  ignore: reason !== undefined,
  fn: async (t) => {
    const create = () => {
      throw new BrokkrError(Code.RESOURCE_EXHAUSTED, "No group");
    };
    const failing: { create?: () => never } = {};
    const group = { joinFds: [], isEmpty: () => true, kill: () => {}, closeJoinFds: () => {} };
    const usage = () => ({ oomKills: 0, pidsRefused: 0 });
    const cgroups = testGroups(() => failing.create?.() ?? { ...group, usage, remove: () => {} });
    await using test = await TestSandbox.open({ slots: 1, cgroups });
    await test.run("true");
    const cases: readonly { name: string; more: Partial<SandboxRequest>; create?: () => never }[] = [
      { name: "no control group", more: {}, create },
      { name: "no directory for stdout", more: { stdout: { path: `${test.path}/none/out` } } },
      { name: "no directory for stderr", more: { stderr: { path: `${test.path}/none/err` } } },
      { name: "arguments that are too large", more: { argv: ["sh", "x".repeat(40 << 20)] } },
      { name: "a closed descriptor for stdin", more: { stdin: { fd: 99_999 } } },
      { name: "a limit that means nothing", more: { rlimits: { nofile: { soft: -1, hard: -1 } } } },
    ];
    for (const { name, more, create } of cases) {
      await t.step(name, async () => {
        const before = openDescriptors();
        failing.create = create;
        assertThrows(() => test.sandbox.launch(test.request("true", more)));
        failing.create = undefined;
        // The slot is given back once nothing of it can be left.
        await until(() => openDescriptors() <= before, "all descriptors to be closed");
        assertEquals((await test.run("exit 5")).report.exitCode, 5);
      });
    }
  },
});

Deno.test({
  name: `Sandbox.open leaves nothing open when one of many slots cannot be made${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    using dir = new TestDir();
    const before = openDescriptors();
    // A target that the root cannot be made with.
    const binds = [{ source: "/usr" }, { source: "/etc/hostname", target: `/${"x".repeat(300)}` }];
    await assertRejects(
      () => Sandbox.open({ slots: 10, lowersPath: dir.path, binds }),
      BrokkrError,
      "ENAMETOOLONG",
    );
    assertEquals(openDescriptors(), before);
  },
});

/** Descriptors, standard streams aside, that a child of this process would inherit. */
function inheritable(): number {
  const O_CLOEXEC = 0o2000000;
  return [...Deno.readDirSync("/proc/self/fdinfo")].filter(({ name }) => {
    try {
      const flags = /^flags:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${name}`))?.[1] ?? "";
      return Number(name) > 2 && (parseInt(flags, 8) & O_CLOEXEC) === 0;
    } catch {
      return false; // the one that lists
    }
  }).length;
}

Deno.test({
  name: `Sandbox has no descriptor that other processes inherit while an action runs${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    const before = inheritable();
    const running = test.sandbox.launch(test.request("sleep 1000", { stdout: { fd: 1 }, stderr: { fd: 2 } }));
    assertEquals(inheritable(), before);
    running.kill();
    (await running.done).work?.[Symbol.dispose]();
  },
});

Deno.test({
  name: `Sandbox.open shows that an action can be run, and says which step this machine refuses${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    const before = openDescriptors();
    // It is not open for writing, so that nobody can join a group by it.
    const fd = openPath("/dev/null", O_RDONLY | O_CLOEXEC);
    const group = { joinFds: [fd], isEmpty: () => true, kill: () => {}, closeJoinFds: () => {} };
    const usage = () => ({ oomKills: 0, pidsRefused: 0 });
    const cgroups = testGroups(() => ({ ...group, usage, remove: () => {} }));
    const open = () => TestSandbox.open({ slots: 2, cgroups });
    await assertRejects(open, BrokkrError, "'join control group 0' failed: EBADF");
    close(fd);
    await until(() => openDescriptors() <= before, "all descriptors to be closed");
  },
});
