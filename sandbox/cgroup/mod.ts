/**
 * Control groups: one interface over both versions.
 *
 * ```ts
 * import { openCgroups } from "./mod.ts";
 * import { assert } from "@std/assert";
 *
 * try {
 *   using groups = openCgroups({ name: "example" });
 *   const group = groups.create("a1", { memoryBytes: 64 << 20, pids: 20 });
 *   // The process that joins writes "0" to each of group.joinFds, in this order.
 *   group.closeJoinFds();
 *   assert(group.isEmpty());
 *   group.remove();
 * } catch (error) {
 *   console.log(String(error)); // it says what is missing, and what mends it
 * }
 * ```
 *
 * @module
 */

export { CgroupsUnavailable } from "./missing.ts";
export { type CgroupsOptions, openCgroups, stepAside } from "./open.ts";
export {
  type ActionCgroup,
  type CgroupLimits,
  type Cgroups,
  type CgroupUsage,
  type Controller,
  type MissingController,
} from "./types.ts";
