/**
 * What a grid may have left on the machine beside files: processes of its sandboxes, and control groups.
 *
 * @module
 */

const CGROUP_ROOT = "/sys/fs/cgroup";

/** Parent and session of each process. */
async function allProcesses(): Promise<{ pid: number; parent: number; session: number }[]> {
  const found = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // After the name: state, parent, process group, session. It may have ended meanwhile.
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    const [, parent, , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    if (session !== undefined) found.push({ pid: Number(name), parent, session });
  }
  return found;
}

/** Sessions of these processes and of their children; what starts a worker's actions has one of its own. */
export async function sessionsOf(pids: readonly number[]): Promise<number[]> {
  const family = (await allProcesses()).filter(({ pid, parent }) =>
    pids.includes(pid) || pids.includes(parent)
  );
  return family.map(({ session }) => session);
}

/** Processes of these sessions, with what they are called. */
async function processesIn(sessions: ReadonlySet<number>): Promise<string[]> {
  const found: string[] = [];
  for (const { pid, session } of await allProcesses()) {
    if (!sessions.has(session)) continue;
    const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    found.push(`process ${pid} of session ${session}: ${command.replaceAll("\0", " ")}`);
  }
  return found;
}

/** Waits until a grid's sessions are empty, and gives what is still in them after some time. */
export async function processesLeft(sessions: ReadonlySet<number>, limitMs = 15_000): Promise<string[]> {
  for (const until = performance.now() + limitMs;;) {
    const left = await processesIn(sessions);
    if (left.length === 0 || performance.now() > until) return left;
    // Processes of others end without telling us.
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Directories of control groups that bear a worker's name. */
export async function groupsLeft(workers: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  const look = async (path: string, depth: number): Promise<void> => {
    try {
      for await (const { name, isDirectory } of Deno.readDir(path)) {
        if (!isDirectory) continue;
        if ([...workers].some((worker) => name.startsWith(`brokkr-${worker}`))) {
          found.push(`control group ${path}/${name}`);
        } else if (depth > 0) await look(`${path}/${name}`, depth - 1);
      }
    } catch {
      // Not there, or gone since: others make and remove groups too.
    }
  };
  // Beneath the group that this process is in, in each hierarchy.
  await look(CGROUP_ROOT, 6);
  return found;
}
