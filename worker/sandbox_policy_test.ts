import { hasWholeMemoryLayers } from "./machine.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { loadConfig } from "@brokkr/common/config";
import {
  isGranted,
  SANDBOX_PROPERTY_NAMES,
  type SandboxPropertyName,
} from "@brokkr/common/sandbox_properties";
import { formatSize } from "@brokkr/common/units";
import { DEFAULT_UID_BASE } from "@brokkr/sandbox";
import fc from "fast-check";
import {
  type ActionSandbox,
  actionSandbox,
  DEFAULT_SANDBOX_SETTINGS,
  sandboxGrants,
  type SandboxMachine,
  type SandboxPolicy,
  sandboxPolicy,
  type SandboxSettings,
  type WantedProperty,
} from "./sandbox_policy.ts";

const GIB = 2 ** 30;
const MACHINE: SandboxMachine = {
  slots: 4,
  cpuMillis: 8000,
  memoryBytes: 16 * GIB,
  diskFreeBytes: 160 * GIB,
  memoryLayersWhole: true,
  platform: {},
};

function policyOf(
  settings: Partial<SandboxSettings> = {},
  machine: Partial<SandboxMachine> = {},
): SandboxPolicy {
  return sandboxPolicy({ ...DEFAULT_SANDBOX_SETTINGS, ...settings }, { ...MACHINE, ...machine });
}

function wanted(...pairs: readonly string[]): WantedProperty[] {
  return pairs.map((pair) => ({ name: pair.split("=")[0], value: pair.split("=")[1] }));
}

Deno.test("The configuration's defaults are those of the sandbox's settings", async () => {
  const cwd = await Deno.makeTempDir({ prefix: "brokkr-policy-" });
  try {
    const { worker } = await loadConfig({ env: {}, cwd });
    assertEquals({ ...worker, ...DEFAULT_SANDBOX_SETTINGS }, worker);
    assertEquals([worker.sandbox, worker.sandboxUidBase], [true, DEFAULT_UID_BASE]);
  } finally {
    await Deno.remove(cwd);
  }
});

Deno.test("An action that asks for nothing gets its slot's share of the machine and no network", () => {
  assertEquals(actionSandbox(policyOf(), wanted("OSFamily=linux", "Pool=big")), {
    network: "none",
    limits: { memoryBytes: 3.5 * GIB, pids: 4096 },
    writable: { kind: "memory", bytes: 1.75 * GIB, inodes: 262_144 },
    aslr: true,
    rdtsc: true,
  });
});

Deno.test("An action gets what the operator set up", () => {
  const policy = policyOf({
    sandboxMemoryBytes: GIB,
    sandboxPids: 100,
    sandboxCpuMillis: 1500,
    sandboxIoReadBytes: 10,
    sandboxIoWriteBytes: 20,
    sandboxLayer: "disk",
    sandboxDiskBytes: 5 * GIB,
  });
  assertEquals(actionSandbox(policy, []), {
    network: "none",
    limits: {
      memoryBytes: GIB,
      pids: 100,
      cpuMillis: 1500,
      ioReadBytesPerSecond: 10,
      ioWriteBytesPerSecond: 20,
    },
    writable: { kind: "disk", bytes: 5 * GIB, inodes: 262_144 },
    aslr: true,
    rdtsc: true,
  });
});

for (
  const [asks, gets] of [
    [["network=loopback"], { network: "loopback" }],
    [["memory=1GiB"], { limits: { memoryBytes: GIB, pids: 4096 } }],
    [["cpu=1.5", "pids=7"], { limits: { memoryBytes: 3.5 * GIB, pids: 7, cpuMillis: 1500 } }],
    [["writable-layer=disk"], { writable: { kind: "disk", bytes: 20 * GIB, inodes: 262_144 } }],
    [["disk=1GiB"], { writable: { kind: "disk", bytes: GIB, inodes: 262_144 } }],
    [["disk=1GiB", "disk=1GiB"], { writable: { kind: "disk", bytes: GIB, inodes: 262_144 } }],
    [["aslr=off", "rdtsc=off"], { aslr: false, rdtsc: false }],
    [["aslr=on", "rdtsc=on"], { aslr: true, rdtsc: true }],
  ] as const
) {
  Deno.test(`An action that asks for ${asks.join(" and ")} gets it`, () => {
    const got = actionSandbox(policyOf(), wanted(...asks));
    assertEquals({ ...got, ...gets }, got);
  });
}

