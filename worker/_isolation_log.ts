/**
 * What the operator is told at start of a worker's sandbox.
 *
 * @module
 */

import type { Logger } from "@brokkr/common";
import { formatAmount } from "@brokkr/common/sandbox_properties";
import { formatSize } from "@brokkr/common/units";
import type { Cgroups } from "@brokkr/sandbox";
import type { SandboxPolicy } from "./sandbox_policy.ts";

/** What is known of a sandbox once it is open. */
export interface OpenedSandbox {
  /** Its environment. */
  readonly environment: string;
  /** Whether each slot has a user of its own, which takes root. */
  readonly privileged: boolean;
  /** Actions at once. */
  readonly slots: number;
  /** What actions get. */
  readonly policy: SandboxPolicy;
  /** The control groups; undefined when there are none. */
  readonly cgroups: Pick<Cgroups, "version" | "controllers"> | undefined;
}

/** Tells of the sandbox: what isolates actions, what they get, and what is allowed that others would not expect. */
export function logSandbox(
  log: Logger,
  { environment, privileged, slots, policy, cgroups }: OpenedSandbox,
): void {
  const { memory, pids, cpu, disk, networks, layer, allowPreload } = policy;
  const most = (name: "memory" | "pids", { unasked, most }: { unasked: number; most: number }) =>
    formatAmount(name, unasked) + (most > unasked ? `, up to ${formatAmount(name, most)}` : "");
  const controllers = [...cgroups?.controllers ?? []].sort();
  log.info("Actions run in a sandbox", {
    environment,
    users: privileged ? `one for each of ${slots} slots` : "the worker's own for all",
    cgroups: controllers.length === 0 ? "none" : `${cgroups?.version}: ${controllers.join(" ")}`,
    memory: most("memory", memory),
    pids: most("pids", pids),
    cpu: cpu.unasked === undefined ? "all" : formatAmount("cpu", cpu.unasked),
    layer: layer === "disk" ? `disk, ${formatSize(disk.unasked)}` : "memory",
    networks: networks.join(" "),
  });
  if (networks.includes("host")) {
    log.warn(
      "Actions may ask for this machine's network (worker.sandbox_networks): who runs actions reaches what it reaches, and " +
        "what listens on its loopback",
    );
  }
  if (allowPreload) {
    log.warn("Actions may set LD_PRELOAD and its like (worker.sandbox_allow_preload)");
  }
}
