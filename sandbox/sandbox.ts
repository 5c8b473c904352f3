/**
 * The sandbox: runs actions that nobody has reason to trust.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, type Clock, Code, invalidArgument, systemClock } from "@brokkr/common";
import { check, libc } from "./_libc.ts";
import { currentArch } from "./arch.ts";
import type { ActionCgroup, Controller } from "./cgroup/mod.ts";
import { openPath, statx } from "./file_calls.ts";
import {
  DEFAULT_OUTPUT_LIMIT_BYTES,
  environmentStrings,
  refuseNul,
  rlimitNames,
  rlimitValue,
} from "./launch_options.ts";
import { close, duplicate, ftruncate, memfdCreate, setCloseOnExec, writeAll } from "./libc.ts";
import { outputFile } from "./launcher.ts";
import { MFD_CLOEXEC, O_CLOEXEC, O_RDONLY } from "./linux.ts";
import type { ParameterValue, Program } from "./program.ts";
import { RESULT_BYTES } from "./result_page.ts";
import {
  DEFAULT_UID_BASE,
  type SandboxedProcess,
  type SandboxOptions,
  type SandboxRequest,
  WORK_PATH,
} from "./sandbox_options.ts";
import {
  DISK_PATH,
  LOWERS_PATH,
  PASSED,
  sandboxProgram,
  type SandboxShape,
  SCRATCH_PATH,
} from "./sandbox_program.ts";
import { groupLimits, limitsOf } from "./_sandbox_limits.ts";
import { type HandedOver, SandboxTree } from "./sandbox_tree.ts";
import { seccompFilter } from "./seccomp/mod.ts";
import { makeTemplate, type Template, type TemplateOptions } from "./template.ts";
import { defaultBinds } from "./template_plan.ts";
import { MAX_PASSED, PASSED_BYTES } from "./zygote_program.ts";
import { Zygote } from "./zygote.ts";

/** Most slots: as root each takes two namespaces and a user id. */
export const MAX_SLOTS = 4096;
/** Longest options of a mount: a page, less the NUL. */
const MAX_MOUNT_OPTIONS = 4095;
/** Bytes of a sock_filter. */
const FILTER_INSTRUCTION_BYTES = 8;
/** No control group, nothing controlled. */
const NO_CONTROLLERS: ReadonlySet<Controller> = new Set();
/** Longest part of a control group's name that a request chooses. */
const MAX_GROUP_NAME = 64;
/** Most names that are tried for a program. */
const MAX_EXECUTABLES = 1024;

/** What runs an action at a time. */
interface Slot {
  readonly template: Template;
  readonly hostId: number | undefined;
}

/**
 * Runs actions in sandboxes; open one for a process and keep it. Open it on the main thread.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Sandbox } from "@brokkr/sandbox";
 * const dir = await Deno.makeTempDir();
 * await Deno.mkdir(`${dir}/lowers/input`, { recursive: true });
 * await Deno.writeTextFile(`${dir}/lowers/input/greeting`, "hello\n");
 * const sandbox = await Sandbox.open({ slots: 1, lowersPath: `${dir}/lowers` }).catch(() => undefined);
 * if (sandbox !== undefined) { // else this machine does not allow it
 *   const { exitCode, work } = await sandbox.launch({
 *     executables: ["/bin/sh"],
 *     argv: ["sh", "-c", "id -u; cat greeting > copy"],
 *     env: [["PATH", "/usr/bin:/bin"]],
 *     cwd: "",
 *     stdout: { path: `${dir}/stdout` },
 *     stderr: { path: `${dir}/stderr` },
 *     lowers: [`${dir}/lowers/input`],
 *     writable: { kind: "memory", bytes: 1 << 20, inodes: 100 },
 *   }).done;
 *   assertEquals(exitCode, 0);
 *   assertEquals(await Deno.readTextFile(`${dir}/stdout`), "1000\n");
 *   assertEquals(await Deno.readTextFile(`${work?.path}/copy`), "hello\n");
 *   work?.[Symbol.dispose]();
 *   await sandbox.close();
 * }
 * await Deno.remove(dir, { recursive: true });
 * ```
 */
export class Sandbox implements AsyncDisposable {
  readonly #options: SandboxOptions;
  readonly #clock: Clock;
  readonly #lowersPath: string;
  readonly #diskPath: string | undefined;
  readonly #templates: readonly Template[];
  readonly #privileged: boolean;
  readonly #free: Slot[];
  readonly #programs = new Map<string, Program>();
  readonly #filter = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #lastCapability: number;
  readonly #running = new Set<SandboxTree>();
  #zygote: Zygote | undefined;
  #closed = false;

