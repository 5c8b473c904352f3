import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { type Cause, CgroupsUnavailable, missingController } from "./missing.ts";

const CASES: { cause: Cause; says: string[] }[] = [
  { cause: { kind: "absent" }, says: ["cgroup_disable=memory"] },
  {
    cause: { kind: "not-delegated", path: "/g" },
    says: ["/g", "user@.service", "Delegate=cpu io memory pids"],
  },
  {
    cause: { kind: "busy", path: "/g", processes: ["bash 1", "b 2", "c 3", "d 4", "e 5", "f 6", "g 7"] },
    says: ["/g", "bash 1", "and 2 more", "systemd-run --user --scope -p Delegate=yes"],
  },
  {
    cause: { kind: "denied", path: "/g", version: "v2", error: "EACCES" },
    says: ["/g", "EACCES", "systemd-run --user --scope -p Delegate=yes", "Delegate=yes"],
  },
  { cause: { kind: "denied", path: "/g", version: "v2", error: "EROFS" }, says: ["read-only", "container"] },
  { cause: { kind: "denied", path: "/g", version: "v1", error: "EACCES" }, says: ["as root", "version 2"] },
];

for (const { cause, says } of CASES) {
  Deno.test(`missingController names the remedy when it is ${cause.kind} ${"version" in cause ? cause.version : ""}`, () => {
    const { controller, consequence, remedy } = missingController("memory", cause);
    assertEquals(controller, "memory");
    assertStringIncludes(consequence, "memory");
    for (const part of says) assertStringIncludes(remedy, part);
    for (const text of [consequence, remedy]) assertMatch(text, /^[A-Z].*[^.]$/s);
  });
}

Deno.test("CgroupsUnavailable tells each remedy once", () => {
  const cause: Cause = { kind: "denied", path: "/g", version: "v2", error: "EACCES" };
  const missing = (["cpu", "memory", "pids", "io"] as const).map((name) => missingController(name, cause));
  const error = new CgroupsUnavailable(missing, []);
  assertEquals(error.code, Code.FAILED_PRECONDITION);
  assertEquals(error.missing.length, 4);
  assert(error.message.split("systemd-run").length === 2, error.message);
});
