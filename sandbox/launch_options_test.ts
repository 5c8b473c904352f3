import { assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { type LaunchOptions, launchParameters, rlimitNames } from "./launch_options.ts";

const GOOD: LaunchOptions = {
  executable: "/bin/true",
  argv: ["true"],
  env: {},
  cwd: "/",
  stdout: { path: "/dev/null" },
  stderr: { path: "/dev/null" },
};

Deno.test("launchParameters keeps the order of the environment it is given", () => {
  assertEquals(launchParameters({ ...GOOD, env: { B: "1", A: "x=y" } }).env, ["B=1", "A=x=y"]);
  assertEquals(launchParameters({ ...GOOD, env: [["2", "b"], ["1", "a"]] }).env, ["2=b", "1=a"]);
});

Deno.test("launchParameters refuses what no process can be given, and names the field", () => {
  const cases: [field: string, options: Partial<LaunchOptions>, message: string][] = [
    ["cwd", { cwd: "relative" }, 'must be absolute, not "relative"'],
    ["cwd", { cwd: "/a\0b" }, "must not hold a NUL"],
    ["executable", { executable: "" }, "There is no program to run"],
    ["executable", { executable: "a\0" }, "must not hold a NUL"],
    ["argv", { argv: [] }, "at least argv[0]"],
    ["argv", { argv: ["a", "b\0c"] }, "must not hold a NUL"],
    ["env", { env: { "": "x" } }, 'cannot be called ""'],
    ["env", { env: { "A=B": "x" } }, 'cannot be called "A=B"'],
    ["env", { env: { A: "x\0y" } }, "must not hold a NUL"],
    ["env", { env: [["A\0", "x"]] }, "must not hold a NUL"],
    ["stdin", { stdin: { path: "\0" } }, "must not hold a NUL"],
    ["rlimits", { rlimits: { cpu: { soft: -1, hard: 1 } } }, "not cpu=-1"],
    ["rlimits", { rlimits: { cpu: { soft: 1, hard: 1.5 } } }, "not cpu=1.5"],
  ];
  for (const [field, options, message] of cases) {
    const error = assertThrows(() => launchParameters({ ...GOOD, ...options }), BrokkrError, message);
    assertEquals(error.code, Code.INVALID_ARGUMENT);
    const [detail] = error.details;
    assertEquals(detail.kind === "badRequest" && detail.fieldViolations[0].field, field);
  }
});

Deno.test("launchParameters writes resource limits as the kernel reads them", () => {
  const values = launchParameters({ ...GOOD, rlimits: { nofile: { soft: 258, hard: Infinity } } });
  assertEquals(
    values.rlimit_nofile,
    new Uint8Array([2, 1, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]),
  );
  assertEquals(rlimitNames({ nofile: { soft: 1, hard: 1 }, cpu: { soft: 1, hard: 1 } }), ["cpu", "nofile"]);
});
