/**
 * Where this process is in the machine's control groups, from what /proc says of it. Pure: text in, places out.
 *
 * @module
 */

/** The v1 controllers that are of use here, as the kernel calls them. */
export const V1_NAMES = ["memory", "pids", "cpu", "cpuacct", "blkio", "freezer"] as const;

/** One of them. */
export type V1Name = typeof V1_NAMES[number];

/** One line of /proc/PID/cgroup. */
export interface Membership {
  /** The kernel's names of the hierarchy's controllers; none for version 2. */
  readonly controllers: readonly string[];
  /** The group, from the root of the cgroup namespace. */
  readonly path: string;
  /** Whether it is version 2. */
  readonly unified: boolean;
}

/** One mounted hierarchy. */
export interface CgroupMount {
  /** Whether it is version 2. */
  readonly unified: boolean;
  /** Which group is mounted there, from the root of the cgroup namespace. */
  readonly root: string;
  /** Where. */
  readonly mountPoint: string;
  /** Options of its file system; with version 1 they name the controllers. */
  readonly options: readonly string[];
}

/** A hierarchy that this process can reach. */
export interface Place {
  /** Version of its interface. */
  readonly version: "v1" | "v2";
  /** Controllers by their v1 names; empty with v2, where a file in each group tells. */
  readonly controllers: readonly V1Name[];
  /** Where it is mounted. */
  readonly mountPoint: string;
  /** This process's group, seen from the mount point; `"/"` for that itself. */
  readonly ownPath: string;
}

/** The hierarchies that this process can reach, version 2 first, and why others are out of reach. */
export interface Places {
  /** What can be reached. */
  readonly places: readonly Place[];
  /** Sentences about what cannot. */
  readonly problems: readonly string[];
}

/**
 * Reads /proc/PID/cgroup.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseMemberships } from "./proc_files.ts";
 * assertEquals(parseMemberships("4:cpu,cpuacct:/a\n0::/b\n"), [
 *   { controllers: ["cpu", "cpuacct"], path: "/a", unified: false },
 *   { controllers: [], path: "/b", unified: true },
 * ]);
 * ```
 */
export function parseMemberships(text: string): Membership[] {
  const found: Membership[] = [];
  for (const line of text.split("\n")) {
    // A path may hold colons; the two fields before it may not.
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    const unified = match[1] === "0" && match[2] === "";
    found.push({ controllers: unified ? [] : match[2].split(","), path: match[3], unified });
  }
  return found;
}

function unescape(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Reads the cgroup mounts out of /proc/PID/mountinfo (format: proc_pid_mountinfo(5)). */
export function parseCgroupMounts(text: string): CgroupMount[] {
  const found: CgroupMount[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    // The number of optional fields varies; a lone hyphen ends them.
    const separator = fields.indexOf("-", 6);
    if (separator < 0 || fields.length < separator + 4) continue;
    const type = fields[separator + 1];
    if (type !== "cgroup" && type !== "cgroup2") continue;
    found.push({
      unified: type === "cgroup2",
      root: unescape(fields[3]),
      mountPoint: unescape(fields[4]),
      options: fields[separator + 3].split(","),
    });
  }
  return found;
}

/** `path` seen from `root`, or undefined when it is not beneath it. */
function seenFrom(root: string, path: string): string | undefined {
  // A group outside the cgroup namespace shows with leading "..": no mount of this namespace reaches it.
  if (path.split("/").includes("..")) return undefined;
  if (root === "/") return path;
  if (path === root) return "/";
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

function isV1Name(name: string): name is V1Name {
  return (V1_NAMES as readonly string[]).includes(name);
}

/** Finds where this process's own groups can be reached. Of several mounts the one that shows most is taken. */
export function findPlaces(memberships: readonly Membership[], mounts: readonly CgroupMount[]): Places {
  const places: Place[] = [];
  const problems: string[] = [];
  for (const { controllers, path, unified } of memberships) {
    const useful = controllers.filter(isV1Name);
    if (!unified && useful.length === 0) continue;
    const what = unified ? "version 2" : useful.join(",");
    const candidates = mounts.filter((mount) =>
      mount.unified === unified && controllers.every((name) => mount.options.includes(name))
    );
    const place = candidates
      .map((mount) => ({ mount, ownPath: seenFrom(mount.root, path) }))
      .filter((found): found is { mount: CgroupMount; ownPath: string } => found.ownPath !== undefined)
      .sort((a, b) => a.mount.root.length - b.mount.root.length)[0];
    if (place !== undefined) {
      const { mount: { mountPoint }, ownPath } = place;
      places.push({ version: unified ? "v2" : "v1", controllers: useful, mountPoint, ownPath });
    } else if (candidates.length > 0) {
      problems.push(
        `This process's group ${path} (${what}) is not beneath what is mounted at ${
          candidates[0].mountPoint
        }`,
      );
    } else if (!unified || mounts.length === 0) {
      problems.push(`The control group hierarchy ${what} is not mounted`);
    }
  }
  places.sort((a, b) => b.version.localeCompare(a.version));
  return { places, problems };
}

/** A path from a hierarchy's mount point, as one of the file system. */
export function pathAt(place: Pick<Place, "mountPoint">, groupPath: string): string {
  return groupPath === "/" ? place.mountPoint : `${place.mountPoint}${groupPath}`;
}
