// Run by rootless_test.ts as a user without privileges, in a directory of that user's; prints what it found.
import { processesIn, ready, run, shell, TestDir } from "../_testing.ts";
import { Launcher, probeLauncher, removeTree } from "../mod.ts";

const found: Record<string, unknown> = { uid: Deno.uid(), probe: await probeLauncher() };
for (const mode of ["pid-namespace", "subreaper"] as const) {
  let launcher: Launcher;
  try {
    launcher = await Launcher.open({ mode });
  } catch (error) {
    found[mode] = { unavailable: String(error) };
    continue;
  }
  using _ = launcher;
  const exit = await run(launcher, "id -u; exit 9");
  using dir = new TestDir();
  const tree = "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &) ; done; ";
  const running = launcher.launch(shell(dir, tree + ": > ready; sleep 1000"));
  await ready(dir, running);
  running.kill();
  const killed = await running.done;
  found[mode] = {
    exitCode: exit.report.exitCode,
    stdout: exit.stdout,
    killed: killed.killed,
    survivors: killed.survivors,
    left: processesIn(dir).length,
  };
}
{
  using dir = new TestDir();
  const script = "mkdir -p t/a/b t/none t/w && : > t/a/b/f && : > t/a/g && : > t/none/x && " +
    "chmod 0 t/none && chmod 555 t/a/b t/a t && : > outside && ln -s ../outside t/w/l 2>/dev/null; true";
  const made = await new Deno.Command("/bin/sh", { args: ["-c", script], cwd: dir.path }).output();
  await removeTree(dir.file("t"));
  found.removed = made.success &&
    [...Deno.readDirSync(dir.path)].map(({ name }) => name).join() === "outside";
}
console.log(JSON.stringify(found));