for (
  const [asks, code, says] of [
    [["network=host"], Code.FAILED_PRECONDITION, [
      "network=host",
      "none and loopback",
      "worker.sandbox_networks",
    ]],
    [["network=bridge"], Code.INVALID_ARGUMENT, ["network", '"bridge"', "none, loopback, host"]],
    [["memory=64GiB"], Code.FAILED_PRECONDITION, ["memory=64GiB", "3584MiB", "worker.sandbox_max_memory"]],
    [["memory=much"], Code.INVALID_ARGUMENT, ["memory", '"much"', "4GiB"]],
    [["memory=0"], Code.INVALID_ARGUMENT, ["memory", "nothing"]],
    [["cpu=9"], Code.FAILED_PRECONDITION, ["cpu=9", "which is 8;", "worker.sandbox_max_cpu"]],
    [["cpu=-1"], Code.INVALID_ARGUMENT, ["cpu", "number of processors"]],
    [["pids=5000"], Code.FAILED_PRECONDITION, ["pids=5000", "4096", "worker.sandbox_max_pids"]],
    [["disk=1TiB"], Code.FAILED_PRECONDITION, ["disk=1TiB", "20GiB", "worker.sandbox_max_disk"]],
    [["disk=1GiB", "writable-layer=memory"], Code.INVALID_ARGUMENT, ["disk", "writable-layer=memory"]],
    [["memory=1GiB", "memory=2GiB"], Code.INVALID_ARGUMENT, ["memory", "twice", "1GiB", "2GiB"]],
    [["rdtsc=perhaps"], Code.INVALID_ARGUMENT, ["rdtsc", "on, off"]],
  ] as const
) {
  Deno.test(`An action that asks for ${asks.join(" and ")} is refused in words that help`, () => {
    const error = assertThrows(() => actionSandbox(policyOf(), wanted(...asks)), BrokkrError);
    assertEquals(error.code, code);
    for (const part of says) assertStringIncludes(error.message, part);
  });
}

Deno.test("A switch that the operator does not allow can still be left on", () => {
  const policy = policyOf({ sandboxSwitches: ["rdtsc"] });
  assertEquals(actionSandbox(policy, wanted("aslr=on")).aslr, true);
  const error = assertThrows(() => actionSandbox(policy, wanted("aslr=off")), BrokkrError);
  assertStringIncludes(error.message, "worker.sandbox_switches");
});

Deno.test("Names that the operator offers to actions, or leaves out, ask nothing of the sandbox", () => {
  const plain = policyOf({}, { platform: { cpu: ["arm"], network: ["fast"] } });
  assertEquals(actionSandbox(plain, wanted("cpu=arm", "network=fast")), actionSandbox(plain, []));
  const few = policyOf({ sandboxProperties: ["memory"] });
  assertEquals(actionSandbox(few, wanted("cpu=arm", "network=fast")), actionSandbox(few, []));
  assertEquals(sandboxGrants(few).map(({ name }) => name), ["memory"]);
});

Deno.test("Where the operator sets a limit, asking for less is allowed, and for more up to its maximum", () => {
  const policy = policyOf({
    sandboxMemoryBytes: GIB,
    sandboxMaxMemoryBytes: 4 * GIB,
    sandboxCpuMillis: 1000,
  });
  const memory = (text: string) => actionSandbox(policy, wanted(`memory=${text}`)).limits.memoryBytes;
  assertEquals([memory("1MiB"), memory("4GiB")], [2 ** 20, 4 * GIB]);
  assertThrows(() => memory("4097MiB"), BrokkrError, "4GiB");
  assertThrows(() => actionSandbox(policy, wanted("cpu=1.001")), BrokkrError, "which is 1;");
});

Deno.test("The shares of all slots leave some of the machine's memory to it, unless it has next to none", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 256 }),
    fc.integer({ min: 2 ** 28, max: 2 ** 42 }),
    (slots, memoryBytes) => {
      const { memory } = policyOf({}, { slots, memoryBytes });
      if (memory.unasked > 128 * 2 ** 20) assert(memory.unasked * slots <= memoryBytes * 7 / 8);
      assertEquals(memory.most, memory.unasked);
    },
  ));
});

