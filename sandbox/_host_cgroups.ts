/**
 * Checks of control groups: what of an action can be limited and counted.
 *
 * @module
 */

import { asBrokkrError } from "@brokkr/common";
import { type Cgroups, CgroupsUnavailable, type Controller } from "./cgroup/mod.ts";
import type { Finding } from "./host_finding.ts";

const WHAT: Readonly<Record<Controller, string>> = {
  memory: "memory limited and counted",
  pids: "processes limited and counted",
  cpu: "processor time limited and counted",
  io: "disk traffic limited and counted",
};

/** What a host without any control groups lacks. */
const NONE =
  "Nothing limits what all processes of an action take together: one action can take all memory and processor time " +
  "that the machine has, and what it took is not counted";

function delegate(root: boolean): string {
  return root
    ? "Delegate=yes in the worker's systemd unit"
    : "systemd-run --user --scope -p Delegate=yes COMMAND, or Delegate=yes in the worker's user unit";
}

/**
 * A finding for the groups and one for each controller. None of them is a failure: actions are isolated without.
 *
 * @param open Opens the groups; closed again here.
 */
export function checkCgroups(open: () => Cgroups, root: boolean): readonly Finding[] {
  const about = { id: "cgroups", requirement: "Control groups", kernel: "4.5" };
  let cgroups: Cgroups;
  try {
    cgroups = open();
  } catch (error) {
    const { missing = [] } = error instanceof CgroupsUnavailable ? error : {};
    const found = missing.length > 0 ? "none can be used" : asBrokkrError(error).message;
    const remedy = (missing.find(({ controller }) => controller === "memory") ?? missing[0])?.remedy;
    return [{ ...about, level: "WARN", found, meaning: NONE, remedy: remedy ?? delegate(root) }];
  }
  using _ = cgroups;
  const findings: Finding[] = [{ ...about, level: "OK", found: cgroups.version }];
  for (const controller of Object.keys(WHAT) as Controller[]) {
    const missing = cgroups.missing.find((each) => each.controller === controller);
    findings.push({
      id: `cgroup-${controller}`,
      requirement: `Controller: ${controller}`,
      level: missing === undefined ? "OK" : "WARN",
      found: missing === undefined ? WHAT[controller] : "missing",
      ...(missing === undefined ? {} : { meaning: missing.consequence, remedy: missing.remedy }),
    });
  }
  return findings;
}
