/**
 * Control groups that a worker is started in, and is given: what an operator who delegates does.
 *
 * @module
 */

/** Control groups made for one worker. Disposing of them removes them and whatever is below. */
export interface DelegatedGroups extends AsyncDisposable {
  /** Directories of the groups. */
  readonly paths: readonly string[];
  /** Words that start a command in them. */
  readonly before: readonly string[];
}

interface Hierarchy {
  readonly mount: string;
  readonly own: string;
  readonly version: "v1" | "v2";
}

/** Files that a v2 group's owner must be able to write (cgroups(7), "Delegation"). */
const V2_FILES = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
const V1_FILES = ["cgroup.procs", "tasks"];
/** What limits need; others stay as they are. */
const V1_CONTROLLERS = ["memory", "pids", "cpu", "cpuacct"];

/** The hierarchies of this machine, with the group that this process is in. */
async function hierarchies(): Promise<Hierarchy[]> {
  const owns = (await Deno.readTextFile("/proc/self/cgroup")).trim().split("\n").map((line) =>
    line.split(":")
  );
  const found: Hierarchy[] = [];
  for (const line of (await Deno.readTextFile("/proc/self/mountinfo")).trim().split("\n")) {
    const [left, right] = line.split(" - ");
    const [, , , root, mount] = left.split(" ");
    const [type, , options] = right.split(" ");
    // A hierarchy that shows only a part of itself, as in a container, is left alone.
    if (root !== "/" && root !== "/..") continue;
    if (type === "cgroup2") {
      found.push({
        mount,
        own: owns.find(([id]) => id === "0")?.[2] ?? "/",
        version: "v2",
      });
    }
    if (type !== "cgroup") continue;
    const names = options.split(",");
    if (!V1_CONTROLLERS.some((name) => names.includes(name))) continue;
    const own = owns.find(([, controllers]) => controllers.split(",").some((name) => names.includes(name)));
    if (own !== undefined) found.push({ mount, own: own.slice(2).join(":"), version: "v1" });
  }
  return found;
}

/** Removes a group and those below it; processes in them have ended. */
async function remove(path: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) await remove(`${path}/${name}`);
  }
  await Deno.remove(path);
}

/** Makes a group named `name` on each hierarchy and gives it to `user`. */
export async function delegateGroups(name: string, user: number): Promise<DelegatedGroups> {
  const paths: string[] = [];
  for (const { mount, own, version } of await hierarchies()) {
    // With version 2 a group that holds processes cannot hand controllers down: the new one is put beside this process's.
    const above = version === "v2" ? own.slice(0, own.lastIndexOf("/")) : own === "/" ? "" : own;
    const parent = `${mount}${above}`;
    const path = `${parent}/${name}`;
    if (version === "v2") {
      const controllers = (await Deno.readTextFile(`${parent}/cgroup.controllers`)).trim().split(" ").filter(
        Boolean,
      );
      for (const controller of controllers) {
        await Deno.writeTextFile(`${parent}/cgroup.subtree_control`, `+${controller}`).catch(() => {});
      }
    }
    await Deno.mkdir(path);
    paths.push(path);
    await Deno.chown(path, user, user);
    for (const file of version === "v2" ? V2_FILES : V1_FILES) {
      await Deno.chown(`${path}/${file}`, user, user).catch(() => {});
    }
  }
  const script = paths.map((path) => `echo 0 > ${path}/cgroup.procs`);
  return {
    paths,
    before: ["sh", "-c", [...script, 'exec "$@"'].join("\n"), "sh"],
    async [Symbol.asyncDispose]() {
      for (const path of paths) await remove(path);
    },
  };
}

/** Directories below groups, relative to them: what actions that have ended must not leave behind. */
export async function groupsBelow(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  const walk = async (path: string, shown: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (!isDirectory) continue;
      found.push(`${shown}/${name}`);
      await walk(`${path}/${name}`, `${shown}/${name}`);
    }
  };
  for (const [index, path] of paths.entries()) await walk(path, String(index));
  return found.sort();
}