const amount = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 40 }));
const few = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 100_000 }));
const settings: fc.Arbitrary<SandboxSettings> = fc.record({
  sandboxMemoryBytes: amount,
  sandboxMaxMemoryBytes: amount,
  sandboxPids: fc.integer({ min: 1, max: 100_000 }),
  sandboxMaxPids: few,
  sandboxCpuMillis: few,
  sandboxMaxCpuMillis: few,
  sandboxIoReadBytes: amount,
  sandboxIoWriteBytes: amount,
  sandboxLayer: fc.constantFrom("auto", "memory", "disk"),
  sandboxLayerBytes: amount,
  sandboxLayerInodes: fc.integer({ min: 1, max: 2 ** 20 }),
  sandboxDiskBytes: amount,
  sandboxMaxDiskBytes: amount,
  sandboxNetworks: fc.uniqueArray(fc.constantFrom("none", "loopback", "host")),
  sandboxSwitches: fc.uniqueArray(fc.constantFrom("aslr", "rdtsc")),
  sandboxAllowPreload: fc.boolean(),
  sandboxProperties: fc.uniqueArray(fc.constantFrom(...SANDBOX_PROPERTY_NAMES)),
});
const machine: fc.Arbitrary<SandboxMachine> = fc.record({
  slots: fc.integer({ min: 1, max: 128 }),
  cpuMillis: fc.integer({ min: 1, max: 128 }).map((cpus) => cpus * 1000),
  memoryBytes: fc.integer({ min: 2 ** 28, max: 2 ** 42 }),
  diskFreeBytes: fc.integer({ min: 0, max: 2 ** 44 }),
  memoryLayersWhole: fc.boolean(),
  platform: fc.dictionary(fc.constantFrom("Pool", ...SANDBOX_PROPERTY_NAMES), fc.constant(["x"])),
});
const value = fc.oneof(
  fc.constantFrom(
    "none",
    "loopback",
    "host",
    "memory",
    "disk",
    "on",
    "off",
    "",
    "-1",
    "NaN",
    "1e9",
    "Infinity",
  ),
  fc.integer({ min: 0, max: 2 ** 43 }).map(String),
  fc.integer({ min: 0, max: 2 ** 43 }).map(formatSize),
  fc.integer({ min: 0, max: 200_000 }).map((millis) => String(millis / 1000)),
  fc.string(),
);
const platform = fc.array(
  fc.record({
    name: fc.oneof(fc.constantFrom("Pool", "__proto__", ...SANDBOX_PROPERTY_NAMES), fc.string()),
    value,
  }),
  { maxLength: 6 },
);

/** What the action got, each beside what it may be. */
function violations(got: ActionSandbox, policy: SandboxPolicy): string[] {
  const { limits, writable } = got;
  const checks: Record<string, boolean> = {
    network: policy.networks.includes(got.network),
    memory: limits.memoryBytes > 0 && limits.memoryBytes <= policy.memory.most,
    pids: limits.pids > 0 && limits.pids <= policy.pids.most,
    cpu: policy.cpu.unasked === undefined || (limits.cpuMillis ?? Infinity) <= policy.cpu.most,
    ioRead: limits.ioReadBytesPerSecond === policy.ioReadBytesPerSecond,
    ioWrite: limits.ioWriteBytesPerSecond === policy.ioWriteBytesPerSecond,
    layer: writable.inodes === policy.layerInodes &&
      writable.bytes <=
        (writable.kind === "disk" ? policy.disk.most : policy.layerBytes ?? policy.memory.most / 2),
    aslr: got.aslr || policy.switches.includes("aslr"),
    rdtsc: got.rdtsc || policy.switches.includes("rdtsc"),
  };
  return Object.keys(checks).filter((name) => !checks[name]);
}

Deno.test("Whatever an action asks for, it gets no more than the operator allows, or a clear refusal", () => {
  fc.assert(
    fc.property(settings, machine, platform, (settings, machine, platform) => {
      const policy = sandboxPolicy(settings, machine);
      let got: ActionSandbox;
      try {
        got = actionSandbox(policy, platform);
      } catch (error) {
        assert(error instanceof BrokkrError, String(error));
        assert(error.code === Code.INVALID_ARGUMENT || error.code === Code.FAILED_PRECONDITION);
        return;
      }
      assertEquals(violations(got, policy), []);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("What a worker's grants cover is what its policy allows, property by property", () => {
  fc.assert(
    fc.property(
      settings,
      machine,
      fc.constantFrom<SandboxPropertyName>(...SANDBOX_PROPERTY_NAMES),
      value,
      (settings, machine, name, value) => {
        const policy = sandboxPolicy({ ...settings, sandboxLayer: "disk" }, machine);
        const grant = sandboxGrants(policy).find((each) => each.name === name);
        assertEquals(grant !== undefined, policy.properties.has(name));
        if (grant === undefined) return;
        let allowed = true;
        try {
          actionSandbox(policy, [{ name, value }]);
        } catch {
          allowed = false;
        }
        assertEquals(isGranted(grant, value), allowed);
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("hasWholeMemoryLayers reads the kernel's release", () => {
  for (const release of ["6.6.0", "6.18.44-fc-v669", "7.0.0-rc1"]) {
    assertEquals(hasWholeMemoryLayers(release), true, release);
  }
  for (const release of ["5.19.17", "6.1.0-56-amd64", "6.5.13", "strange"]) {
    assertEquals(hasWholeMemoryLayers(release), false, release);
  }
});

Deno.test("sandboxPolicy keeps what actions write on disk where layers in memory lack something, unless it is told otherwise", () => {
  const layerOf = (sandboxLayer: "auto" | "memory" | "disk", memoryLayersWhole: boolean) =>
    sandboxPolicy({ ...DEFAULT_SANDBOX_SETTINGS, sandboxLayer }, { ...MACHINE, memoryLayersWhole }).layer;
  assertEquals([layerOf("auto", true), layerOf("auto", false)], ["memory", "disk"]);
  assertEquals([layerOf("memory", false), layerOf("disk", true)], ["memory", "disk"]);
});
