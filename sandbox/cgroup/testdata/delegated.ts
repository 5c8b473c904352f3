// Run by delegated_test.ts as a user without privileges, in a group that was delegated to it; prints what it found.
import { runInside, uniqueName } from "../_testing.ts";
import { CgroupsUnavailable, openCgroups, stepAside } from "../mod.ts";

const own = () => Deno.readTextFileSync("/proc/self/cgroup").trim();

if (Deno.args.includes("step-aside")) stepAside("up");
const before = own();
try {
  const found: Record<string, unknown> = {};
  {
    using groups = openCgroups({ name: uniqueName("delegated") });
    found.controllers = [...groups.controllers].sort();
    found.missing = groups.missing.map(({ controller, remedy }) => `${controller}: ${remedy}`);
    found.during = own().slice(before.length);
    const group = groups.create("a", { memoryBytes: 48 << 20, pids: 30, cpuMillis: 2000 });
    const inside = runInside(
      group,
      `cat /proc/self/cgroup; perl -e '$x = "a" x (256 << 20); print "survived"'`,
    );
    const { code, stdout } = await inside.output;
    found.code = code;
    found.inside = new TextDecoder().decode(stdout).includes("/action-a");
    const { oomKills, cpuUserMs, cpuSystemMs } = group.usage();
    found.oomKills = oomKills;
    found.cpuCounted = (cpuUserMs ?? 0) + (cpuSystemMs ?? 0) > 0;
    const second = groups.create("b", {});
    const sleeping = runInside(second, "sleep 1000 & sleep 1000");
    while (second.isEmpty()) await new Promise((resolve) => setTimeout(resolve, 5));
    second.kill();
    found.killed = (await sleeping.output).code;
    // A second worker in the same process, and in the same group.
    using more = openCgroups({ name: uniqueName("second") });
    found.second = [...more.controllers].sort();
  }
  found.backAgain = own() === before;
  console.log(JSON.stringify(found));
} catch (error) {
  if (!(error instanceof CgroupsUnavailable)) throw error;
  console.log(JSON.stringify({ unavailable: error.message }));
}
