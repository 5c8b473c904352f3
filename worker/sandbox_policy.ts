/**
 * What one action gets of the sandbox: what the operator set up, and of what the action asks for by platform properties
 * as much as the operator allows. Everything here is a function of its arguments.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import type { WorkerSandboxConfig } from "@brokkr/common/config";
import {
  formatAmount,
  isSandboxProperty,
  type LayerName,
  type NetworkName,
  parseSandboxProperty,
  SANDBOX_PROPERTY_NAMES,
  type SandboxGrant,
  type SandboxProperties,
  type SandboxPropertyName,
} from "@brokkr/common/sandbox_properties";

/** What the operator set up: keys of `[worker]`, each 0 where it is to follow from the machine. */
export type SandboxSettings = Omit<WorkerSandboxConfig, "sandbox" | "sandboxBinds" | "sandboxUidBase">;

/** What the settings are worked out for. */
export interface SandboxMachine {
  /** Actions at once. */
  readonly slots: number;
  /** Processors, in thousandths. */
  readonly cpuMillis: number;
  /** Memory that the worker may use, in bytes. */
  readonly memoryBytes: number;
  /** What is free on the disk that holds the worker's directory, in bytes. */
  readonly diskFreeBytes: number;
  /** Whether everything that an action can do to files it can do in a layer in memory. */
  readonly memoryLayersWhole: boolean;
  /** Platform properties that the operator named himself: those stay plain, whatever their names. */
  readonly platform: Readonly<Record<string, readonly string[]>>;
}

/** An amount that an action gets, and the most that it may ask for. */
export interface Allowance {
  /** What it gets unasked; undefined for no limit. */
  readonly unasked: number | undefined;
  /** The most that it may ask for. */
  readonly most: number;
}

/** The operator's settings in figures of this machine. */
export interface SandboxPolicy {
  /** Memory in bytes. */
  readonly memory: Allowance & { readonly unasked: number };
  /** Processes and threads. */
  readonly pids: Allowance & { readonly unasked: number };
  /** Thousandths of a processor. */
  readonly cpu: Allowance;
  /** Bytes of a layer on disk. */
  readonly disk: Allowance & { readonly unasked: number };
  /** Most bytes read from disks in a second; undefined for no limit. */
  readonly ioReadBytesPerSecond: number | undefined;
  /** Most bytes written to disks in a second; undefined for no limit. */
  readonly ioWriteBytesPerSecond: number | undefined;
  /** Where what an action writes is kept unless it asks for something else. */
  readonly layer: LayerName;
  /** Bytes of a layer in memory; undefined for half of the action's memory. */
  readonly layerBytes: number | undefined;
  /** Inodes of a layer. */
  readonly layerInodes: number;
  /** Networks that an action may ask for. */
  readonly networks: readonly NetworkName[];
  /** Switches that an action may turn off. */
  readonly switches: readonly ("aslr" | "rdtsc")[];
  /** Whether the dynamic linker's variables are let through. */
  readonly allowPreload: boolean;
  /** Properties that ask something of the sandbox. */
  readonly properties: ReadonlySet<string>;
}

/** Limits of one action's control groups. */
export interface ActionLimits {
  /** Most memory, in bytes. */
  readonly memoryBytes: number;
  /** Most processes and threads. */
  readonly pids: number;
  /** Processor time, in thousandths of a processor; without it no limit. */
  readonly cpuMillis?: number;
  /** Most bytes read from disks in a second; without it no limit. */
  readonly ioReadBytesPerSecond?: number;
  /** Most bytes written to disks in a second; without it no limit. */
  readonly ioWriteBytesPerSecond?: number;
}

/** What one action gets; the caller adds the directory of a layer on disk. */
export interface ActionSandbox {
  /** Its network. */
  readonly network: NetworkName;
  /** Limits of its control groups. */
  readonly limits: ActionLimits;
  /** Where what it writes is kept. */
  readonly writable:
    | { readonly kind: "memory"; readonly bytes: number; readonly inodes: number }
    | { readonly kind: "disk"; readonly bytes: number; readonly inodes: number };
  /** Whether addresses are randomized. */
  readonly aslr: boolean;
  /** Whether rdtsc may be executed. */
  readonly rdtsc: boolean;
}

/** A platform property of an action. */
export interface WantedProperty {
  /** Such as `memory`. */
  readonly name: string;
  /** Such as `4GiB`. */
  readonly value: string;
}

