import { assertEquals } from "@std/assert";
import { groupName, parseStatus, startTicks } from "./running.ts";

Deno.test("The status of a process in a namespace has its ids in each, the host's first", () => {
  const text =
    "Name:\tbrokkr-init\nUmask:\t0000\nPid:\t77\nPPid:\t76\nUid:\t1000\t0\t0\t0\nNSpid:\t77\t5\t1\n";
  assertEquals(parseStatus(77, text), {
    pid: 77,
    name: "brokkr-init",
    parent: 76,
    uid: 1000,
    ids: [77, 5, 1],
  });
  assertEquals(parseStatus(1, ""), undefined);
  assertEquals(parseStatus(1, "Name:\tkthread\nPPid:\t2\nUid:\t0\t0\t0\t0\n")?.ids, []);
});

Deno.test("When a process began is found behind a name that holds parentheses and spaces", () => {
  const rest = Array.from({ length: 30 }, (_, i) => String(100 + i)).join(" ");
  assertEquals(startTicks(`7 (a) b (c) S ${rest}`), 118);
});

for (
  const [what, own, workers, name] of [
    ["v2", "0::/w/action-1-1-ab-3\n", "0::/w/main\n", "1-1-ab-3"],
    [
      "v1",
      "3:memory:/w/a-1\n2:cpu:/w/a-1\n1:name=systemd:/very/long/path\n",
      "1:name=systemd:/very/long/path\n",
      "a-1",
    ],
    ["no group of its own", "0::/user.slice\n", "0::/user.slice\n", ""],
    ["nothing to read", "", "", ""],
  ] as const
) {
  Deno.test(`The group of a sandbox is named with ${what}`, () => {
    assertEquals(groupName(own, workers), name);
  });
}
