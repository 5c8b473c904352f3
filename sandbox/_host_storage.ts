/**
 * Checks of the directory that a worker keeps its data in.
 *
 * @module
 */

import * as fs from "node:fs/promises";
import { asBrokkrError } from "@brokkr/common";
import { humanSize } from "@brokkr/common/units";
import { fromAttempt, readSetting, ROOT_KERNEL } from "./_host_kernel.ts";
import { makeLayers, tryDiskLayer, tryIdmapped } from "./_host_namespaces.ts";
import type { Finding } from "./host_finding.ts";
import { removeTree } from "./remove_tree.ts";

const FEW_BYTES = 5 * 1024 ** 3;
const FEW_INODES = 200_000;

/** A mounted file system. */
export interface MountPoint {
  /** Where. */
  readonly path: string;
  /** Its type, such as `ext4`. */
  readonly type: string;
  /** Options of the mount. */
  readonly options: readonly string[];
}

/** The mount that holds `path`, by the text of /proc/self/mountinfo (proc(5)). */
export function mountOf(path: string, mountInfo: string): MountPoint | undefined {
  let best: MountPoint | undefined;
  for (const line of mountInfo.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-");
    if (dash < 6) continue;
    const at = fields[4].replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8)));
    const holds = path === at || path.startsWith(at.endsWith("/") ? at : `${at}/`);
    // Of two at one place the later one is on top.
    if (holds && at.length >= (best?.path.length ?? 0)) {
      best = { path: at, type: fields[dash + 1], options: fields[5].split(",") };
    }
  }
  return best;
}

/** The nearest directory that exists, from `path` upwards. */
export function nearestDirectory(path: string): string {
  for (let at = path;; at = at.slice(0, Math.max(1, at.lastIndexOf("/")))) {
    try {
      if (Deno.statSync(at).isDirectory || at === "/") return at;
    } catch {
      if (at === "/") return at; // and what is tried there will say why
    }
  }
}

/** The data directory and the file system beneath it, tried out in a directory that is removed again. */
export async function checkStorage(
  dataDir: string,
  options: { readonly privileged: boolean; readonly uidBase: number },
): Promise<readonly Finding[]> {
  const there = nearestDirectory(dataDir);
  const about = { id: "data-directory", requirement: "Data directory" };
  let spot: string;
  try {
    spot = await Deno.makeTempDir({ dir: there, prefix: ".brokkr-check-" });
  } catch (error) {
    return [{
      ...about,
      level: "FAIL",
      found: `${there}: ${asBrokkrError(error).message}`,
      meaning: "The worker keeps inputs, outputs and its name there",
      remedy: `mkdir -p ${dataDir} && chown ${Deno.uid()}:${Deno.gid()} ${dataDir}, or set worker.data_dir`,
    }];
  }
  try {
    const mount = mountOf(await Deno.realPath(there), readSetting("/proc/self/mountinfo") ?? "");
    return [
      writable(about, dataDir, there, mount),
      ...await space(there),
      await links(spot),
      ...await layers(spot, mount, options),
    ];
  } finally {
    await removeTree(spot);
  }
}

function writable(
  about: Pick<Finding, "id" | "requirement">,
  dataDir: string,
  there: string,
  mount: MountPoint | undefined,
): Finding {
  const found = `${dataDir} on ${mount?.type ?? "an unknown file system"}${
    there === dataDir ? "" : " (the worker will make it)"
  }`;
  if (!mount?.options.includes("noexec")) return { ...about, level: "OK", found };
  return {
    ...about,
    level: "FAIL",
    found: `${found}, mounted noexec at ${mount.path}`,
    meaning: "Programs among an action's inputs cannot be executed",
    remedy: `mount -o remount,exec ${mount.path}, or set worker.data_dir`,
  };
}

async function space(there: string): Promise<readonly Finding[]> {
  const { bsize, bavail, ffree, files } = await fs.statfs(there);
  const bytes = bsize * bavail;
  const enough = bytes >= FEW_BYTES;
  // File systems such as btrfs make inodes as they need them and count none.
  const enoughInodes = files === 0 || ffree >= FEW_INODES;
  return [
    {
      id: "disk-space",
      requirement: "Disk space",
      level: enough ? "OK" : "WARN",
      found: `${humanSize(bytes)} free`,
      ...(enough ? {} : {
        meaning: "Inputs are kept and outputs written there; a full disk fails actions",
        remedy: "free some, or set worker.data_dir to a larger disk, or worker.cache_size to less",
      }),
    },
    {
      id: "inodes",
      requirement: "Inodes",
      level: enoughInodes ? "OK" : "WARN",
      found: files === 0 ? "without limit" : `${ffree} free`,
      ...(enoughInodes ? {} : {
        meaning: "Each input that is kept takes one, and so does each file of an action on disk",
        remedy: "use a file system with more (mkfs.ext4 -N, or xfs)",
      }),
    },
  ];
}

async function links(spot: string): Promise<Finding> {
  const about = { id: "hard-links", requirement: "Hard links" };
  try {
    await Deno.writeTextFile(`${spot}/one`, "");
    await Deno.link(`${spot}/one`, `${spot}/two`);
    return { ...about, level: "OK", found: "possible" };
  } catch (error) {
    return {
      ...about,
      level: "WARN",
      found: asBrokkrError(error).message,
      meaning: "Files that several input trees have in common are copied, once for each tree",
      remedy: "set worker.data_dir to a file system with hard links, such as ext4 or xfs",
    };
  }
}

async function layers(
  spot: string,
  mount: MountPoint | undefined,
  { privileged, uidBase }: { readonly privileged: boolean; readonly uidBase: number },
): Promise<readonly Finding[]> {
  const base = `${spot}/layers`;
  Deno.mkdirSync(base);
  const hostId = privileged ? uidBase : undefined;
  makeLayers(base, hostId);
  const remedy =
    "set worker.data_dir to a file system such as ext4, xfs or btrfs, and not a network's or an overlay";
  const findings = [fromAttempt(
    { id: "disk-layer", requirement: "Layers on disk", kernel: "5.11" },
    await tryDiskLayer(base, hostId),
    `on ${mount?.type ?? "this file system"}`,
    { level: "WARN", meaning: "Actions with writable-layer=disk cannot run", remedy },
  )];
  if (!privileged) return findings;
  Deno.chownSync(`${base}/lower`, 0, 0);
  const failure = await tryIdmapped(base, uidBase);
  findings.push(fromAttempt(
    { id: "idmapped-mounts", requirement: "Other owners", kernel: ROOT_KERNEL },
    failure === undefined ? undefined : { step: "inputs shown as the slot's user's", reason: failure },
    `idmapped mounts of ${mount?.type ?? "this file system"} beneath a layer`,
    {
      meaning: "A worker that is root shows each slot its inputs as that slot's user's own, and cannot here",
      remedy: `${remedy}; or start the worker as an ordinary user`,
    },
  ));
  return findings;
}
