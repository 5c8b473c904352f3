/**
 * The keys of `[worker]` that say what actions get of their sandbox.
 *
 * @module
 */

import { binds, boolean, integer, oneOf, processors, size, someOf } from "./_config_kinds.ts";
import { key, type SectionSpec } from "./_config_spec.ts";
import {
  type LayerName,
  type NetworkName,
  SANDBOX_PROPERTY_NAMES,
  type SandboxPropertyName,
} from "./sandbox_properties.ts";

/** The keys of `[worker]` that say what actions get of their sandbox. */
export interface WorkerSandboxConfig {
  /** Whether actions run in a sandbox. */
  readonly sandbox: boolean;
  /** Paths of the host that actions see: `/path`, `/path:/inside`, `default` for those of the system. */
  readonly sandboxBinds: readonly string[];
  /** As root: the host's user and group id of the first slot. */
  readonly sandboxUidBase: number;
  /** Networks that an action may ask for. */
  readonly sandboxNetworks: readonly NetworkName[];
  /** Most memory of an action, in bytes; 0 for its slot's share of the machine. */
  readonly sandboxMemoryBytes: number;
  /** Most memory that an action may ask for, in bytes; 0 for no more than it gets unasked. */
  readonly sandboxMaxMemoryBytes: number;
  /** Most processes and threads of an action. */
  readonly sandboxPids: number;
  /** Most that an action may ask for; 0 for no more than it gets unasked. */
  readonly sandboxMaxPids: number;
  /** Processor time of an action, in thousandths of a processor; 0 for no limit. */
  readonly sandboxCpuMillis: number;
  /** Most that an action may ask for; 0 for no more than it gets unasked, or than the machine has. */
  readonly sandboxMaxCpuMillis: number;
  /** Most bytes read from disks in a second; 0 for no limit. */
  readonly sandboxIoReadBytes: number;
  /** Most bytes written to disks in a second; 0 for no limit. */
  readonly sandboxIoWriteBytes: number;
  /** Where what an action writes is kept unless it asks for something else. */
  readonly sandboxLayer: LayerName | "auto";
  /** Bytes of a layer in memory; 0 for half of the action's memory. */
  readonly sandboxLayerBytes: number;
  /** Files, directories and links in a layer. */
  readonly sandboxLayerInodes: number;
  /** Bytes of a layer on disk; 0 for a slot's share of half of what is free at start. */
  readonly sandboxDiskBytes: number;
  /** Most that an action may ask for, in bytes; 0 for no more than it gets unasked. */
  readonly sandboxMaxDiskBytes: number;
  /** Switches that an action may turn off. */
  readonly sandboxSwitches: readonly ("aslr" | "rdtsc")[];
  /** Whether actions may set LD_PRELOAD and its like. */
  readonly sandboxAllowPreload: boolean;
  /** Platform properties that ask something of the sandbox; others of their names are plain ones. */
  readonly sandboxProperties: readonly SandboxPropertyName[];
}

/** How much of the machine one action gets in its sandbox. */
const sandboxAmounts = {
  sandboxMemoryBytes: key(
    "sandbox_memory",
    size(),
    "0B",
    "Memory of an action, files in memory included; beyond, it is killed. 0B: the machine's memory, without an eighth of it " +
      "(512 MiB at least), divided by the slots; 128 MiB at least.",
  ),
  sandboxMaxMemoryBytes: key(
    "sandbox_max_memory",
    size(),
    "0B",
    "Memory that an action may ask for by the platform property `memory`; 0B: no more than sandbox_memory.",
  ),
  sandboxPids: key(
    "sandbox_pids",
    integer({ min: 16, max: 4_194_304 }),
    4096,
    "Processes and threads of an action at one time; further ones are refused to it.",
  ),
  sandboxMaxPids: key(
    "sandbox_max_pids",
    integer({ min: 0, max: 4_194_304 }),
    0,
    "How many an action may ask for by the platform property `pids`; 0: no more than sandbox_pids.",
  ),
  sandboxCpuMillis: key(
    "sandbox_cpu",
    processors(),
    0,
    "Processors that an action may keep busy; 0: all, shared evenly with the actions beside it.",
  ),
  sandboxMaxCpuMillis: key(
    "sandbox_max_cpu",
    processors(),
    0,
    "Processors that an action may ask for by the platform property `cpu`; 0: no more than sandbox_cpu, or than there are.",
  ),
  sandboxIoReadBytes: key(
    "sandbox_io_read",
    size(),
    "0B",
    "Bytes that an action may read from disks in a second; 0B: no limit. Reads that memory answers do not count.",
  ),
  sandboxIoWriteBytes: key(
    "sandbox_io_write",
    size(),
    "0B",
    "Bytes that an action may write to disks in a second; 0B: no limit.",
  ),
};

