import { assert, assertEquals } from "@std/assert";
import { openDescriptors, processesIn, ready, shell, TestDir, until } from "./_testing.ts";
import { Launcher, type LauncherOptions, probeLauncher } from "./launcher.ts";

const namespaces = (await probeLauncher()).mode === "pid-namespace";
const WAYS: readonly { name: string; options: LauncherOptions; ignore: boolean }[] = [
  { name: "pid-namespace", options: { mode: "pid-namespace" }, ignore: !namespaces },
  { name: "subreaper", options: { mode: "subreaper" }, ignore: false },
];

function eachWay(name: string, test: (launcher: Launcher) => Promise<void>): void {
  for (const way of WAYS) {
    Deno.test({
      name: `RunningProcess (${way.name}) ${name}`,
      ignore: way.ignore,
      fn: async () => {
        using launcher = await Launcher.open(way.options);
        await test(launcher);
      },
    });
  }
}

const IGNORE = "trap '' TERM HUP INT QUIT";
/** Trees that resist; each makes the file `ready` once it stands, and never ends by itself. */
const TREES: Readonly<Record<string, string>> = {
  "a plain command": ": > ready; sleep 1000",
  "one that ignores signals": `${IGNORE}; : > ready; sleep 1000; sleep 1000`,
  "daemons in sessions of their own":
    `${IGNORE}; for i in 1 2 3 4 5; do (setsid sh -c "${IGNORE}; sleep 1000; sleep 1000" &); done; : > ready; sleep 1000`,
  "double forks": "for i in 1 2 3 4 5; do ( ( ( sleep 1000 & ) & ) & ); done; : > ready; sleep 1000",
  "a burst of 200 processes": "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; : > ready; wait",
  "one that goes on forking": "while :; do ( sleep 0.05 & ) ; : > ready; done",
  "a stopped tree": "(sleep 1000 & kill -STOP $!); : > ready; kill -STOP $$; sleep 1000",
};

for (const [what, script] of Object.entries(TREES)) {
  eachWay(`kill() ends ${what}`, async (launcher) => {
    using dir = new TestDir();
    const running = launcher.launch(shell(dir, script));
    await ready(dir, running);
    assert(processesIn(dir).length > 0);
    running.kill();
    running.kill();
    const report = await running.done;
    assertEquals([report.killed, report.survivors, report.exitCode, report.signal], [true, 0, 137, 9]);
    assertEquals(processesIn(dir), []);
    running.kill();
  });
}

eachWay("kill() right after the launch leaves nothing, whatever it hits", async (launcher) => {
  using dir = new TestDir();
  await launcher.launch(shell(dir, "exit 0")).done;
  const before = openDescriptors();
  for (let round = 0; round < 60; round++) {
    const running = launcher.launch(shell(dir, "setsid sleep 1000 & sleep 1000"));
    const delayMs = round % 6;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs - 1));
    running.kill();
    const report = await running.done;
    assertEquals([report.killed, report.survivors, report.exitCode], [true, 0, 137], `round ${round}`);
    assertEquals(processesIn(dir), [], `round ${round}`);
  }
  assert(openDescriptors() <= before);
});

eachWay("done does not wait for a grandchild that holds stdout, and ends it", async (launcher) => {
  using dir = new TestDir();
  const script = `(setsid sh -c "${IGNORE}; sleep 1000; sleep 1000" &); sleep 1000 & exit 5`;
  const report = await launcher.launch(shell(dir, script)).done;
  assertEquals([report.exitCode, report.killed, report.survivors], [5, false, 0]);
  assertEquals(processesIn(dir), []);
});

eachWay("cuts stdout off at the limit and counts what it dropped", async (launcher) => {
  using dir = new TestDir();
  const script = "echo first; head -c 300000 /dev/zero; echo all >&2; exit 4";
  const report = await launcher.launch(shell(dir, script, { outputLimitBytes: 100_000 })).done;
  assertEquals([report.exitCode, report.outputOverflow], [4, false]);
  assertEquals([report.stdoutDroppedBytes, report.stderrDroppedBytes], [200_006, 0]);
  assertEquals(dir.text("stdout").length, 100_000);
  assert(dir.text("stdout").startsWith("first\n"));
  assertEquals(dir.text("stderr"), "all\n");
});

eachWay("ends an action that writes without end", async (launcher) => {
  using dir = new TestDir();
  const report = await launcher.launch(shell(dir, "yes >&2", { outputLimitBytes: 50_000 })).done;
  assertEquals([report.killed, report.outputOverflow, report.exitCode], [true, true, 137]);
  assertEquals(Deno.statSync(dir.file("stderr")).size, 50_000);
  assertEquals(processesIn(dir), []);
});

eachWay("an outer process killed from outside is reported as a death by SIGKILL", async (launcher) => {
  using dir = new TestDir();
  const running = launcher.launch(shell(dir, ": > ready; sleep 1000"));
  await ready(dir, running);
  Deno.kill(running.pid, "SIGKILL");
  const report = await running.done;
  assertEquals([report.exitCode, report.signal, report.killed, report.survivors], [137, 9, false, 0]);
  assertEquals(processesIn(dir), []);
});

/** What a host process in the tests below runs: it launches the tree and then waits to be killed. */
function hostScript(dir: TestDir, options: LauncherOptions, script: string): string {
  return `
    import { Launcher } from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
    const launcher = await Launcher.open(${JSON.stringify(options)});
    await launcher.launch({
      executable: "/bin/sh", argv: ["sh", "-c", ${JSON.stringify(script)}], env: { PATH: "/usr/bin:/bin" },
      cwd: ${JSON.stringify(dir.path)},
      stdout: { path: ${JSON.stringify(dir.file("stdout"))} },
      stderr: { path: ${JSON.stringify(dir.file("stderr"))} },
    }).done;
  `;
}

for (const way of WAYS) {
  // Without a PID namespace only the action itself is sure to go; daemons may live on.
  const script = way.name === "subreaper"
    ? TREES["one that ignores signals"].replace("; sleep 1000; ", "; exec ")
    : TREES["daemons in sessions of their own"];
  Deno.test({
    name: `RunningProcess (${way.name}) goes with its host when that is killed with SIGKILL`,
    ignore: way.ignore,
    fn: async () => {
      using dir = new TestDir();
      const host = new Deno.Command(Deno.execPath(), {
        args: ["eval", "--ext=ts", "--no-lock", hostScript(dir, way.options, script)],
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      }).spawn();
      await ready(dir);
      assert(processesIn(dir).length > 0);
      host.kill("SIGKILL");
      await host.status;
      await until(() => processesIn(dir).length === 0, "the tree to be gone");
    },
  });
}
