/**
 * The two that start the same program in the same isolation: this project's sandbox, and bubblewrap as Debian ships it.
 *
 * bubblewrap gets the cheapest set-up that isolates alike: every namespace, read-only /usr, /proc, five device nodes, a
 * limited tmpfs on /tmp, the input directory writable on /work (its version has no overlay), no capabilities, a new
 * session, its death with its parent, an empty environment, the same filter of system calls, and the same control groups
 * with the same limits. It is started from the same Deno, the output of both going straight to files in memory. Its process number is
 * written into the groups as soon as it is known, which costs it no further process; it starts without waiting for that.
 *
 * @module
 */

import {
  type Cgroups,
  MemoryOutput,
  openCgroups,
  Sandbox,
  type SandboxRequest,
  seccompFilter,
} from "@brokkr/sandbox";

/** Something that starts programs. */
export interface Rival {
  readonly name: string;
  /**
   * Starts `argv` in a sandbox and waits for its end; throws unless it exited with 0. What it used of the processor, in
   * milliseconds, where that is told.
   */
  launch(argv: readonly string[]): Promise<number | undefined>;
}

/** What both are measured with. */
export interface Arena extends AsyncDisposable {
  /** The input directory. */
  readonly input: string;
  readonly sandbox: Rival;
  /** Absent where bubblewrap is not installed or does not run. */
  readonly bwrap?: Rival;
  /** Why it is absent. */
  readonly missing?: string;
  /** Version of the control groups; absent without them. */
  readonly cgroups?: string;
}

/** Limits that both set. */
const LIMITS = { memoryBytes: 2 * 2 ** 30, pids: 512 } as const;
const LAYER = { kind: "memory", bytes: 2 ** 30, inodes: 100_000 } as const;
const O_RDONLY = 0;

