import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import { openDescriptors, run, shell, TestDir } from "./_testing.ts";
import { Launcher, type LauncherOptions, probeLauncher } from "./launcher.ts";

const machine = await probeLauncher();
const namespaces = machine.mode === "pid-namespace";

/** The ways of holding a tree together that work here. */
const WAYS: readonly { name: string; options: LauncherOptions; ignore: boolean }[] = [
  { name: "pid-namespace", options: { mode: "pid-namespace" }, ignore: !namespaces },
  {
    name: "pid-namespace with user namespace",
    options: { mode: "pid-namespace", userNamespace: true },
    ignore: !namespaces,
  },
  { name: "subreaper", options: { mode: "subreaper" }, ignore: false },
];

function eachWay(name: string, test: (launcher: Launcher) => Promise<void>): void {
  for (const way of WAYS) {
    Deno.test({
      name: `Launcher (${way.name}) ${name}`,
      ignore: way.ignore,
      fn: async () => {
        using launcher = await Launcher.open(way.options);
        await test(launcher);
      },
    });
  }
}

Deno.test("Launcher.open says why there is no PID namespace, if there is none", () => {
  if (machine.mode === "pid-namespace") assertEquals(machine.reason, undefined);
  else assertStringIncludes(machine.reason ?? "", "failed");
});

/** Runs a command where no further user namespace may be made and no capability is held. */
const CONFINED = [
  "-Ur",
  "sh",
  "-c",
  'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"',
];

function confined(...command: string[]): Promise<Deno.CommandOutput | undefined> {
  return new Deno.Command("unshare", { args: [...CONFINED, "sh", ...command] }).output().catch(() =>
    undefined
  );
}

Deno.test({
  name: "Launcher.open falls back to the subreaper where namespaces are refused, and says what was",
  ignore: (await confined("true"))?.success !== true,
  fn: async () => {
    const script = new URL("./testdata/probe.ts", import.meta.url).pathname;
    const output = await confined(Deno.execPath(), "run", "-A", "--no-check", script);
    assert(output?.success, new TextDecoder().decode(output?.stderr));
    const { probe, exitCode } = JSON.parse(new TextDecoder().decode(output.stdout));
    assertEquals([probe.mode, exitCode], ["subreaper", 3]);
    assertStringIncludes(probe.reason, "Sandbox step 'unshare CLONE_NEWNS|CLONE_NEWPID' failed: EPERM; ");
  },
});

Deno.test("Launcher.launch throws when the launcher is closed", async () => {
  using dir = new TestDir();
  const launcher = await Launcher.open();
  launcher[Symbol.dispose]();
  assertThrows(() => launcher.launch(shell(dir, "exit 0")), BrokkrError, "The launcher is closed");
});

Deno.test("Launcher.launch throws when an output cannot be opened, and keeps no descriptor", async () => {
  using dir = new TestDir();
  using launcher = await Launcher.open();
  const before = openDescriptors();
  assertThrows(
    () => launcher.launch(shell(dir, "exit 0", { stdout: { path: dir.file("no/where") } })),
    BrokkrError,
    "ENOENT",
  );
  assert(openDescriptors() <= before);
});

Deno.test("Launcher.launch does not follow a link in place of an output", async () => {
  using dir = new TestDir();
  using launcher = await Launcher.open();
  Deno.symlinkSync(dir.file("target"), dir.file("stdout"));
  assertThrows(() => launcher.launch(shell(dir, "exit 0")), BrokkrError, "ELOOP");
});

eachWay("reports every exit code as it is", async (launcher) => {
  const codes = Array.from({ length: 256 }, (_, code) => code);
  for (let start = 0; start < codes.length; start += 16) {
    await Promise.all(
      codes.slice(start, start + 16).map(async (code) => {
        const { report } = await run(launcher, `exit ${code}`);
        assertEquals([report.exitCode, report.signal, report.killed], [code, undefined, false]);
      }),
    );
  }
});

eachWay("reports death by signal as 128+n", async (launcher) => {
  for (
    const [name, number] of [["TERM", 15], ["ABRT", 6], ["KILL", 9], ["SEGV", 11], ["PIPE", 13]] as const
  ) {
    const { report } = await run(launcher, `kill -${name} $$`);
    assertEquals([report.exitCode, report.signal, report.killed], [128 + number, number, false], name);
  }
});

