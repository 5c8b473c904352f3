/**
 * The host that is attacked, seen from outside: what must be as it was when an attack is over.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Facts, LIMITS, type Place } from "./_arena.ts";
import { groupsBelow } from "./_groups.ts";
import { output } from "./_machine.ts";

/** How long what ends on its own may take, on a busy machine. */
const SETTLE_MS = 30_000;

/** Things of the host that attacks look for, made for them. */
export interface Bait extends AsyncDisposable {
  /** Stands in a file, in the worker's environment, and nowhere else. */
  readonly secret: string;
  /** What attacks are told. */
  facts(place: Place): Facts;
  /** Asserts that nobody has read, changed or used any of it. */
  assertUntouched(): Promise<void>;
}

/** A name of an abstract socket, as Node's and Deno's calls take it. */
const decoder = new TextDecoder();

/** Puts out the bait. */
export async function layBait(): Promise<Bait> {
  const secret = `secret-${crypto.randomUUID()}`;
  // Where everybody may read: only being out of sight protects it.
  const dir = await Deno.makeTempDir({ prefix: "brokkr-bait-" });
  await Deno.chmod(dir, 0o755);
  const canary = `${dir}/canary`;
  await Deno.writeTextFile(canary, `${secret}\n`, { mode: 0o666 });
  await Deno.chmod(canary, 0o666);
  const before = await Deno.stat(canary);
  let connections = 0;
  const count = async (listener: AsyncIterable<Deno.Conn>) => {
    try {
      for await (const connection of listener) {
        connections++;
        connection.close();
      }
    } catch {
      // closed at the end
    }
  };
  const tcp = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const unix = Deno.listen({ transport: "unix", path: `${dir}/socket` });
  await Deno.chmod(`${dir}/socket`, 0o777);
  const abstract = `brokkr-evil-${crypto.randomUUID()}`;
  const hidden = await listenAbstract(abstract);
  const counting = [count(tcp), count(unix)];
  const segment = /\d+/.exec(await output("ipcmk", "--shmem", "4096", "--mode", "0666"))?.[0] ?? "";
  const key =
    (await Deno.readTextFile("/proc/sysvipc/shm")).split("\n").map((line) => line.trim().split(/\s+/))
      .find(([, id]) => id === segment)?.[0] ?? "0";
  return {
    secret,
    facts: ({ worker, dataDir, grid }) => ({
      // The first: by it the attacks' processes are known.
      DATA_DIR: dataDir,
      SECRET: secret,
      CANARY: canary,
      PATHS: [canary, `${dataDir}/cache/BOOT_ID`, `${grid.grid.dataDir}/control/FORMAT`, "/etc/shadow"].join(
        ":",
      ),
      WORKER_PID: String(worker.pid),
      PORT: String(tcp.addr.port),
      CONTROL_PORT: grid.grid.endpoint.split(":").at(-1) ?? "",
      ABSTRACT: abstract,
      SOCKET: `${dir}/socket`,
      KEY: String(Number(key)),
      MOST_MIB: String(4 * LIMITS.memoryBytes / 2 ** 20),
      MOST_PROCESSES: String(4 * LIMITS.pids),
      MOST_FILES: String(4 * LIMITS.layerFiles),
      MOST_SPARSE: "8",
    }),
    async assertUntouched() {
      assertEquals(await Deno.readTextFile(canary), `${secret}\n`, "The canary was written to");
      const { mode, mtime, uid, nlink, ino } = await Deno.stat(canary);
      assertEquals(
        { mode, mtime, uid, nlink, ino },
        { mode: before.mode, mtime: before.mtime, uid: before.uid, nlink: before.nlink, ino: before.ino },
        "The canary was changed",
      );
      assertEquals(connections + hidden.connections(), 0, "Somebody reached a socket of the host");
      assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).sort(), ["canary", "socket"]);
    },
    async [Symbol.asyncDispose]() {
      tcp.close();
      unix.close();
      await hidden.close();
      await Promise.all(counting);
      await output("ipcrm", "-m", segment);
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** Listens at an abstract address, which Deno's own calls cannot. */
async function listenAbstract(name: string): Promise<{ connections(): number; close(): Promise<void> }> {
  const { createServer } = await import("node:net");
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  const error = await new Promise<Error | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen(`\0${name}`, () => resolve(undefined));
  });
  if (error !== undefined) throw error;
  return {
    connections: () => connections,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** One look at everything that an action could leave. */
export interface Look {
  /** Processes below the worker and of its slots, by name. */
  readonly processes: readonly string[];
  /** How many descriptors each of the worker's processes has. */
  readonly descriptors: number;
  /** Mounts as the worker sees them, and those of this process that name the worker's directory. */
  readonly mounts: readonly string[];
  /** Control groups below the worker's. */
  readonly groups: readonly string[];
  /** What lies in the worker's directory apart from its cache. */
  readonly files: readonly string[];
  /** Settings of the kernel. */
  readonly settings: readonly string[];
}

const SETTINGS = [
  "kernel/core_pattern",
  "kernel/hostname",
  "kernel/domainname",
  "kernel/modprobe",
  "kernel/sysrq",
  "vm/overcommit_memory",
  "fs/binfmt_misc/status",
  "net/ipv4/ip_forward",
];

/** Directories for tests, and what lies in them. */
const OF_TESTS = /^(?:\/tmp|\/var\/tmp)\/(?:\w+\/)*brokkr[-_][^/]*(?:\/|$)/;

async function textOf(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch {
    return ""; // not on this machine, or gone
  }
}

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly uid: number;
  readonly command: string;
}