/** The settings that hold where nobody set up anything: the defaults of the configuration. */
export const DEFAULT_SANDBOX_SETTINGS: SandboxSettings = {
  sandboxMemoryBytes: 0,
  sandboxMaxMemoryBytes: 0,
  sandboxPids: 4096,
  sandboxMaxPids: 0,
  sandboxCpuMillis: 0,
  sandboxMaxCpuMillis: 0,
  sandboxIoReadBytes: 0,
  sandboxIoWriteBytes: 0,
  sandboxLayer: "auto",
  sandboxLayerBytes: 0,
  sandboxLayerInodes: 262_144,
  sandboxDiskBytes: 0,
  sandboxMaxDiskBytes: 0,
  sandboxNetworks: ["none", "loopback"],
  sandboxSwitches: ["aslr", "rdtsc"],
  sandboxAllowPreload: false,
  sandboxProperties: SANDBOX_PROPERTY_NAMES,
};

const MIN_RESERVE_BYTES = 512 * 2 ** 20;
/** With less hardly a compiler starts. */
const MIN_SHARE_BYTES = 128 * 2 ** 20;

/** A slot's share of the memory, after an eighth of it, and 512 MiB at least, is left to the worker and the machine. */
function memoryShare({ memoryBytes, slots }: SandboxMachine): number {
  const reserve = Math.max(memoryBytes / 8, Math.min(MIN_RESERVE_BYTES, memoryBytes / 2));
  return Math.max(MIN_SHARE_BYTES, Math.floor((memoryBytes - reserve) / slots));
}

/** An amount whose most is no less than what everybody gets anyway. */
function allowance(unasked: number, most: number): { readonly unasked: number; readonly most: number } {
  return { unasked, most: Math.max(unasked, most) };
}

/** Works out the settings for a machine. */
export function sandboxPolicy(settings: SandboxSettings, machine: SandboxMachine): SandboxPolicy {
  const { sandboxCpuMillis: cpu, sandboxMaxCpuMillis: maxCpu } = settings;
  const diskShare = Math.max(MIN_SHARE_BYTES, Math.floor(machine.diskFreeBytes / 2 / machine.slots));
  return {
    memory: allowance(settings.sandboxMemoryBytes || memoryShare(machine), settings.sandboxMaxMemoryBytes),
    pids: allowance(settings.sandboxPids, settings.sandboxMaxPids),
    cpu: {
      unasked: cpu === 0 ? undefined : cpu,
      most: Math.max(cpu, maxCpu) || machine.cpuMillis,
    },
    disk: allowance(settings.sandboxDiskBytes || diskShare, settings.sandboxMaxDiskBytes),
    ioReadBytesPerSecond: settings.sandboxIoReadBytes || undefined,
    ioWriteBytesPerSecond: settings.sandboxIoWriteBytes || undefined,
    layer: settings.sandboxLayer === "auto"
      ? (machine.memoryLayersWhole ? "memory" : "disk")
      : settings.sandboxLayer,
    layerBytes: settings.sandboxLayerBytes || undefined,
    layerInodes: settings.sandboxLayerInodes,
    networks: [...new Set<NetworkName>(["none", ...settings.sandboxNetworks])],
    switches: settings.sandboxSwitches,
    allowPreload: settings.sandboxAllowPreload,
    properties: new Set(settings.sandboxProperties.filter((name) => !Object.hasOwn(machine.platform, name))),
  };
}

/** What a worker of this policy grants, for control to find out where an action can go. */
export function sandboxGrants(policy: SandboxPolicy): SandboxGrant[] {
  const grants: SandboxGrant[] = [];
  for (const name of SANDBOX_PROPERTY_NAMES) {
    if (!policy.properties.has(name)) continue;
    const allowed = allowedOf(policy, name);
    grants.push(
      typeof allowed === "number" ? { name, words: [], most: allowed } : { name, words: allowed, most: 0 },
    );
  }
  return grants;
}

/** The words that an action may ask for, or the greatest amount. */
function allowedOf(policy: SandboxPolicy, name: SandboxPropertyName): readonly string[] | number {
  switch (name) {
    case "network":
      return policy.networks;
    case "writable-layer":
      return ["memory", "disk"];
    case "aslr":
    case "rdtsc":
      return policy.switches.includes(name) ? ["on", "off"] : ["on"];
    default:
      return policy[name].most;
  }
}

/** The keys by which an operator allows more. */
const KEYS: Readonly<Record<SandboxPropertyName, string>> = {
  network: "worker.sandbox_networks",
  "writable-layer": "worker.sandbox_layer",
  memory: "worker.sandbox_max_memory",
  cpu: "worker.sandbox_max_cpu",
  pids: "worker.sandbox_max_pids",
  disk: "worker.sandbox_max_disk",
  aslr: "worker.sandbox_switches",
  rdtsc: "worker.sandbox_switches",
};