eachWay("names the step and the error when the program cannot be executed", async (launcher) => {
  using dir = new TestDir();
  const plain = dir.file("plain");
  Deno.writeTextFileSync(plain, "no program\n");
  Deno.chmodSync(plain, 0o644);
  const noShebang = dir.file("no_shebang");
  Deno.writeTextFileSync(noShebang, "echo hello\n");
  Deno.chmodSync(noShebang, 0o755);
  const lostInterpreter = dir.file("lost_interpreter");
  Deno.writeTextFileSync(lostInterpreter, "#!/does/not/exist\n");
  Deno.chmodSync(lostInterpreter, 0o755);
  const cases: [executable: string, errno: string][] = [
    ["/does/not/exist", "ENOENT"],
    [plain, "EACCES"],
    [dir.path, "EACCES"],
    [`${plain}/below`, "ENOTDIR"],
    [noShebang, "ENOEXEC"],
    [lostInterpreter, "ENOENT"],
  ];
  for (const [executable, errno] of cases) {
    const { done } = launcher.launch(shell(dir, "", { executable, argv: ["x"] }));
    const { failedStep, exitCode } = await done;
    assertEquals(exitCode, 127);
    assertEquals(failedStep?.message, `Sandbox step 'execve ${executable}' failed: ${errno}`);
    assertEquals([failedStep?.isExec, failedStep?.role], [true, "action"]);
  }
});

eachWay("names the working directory that is not there", async (launcher) => {
  const { report } = await run(launcher, "exit 0", { cwd: "/does/not/exist" });
  assertEquals(report.failedStep?.message, "Sandbox step 'chdir /does/not/exist' failed: ENOENT");
  assertEquals(report.failedStep?.isExec, false);
});

eachWay("finds a relative program in the working directory", async (launcher) => {
  using dir = new TestDir();
  Deno.mkdirSync(dir.file("bin"));
  Deno.writeTextFileSync(dir.file("bin/tool"), '#!/bin/sh\necho "ran $0"\n', { mode: 0o755 });
  const { done } = launcher.launch(shell(dir, "", { executable: "bin/tool", argv: ["tool"] }));
  assertEquals((await done).exitCode, 0);
  assertEquals(dir.text("stdout"), "ran bin/tool\n");
});

eachWay("passes environment, arguments and argv[0] exactly", async (launcher) => {
  using dir = new TestDir();
  const env = [["B", "2"], ["A", "ü = \n"], ["10", "ten"], ["9", ""]] as const;
  const options = shell(dir, "", { executable: "/proc/self/exe" });
  const environment = launcher.launch({ ...options, executable: "/usr/bin/env", argv: ["env", "-0"], env });
  assertEquals((await environment.done).exitCode, 0);
  assertEquals(dir.text("stdout"), "B=2\0A=ü = \n\x0010=ten\x009=\0");
  const argv = ["an odd argv0", "-c", 'printf "%s|" "$0" "$@"', "", "two words", "ü\n"];
  const args = launcher.launch({
    ...options,
    executable: "/bin/sh",
    argv,
    stdout: { path: dir.file("args") },
  });
  assertEquals((await args.done).exitCode, 0);
  assertEquals(dir.text("args"), "|two words|ü\n|");
  const cmdline = launcher.launch({
    ...options,
    executable: "/bin/cat",
    argv: ["an odd argv0", "/proc/self/cmdline"],
    stdout: { path: dir.file("cmdline") },
  });
  assertEquals((await cmdline.done).exitCode, 0);
  assertEquals(dir.text("cmdline"), "an odd argv0\0/proc/self/cmdline\0");
});

eachWay("starts in the working directory with umask 022 and no core files", async (launcher) => {
  using dir = new TestDir();
  const script = "pwd; umask; ulimit -c; touch made; mkdir dir";
  assertEquals((await launcher.launch(shell(dir, script)).done).exitCode, 0);
  assertEquals(dir.text("stdout"), `${Deno.realPathSync(dir.path)}\n0022\n0\n`);
  assertEquals((Deno.statSync(dir.file("made")).mode ?? 0) & 0o777, 0o644);
  assertEquals((Deno.statSync(dir.file("dir")).mode ?? 0) & 0o777, 0o755);
  const other = await run(launcher, "umask; ulimit -n; ulimit -Hn", {
    umask: 0o077,
    rlimits: { nofile: { soft: 100, hard: 200 } },
  });
  assertEquals(other.stdout, "0077\n100\n200\n");
});

