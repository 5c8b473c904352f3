/**
 * A Linux machine in qemu over this machine's own files: the host's tree read-only with an overlay on top, a kernel of
 * our choice, root and an account without privileges, cgroup v2 with every controller, an ext4 disk and swap. It runs
 * one command.
 *
 * What a command finds:
 * - `/run/job`: {@linkcode Machine.job} of the host, for writing too;
 * - `/run/job/enter.sh root|user NAME COMMAND...`: runs a command in a delegated cgroup, see there;
 * - `/run/scratch`: the ext4 disk; `/run/host`: the host's tree without the overlay; `/tmp` and `/run` are fresh;
 * - an account without privileges, `worker`, uid and gid 4242;
 * - no network but loopback; `BROKKR_TEST_MACHINE` set to the kernel's version.
 *
 * @module
 */

import { initramfs } from "./initramfs.ts";
import { type Kernel, output } from "./kernel.ts";
import { tscKhz } from "./tsc.ts";

const QEMU = "qemu-system-x86_64";
const BUSYBOX = "/bin/busybox";
const PREFIX = "brokkr_machine_";
const OUTPUT_LIMIT_BYTES = 64 << 20;
const TAIL_LINES = 40;
/** What a snapshot does without. */
export const SNAPSHOT_LEAVES_OUT: readonly string[] = [".git", "dist", "node_modules"];
const GUEST = `${import.meta.dirname}/guest`;

/** How instructions are carried out: emulated, or by the processor. */
export type Accelerator = "tcg" | "kvm";

/** What a machine is to be. */
export interface MachineOptions {
  /** From `prepareKernel`. */
  readonly kernel: Kernel;
  /** A script for /bin/sh, run as root in `/`. When it ends the machine ends. */
  readonly command: string;
  /** The machine is killed when it runs longer. */
  readonly timeLimitMs: number;
  /** Host paths the command needs: those beneath /tmp and /run would be hidden, those in a closed home unreadable. */
  readonly visible?: readonly string[];
  /**
   * Directories of the host that the machine gets as they are at its start, readable by everybody, and without
   * {@linkcode SNAPSHOT_LEAVES_OUT}. Files of the host that change while the machine runs are not seen whole there.
   */
  readonly snapshots?: readonly string[];
  /** An ext4 image to use as the scratch disk, kept as it is in the end; without it one is made and removed. */
  readonly scratchImage?: string;
  /**
   * A file that gets what the machine writes to the scratch disk, and when it flushes: see `_write_log.ts`. What was
   * written and not flushed can be taken back with it, as a disk with a cache would lose it.
   */
  readonly writeLog?: string;
  /** Default 3072. The host gives what is touched. */
  readonly memoryMiB?: number;
  /** Default 2. */
  readonly cpus?: number;
  /** Default `tcg`, which works everywhere; see {@linkcode kvmWorks}. */
  readonly accelerator?: Accelerator;
  /** More for the kernel's command line. */
  readonly append?: string;
}

/** How a machine ended. */
export interface MachineEnd {
  /** Exit status of the command; undefined when the machine ended before the command did. */
  readonly status: number | undefined;
  /** What the command wrote, both streams as they came. */
  readonly output: string;
  /** What the kernel and the set-up wrote. */
  readonly console: string;
  /** Whether the time limit killed it. */
  readonly timedOut: boolean;
  /** From the start to the end. */
  readonly wallMs: number;
}

/** Why this machine cannot run such machines at all; undefined when it can. A kernel is yet another matter. */
export async function machineReason(): Promise<string | undefined> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "only on Linux on x86_64";
  if (!(await output(QEMU, ["--version"])).success) return `no ${QEMU}: install qemu-system-x86`;
  for (const program of ["mkfs.ext4", "mkswap", "setpriv"]) {
    if (!(await output("sh", ["-c", `command -v ${program}`])).success) return `no ${program}`;
  }
  try {
    const head = new Uint8Array(4096);
    using file = await Deno.open(BUSYBOX);
    await file.read(head);
    // A program linked dynamically names its loader right behind the ELF headers.
    if (!new TextDecoder("latin1").decode(head).includes("/ld-linux")) return undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return `no ${BUSYBOX} that is linked statically: install busybox-static`;
}

/** Makes an ext4 image that a machine can have as its scratch disk. Sparse: takes what is written. */
export async function makeExt4Image(path: string, sizeMiB: number): Promise<void> {
  await sparse(path, sizeMiB);
  const made = await output("mkfs.ext4", ["-q", "-F", "-E", "root_owner=0:0", path]);
  if (!made.success) throw new Error(`mkfs.ext4 ${path}: ${made.stderr}`);
}

/** Makes a file of a size that takes no room on the disk until it is written. */
export async function sparse(path: string, sizeMiB: number): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  await file.truncate(sizeMiB * 2 ** 20);
}

