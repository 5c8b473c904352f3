// Run by enter_test.ts, as root and as a user without privileges; prints what it found.
import { checkHost, enterSandbox, isFunctional, runningSandboxes, Sandbox } from "../mod.ts";
import { exists, TestDir, until } from "../_testing.ts";

const found: Record<string, unknown> = { uid: Deno.uid() };

async function look(sandbox: Sandbox, dir: TestDir): Promise<void> {
  const target = { path: "/dev/null" };
  const running = sandbox.launch({
    executables: ["/bin/sh"],
    argv: ["sh", "-c", "echo x > made; exec sleep 1000"],
    env: [["PATH", "/usr/bin:/bin"], ["MARK", "of the action"]],
    cwd: "",
    stdout: target,
    stderr: target,
    lowers: [dir.path],
    writable: { kind: "memory", bytes: 1 << 20, inodes: 100 },
  });
  const mine = () => runningSandboxes().find(({ workerPid }) => workerPid === Deno.pid);
  await until(() => mine()?.argv[0] === "sleep", "the sandbox to be listed");
  const sandboxed = mine();
  if (sandboxed === undefined) throw new Error("The sandbox is not listed any more");
  found.listed = { uid: sandboxed.workerUid, argv: sandboxed.argv };
  const enter = async (script: string) => {
    const argv = ["sh", "-c", script];
    return (await enterSandbox(sandboxed, { executables: ["/no/such/sh", "/bin/sh"], argv })).exitCode;
  };
  found.inside = await enter(
    'test "$(id -u) $(id -g) $(cat made) $MARK" = "1000 1000 x of the action" && exit 9',
  );
  found.namespaces = await enter(
    'test "$(hostname)" = brokkr && test ! -e /proc/1 && test ! -e /home && exit 9',
  );
  found.powerless = await enter(
    "grep -q '^CapEff:.*0000000000000000' /proc/self/status && " +
      "grep -q '^CapBnd:.*0000000000000000' /proc/self/status && grep -q '^Seccomp:.*2' /proc/self/status && " +
      "grep -q '^NoNewPrivs:.*1' /proc/self/status && ! unshare -U true 2>/dev/null && exit 9",
  );
  // Nothing of the worker comes along but standard streams.
  found.descriptors = await enter('test "$(ls /proc/self/fd | tr "\\n" " ")" = "0 1 2 3 " && exit 9');
  found.signalled = await enter("kill -TERM $$");
  const missing = await enterSandbox(sandboxed, { executables: ["/no/such/program"], argv: ["x"] });
  found.missing = missing.exitCode;
  // Who is inside ends with the sandbox, and does not keep it.
  const staying = enter(": > here; sleep 1000");
  await until(() => exists(`/proc/${sandboxed.actionPid}/root/work/here`), "somebody to be inside");
  running.kill();
  const report = await running.done;
  report.work?.[Symbol.dispose]();
  found.killed = [report.exitCode, report.survivors, await staying];
  found.gone = await enterSandbox(sandboxed, { executables: ["/bin/true"], argv: ["x"] })
    .then(() => "joined", (error) => error.codeName);
}

{
  using dir = new TestDir();
  const findings = await checkHost({ dataDir: dir.path });
  found.functional = isFunctional(findings);
  found.leftInDataDir = [...Deno.readDirSync(dir.path)].length;
  const lowersPath = dir.path;
  const sandbox = await Sandbox.open({ slots: 1, lowersPath }).catch((error) => {
    found.unavailable = String(error);
    return undefined;
  });
  if (sandbox !== undefined) {
    await look(sandbox, dir);
    await sandbox.close();
  }
}
console.log(JSON.stringify(found));
