/** `brokk doctor` and `brokk sandbox` as processes, on this machine's own kernel. */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import { type RunningSandbox, Sandbox } from "@brokkr/sandbox";
import { choose, sandboxesText } from "./_sandbox_list.ts";
import { copyOut, outputPath } from "./_sandbox_outputs.ts";
import { candidates, environmentOf, parseBind } from "./_sandbox_run.ts";
import { brokk, brokkCommand, inTempDir, type Printed } from "./_testing.ts";

/** Why this machine has no sandbox; undefined when it has. */
const missing = await inTempDir(async (lowersPath) => {
  try {
    await using _ = await Sandbox.open({ slots: 1, lowersPath });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
});

/** A test that needs the sandbox. */
function sandboxTest(name: string, fn: (cwd: string) => Promise<void>): void {
  Deno.test({
    name: missing === undefined ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== undefined,
    fn: () => inTempDir(fn),
  });
}

/** `brokk sandbox run` with a shell's script. */
function runScript(cwd: string, script: string, flags: readonly string[] = []): Promise<Printed> {
  return brokk(["sandbox", "run", ...flags, "--", "sh", "-c", script], { cwd });
}

Deno.test("brokk doctor says whether the sandbox works here, for people and for scripts", async () => {
  await inTempDir(async (cwd) => {
    const people = await brokk(["doctor", "--data-dir", `${cwd}/data`], { cwd });
    assertMatch(people.stdout, /^(OK|WARN|FAIL) +Kernel +Linux \d/m);
    assertMatch(people.stdout, /\nThe sandbox (works|does not work) here: \d+ OK, \d+ WARN, \d+ FAIL\n$/);
    const scripts = await brokk(["doctor", "--data-dir", `${cwd}/data`, "--json"], { cwd });
    const findings: { readonly level: string }[] = JSON.parse(scripts.stdout);
    const works = findings.every(({ level }) => level !== "FAIL");
    assertEquals([people.code, scripts.code], works ? [0, 0] : [1, 1]);
    assertEquals(works, missing === undefined, missing);
  });
});

sandboxTest("brokk sandbox run ends with the command's exit code and passes its streams on", async (cwd) => {
  const { code, stdout, stderr } = await runScript(cwd, "id -un; echo no >&2; exit 42");
  assertEquals([code, stdout, stderr], [42, "brokkr\n", "no\n"]);
  assertEquals((await runScript(cwd, "kill -KILL $$")).code, 137);
});

sandboxTest(
  "brokk sandbox run shows the input, which stays as it was, and copies outputs out",
  async (cwd) => {
    await Deno.mkdir(`${cwd}/in/sub`, { recursive: true });
    await Deno.writeTextFile(`${cwd}/in/sub/file`, "given\n");
    const script = "cat sub/file; echo changed > sub/file; mkdir -p out/deep; cp sub/file out/deep/copy; " +
      "ln -s /etc/shadow out/link; chmod 4755 out/deep/copy; pwd";
    const flags = [
      "--input",
      "in",
      "--output",
      "out",
      "--output",
      "/work/nothing",
      "--output-dir",
      "results",
    ];
    const { code, stdout, stderr } = await runScript(cwd, script, flags);
    assertEquals([code, stdout], [0, "given\n/work\n"]);
    assertEquals(stderr, "brokk: The command did not make nothing\n");
    assertEquals(await Deno.readTextFile(`${cwd}/in/sub/file`), "given\n");
    assertEquals(await Deno.readTextFile(`${cwd}/results/out/deep/copy`), "changed\n");
    assertEquals(((await Deno.stat(`${cwd}/results/out/deep/copy`)).mode ?? 0) & 0o7777, 0o755);
    assertEquals(await Deno.readLink(`${cwd}/results/out/link`), "/etc/shadow");
    assertEquals([...Deno.readDirSync(cwd)].map(({ name }) => name).sort(), ["in", "results"]);
  },
);

sandboxTest("brokk sandbox run says what went wrong by its exit code", async (cwd) => {
  const missingProgram = await brokk(["sandbox", "run", "--", "no-such-program"], { cwd });
  assertEquals(missingProgram.code, 127);
  assertStringIncludes(missingProgram.stderr, "no-such-program' failed: ENOENT");
  await Deno.writeTextFile(`${cwd}/plain`, "#!/bin/sh\n");
  assertEquals((await brokk(["sandbox", "run", "--", "./plain"], { cwd })).code, 126);
  const late = await brokk(["sandbox", "run", "--timeout", "500ms", "--", "sleep", "1000"], { cwd });
  assertEquals([late.code, late.stderr], [124, "brokk: The command ran into its timeout\n"]);
  assertEquals((await brokk(["sandbox", "run", "--input", "nowhere", "--", "true"], { cwd })).code, 2);
});

sandboxTest(
  "brokk sandbox run has the environment and the directory that flags say, and no network",
  async (cwd) => {
    await Deno.mkdir(`${cwd}/sub`);
    const script = "pwd; env | sort; tail -n +3 /proc/net/dev | cut -d: -f1";
    const { stdout } = await runScript(cwd, script, ["--env", "A=b c", "--env", "TZ=CET", "--chdir", "sub"]);
    const lines = stdout.trim().split("\n").map((line) => line.trim());
    assertEquals(lines[0], "/work/sub");
    assertEquals(lines.slice(1).filter((line) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(line)), [
      "A=b c",
      "LANG=C.UTF-8",
      "PATH=/usr/local/bin:/usr/bin:/bin",
      "SOURCE_DATE_EPOCH=946684800",
      "TZ=CET",
      "lo",
    ]);
  },
);

sandboxTest(
  "brokk sandbox run --stats tells what was used, and disk layers have their limit",
  async (cwd) => {
    const flags = ["--writable", "disk", "--disk", "1MiB", "--stats"];
    const { code, stderr } = await runScript(cwd, "head -c 5000000 /dev/zero > big", flags);
    assert(code !== 0);
    assertMatch(stderr, /\[brokk\] wall .*, user .*, system .*, memory /);
  },
);

sandboxTest("A running sandbox is listed, can be joined, and ends when brokk is told to", async (cwd) => {
  const script = "echo made > inside; echo ready; read line; sleep 1000";
  // A session of its own, as a shell would give it.
  const command = brokkCommand(["sandbox", "run", "--", "sh", "-c", script], { cwd, stdin: "piped" });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  try {
    assertEquals(new TextDecoder().decode((await reader.read()).value), "ready\n");
    await writer.write(new TextEncoder().encode("go on\n"));
    const listed: RunningSandbox[] = JSON.parse((await brokk(["sandbox", "list", "--json"])).stdout);
    const mine = listed.filter(({ workerPid }) => workerPid === child.pid);
    assertEquals(mine.map(({ argv }) => argv), [["sh", "-c", script]]);
    const id = String(mine[0].initPid);
    assertStringIncludes((await brokk(["sandbox", "list"])).stdout, `\n${id}  `);
    const look = "id -u; cat inside; test -e /proc/1 || echo hidden; grep CapEff /proc/self/status; exit 9";
    const joined = await brokk(["sandbox", "enter", id, "--", "sh", "-c", look]);
    assertEquals([joined.code, joined.stderr], [9, ""]);
    assertEquals(joined.stdout, "1000\nmade\nhidden\nCapEff:\t0000000000000000\n");
    const absent = await brokk(["sandbox", "enter", id, "--", "no-such-program"]);
    assertEquals(absent.code, 127);
  } finally {
    child.kill("SIGTERM");
    await writer.close().catch(() => {});
    await reader.cancel();
    await child.stderr.cancel();
  }
  assertEquals((await child.status).code, 143);
});

for (
  const [text, path] of [
    ["out", "out"],
    ["./a//b/", "a/b"],
    ["/work/a", "a"],
    ["/work", ""],
    [".", ""],
    ["/workshop", undefined],
    ["/etc/passwd", undefined],
    ["a/../b", undefined],
  ] as const
) {
  Deno.test(`--output ${text} is ${path === undefined ? "refused" : JSON.stringify(path)}`, () => {
    if (path === undefined) assertThrows(() => outputPath(text), BrokkrError, "must be a path below /work");
    else assertEquals(outputPath(text), path);
  });
}

Deno.test("What an earlier command planted among the outputs is not followed", async () => {
  await inTempDir(async (cwd) => {
    await Deno.mkdir(`${cwd}/from/dir`, { recursive: true });
    await Deno.writeTextFile(`${cwd}/from/dir/file`, "new");
    await Deno.mkdir(`${cwd}/elsewhere`);
    await Deno.mkdir(`${cwd}/to`);
    await Deno.symlink("../elsewhere", `${cwd}/to/dir`);
    for (const path of ["dir", "dir/file", ""]) {
      const error = await copyOut(`${cwd}/from`, [path], `${cwd}/to`).catch((error) => error);
      assertStringIncludes(String(error), "is in the way");
    }
    assertEquals([...Deno.readDirSync(`${cwd}/elsewhere`)], []);
    await Deno.remove(`${cwd}/to/dir`);
    await Deno.mkdir(`${cwd}/to/dir`);
    await Deno.symlink("../../elsewhere/made", `${cwd}/to/dir/file`);
    await copyOut(`${cwd}/from`, ["dir"], `${cwd}/to`);
    assertEquals([...Deno.readDirSync(`${cwd}/elsewhere`)], []);
    assertEquals(await Deno.readTextFile(`${cwd}/to/dir/file`), "new");
  });
});

Deno.test("Devices and pipes are not copied out", async () => {
  await inTempDir(async (cwd) => {
    await new Deno.Command("mkfifo", { args: [`${cwd}/pipe`] }).output();
    const error = await copyOut(cwd, ["pipe"], `${cwd}/to`).catch((error) => error);
    assertMatch(String(error), /Output pipe is a \w+, which is not copied/);
  });
});

Deno.test("Binds, programs and the environment are read as they are written", () => {
  assertEquals(parseBind("/opt/jdk"), { source: "/opt/jdk" });
  assertEquals(parseBind("/opt/a:b:/jdk"), { source: "/opt/a:b", target: "/jdk" });
  assertThrows(() => parseBind("opt"), BrokkrError, "absolute");
  assertEquals(candidates("a/b", "/x"), ["a/b"]);
  assertEquals(candidates("a", "/x::/x:y"), ["/x/a", "./a", "y/a"]);
  assertEquals(Object.fromEntries(environmentOf(["LC_ALL=C", "PATH=/p"])), {
    LC_ALL: "C",
    PATH: "/p",
    TZ: "UTC",
    SOURCE_DATE_EPOCH: "946684800",
  });
});

Deno.test("Of several sandboxes one has to be named; what is shown of them obeys nothing", () => {
  const one: RunningSandbox = {
    initPid: 10,
    actionPid: 11,
    workerPid: 5,
    workerUid: 0,
    name: "a-1",
    ageMs: 1000,
    argv: ["x\x1b[2J", "y".repeat(200)],
  };
  assertEquals(choose([one], undefined), one);
  assertEquals(choose([one, { ...one, initPid: 20 }], "20").initPid, 20);
  const named = { ...one, initPid: 30, name: "1-1-eb688c62b7545e69-7" };
  for (const id of ["operations/1-1-eb688c62b7545e69", "1-1-eb688c62b7545e69"]) {
    assertEquals(choose([one, named], id).initPid, 30);
  }
  assertThrows(() => choose([one, one], undefined), BrokkrError, "2 sandboxes run; say which one");
  assertThrows(() => choose([], undefined), BrokkrError, "No sandbox runs");
  assertThrows(() => choose([one], "1"), BrokkrError, "No sandbox 1 runs");
  const [, row] = sandboxesText([one]).split("\n");
  assertStringIncludes(row, "x\\u001b[2J");
  assert(row.length < 120);
});

const terminals = await new Deno.Command("script", { args: ["-qec", "true", "/dev/null"], stdin: "null" })
  .output()
  .then(({ success }) => success, () => false);

Deno.test({
  name:
    "Who joins a sandbox from a terminal has jobs there, and gives the terminal back (script(1) is needed)",
  ignore: missing !== undefined || !terminals,
  fn: () =>
    inTempDir(async (cwd) => {
      const child = brokkCommand(["sandbox", "run", "--", "sh", "-c", "echo ready; exec sleep 1000"], { cwd })
        .spawn();
      const reader = child.stdout.getReader();
      try {
        await reader.read();
        const listed: RunningSandbox[] = JSON.parse((await brokk(["sandbox", "list", "--json"])).stdout);
        const id = String(listed.find(({ workerPid }) => workerPid === child.pid)?.initPid);
        const main = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);
        // Who is not in the foreground is stopped when it sets the terminal up.
        const inner = `set -m; sleep 1000 & kill %1; wait %1; echo "waited $?"; exit 7`;
        const enter =
          `${Deno.execPath()} run -A --quiet ${main} sandbox enter ${id} -- sh -c '${inner}'; echo "code $?"; ` +
          "timeout --foreground 60 stty sane < /dev/tty && echo given back";
        const shell = new Deno.Command("script", { args: ["-qec", enter, "/dev/null"], cwd, stdin: "null" });
        const { stdout } = await shell.output();
        const text = new TextDecoder().decode(stdout);
        assertStringIncludes(text, "waited 143");
        assertStringIncludes(text, "code 7");
        assertStringIncludes(text, "given back");
        assertEquals(text.includes("no job control"), false, text);
      } finally {
        child.kill("SIGTERM");
        await reader.cancel();
        await child.stderr.cancel();
        await child.status;
      }
    }),
});
