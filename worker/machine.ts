/**
 * What a worker tells of the machine it runs on.
 *
 * @module
 */

import * as fs from "node:fs/promises";
import { BrokkrError, Code, type Random, randomHex } from "@brokkr/common";
import type { Init, Load, Platform_Property, Resources } from "@brokkr/proto";
import type { SandboxMachine } from "./sandbox_policy.ts";

/** Names of processor families in REAPI's platform lexicon, by Deno's. */
const ISA: Readonly<Record<string, string>> = { x86_64: "x86-64", aarch64: "aarch64" };

/**
 * The platform properties of this machine, with those that were configured: a configured name replaces what was found
 * out. Sorted by name, then value.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { platformProperties } from "@brokkr/worker";
 * assertEquals(platformProperties({ ISA: ["x86-64"], Pool: ["b", "a"] }), [
 *   { name: "ISA", value: "x86-64" },
 *   { name: "OSFamily", value: "linux" },
 *   { name: "Pool", value: "a" },
 *   { name: "Pool", value: "b" },
 * ]);
 * ```
 */
export function platformProperties(
  configured: Readonly<Record<string, readonly string[]>>,
): Platform_Property[] {
  const all: Record<string, readonly string[]> = {
    OSFamily: ["linux"],
    ISA: [ISA[Deno.build.arch] ?? Deno.build.arch],
    ...configured,
  };
  const properties: Platform_Property[] = [];
  for (const name of Object.keys(all).sort()) {
    for (const value of [...new Set(all[name])].sort()) properties.push({ name, value });
  }
  return properties;
}

/** The name kept in the data directory, made at the first start: host name and a few random digits. */
export function workerIdOf(dataDir: string, random: Random): string {
  const path = `${dataDir}/worker-id`;
  try {
    const id = Deno.readTextFileSync(path).trim();
    if (id !== "") return id;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const host = Deno.hostname().replace(/[^A-Za-z0-9.-]/g, "-") || "worker";
  const id = `${host}-${randomHex(random, 4)}`;
  Deno.writeTextFileSync(path, `${id}\n`);
  return id;
}

/** The size of this machine; of its disk, the part that holds `path`. */
export async function machineResources(path: string): Promise<Resources> {
  const disk = await fs.statfs(path);
  return {
    cpuMillis: navigator.hardwareConcurrency * 1000,
    memoryBytes: Deno.systemMemoryInfo().total,
    diskBytes: disk.bsize * disk.blocks,
  };
}

/**
 * Whether a kernel's memory file system keeps users' extended attributes, as it does from 6.6 on. Without them an overlay
 * over it cannot note that a directory replaces one of the inputs.
 */
export function hasWholeMemoryLayers(release: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(major) > 6 || Number(major) === 6 && Number(minor) >= 6;
}

/** The size of this machine, as the limits of actions follow from it. */
export async function sandboxMachine(
  path: string,
  slots: number,
  platform: SandboxMachine["platform"],
): Promise<SandboxMachine> {
  const { bsize, bavail } = await fs.statfs(path);
  return {
    slots,
    cpuMillis: navigator.hardwareConcurrency * 1000,
    memoryBytes: Deno.systemMemoryInfo().total,
    diskFreeBytes: bsize * bavail,
    memoryLayersWhole: hasWholeMemoryLayers(Deno.osRelease()),
    platform,
  };
}

/** With less than this a disk is full: what is written next need not fit. */
const FULL_BYTES = 64 * 1024;

/**
 * Makes sure that the disk which holds `path` was not filled. An action whose writes failed need not have noticed, and
 * what it left, or printed, may be cut off.
 *
 * @throws {BrokkrError} RESOURCE_EXHAUSTED when it is full.
 */
export async function refuseFullDisk(path: string): Promise<void> {
  let freeBytes: number;
  try {
    const { bsize, bavail } = await fs.statfs(path);
    freeBytes = bsize * bavail;
  } catch {
    return; // the action removed its own directory; whoever looks for its outputs will say so
  }
  if (freeBytes >= FULL_BYTES) return;
  throw new BrokkrError(
    Code.RESOURCE_EXHAUSTED,
    `No space left on the worker's disk: ${freeBytes} bytes are free after the action ran, so that what it wrote may be ` +
      "cut off; give the worker a larger disk, or fewer slots",
  );
}

/**
 * Tells how busy this machine is, without ever waiting: asking a slow disk for its free space happens on the side, and
 * heartbeats carry what it last said.
 */
export class MachineLoad {
  readonly #path: string;
  #diskFreeBytes = 0;
  #asking = false;

  /** Watches the disk that holds `path`. */
  constructor(path: string) {
    this.#path = path;
    void this.#ask();
  }

  /** The load now. */
  read(slotsUsed: number): Init<Load> {
    void this.#ask();
    return {
      slotsUsed,
      loadMillis: Math.round(Deno.loadavg()[0] * 1000),
      memoryFreeBytes: Deno.systemMemoryInfo().available,
      diskFreeBytes: this.#diskFreeBytes,
    };
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const { bsize, bavail } = await fs.statfs(this.#path);
      this.#diskFreeBytes = bsize * bavail;
    } catch {
      // The directory may be gone at the end; a heartbeat can do without the figure.
      this.#diskFreeBytes = 0;
    } finally {
      this.#asking = false;
    }
  }
}