/** Where what an action writes is kept. */
const sandboxLayers = {
  sandboxLayer: key(
    "sandbox_layer",
    oneOf("auto", "memory", "disk"),
    "auto",
    "Where what an action writes is kept until its outputs are collected, unless it asks for one by the platform property " +
      "`writable-layer`. memory is faster, and charged to the action's memory; before Linux 6.6 an action cannot replace a " +
      "directory of its inputs there. auto: memory from Linux 6.6, disk before.",
  ),
  sandboxLayerBytes: key(
    "sandbox_layer_size",
    size(),
    "0B",
    "What an action may write into a layer in memory, /tmp and /dev/shm included; 0B: half of its memory.",
  ),
  sandboxLayerInodes: key(
    "sandbox_layer_files",
    integer({ min: 1024, max: 100_000_000 }),
    262_144,
    "Files, directories and links that an action may make in its layer, in memory or on disk.",
  ),
  sandboxDiskBytes: key(
    "sandbox_disk",
    size(),
    "0B",
    "What an action may write into a layer on disk; beyond, it is killed. 0B: half of what is free at start on the disk of " +
      "data_dir, divided by the slots; 128 MiB at least.",
  ),
  sandboxMaxDiskBytes: key(
    "sandbox_max_disk",
    size(),
    "0B",
    "How much of it an action may ask for by the platform property `disk`; 0B: no more than sandbox_disk.",
  ),
};

/** Those keys. */
export const sandboxKeys: SectionSpec<WorkerSandboxConfig> = {
  sandbox: key(
    "sandbox",
    boolean(),
    true,
    "Whether actions run in a sandbox. Without one (--no-sandbox) they run as the worker's user, with full access to its " +
      "files, to one another and to the network, and their results never answer for those of a sandbox.",
  ),
  sandboxBinds: key(
    "sandbox_binds",
    binds(),
    ["default"],
    "What actions see of this machine's files, all of it read-only: /path, or /path:/inside to have it elsewhere. " +
      "default: the programs and libraries of the system. What is not there is left out.",
  ),
  sandboxUidBase: key(
    "sandbox_uid_base",
    integer({ min: 100_000, max: 4_294_000_000 }),
    1_900_000_000,
    "Where the worker is root: this machine's user and group id that the actions of its first slot run as; those of the " +
      "others follow. Nobody else may have them, another worker on the machine neither.",
  ),
  sandboxNetworks: key(
    "sandbox_networks",
    someOf("none", "loopback", "host"),
    ["none", "loopback"],
    "Networks that an action may ask for by the platform property `network`; without it it has none. host is this machine's: " +
      "all that the machine can reach.",
  ),
  ...sandboxAmounts,
  ...sandboxLayers,
  sandboxSwitches: key(
    "sandbox_switches",
    someOf("aslr", "rdtsc"),
    ["aslr", "rdtsc"],
    "What an action may turn off for itself by a platform property of that name, such as aslr=off. Without aslr, addresses are " +
      "not randomized, and bugs in the action's programs are easier to exploit. Without rdtsc, programs that read the " +
      "processor's clock die, which is most of those that look at the time.",
  ),
  sandboxAllowPreload: key(
    "sandbox_allow_preload",
    boolean(),
    false,
    "Let actions set LD_PRELOAD and other variables that have the dynamic linker load or trace what is no input of theirs.",
  ),
  sandboxProperties: key(
    "sandbox_properties",
    someOf(...SANDBOX_PROPERTY_NAMES),
    SANDBOX_PROPERTY_NAMES,
    "Platform properties by which actions ask something of their sandbox. What is left out, or named in platform, is a plain " +
      "property that the worker must offer.",
  ),
};
