// Run by open_test.ts: opens groups, leaves a process in one, says which, and waits to be killed.
import { runInside } from "../_testing.ts";
import { openCgroups } from "../open.ts";

const groups = openCgroups({ name: Deno.args[0] });
const group = groups.create("left", {});
const inside = runInside(group, "trap '' TERM; setsid sleep 1000 & sleep 1000");
console.log(inside.pid);
setInterval(() => {}, 1000);
await inside.output;
