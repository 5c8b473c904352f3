/**
 * Joins a running sandbox and runs a program in it, with standard streams of one's own.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { pidfdOpen } from "./cgroup/_calls.ts";
import { findPlaces, parseCgroupMounts, parseMemberships, pathAt } from "./cgroup/proc_files.ts";
import { ENTER_RESULT, enterProgram, type NamespaceName, NAMESPACES } from "./enter_program.ts";
import { errnoName, SyscallError } from "./errno.ts";
import { openPath } from "./file_calls.ts";
import { close, ftruncate, memfdCreate, pread, setCloseOnExec, writeAll } from "./libc.ts";
import { MFD_CLOEXEC, O_WRONLY } from "./linux.ts";
import type { ParameterValue, Program } from "./program.ts";
import { parseStatus, type RunningSandbox } from "./running.ts";
import { WORK_PATH } from "./sandbox_options.ts";
import { seccompFilter } from "./seccomp/mod.ts";

/** What to run in a sandbox that was joined. */
export interface EnterOptions {
  /** Tried in this order until one can be executed, as seen from inside. */
  readonly executables: readonly string[];
  /** The arguments, argv[0] as given. */
  readonly argv: readonly string[];
  /** The environment; that of the action, as far as it can be read, by default. */
  readonly env?: readonly string[];
  /** Working directory, as seen from inside; the input root by default. */
  readonly cwd?: string;
}

/** How that ended. */
export interface EnterReport {
  /** The exit code, 128+n when ended by signal n: 137 when the sandbox itself ended. */
  readonly exitCode: number;
  /** Why the program could not be executed, if it could not; the code is 126 or 127 then. */
  readonly message?: string;
}

/** Programs tried when nobody says which. */
export const SHELLS: readonly string[] = ["/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh"];
const PATH = "PATH=/usr/local/bin:/usr/bin:/bin";
const BPF_INSTRUCTION_BYTES = 8;

function unavailable(message: string, cause?: unknown): BrokkrError {
  return new BrokkrError(Code.FAILED_PRECONDITION, message, { cause });
}

function ended({ initPid }: RunningSandbox): BrokkrError {
  return new BrokkrError(Code.NOT_FOUND, `Sandbox ${initPid} has ended, or has not begun its action`);
}

/**
 * A pidfd of the sandbox's action. Its number could meanwhile be another process's, so it is looked at once more after
 * it can no longer become one.
 */
function holdAction(sandbox: RunningSandbox): { readonly fd: number; readonly pid: number } {
  const { initPid, actionPid } = sandbox;
  if (actionPid === undefined) throw ended(sandbox);
  const fd = pidfdOpen(actionPid);
  if (fd === undefined) throw ended(sandbox);
  try {
    const status = parseStatus(actionPid, Deno.readTextFileSync(`/proc/${actionPid}/status`));
    if (status?.parent === initPid && status.ids.length > 1) return { fd, pid: actionPid };
  } catch (error) {
    close(fd);
    throw error instanceof Deno.errors.NotFound ? ended(sandbox) : error;
  }
  close(fd);
  throw ended(sandbox);
}

/** Namespaces of `pid` that are not this process's. */
function foreignNamespaces(pid: number): NamespaceName[] {
  try {
    return (Object.keys(NAMESPACES) as NamespaceName[]).filter((name) =>
      Deno.readLinkSync(`/proc/${pid}/ns/${name}`) !== Deno.readLinkSync(`/proc/self/ns/${name}`)
    );
  } catch (error) {
    throw new BrokkrError(
      Code.PERMISSION_DENIED,
      `The sandbox of process ${pid} cannot be joined: it belongs to another user, whom or as root you have to be`,
      { cause: error },
    );
  }
}

/** Descriptors of the control groups of `pid` that this process may join. */
function openGroups(pid: number): number[] {
  const read = (path: string) => Deno.readTextFileSync(path);
  const mounts = parseCgroupMounts(read("/proc/self/mountinfo"));
  const pathsOf = (who: string) =>
    findPlaces(parseMemberships(read(`/proc/${who}/cgroup`)), mounts).places
      .map((place) => `${pathAt(place, place.ownPath)}/cgroup.procs`);
  const own = new Set(pathsOf("self"));
  return pathsOf(String(pid)).filter((path) => !own.has(path)).flatMap((path) => {
    try {
      return [openPath(path, O_WRONLY)];
    } catch (error) {
      // Without it what is entered is neither limited nor counted with the action, which is no reason not to look.
      if (error instanceof SyscallError) return [];
      throw error;
    }
  });
}