const LIBC = {
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  dup3: { parameters: ["i32", "i32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Libc = Deno.DynamicLibrary<typeof LIBC>["symbols"];

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** Opens a file whose descriptor children inherit. */
function openInheritable(libc: Libc, path: string, flags: number): number {
  // SAFETY: the path ends with a NUL, lives for the call, and is only read.
  const fd = libc.open(cString(path), flags, 0o644);
  if (fd < 0) throw new Error(`${path} could not be opened`);
  return fd;
}

/** Starts a command whose standard output and error are such descriptors, which Deno.Command has no way to say. */
function spawnTo(libc: Libc, command: Deno.Command, outputs: readonly MemoryOutput[]): Deno.ChildProcess {
  const mine = [1, 2].map((fd) => libc.fcntl(fd, 1030, /* F_DUPFD_CLOEXEC */ 3));
  try {
    outputs.forEach(({ fd }, index) => libc.dup3(fd, index + 1, 0));
    return command.spawn();
  } finally {
    mine.forEach((fd, index) => {
      libc.dup3(fd, index + 1, 0);
      libc.close(fd);
    });
  }
}

/** What bubblewrap is told, without the filter and the program. */
export function bwrapArguments(input: string): string[] {
  const links = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"].flatMap((name) => {
    try {
      return ["--symlink", Deno.readLinkSync(`/${name}`), `/${name}`];
    } catch {
      return []; // it is not there, or no link: then a system without merged directories, whose programs are elsewhere
    }
  });
  const devices = ["null", "zero", "full", "random", "urandom"].map((name) => `/dev/${name}`);
  return [
    ...[
      "--unshare-user",
      "--unshare-ipc",
      "--unshare-pid",
      "--unshare-net",
      "--unshare-uts",
      "--unshare-cgroup",
    ],
    ...["--uid", "1000", "--gid", "1000", "--hostname", "brokkr"],
    ...["--cap-drop", "ALL", "--new-session", "--die-with-parent"],
    ...["--clearenv", "--setenv", "PATH", "/usr/bin:/bin"],
    ...["--ro-bind", "/usr", "/usr", ...links],
    ...["--proc", "/proc"],
    ...devices.flatMap((path) => ["--dev-bind", path, path]),
    ...["--size", String(LAYER.bytes), "--tmpfs", "/tmp"],
    ...["--bind", input, "/work", "--chdir", "/work"],
  ];
}

function bwrapRival(libc: Libc, path: string, cgroups: Cgroups | undefined): Rival {
  const filter = `${path}/filter`;
  Deno.writeFileSync(filter, seccompFilter(Deno.build.arch, { aslr: true }));
  const fixed = bwrapArguments(`${path}/lowers/input`);
  let count = 0;
  const start = (argv: readonly string[], outputs: readonly MemoryOutput[]) => {
    // It reads its filter to the end of the file, so each needs a descriptor of its own.
    const filterFd = openInheritable(libc, filter, O_RDONLY);
    try {
      const command = new Deno.Command("/usr/bin/bwrap", {
        args: [...fixed, "--seccomp", String(filterFd), "--", ...argv],
        clearEnv: true,
        stdin: "null",
        stdout: "inherit",
        stderr: "inherit",
      });
      return spawnTo(libc, command, outputs);
    } finally {
      libc.close(filterFd);
    }
  };
  return {
    name: "bwrap",
    launch: async (argv) => {
      const number = ++count;
      using stdout = new MemoryOutput("stdout");
      using stderr = new MemoryOutput("stderr");
      const group = cgroups?.create(`bwrap-${number}`, LIMITS);
      const child = start(argv, [stdout, stderr]);
      if (group !== undefined) {
        const pid = cString(String(child.pid)).subarray(0, -1);
        for (const fd of group.joinFds) writeFd(fd, pid);
        group.closeJoinFds();
      }
      const { code } = await child.status;
      if (group !== undefined) {
        // Its own PID 1 may outlive it by a moment.
        while (!group.isEmpty()) await new Promise((resolve) => setTimeout(resolve, 0));
        group.usage();
        group.remove();
      }
      if (code !== 0) {
        throw new Error(`bwrap ended with ${code}: ${Deno.readTextFileSync(`/proc/self/fd/${stderr.fd}`)}`);
      }
      return undefined;
    },
  };
}

let writer: Deno.DynamicLibrary<typeof WRITE> | undefined;
const WRITE = {
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
} as const satisfies Deno.ForeignLibraryInterface;

function writeFd(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  writer ??= Deno.dlopen("libc.so.6", WRITE);
  // SAFETY: the kernel reads as many bytes as the buffer holds, during the call.
  writer.symbols.write(fd, bytes, BigInt(bytes.length));
}

function sandboxRival(sandbox: Sandbox, path: string, more: Partial<SandboxRequest>): Rival {
  return {
    name: "sandbox",
    launch: async (argv) => {
      using stdout = new MemoryOutput("stdout");
      using stderr = new MemoryOutput("stderr");
      const { exitCode, failedStep, work, userMs, systemMs } = await sandbox.launch({
        executables: [argv[0]],
        argv,
        env: [["PATH", "/usr/bin:/bin"]],
        cwd: "",
        stdout,
        stderr,
        lowers: [`${path}/lowers/input`],
        writable: LAYER,
        limits: LIMITS,
        ...more,
      }).done;
      work?.[Symbol.dispose]();
      if (exitCode !== 0) {
        throw new Error(
          `The sandbox ended with ${exitCode}: ${
            failedStep?.message ?? Deno.readTextFileSync(`/proc/self/fd/${stderr.fd}`)
          }`,
        );
      }
      return userMs + systemMs;
    },
  };
}

/** Opens both in a directory of their own. `more` changes what the sandbox is asked for. */
export async function openArena(
  options: { readonly cgroups?: boolean; readonly request?: Partial<SandboxRequest> } = {},
): Promise<Arena> {
  const path = Deno.makeTempDirSync({ prefix: "brokkr_arena_" });
  for (const name of ["lowers", "lowers/input", "out"]) Deno.mkdirSync(`${path}/${name}`, { mode: 0o755 });
  for (let i = 0; i < 10; i++) Deno.writeTextFileSync(`${path}/lowers/input/file${i}`, `${i}\n`);
  let groups: Cgroups | undefined;
  if (options.cgroups !== false) {
    try {
      groups = openCgroups({ name: `bench-${Deno.pid}` });
    } catch {
      groups = undefined; // an ordinary user has none unless they were delegated: then both go without
    }
  }
  const sandbox = await Sandbox.open({
    slots: 8,
    lowersPath: `${path}/lowers`,
    ...(groups === undefined ? {} : { cgroups: groups }),
  });
  const libc = Deno.dlopen("libc.so.6", LIBC);
  const bwrap = bwrapRival(libc.symbols, path, groups);
  const missing = await bwrap.launch(["/bin/true"]).then(() => undefined, (error) => String(error));
  return {
    input: `${path}/lowers/input`,
    sandbox: sandboxRival(sandbox, path, options.request ?? {}),
    ...(missing === undefined ? { bwrap } : { missing }),
    ...(groups === undefined ? {} : { cgroups: groups.version }),
    [Symbol.asyncDispose]: async () => {
      await sandbox.close();
      groups?.[Symbol.dispose]();
      libc.close();
      Deno.removeSync(path, { recursive: true });
    },
  };
}