/** Code of violations of what the operator allows; not MISSING, so that clients do not try again. */
export const SANDBOX_POLICY_VIOLATION = "SANDBOX_POLICY";

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function notAllowed(
  name: SandboxPropertyName,
  value: string,
  allowed: readonly string[] | number,
): BrokkrError {
  const what = typeof allowed === "number"
    ? `asks for more than the worker's operator allows, which is ${formatAmount(name, allowed)}`
    : `is not allowed by the worker's operator, who allows ${allowed.join(" and ")}`;
  const description = `Platform property ${name}=${shown(value)} ${what}; the key that allows it is ${
    KEYS[name]
  }`;
  return new BrokkrError(Code.FAILED_PRECONDITION, description, {
    details: [{
      kind: "preconditionFailure",
      violations: [{ type: SANDBOX_POLICY_VIOLATION, subject: name, description }],
    }],
  });
}

/** Reads and checks what an action asks for. */
function askedFor(policy: SandboxPolicy, platform: readonly WantedProperty[]): Partial<SandboxProperties> {
  const texts = new Map<SandboxPropertyName, string>();
  const asked: Partial<Record<SandboxPropertyName, string | number>> = {};
  for (const { name, value: text } of platform) {
    if (!isSandboxProperty(name) || !policy.properties.has(name)) continue;
    const other = texts.get(name);
    if (other === text) continue;
    if (other !== undefined) {
      throw invalidArgument(
        "platform",
        `Platform property ${name} is given twice, as ${shown(other)} and as ${
          shown(text)
        }; the sandbox takes one`,
      );
    }
    texts.set(name, text);
    const { value, error } = parseSandboxProperty(name, text);
    if (value === undefined) {
      throw invalidArgument("platform", `Platform property ${name}: ${JSON.stringify(shown(text))} ${error}`);
    }
    const allowed = allowedOf(policy, name);
    const within = typeof allowed === "number"
      ? typeof value === "number" && value <= allowed
      : typeof value === "string" && allowed.includes(value);
    if (!within) throw notAllowed(name, text, allowed);
    asked[name] = value;
  }
  // Each value came out of the parser of its name.
  return asked as Partial<SandboxProperties>;
}

/**
 * What an action gets whose platform is `platform`: what everybody gets, or what it asks for if the operator allows it.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for values that mean nothing or contradict one another; FAILED_PRECONDITION for
 * what the operator does not allow, naming the property, its value, what is allowed, and the key that would allow more.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { actionSandbox, DEFAULT_SANDBOX_SETTINGS, sandboxPolicy } from "@brokkr/worker";
 * const machine = { slots: 2, cpuMillis: 2000, memoryBytes: 2 ** 33, diskFreeBytes: 2 ** 36, memoryLayersWhole: true, platform: {} };
 * const policy = sandboxPolicy(DEFAULT_SANDBOX_SETTINGS, machine);
 * const { network, limits } = actionSandbox(policy, [{ name: "network", value: "loopback" }, {
 *   name: "memory",
 *   value: "1GiB",
 * }]);
 * assertEquals([network, limits.memoryBytes, limits.pids], ["loopback", 2 ** 30, 4096]);
 * ```
 */
export function actionSandbox(policy: SandboxPolicy, platform: readonly WantedProperty[]): ActionSandbox {
  const asked = askedFor(policy, platform);
  const kind = asked["writable-layer"] ?? (asked.disk === undefined ? policy.layer : "disk");
  if (kind === "memory" && asked.disk !== undefined) {
    throw invalidArgument(
      "platform",
      "Platform property disk is the size of a writable layer on disk, and writable-layer=memory asks for none",
    );
  }
  const memoryBytes = asked.memory ?? policy.memory.unasked;
  const cpuMillis = asked.cpu ?? policy.cpu.unasked;
  const { ioReadBytesPerSecond, ioWriteBytesPerSecond, layerBytes, layerInodes } = policy;
  return {
    network: asked.network ?? "none",
    limits: {
      memoryBytes,
      pids: asked.pids ?? policy.pids.unasked,
      ...(cpuMillis === undefined ? {} : { cpuMillis }),
      ...(ioReadBytesPerSecond === undefined ? {} : { ioReadBytesPerSecond }),
      ...(ioWriteBytesPerSecond === undefined ? {} : { ioWriteBytesPerSecond }),
    },
    writable: kind === "disk"
      ? { kind, bytes: asked.disk ?? policy.disk.unasked, inodes: layerInodes }
      : { kind, bytes: layerBytes ?? Math.floor(memoryBytes / 2), inodes: layerInodes },
    aslr: asked.aslr !== "off",
    rdtsc: asked.rdtsc !== "off",
  };
}