function environment(pid: number): string[] {
  let env: string[];
  try {
    env = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").filter((entry) => entry !== "");
  } catch {
    env = []; // it keeps it to itself
  }
  if (!env.some((entry) => entry.startsWith("PATH="))) env.push(PATH);
  const terminal = Deno.env.get("TERM");
  return terminal === undefined
    ? env
    : [...env.filter((entry) => !entry.startsWith("TERM=")), `TERM=${terminal}`];
}

/** Highest capability the kernel knows. */
function lastCapability(): number {
  return Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
}

/**
 * Runs a program in a running sandbox, as the action's user, with the action's restrictions; it inherits this process's
 * standard streams, and ends with the sandbox at the latest.
 *
 * What it gets of the terminal the action can get too: join only what you would let write to yours.
 *
 * @throws {BrokkrError} NOT_FOUND when the sandbox has ended, PERMISSION_DENIED when it is another user's,
 * FAILED_PRECONDITION naming the step that failed.
 */
export async function enterSandbox(sandbox: RunningSandbox, options: EnterOptions): Promise<EnterReport> {
  const fds: number[] = [];
  const own = (fd: number) => (fds.push(fd), fd);
  try {
    const action = holdAction(sandbox);
    own(action.fd);
    const namespaces = foreignNamespaces(action.pid);
    const groups = openGroups(action.pid).map(own);
    const arch = currentArch();
    const program = enterProgram(arch, {
      namespaces,
      groups: groups.length,
      executables: options.executables.length,
      terminal: Deno.stdin.isTerminal(),
      lastCapability: lastCapability(),
    });
    const result = own(memfdCreate("brokkr-result", 0));
    ftruncate(result, ENTER_RESULT.bytes);
    const filter = seccompFilter(arch.name);
    const values: Record<string, ParameterValue> = {
      process: action.fd,
      result,
      belowResult: result - 1,
      aboveResult: result + 1,
      filter,
      filterLength: filter.length / BPF_INSTRUCTION_BYTES,
      cwd: options.cwd ?? WORK_PATH,
      argv: options.argv,
      env: options.env ?? environment(action.pid),
    };
    groups.forEach((fd, index) => values[`group_${index}`] = fd);
    options.executables.forEach((path, index) => values[`executable_${index}`] = path);
    setCloseOnExec(action.fd, false);
    await run(program.image(values));
    return report(sandbox, program, result, values);
  } finally {
    for (const fd of fds) close(fd);
  }
}

async function run(image: Uint8Array<ArrayBuffer>): Promise<void> {
  const fd = memfdCreate("brokkr-enter", MFD_CLOEXEC, true);
  let child: Deno.ChildProcess;
  try {
    writeAll(fd, image);
    child = new Deno.Command(`/proc/self/fd/${fd}`, {
      clearEnv: true,
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    throw unavailable(`The program that joins could not be started: ${asBrokkrError(error).message}`, error);
  } finally {
    close(fd);
  }
  await child.status;
}

function report(
  sandbox: RunningSandbox,
  program: Program,
  resultFd: number,
  values: Readonly<Record<string, ParameterValue>>,
): EnterReport {
  const bytes = new Uint8Array(ENTER_RESULT.bytes);
  pread(resultFd, bytes, 0);
  const view = new DataView(bytes.buffer);
  const fault = Number(view.getBigUint64(ENTER_RESULT.fault, true));
  if (fault !== 0) {
    const op = program.opAt(fault);
    const name = (op?.name ?? "unknown").replace(/\$(\w+)/g, (text, key: string) => {
      const value = values[key];
      return typeof value === "string" ? value : text;
    });
    const reason = errnoName(-Number(view.getBigInt64(ENTER_RESULT.fault + 8, true)));
    const message = `The sandbox cannot be joined: step '${name}' failed: ${reason}`;
    // Between looking for it and joining it.
    if (op?.syscall === "setns" && reason === "ESRCH") throw ended(sandbox);
    if (op?.syscall !== "execve") throw unavailable(message);
    return { exitCode: reason === "ENOENT" ? 127 : 126, message };
  }
  const status = view.getInt32(ENTER_RESULT.status, true);
  const signal = status & 0x7f;
  return { exitCode: signal === 0 ? (status >>> 8) & 0xff : 128 + signal };
}
