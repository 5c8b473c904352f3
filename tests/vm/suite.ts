/**
 * Runs test files of this repository inside one machine and brings the outcome of each test back.
 *
 * @module
 */

import { readJunit, type TestOutcome } from "./junit.ts";
import { type Kernel, output } from "./kernel.ts";
import { type Accelerator, explain, Machine, type MachineEnd, tail } from "./machine.ts";

const ROOT = `${import.meta.dirname}/../..`;
const DEFAULT_LIMIT_SECONDS = 300;
/** For the boot, and for what the entries' own limits leave over. */
const MACHINE_LIMIT_SECONDS = 90;
const KILL_AFTER_SECONDS = 5;

/** Files that are tested together, by one `deno test` in a cgroup of its own. */
export interface SuiteEntry {
  /** Files or folders of tests, relative to the repository's root. */
  readonly files: readonly string[];
  /** As root, or as a user (4242) whose cgroup is delegated to it. */
  readonly as: "root" | "user";
  /** Only tests whose names hold this, or match it when it is a `/regular expression/`. */
  readonly filter?: string;
  /** Files or folders to leave out. */
  readonly ignore?: readonly string[];
  /** The entry is killed when it runs longer. Default 300. */
  readonly timeLimitSeconds?: number;
}

/** What became of one entry. */
export interface EntryOutcome {
  /** The entry as it was given. */
  readonly entry: SuiteEntry;
  /** Each test that was reported. */
  readonly tests: readonly TestOutcome[];
  /** What went wrong outside of the tests: no report, a file that does not load, the time limit. */
  readonly problem: string | undefined;
  /** Seconds inside of the machine. */
  readonly seconds: number;
}

/** A suite's outcome. */
export interface SuiteOutcome {
  /** One for each entry, in order. */
  readonly entries: readonly EntryOutcome[];
  /** How the machine ended. */
  readonly end: MachineEnd;
}

/** A word for /bin/sh. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The script for one entry: leaves N.log, N.xml, N.status and N.uptime in /run/job. */
function script(entry: SuiteEntry, i: number, denoDirectory: string): string {
  const limit = String(entry.timeLimitSeconds ?? DEFAULT_LIMIT_SECONDS);
  const words = [
    // Outside of the cgroup: what is in there beside the worker keeps it from dividing the group.
    ...["timeout", "-k", String(KILL_AFTER_SECONDS), limit],
    ...["sh", "/run/job/enter.sh", entry.as, `suite-${i}`],
    // ext4: on 6.1 a tmpfs cannot be mounted with ids mapped, and is no place for a worker's data.
    ...["env", "NO_COLOR=1", "TMPDIR=/run/scratch", `DENO_DIR=${denoDirectory}`],
    ...[Deno.execPath(), "test", "--no-check", "--cached-only", "--no-prompt", "-A"],
    ...[`--junit-path=/tmp/suite-${i}.xml`],
    ...(entry.filter === undefined ? [] : [`--filter=${entry.filter}`]),
    ...(entry.ignore === undefined ? [] : [`--ignore=${entry.ignore.join(",")}`]),
    ...entry.files,
  ];
  return [
    `${words.map(quote).join(" ")} >/run/job/${i}.log 2>&1`,
    `echo $? >/run/job/${i}.status`,
    `echo 1 >/sys/fs/cgroup/system.slice/suite-${i}.service/cgroup.kill`,
    `[ ! -e /tmp/suite-${i}.xml ] || cat /tmp/suite-${i}.xml >/run/job/${i}.xml`,
    `cut -d ' ' -f 1 /proc/uptime >/run/job/${i}.uptime`,
  ].join("\n");
}

async function read(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function outcome(job: string, entry: SuiteEntry, i: number, startedAt: number): Promise<EntryOutcome> {
  const [log, xml, status, uptime] = await Promise.all(
    ["log", "xml", "status", "uptime"].map((name) => read(`${job}/${i}.${name}`)),
  );
  const tests = readJunit(xml);
  const code = status.trim();
  const failed = tests.some(({ state }) => state === "failed");
  let problem: string | undefined;
  if (code === "") problem = "was not finished when the machine ended";
  // 124 and 137 are timeout's: it ended deno, or had to kill it.
  else if (code === "124" || code === "137") problem = "was ended by its time limit, or killed";
  else if (code !== "0" && !failed) problem = `ended with ${code} although no test failed`;
  else if (code === "0" && tests.length === 0) problem = "has no tests";
  else if (xml === "") problem = "left no report";
  else if (/\(uncaught error\)$/m.test(log)) problem = "has a file that failed outside of its tests";
  if (problem !== undefined) {
    problem = `deno test ${entry.files.join(" ")} as ${entry.as} ${problem}\n${tail(log, 60)}`;
  }
  return { entry, tests, problem, seconds: Number(uptime) - startedAt };
}

/**
 * Runs the entries one after the other in one machine.
 *
 * @throws {Error} When the machine does not come up, with the end of its console.
 */
export async function runSuite(
  kernel: Kernel,
  entries: readonly SuiteEntry[],
  accelerator?: Accelerator,
): Promise<SuiteOutcome> {
  const root = await Deno.realPath(ROOT);
  const info = await output(Deno.execPath(), ["info", "--json"], root);
  const denoDirectory: string = JSON.parse(info.stdout).denoDir;
  // Transpiled here, where it costs nothing: inside it would be done by an emulated processor, each time anew.
  const files = entries.flatMap((entry) => entry.files.map((path) => `${root}/${path}`));
  await output(Deno.execPath(), ["test", "--no-run", "--no-check", "--quiet", ...files], root);
  const limits = entries.map((entry) =>
    (entry.timeLimitSeconds ?? DEFAULT_LIMIT_SECONDS) + KILL_AFTER_SECONDS
  );
  await using machine = await Machine.start({
    kernel,
    accelerator,
    command: [
      `cd ${quote(root)} || exit 1`,
      "cut -d ' ' -f 1 /proc/uptime >/run/job/start",
      ...entries.map((entry, i) => script(entry, i, denoDirectory)),
    ].join("\n"),
    timeLimitMs: (MACHINE_LIMIT_SECONDS + limits.reduce((sum, each) => sum + each, 0)) * 1000,
    visible: [denoDirectory, Deno.execPath()],
    snapshots: [root],
  });
  const end = await machine.done;
  const outcomes: EntryOutcome[] = [];
  let startedAt = Number(await read(`${machine.job}/start`));
  if (startedAt === 0) throw new Error(explain(end));
  for (const [i, entry] of entries.entries()) {
    outcomes.push(await outcome(machine.job, entry, i, startedAt));
    startedAt += outcomes[i].seconds;
  }
  if (end.status !== 0 && outcomes.every(({ problem }) => problem === undefined)) {
    throw new Error(explain(end));
  }
  return { entries: outcomes, end };
}