/** Directories of machines whose test was killed before it could remove them: nobody holds their lock any more. */
async function sweep(parent: string): Promise<void> {
  for (const { name } of [...Deno.readDirSync(parent)]) {
    if (!name.startsWith(PREFIX)) continue;
    try {
      using lock = await Deno.open(`${parent}/${name}/lock`, { write: true });
      if (await lock.tryLock(true)) await Deno.remove(`${parent}/${name}`, { recursive: true });
    } catch (error) {
      // Another user's, or one about to be made or removed.
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
        throw error;
      }
    }
  }
}

/** The last lines of a text. */
export function tail(text: string, lines = TAIL_LINES): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

async function qemuArguments(
  options: MachineOptions,
  directory: string,
  scratchImage: string,
): Promise<string[]> {
  const accelerator = options.accelerator === "kvm"
    ? ["-accel", "kvm", "-cpu", "host"]
    : ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"];
  const share = (id: string, path: string, how: string) => [
    ...["-fsdev", `local,id=${id},path=${path.replaceAll(",", ",,")},security_model=none,${how}`],
    ...["-device", `virtio-9p-device,fsdev=${id},mount_tag=${id}`],
  ];
  const disk = (id: string, path: string) => [
    // What the machine wrote is in the host's page cache, which outlives qemu: no flush is needed for a kill.
    ...[
      "-drive",
      `if=none,id=${id},file=${path.replaceAll(",", ",,")},format=raw,cache=unsafe,discard=unmap`,
    ],
    ...["-device", `virtio-blk-device,drive=${id}`],
  ];
  const loggedDisk = (id: string, path: string, log: string) => [
    // As JSON: names of files may hold anything. The files themselves need no flush, see above; the log sees them all.
    ...[
      "-blockdev",
      JSON.stringify({
        "node-name": id,
        driver: "blklogwrites",
        file: { driver: "file", filename: path, cache: { "no-flush": true } },
        log: { driver: "file", filename: log, cache: { "no-flush": true } },
      }),
    ],
    ...["-device", `virtio-blk-device,drive=${id},write-cache=on`],
  ];
  const kernel = "console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr cgroup_no_v1=all psi=1 " +
    `random.trust_cpu=on tsc=reliable tsc_early_khz=${await tscKhz()}`;
  return [
    ...["-M", "microvm,rtc=on", ...accelerator],
    ...["-smp", String(options.cpus ?? 2), "-m", String(options.memoryMiB ?? 3072)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", options.kernel.image, "-initrd", `${directory}/initramfs`],
    ...["-append", `${kernel} ${options.append ?? ""}`],
    ...["-serial", `file:${directory.replaceAll(",", ",,")}/console`],
    ...["-device", "virtio-serial-device", "-chardev", "file,id=out,path=/dev/stdout"],
    ...["-device", "virtserialport,chardev=out,name=out"],
    ...share("host", "/", "readonly=on,multidevs=remap"),
    ...share("job", `${directory}/job`, "multidevs=remap"),
    ...(options.writeLog === undefined
      ? disk("scratch", scratchImage)
      : loggedDisk("scratch", scratchImage, options.writeLog)),
    ...disk("swap", `${directory}/swap`),
  ];
}

async function snapshot(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory, isFile, isSymlink } of Deno.readDir(from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (SNAPSHOT_LEAVES_OUT.includes(name)) continue;
    else if (isDirectory) await snapshot(source, target);
    else if (isSymlink) await Deno.symlink(await Deno.readLink(source), target);
    else if (isFile) {
      try {
        await Deno.copyFile(source, target);
        await Deno.chmod(target, 0o644 | (((await Deno.stat(source)).mode ?? 0) & 0o111));
      } catch (error) {
        // An editor's or a build's, gone by now.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  await Deno.chmod(to, 0o755);
}

/** Everything qemu opens, in `directory`. */
async function furnish(directory: string, options: MachineOptions): Promise<void> {
  const { kernel, command, visible = [], snapshots = [] } = options;
  await Deno.mkdir(`${directory}/job`);
  for (const script of ["setup.sh", "enter.sh"]) {
    await Deno.copyFile(`${GUEST}/${script}`, `${directory}/job/${script}`);
  }
  const seen: string[] = [];
  for (const path of visible) {
    const real = await Deno.realPath(path);
    seen.push(`${real}\t${real}\n`);
  }
  for (const [i, path] of snapshots.entries()) {
    await snapshot(path, `${directory}/snapshot-${i}`);
    seen.push(`${await Deno.realPath(path)}\t${await Deno.realPath(directory)}/snapshot-${i}\n`);
  }
  await Deno.writeTextFile(`${directory}/job/visible`, seen.join(""));
  const version = `export BROKKR_TEST_MACHINE=${kernel.version.replaceAll(/[^\w.+~-]/g, "")}\n`;
  await Deno.writeTextFile(`${directory}/job/command`, `${version}${command}\n`);
  const modules = await Promise.all(kernel.modules.map(async (path) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    bytes: await Deno.readFile(path),
  })));
  const [busybox, init] = await Promise.all([Deno.readFile(BUSYBOX), Deno.readFile(`${GUEST}/init.sh`)]);
  await Deno.writeFile(`${directory}/initramfs`, initramfs({ busybox, init, modules }));
  await sparse(`${directory}/swap`, 512);
  const swap = await output("mkswap", [`${directory}/swap`]);
  if (!swap.success) throw new Error(`mkswap: ${swap.stderr}`);
  if (options.scratchImage === undefined) await makeExt4Image(`${directory}/scratch`, 1024);
}

async function readOr(path: string, otherwise: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return otherwise;
    throw error;
  }
}

