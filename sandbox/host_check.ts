/**
 * Asks this host whether actions can be isolated on it, by trying each thing that the sandbox is made of.
 *
 * Nothing of the host is changed: what is tried is tried in processes of their own, within namespaces that end with
 * them, and in a directory that is removed.
 *
 * @module
 */

import { checkCgroups } from "./_host_cgroups.ts";
import {
  checkArchitecture,
  checkCalls,
  checkKernel,
  checkMemfd,
  checkSeccomp,
  readSetting,
} from "./_host_kernel.ts";
import {
  checkMountAttributes,
  checkNamespaces,
  checkOverlay,
  checkProc,
  checkUserNamespaces,
} from "./_host_namespaces.ts";
import { checkCapabilities, checkClock, checkIds, checkLimits, checkMemory } from "./_host_resources.ts";
import { checkSandbox } from "./_host_sandbox.ts";
import { checkStorage, nearestDirectory } from "./_host_storage.ts";
import { openCgroups } from "./cgroup/mod.ts";
import { type Finding, isFunctional } from "./host_finding.ts";
import { DEFAULT_UID_BASE } from "./sandbox_options.ts";

/** What {@linkcode checkHost} is to look at. */
export interface HostCheckOptions {
  /** The worker's data directory; it need not be there yet. */
  readonly dataDir: string;
  /** How many actions the worker will run at once; one by default. */
  readonly slots?: number;
  /** As root: user and group id of the first slot. */
  readonly uidBase?: number;
}

/**
 * Checks this host, one finding for each requirement, in the order in which they build on one another. What is worth
 * knowing only once something else works is left out when that does not.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { checkHost, isFunctional } from "@brokkr/sandbox";
 * const dataDir = await Deno.makeTempDir();
 * const findings = await checkHost({ dataDir });
 * const amiss = findings.filter(({ level }) => level === "FAIL").map(({ remedy }) => remedy);
 * assertEquals(isFunctional(findings), amiss.length === 0);
 * await Deno.remove(dataDir);
 * ```
 */
export async function checkHost(options: HostCheckOptions): Promise<readonly Finding[]> {
  const root = Deno.uid() === 0;
  const uidBase = options.uidBase ?? DEFAULT_UID_BASE;
  const slots = options.slots ?? 1;
  const architecture = checkArchitecture(Deno.build.os, Deno.build.arch);
  const findings: Finding[] = [architecture];
  if (architecture.level === "FAIL") return findings;
  findings.push(checkKernel(Deno.osRelease(), root));
  const memfd = await checkMemfd();
  findings.push(memfd);
  let hostId: number | undefined;
  if (root) {
    const ids = checkIds(
      { uidMap: readSetting("/proc/self/uid_map") ?? "", passwd: readSetting("/etc/passwd") ?? "" },
      uidBase,
      slots,
    );
    if (ids.given) {
      const capabilities = checkCapabilities(readSetting("/proc/self/status") ?? "");
      findings.push(capabilities);
      // Without them the rest is tried as for an ordinary user: that may be the remedy.
      if (capabilities.level === "OK") hostId = uidBase;
    }
    findings.push(ids.finding);
  }
  if (memfd.level === "OK") findings.push(...await tried(root, hostId));
  findings.push(...checkCgroups(() => openCgroups({ name: `brokk-doctor-${Deno.pid}` }), root));
  findings.push(...await checkStorage(options.dataDir, { privileged: hostId !== undefined, uidBase }));
  findings.push(...checkLimits(root), ...checkMemory(), checkClock(Date.now()));
  if (isFunctional(findings)) findings.push(await checkSandbox(nearestDirectory(options.dataDir), uidBase));
  return findings;
}

/** What is tried in processes of their own. */
async function tried(root: boolean, hostId: number | undefined): Promise<readonly Finding[]> {
  const findings = [await checkCalls(), await checkSeccomp()];
  const user = await checkUserNamespaces(root, hostId);
  findings.push(user);
  if (user.level !== "OK") return findings;
  findings.push(...await checkNamespaces(hostId), ...await checkProc(hostId), ...await checkOverlay(hostId));
  findings.push(await checkMountAttributes(hostId));
  return findings;
}