async function processes(): Promise<ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const status = await textOf(`/proc/${pid}/status`);
    const field = (what: string) => new RegExp(`^${what}:\\s*(\\S+)`, "m").exec(status)?.[1] ?? "";
    if (status === "") continue;
    const command = (await textOf(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
    found.push({
      pid,
      parent: Number(field("PPid")),
      name: field("Name"),
      uid: Number(field("Uid")),
      command,
    });
  }
  return found;
}

/** Processes below one of them, itself not among them. */
function below(all: readonly ProcessInfo[], root: number): ProcessInfo[] {
  const found = all.filter(({ parent }) => parent === root);
  return [...found, ...found.flatMap(({ pid }) => below(all, pid))];
}

async function descriptorsOf(pid: number): Promise<number> {
  let count = 0;
  try {
    for await (const _ of Deno.readDir(`/proc/${pid}/fd`)) count++;
  } catch {
    // it has ended
  }
  return count;
}

/** The worker's own process: what it was started with are its parents. */
export async function workerPid({ worker }: Pick<Place, "worker">): Promise<number> {
  const all = await processes();
  const self = all.find(({ pid }) => pid === worker.pid);
  const own = [self, ...below(all, worker.pid)].find((each) => each?.command.includes("worker/main.ts"));
  return own?.pid ?? worker.pid;
}

async function filesBelow(path: string, shown: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      found.push(`${shown}/${name}`);
      if (isDirectory) found.push(...await filesBelow(`${path}/${name}`, `${shown}/${name}`));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

/** Whether something is mounted in a directory of another test, which that one does beside this. */
function isOfAnotherTest(line: string, { dataDir }: Pick<Place, "dataDir">): boolean {
  const point = line.split(" ")[4];
  return OF_TESTS.test(point) && !point.startsWith(dataDir.slice(0, dataDir.lastIndexOf("/worker/")));
}

/** Looks at everything once. */
export async function look(place: Place): Promise<Look> {
  const all = await processes();
  const pid = await workerPid(place);
  const own = below(all, pid);
  const escaped = all.filter(({ command }) => command.includes(`evil DATA_DIR=${place.dataDir} `));
  const mounts = (await textOf(`/proc/${pid}/mountinfo`)).trim().split("\n")
    .filter((line) => !isOfAnotherTest(line, place))
    .concat(
      (await textOf("/proc/self/mountinfo")).split("\n").filter((line) => line.includes(place.dataDir)),
    );
  const work = await filesBelow(`${place.dataDir}/work`, "work");
  return {
    processes: [...own, ...escaped].map(({ name, command }) => `${name} ${command}`).sort(),
    descriptors: await descriptorsOf(pid),
    // Mount numbers are the kernel's affair.
    mounts: mounts.map((line) => line.split(" ").slice(2).join(" ")).sort(),
    groups: await groupsBelow(place.groups.paths),
    files: work.filter((path) => /\/root$|\/layer$|\/root\/|\/layer\//.test(path)).sort(),
    settings: await Promise.all(
      SETTINGS.map(async (name) => `${name}=${(await textOf(`/proc/sys/${name}`)).trim()}`),
    ),
  };
}

/** Waits until everything is as it was; fails with the difference. */
export async function assertAsBefore(place: Place, before: Look): Promise<void> {
  const until = performance.now() + SETTLE_MS;
  for (;;) {
    const now = await look(place);
    // Descriptors that it closed in the meantime are no leak.
    const same = { ...now, descriptors: Math.max(now.descriptors, before.descriptors) };
    if (JSON.stringify(same) === JSON.stringify(before)) return;
    // What the kernel and the worker still take down ends without telling us.
    if (performance.now() > until) return assertEquals(same, before);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A file of the worker's cache. */
export type Inode = string;

/** All files of the worker's cache: what they are, when they were changed, and what they hold. */
export async function cachedInodes({ dataDir }: Place): Promise<Map<string, Inode>> {
  const found = new Map<string, Inode>();
  for (const part of ["cache", "layers"]) {
    for (const path of await filesBelow(`${dataDir}/${part}`, `${dataDir}/${part}`)) {
      const stat = await Deno.lstat(path);
      if (!stat.isFile) {
        found.set(
          path,
          `${stat.mode?.toString(8)} ${stat.uid}:${stat.gid} ${
            stat.isSymlink ? await Deno.readLink(path) : "directory"
          }`,
        );
        continue;
      }
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(path)));
      found.set(
        path,
        `${
          stat.mode?.toString(8)
        } ${stat.uid}:${stat.gid} ${stat.mtime?.getTime()} ${stat.size} ${hash.toHex()}`,
      );
    }
  }
  return found;
}

/** Asserts that what is still cached is what it was, and that nothing on disk could give its runner a user's rights. */
export async function assertCacheUnchanged(place: Place, before: ReadonlyMap<string, Inode>): Promise<void> {
  const now = await cachedInodes(place);
  for (const [path, inode] of before) {
    if (now.has(path)) assertEquals(now.get(path), inode, `${path} was changed`);
  }
  const found = await new Deno.Command("find", {
    args: [
      place.dataDir,
      place.grid.grid.dataDir,
      "-xdev",
      "(",
      "-perm",
      "/7000",
      "-o",
      "-type",
      "b",
      "-o",
      "-type",
      "c",
      ")",
    ],
  }).output();
  const special = decoder.decode(found.stdout).trim().split("\n").filter((path) => path !== "");
  assertEquals(special, [], "Setuid files or devices in the grid's directories");
}