/** A machine that runs. Dispose of it: that kills it when it still runs, and removes what it had on the host's disk. */
export class Machine implements AsyncDisposable {
  readonly #directory: string;
  readonly #lock: Deno.FsFile;
  readonly #child: Deno.ChildProcess;
  readonly #startedAtMs = performance.now();
  readonly #listeners = new Set<() => void>();
  readonly #limit: ReturnType<typeof setTimeout>;
  #output = "";
  #over = false;
  #timedOut = false;
  /** How it ended. Never rejects because of what happened inside. */
  readonly done: Promise<MachineEnd>;

  private constructor(directory: string, lock: Deno.FsFile, child: Deno.ChildProcess, limitMs: number) {
    this.#directory = directory;
    this.#lock = lock;
    this.#child = child;
    this.#limit = setTimeout(() => {
      this.#timedOut = true;
      this.#signal();
    }, limitMs);
    this.done = this.#run();
  }

  /** Starts a machine. Its boot goes on after this has returned. */
  static async start(options: MachineOptions): Promise<Machine> {
    const directory = await Deno.makeTempDir({ prefix: PREFIX });
    const lock = await Deno.open(`${directory}/lock`, { write: true, create: true });
    try {
      await lock.lock(true);
      await sweep(directory.slice(0, directory.lastIndexOf("/")));
      await furnish(directory, options);
      const scratchImage = options.scratchImage ?? `${directory}/scratch`;
      const child = new Deno.Command("setpriv", {
        // However this process ends, qemu ends with it.
        args: ["--pdeathsig", "KILL", QEMU, ...await qemuArguments(options, directory, scratchImage)],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      return new Machine(directory, lock, child, options.timeLimitMs);
    } catch (error) {
      lock.close();
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** The directory the machine sees as `/run/job`. */
  get job(): string {
    return `${this.#directory}/job`;
  }

  /** What the command has written until now. */
  get output(): string {
    return this.#output;
  }

  /** Kills it as a power cut would: what its kernel had not yet written to its disks is lost. */
  async kill(): Promise<MachineEnd> {
    this.#signal();
    return await this.done;
  }

  /**
   * Until the command has written `text`, or as much as a test of all that it wrote wants.
   *
   * @throws {Error} When the machine ends without.
   */
  async waitFor(text: string | ((output: string) => boolean)): Promise<void> {
    const written = typeof text === "string" ? (output: string) => output.includes(text) : text;
    while (!written(this.#output)) {
      if (this.#over) {
        const end = await this.done;
        const what = typeof text === "string" ? JSON.stringify(text) : "what was waited for";
        throw new Error(`The machine ended and never wrote ${what}\n${explain(end)}`);
      }
      await new Promise<void>((resolve) => {
        this.#listeners.add(resolve);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#lock.close();
    await Deno.remove(this.#directory, { recursive: true });
  }

  #signal(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // Already gone.
    }
  }

  #wake(): void {
    for (const resolve of this.#listeners) resolve();
    this.#listeners.clear();
  }

  async #collect(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      if (this.#output.length < OUTPUT_LIMIT_BYTES) this.#output += text;
      this.#wake();
    }
  }

  async #run(): Promise<MachineEnd> {
    const [complaints] = await Promise.all([
      new Response(this.#child.stderr).text(),
      this.#collect(),
      this.#child.status,
    ]);
    clearTimeout(this.#limit);
    this.#over = true;
    this.#wake();
    const status = (await readOr(`${this.job}/status`, "")).trim();
    return {
      status: status === "" ? undefined : Number(status),
      output: this.#output,
      console: await readOr(`${this.#directory}/console`, "") + complaints,
      timedOut: this.#timedOut,
      wallMs: performance.now() - this.#startedAtMs,
    };
  }
}

/** A message for a machine that did not end as it should. */
export function explain(end: MachineEnd): string {
  const how = end.timedOut
    ? "The machine was killed by its time limit"
    : end.status === undefined
    ? "The machine ended before its command did"
    : `The machine's command ended with ${end.status}`;
  return `${how} after ${(end.wallMs / 1000).toFixed(1)} s\n` +
    `--- output\n${tail(end.output)}\n--- console\n${tail(end.console)}`;
}

/** Whether the processor's own virtualization boots this kernel, which a device file alone does not tell. */
export async function kvmWorks(kernel: Kernel): Promise<boolean> {
  try {
    using _ = await Deno.open("/dev/kvm", { read: true, write: true });
  } catch {
    return false;
  }
  await using machine = await Machine.start({
    kernel,
    command: "true",
    timeLimitMs: 15_000,
    accelerator: "kvm",
    memoryMiB: 512,
  });
  return (await machine.done).status === 0;
}
