import { assert, assertEquals } from "@std/assert";
import { processesIn, ready, TestDir, until } from "./_testing.ts";
import { descendants, isAlive, killDescendants, processState, sessionMembers } from "./_process_tree.ts";

Deno.test("descendants finds children, grandchildren and those in sessions of their own", async () => {
  using dir = new TestDir();
  const script = "sleep 1000 & setsid sh -c 'sleep 1000 & : > ready; sleep 1000' & wait";
  const child = new Deno.Command("/bin/sh", { args: ["-c", script], cwd: dir.path, stdout: "null" }).spawn();
  await ready(dir);
  const found = descendants(child.pid);
  assertEquals(found.toSorted(), processesIn(dir).filter((pid) => pid !== child.pid).toSorted());
  assert(descendants(Deno.pid).includes(child.pid));
  assertEquals(processState(child.pid)?.parent, Deno.pid);
  const leader = found.find((pid) => processState(pid)?.session === pid);
  assert(leader !== undefined && sessionMembers(leader).includes(leader));
  while (killDescendants(child.pid) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await until(() => !found.some(isAlive), "the killed to be gone");
  await child.status;
  assertEquals([isAlive(child.pid), processState(child.pid)], [false, undefined]);
  assertEquals(descendants(child.pid), []);
});

Deno.test("processState reads names with blanks and parentheses", async () => {
  using dir = new TestDir();
  Deno.copyFileSync("/bin/sleep", dir.file("a) b (c"));
  Deno.chmodSync(dir.file("a) b (c"), 0o755);
  const child = new Deno.Command(dir.file("a) b (c"), { args: ["1000"] }).spawn();
  assertEquals(processState(child.pid)?.parent, Deno.pid);
  child.kill("SIGKILL");
  await child.status;
});