eachWay("gives an empty stdin, or the file asked for", async (launcher) => {
  using dir = new TestDir();
  assertEquals((await run(launcher, "readlink /proc/self/fd/0; cat | wc -c")).stdout.trim(), "/dev/null\n0");
  Deno.writeTextFileSync(dir.file("in"), "hello");
  assertEquals((await run(launcher, "cat", { stdin: { path: dir.file("in") } })).stdout, "hello");
  const { report } = await run(launcher, "cat", { stdin: { path: dir.file("missing") } });
  assertEquals(report.failedStep?.message, `Sandbox step 'open ${dir.file("missing")}' failed: ENOENT`);
});

eachWay("writes to descriptors and leaves them open", async (launcher) => {
  using dir = new TestDir();
  using file = Deno.openSync(dir.file("direct"), { create: true, append: true, read: true });
  // Deno hands out no descriptor numbers: the newest one is found by what it points to.
  const fd = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name)).find((number) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${number}`) === dir.file("direct");
    } catch {
      return false;
    }
  });
  assert(fd !== undefined);
  const options = { stdout: { fd }, stderr: { fd } };
  await launcher.launch(shell(dir, "echo out; echo err >&2", options)).done;
  file.writeSync(new TextEncoder().encode("still open\n"));
  assertEquals(dir.text("direct"), "out\nerr\nstill open\n");
});

eachWay("gives the action no descriptor but the three", async (launcher) => {
  const script = "ls -1 /proc/self/fd | sort -n | tr '\\n' ' '";
  // The last is the one ls reads the directory with.
  assertEquals((await run(launcher, script)).stdout, "0 1 2 3 ");
});

eachWay(
  "gives the action a session of its own, default signals and nobody's signal mask",
  async (launcher) => {
    const { stdout } = await run(
      launcher,
      "read -r pid comm state parent group session rest < /proc/self/stat; " +
        'echo $((pid == group)) $((pid == session)) $((pid == $$)); grep -E "^Sig(Blk|Ign|Cgt)" /proc/self/status',
    );
    const [ids, ...signals] = stdout.trim().split("\n");
    assertEquals(ids, "1 1 1");
    for (const line of signals) {
      if (!line.startsWith("SigCgt")) assertEquals(line.split("\t")[1], "0000000000000000", line);
    }
    assertEquals((await run(launcher, "yes | head -n 1; exit 3")).report.exitCode, 3);
  },
);

eachWay("takes arguments up to the kernel's limits and names the step beyond", async (launcher) => {
  const argv = ["sh", "-c", "echo $#", "sh", ...Array.from({ length: 15 }, () => "x".repeat(100_000))];
  assertEquals((await run(launcher, "", { argv })).stdout, "15\n");
  const tooLong = await run(launcher, "", { argv: [...argv, "x".repeat(200_000)] });
  assertEquals(tooLong.report.failedStep?.message, "Sandbox step 'execve /bin/sh' failed: E2BIG");
});

eachWay("loses nothing of 50 MB of output", async (launcher) => {
  using dir = new TestDir();
  const report = await launcher.launch(shell(dir, "head -c 50000000 /dev/zero; echo done >&2")).done;
  assertEquals([report.exitCode, report.stdoutDroppedBytes], [0, 0]);
  assertEquals(Deno.statSync(dir.file("stdout")).size, 50_000_000);
  assertEquals(dir.text("stderr"), "done\n");
});

eachWay("reports the time and memory the action took", async (launcher) => {
  const { report } = await run(launcher, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
  assert(report.userMs + report.systemMs > 5, `${report.userMs} + ${report.systemMs}`);
  assert(report.maxRssBytes > 200_000, `${report.maxRssBytes}`);
});

eachWay("runs 200 at once without losing a descriptor or a status", async (launcher) => {
  using dir = new TestDir();
  await run(launcher, "exit 0");
  const before = openDescriptors();
  const reports = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      launcher.launch(shell(dir, `exit ${index}`, {
        stdout: { path: "/dev/null" },
        stderr: { path: "/dev/null" },
      })).done),
  );
  assertEquals(reports.map((report) => report.exitCode), reports.map((_, index) => index));
  assert(openDescriptors() <= before);
});
