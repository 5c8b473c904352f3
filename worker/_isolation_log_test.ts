import { assertEquals, assertStringIncludes } from "@std/assert";
import { createLogger } from "@brokkr/common";
import { logSandbox, type OpenedSandbox } from "./_isolation_log.ts";
import { DEFAULT_SANDBOX_SETTINGS, sandboxPolicy, type SandboxSettings } from "./sandbox_policy.ts";

function told(settings: Partial<SandboxSettings>, more: Partial<OpenedSandbox>): string[] {
  const lines: string[] = [];
  const machine = {
    slots: 2,
    cpuMillis: 4000,
    memoryBytes: 2 ** 33,
    diskFreeBytes: 2 ** 36,
    memoryLayersWhole: true,
    platform: {},
  };
  logSandbox(createLogger({ write: (line) => lines.push(line) }), {
    environment: "sandbox-1",
    privileged: false,
    slots: 2,
    policy: sandboxPolicy({ ...DEFAULT_SANDBOX_SETTINGS, ...settings }, machine),
    cgroups: { version: "v2", controllers: new Set(["pids", "memory"]) },
    ...more,
  });
  return lines;
}

Deno.test("The start log of a worker tells what isolates actions and what they get", () => {
  const [line, ...rest] = told({ sandboxMaxMemoryBytes: 2 ** 33 }, {});
  assertEquals(rest, []);
  const parts = [
    "sandbox-1",
    "the worker's own",
    "v2: memory pids",
    "3584MiB, up to 8GiB",
    "4096",
    "none loopback",
  ];
  for (const part of parts) assertStringIncludes(line, part);
});

Deno.test("The start log of a worker warns of what undermines its sandbox", () => {
  const lines = told({ sandboxNetworks: ["host"], sandboxAllowPreload: true }, {
    privileged: true,
    cgroups: undefined,
  });
  assertEquals(lines.length, 3);
  assertStringIncludes(lines[0], "one for each of 2 slots");
  assertStringIncludes(lines[0], "cgroups=none");
  assertStringIncludes(lines[1], "worker.sandbox_networks");
  assertStringIncludes(lines[2], "worker.sandbox_allow_preload");
});