  private constructor(options: SandboxOptions, slots: readonly Slot[]) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#lowersPath = Deno.realPathSync(options.lowersPath);
    this.#diskPath = options.diskPath === undefined ? undefined : Deno.realPathSync(options.diskPath);
    this.#templates = slots.map(({ template }) => template);
    this.#privileged = slots.some(({ hostId }) => hostId !== undefined);
    this.#free = [...slots].reverse();
    this.#lastCapability = Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap"));
  }

  /**
   * Prepares what all actions share, and shows that an action can be run.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION saying which step this host refuses; INVALID_ARGUMENT for slots out of range.
   */
  static async open(options: SandboxOptions): Promise<Sandbox> {
    const { slots } = options;
    if (!Number.isSafeInteger(slots) || slots < 1 || slots > MAX_SLOTS) {
      throw invalidArgument("slots", `A sandbox has 1 to ${MAX_SLOTS} slots, not ${slots}`);
    }
    const made: Slot[] = [];
    try {
      const base = privilegedBase(options);
      const sources: TemplateOptions = { ...options, binds: options.binds ?? defaultBinds() };
      for (let slot = 0; slot < slots; slot++) {
        // One each, without root too: the kernel counts processes and the like by user namespace.
        const hostId = base === undefined ? undefined : base + slot;
        made.push({ template: await makeTemplate({ ...sources, hostId }), hostId });
      }
      const sandbox = new Sandbox(options, made);
      // Now, and not on the event loop of a worker that has begun: the first takes some ten milliseconds.
      for (const fallocate of [true, false]) sandbox.#filterFor(true, fallocate);
      sandbox.#zygote = new Zygote();
      try {
        await sandbox.#prove();
      } catch (error) {
        made.length = 0; // they are the sandbox's to let go
        await sandbox.close();
        throw error;
      }
      return sandbox;
    } catch (error) {
      for (const { template } of made) template[Symbol.dispose]();
      throw asBrokkrError(error);
    }
  }

  /** Whether each slot has a user of its own on the host, which takes root. */
  get privileged(): boolean {
    return this.#privileged;
  }

  /** The process that starts actions, and that they end with. */
  get zygotePid(): number {
    return this.#zygote?.pid ?? 0;
  }

  /**
   * Starts an action. What the action itself does, a missing program included, is told by the report.
   *
   * @throws {BrokkrError} when nothing could be started: INVALID_ARGUMENT for a bad request; RESOURCE_EXHAUSTED when every
   * slot is taken or no descriptors are left; UNAVAILABLE when the process that starts actions is gone.
   */
  launch(request: SandboxRequest): SandboxedProcess & { readonly initPid: number } {
    if (this.#closed) throw new BrokkrError(Code.FAILED_PRECONDITION, "The sandbox is closed");
    const values = this.#values(request);
    const slot = this.#free.pop();
    if (slot === undefined) {
      throw new BrokkrError(Code.RESOURCE_EXHAUSTED, "Every slot of the sandbox is taken");
    }
    const fds: number[] = [];
    const own = (fd: number) => (fds.push(fd), fd);
    // Opened anew each time: locks and flags of an open file are shared by all who have it, and outlive an action.
    let nullFd: number | undefined;
    let cgroup: ActionCgroup | undefined;
    let tree: SandboxTree | undefined;
    try {
      const resultFd = own(memfdCreate("brokkr-result", MFD_CLOEXEC));
      ftruncate(resultFd, RESULT_BYTES);
      const stdoutFd = own(this.#output(request.stdout, slot));
      const stderrFd = own(this.#output(request.stderr, slot));
      cgroup = this.#options.cgroups?.create(this.#groupName(request), groupLimits(request));
      const groups = cgroup?.joinFds ?? [];
      const program = this.#program(request, slot, groups.length);
      tree = new SandboxTree({
        clock: this.#clock,
        program,
        values,
        resultFd,
        stdoutFd,
        stderrFd,
        outputLimitBytes: request.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES,
        writable: request.writable,
        cgroup,
        onGone: () => this.#gone(slot, tree, cgroup),
      });
      tree.handedOver(this.#start(tree, program, values, [
        resultFd,
        stdoutFd,
        stderrFd,
        request.stdin?.fd ?? (nullFd = openPath("/dev/null", O_RDONLY | O_CLOEXEC)),
        slot.template.userFd,
        slot.template.mountsFd,
        ...groups,
      ]));
      cgroup?.closeJoinFds();
      this.#running.add(tree);
      return tree;
    } catch (error) {
      if (tree === undefined) {
        for (const fd of fds) close(fd);
        this.#gone(slot, undefined, cgroup);
      } else {
        tree.done.catch(() => undefined);
        tree.lost();
      }
      throw error;
    } finally {
      if (nullFd !== undefined) close(nullFd);
    }
  }

  /** Runs an action up to its program, and shows by that that every step before works here. */
  async #prove(): Promise<void> {
    const nowhere = { path: "/dev/null" };
    const { failedStep, work } = await this.launch({
      executables: ["/"],
      argv: [""],
      env: [],
      cwd: "",
      stdout: nowhere,
      stderr: nowhere,
      lowers: [this.#lowersPath],
      writable: { kind: "memory", bytes: 1 << 20, inodes: 100 },
    }).done;
    work?.[Symbol.dispose]();
    if (failedStep?.isExec) return;
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `No action can be isolated on this machine: ${failedStep?.message ?? "one was ended before it began"}`,
    );
  }

  #groupNumber = 0;
  #groupName({ name = "action" }: SandboxRequest): string {
    return `${name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, MAX_GROUP_NAME)}-${++this.#groupNumber}`;
  }

  #start(
    tree: SandboxTree,
    program: Program,
    values: Record<string, ParameterValue>,
    fds: readonly number[],
  ): HandedOver {
    if (fds.length + 1 > MAX_PASSED) throw new BrokkrError(Code.INTERNAL, "Too many control groups");
    for (let attempt = 0;; attempt++) {
      if (this.#zygote?.alive !== true) this.#zygote = new Zygote();
      const zygote = this.#zygote;
      let imageFd: number | undefined;
      try {
        const forked = zygote.fork(tree, (token) => {
          values.token = new Uint8Array(new BigUint64Array([token]).buffer);
          const image = program.image(values);
          if (image.length > PASSED_BYTES) {
            throw invalidArgument("argv", "Arguments and environment are too large");
          }
          imageFd = memfdCreate("brokkr-action", MFD_CLOEXEC);
          writeAll(imageFd, image);
          return [imageFd, ...fds];
        });
        return {
          mayBegin: () => zygote.mayBegin(new Set([...this.#running].map(({ pid }) => pid))),
          drain: () => zygote.drain(),
          forget: () => zygote.forget(forked),
          abandon: () => zygote.kill(),
        };
      } catch (error) {
        // One that was killed a moment ago is noticed here first.
        if (zygote.alive || attempt > 0) throw error;
      } finally {
        if (imageFd !== undefined) close(imageFd);
      }
    }
  }

  #gone(slot: Slot, tree: SandboxTree | undefined, cgroup: ActionCgroup | undefined): void {
    this.#free.push(slot);
    if (tree !== undefined) this.#running.delete(tree);
    try {
      cgroup?.closeJoinFds();
      cgroup?.remove();
    } catch (error) {
      this.#options.log?.error("Control groups of an action stay until the worker starts again", { error });
    }
    if (this.#closed && this.#running.size === 0) this.#dispose();
  }

  /** A file is made the slot's own: an action may open its /dev/stdout anew. */
  #output(target: SandboxRequest["stdout"], { hostId }: Slot): number {
    const fd = "fd" in target ? duplicate(target.fd, 3) : outputFile(target.path, O_CLOEXEC);
    try {
      if ("fd" in target) {
        setCloseOnExec(fd, true);
        return fd;
      }
      // A device or the like is not this sandbox's to give away.
      if (hostId !== undefined && statx(fd, "").type === "file") {
        check(libc().c.fchown(fd, hostId, hostId), "fchown", target.path);
      }
      return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  #program(request: SandboxRequest, slot: Slot, groups: number): Program {
    const shape: SandboxShape = {
      root: slot.hostId !== undefined,
      layered: request.lowers.length > 0,
      writable: request.writable.kind,
      network: request.network ?? "none",
      groups,
      executables: request.executables.length,
      rlimits: rlimitNames(this.#rlimits(request)),
      aslr: request.aslr ?? true,
      rdtsc: request.rdtsc ?? true,
      lastCapability: this.#lastCapability,
    };
    const key = JSON.stringify(shape);
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, program = sandboxProgram(currentArch(), shape));
    return program;
  }

  #values(request: SandboxRequest): Record<string, ParameterValue> {
    const { executables, argv, cwd, writable, aslr = true } = request;
    if (executables.length === 0 || executables.length > MAX_EXECUTABLES) {
      throw invalidArgument("executables", `There must be 1 to ${MAX_EXECUTABLES} names for the program`);
    }
    if (argv.length === 0) throw invalidArgument("argv", "There must be at least argv[0]");
    const filter = this.#filterFor(aslr, writable.kind === "memory");
    const values: Record<string, ParameterValue> = {
      result: PASSED.result,
      cwd: cwd === "" ? WORK_PATH : `${WORK_PATH}/${refuseNul("cwd", cwd)}`,
      argv: argv.map((value) => refuseNul("argv", value)),
      env: environmentStrings(request.env),
      umask: request.umask ?? 0o022,
      filter,
      filterLength: filter.length / FILTER_INSTRUCTION_BYTES,
    };
    executables.forEach((path, index) => values[`executable_${index}`] = refuseNul("executables", path));
    const rlimits = this.#rlimits(request);
    for (const name of rlimitNames(rlimits)) {
      const limit = rlimits[name];
      if (limit !== undefined) values[`rlimit_${name}`] = rlimitValue(name, limit);
    }
    if (request.lowers.length > 0) {
      const lowers = request.lowers.map((path) => inside(path, this.#lowersPath, LOWERS_PATH, "lowers"));
      const upper = `upperdir=${SCRATCH_PATH}/upper,workdir=${SCRATCH_PATH}/overlay,userxattr`;
      const volatile = writable.kind === "disk" ? ",volatile" : "";
      values.overlay = `lowerdir=${lowers.join(":")},${upper}${volatile}`;
      if (values.overlay.length > MAX_MOUNT_OPTIONS) {
        throw invalidArgument("lowers", `${lowers.length} layers are more than one mount can take`);
      }
    }
    if (writable.kind === "memory") {
      values.memory = `mode=700,size=${whole(writable.bytes)},nr_inodes=${whole(writable.inodes)}`;
    } else {
      if (this.#diskPath === undefined) {
        throw invalidArgument("writable", "The sandbox was opened without a disk");
      }
      values.disk = inside(writable.path, this.#diskPath, DISK_PATH, "writable");
    }
    return values;
  }

  #rlimits(request: SandboxRequest): ReturnType<typeof limitsOf> {
    return limitsOf(request, this.#options.cgroups?.controllers ?? NO_CONTROLLERS);
  }

  #filterFor(aslr: boolean, fallocate: boolean): Uint8Array<ArrayBuffer> {
    const key = `${aslr} ${fallocate}`;
    let filter = this.#filter.get(key);
    if (filter === undefined) {
      this.#filter.set(key, filter = seccompFilter(currentArch().name, { aslr, fallocate }));
    }
    return filter;
  }

  /** Ends what runs, and closes. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const ends = [...this.#running].map((tree) => {
      tree.kill();
      return tree.done.then(({ work }) => work?.[Symbol.dispose](), () => undefined);
    });
    if (this.#running.size === 0) this.#dispose();
    await Promise.all(ends);
    await this.#zygote?.ended;
  }

  /** See {@linkcode Sandbox.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #dispose(): void {
    this.#zygote?.[Symbol.dispose]();
    for (const template of this.#templates) template[Symbol.dispose]();
  }
}

/**
 * First host id of the slots, where this process may give out ids: it is root, and not of a user namespace that has too
 * few. Everybody else runs actions as themselves.
 */
function privilegedBase({ uidBase = DEFAULT_UID_BASE, slots }: SandboxOptions): number | undefined {
  if (Deno.uid() !== 0) return undefined;
  for (const name of ["uid_map", "gid_map"]) {
    const ranges = Deno.readTextFileSync(`/proc/self/${name}`).trim().split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number));
    if (!ranges.some(([first, , count]) => uidBase >= first && uidBase + slots <= first + count)) {
      return undefined;
    }
  }
  return uidBase;
}

function whole(value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument("writable", `A limit must be a whole number above 0, not ${value}`);
}

/** A path of the host's as the template has it. */
function inside(path: string, root: string, mounted: string, field: string): string {
  if (path !== root && !path.startsWith(`${root}/`)) {
    throw invalidArgument(field, `${path} is not below ${root}, which is what the sandbox was opened with`);
  }
  const rest = path.slice(root.length);
  if (/[,:\\"\0]|\/\.\.?(\/|$)/.test(rest)) {
    throw invalidArgument(field, `${path} holds a character that a mount option cannot, or a dot segment`);
  }
  return mounted + rest;
}
