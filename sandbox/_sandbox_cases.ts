/**
 * What must hold of every sandbox, as root and as an ordinary user: each case gives what it saw, and what it should have
 * seen. Nothing here needs a test library, so that a process of another user can run it.
 *
 * @module
 */

import { HOSTILE_CASES } from "./_hostile_cases.ts";
import { kill } from "./libc.ts";
import { Sandbox } from "./sandbox.ts";
import type { SandboxOptions, SandboxReport, SandboxRequest, WritableLayer } from "./sandbox_options.ts";
import { processesIn, TestDir, until } from "./_testing.ts";

/** Where the processor is emulated each takes a quarter of a second. */
const MANY = Deno.env.has("BROKKR_TEST_MACHINE") ? 40 : 200;

/** One case. */
export interface SandboxCase {
  readonly name: string;
  readonly sees: (sandbox: TestSandbox) => Promise<unknown>;
  readonly expected: unknown;
}

/** A run, with what it wrote. */
export interface Ran {
  readonly report: SandboxReport;
  readonly stdout: string;
  readonly stderr: string;
}

/** A writable layer that is large enough for everything here. */
export const MEMORY: WritableLayer = { kind: "memory", bytes: 16 << 20, inodes: 1000 };

/** A sandbox with directories of its own. */
export class TestSandbox implements AsyncDisposable {
  readonly #dir = new TestDir();
  #runs = 0;
  sandbox!: Sandbox;

  /** Opens one. */
  static async open(options: Partial<SandboxOptions> = {}): Promise<TestSandbox> {
    const test = new TestSandbox();
    try {
      for (const name of ["lowers", "lowers/input", "disk", "out"]) {
        Deno.mkdirSync(`${test.path}/${name}`, { mode: 0o755 });
      }
      Deno.chmodSync(test.path, 0o700);
      const input = `${test.path}/lowers/input`;
      Deno.writeTextFileSync(`${input}/data`, "input\n");
      Deno.chmodSync(`${input}/data`, 0o444);
      Deno.utimeSync(`${input}/data`, 946684800, 946684800);
      Deno.writeTextFileSync(`${input}/script`, "#!/bin/sh\necho script ran\n");
      Deno.chmodSync(`${input}/script`, 0o555);
      Deno.mkdirSync(`${input}/sub`, { mode: 0o755 });
      test.sandbox = await Sandbox.open({
        slots: 8,
        lowersPath: `${test.path}/lowers`,
        diskPath: `${test.path}/disk`,
        ...options,
      });
      return test;
    } catch (error) {
      test.#dir[Symbol.dispose]();
      throw error;
    }
  }

  /** Its directory. */
  get path(): string {
    return this.#dir.path;
  }

  /** The input layer. */
  get input(): string {
    return `${this.path}/lowers/input`;
  }

  /** Its directory, for finding what runs in it. */
  get dir(): TestDir {
    return this.#dir;
  }

  /** A request that runs a script. */
  request(script: string, more: Partial<SandboxRequest> = {}): SandboxRequest & { readonly out: string } {
    const out = `${this.path}/out/${++this.#runs}`;
    return {
      executables: ["/bin/sh"],
      argv: ["sh", "-c", script],
      env: [["PATH", "/usr/bin:/bin"]],
      cwd: "",
      stdout: { path: `${out}.stdout` },
      stderr: { path: `${out}.stderr` },
      lowers: [this.input],
      writable: MEMORY,
      out,
      ...more,
    };
  }

  /** Runs a script; `look` sees its files before they go. */
  async run(
    script: string,
    more: Partial<SandboxRequest> = {},
    look: (root: string, report: SandboxReport) => void = () => {},
  ): Promise<Ran> {
    const request = this.request(script, more);
    const report = await this.sandbox.launch(request).done;
    try {
      if (report.work !== undefined) look(report.work.path, report);
    } finally {
      report.work?.[Symbol.dispose]();
    }
    const text = (name: string) => {
      try {
        return Deno.readTextFileSync(`${request.out}.${name}`);
      } catch {
        return "";
      }
    };
    return { report, stdout: text("stdout"), stderr: text("stderr") };
  }

  /** A fresh directory for a disk layer. */
  disk(bytes: number, inodes = 10_000): WritableLayer {
    const path = `${this.path}/disk/${++this.#runs}`;
    Deno.mkdirSync(path);
    return { kind: "disk", path, bytes, inodes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox.close();
    for (const name of ["disk"]) {
      await new Deno.Command("/bin/chmod", { args: ["-R", "u+rwX", `${this.path}/${name}`] }).output();
    }
    this.#dir[Symbol.dispose]();
  }
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** The cases. */
export const SANDBOX_CASES: readonly SandboxCase[] = [
  {
    name: "tells the exit code as it is, and 128 + n for signal n",
    sees: async (test) => {
      const exit = await test.run("exit 7");
      const signal = await test.run("kill -TERM $$");
      return [exit.report.exitCode, exit.report.signal, signal.report.exitCode, signal.report.signal];
    },
    expected: [7, undefined, 143, 15],
  },
  {
    name: "looks the same to everyone: user, groups, name, paths, umask, limits",
    sees: async (test) => {
      const script =
        "id; hostname; pwd; umask; ulimit -c; cat /etc/hostname; ls -ld . data sub | cut -d' ' -f1-4";
      return lines((await test.run(script)).stdout);
    },
    expected: [
      "uid=1000(brokkr) gid=1000(brokkr) groups=1000(brokkr)",
      "brokkr",
      "/work",
      "0022",
      "0",
      "brokkr",
      "drwxr-xr-x 1 brokkr brokkr",
      "-r--r--r-- 1 brokkr brokkr",
      "drwxr-xr-x 2 brokkr brokkr",
    ],
  },
  {
    name: "gives exactly the environment asked for, in its order",
    sees: async (test) =>
      lines(
        (await test.run("", {
          executables: ["/usr/bin/env"],
          argv: ["env"],
          env: [["B", "2"], ["A", "1"], ["10", "x"]],
        })).stdout,
      ),
    expected: ["B=2", "A=1", "10=x"],
  },
  {
    name: "has no privileges, and no way to get any",
    sees: async (test) => {
      const { stdout } = await test.run(
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'",
      );
      return lines(stdout);
    },
    expected: [
      "CapInh:0000000000000000",
      "CapPrm:0000000000000000",
      "CapEff:0000000000000000",
      "CapBnd:0000000000000000",
      "CapAmb:0000000000000000",
      "NoNewPrivs:1",
      "Seccomp:2",
    ],
  },
  {
    name: "sees its own processes and no others, and cannot end the one that watches over them",
    sees: async (test) => {
      const { stdout, report } = await test.run(
        "echo /proc/[0-9]*; ls /proc/1 2>/dev/null; kill -9 1; kill -STOP 1; kill -9 -1; echo alive",
      );
      return [lines(stdout), report.exitCode];
    },
    expected: [["/proc/2", "alive"], 0],
  },
  {
    name: "inherits no descriptor but the three",
    sees: async (test) => lines((await test.run("ls /proc/self/fd")).stdout),
    expected: ["0", "1", "2", "3"], // the last is that directory, as ls reads it
  },
  {
    name: "merges what the action wrote with its inputs, and leaves the inputs as they were",
    sees: async (test) => {
      const before = Deno.statSync(`${test.input}/data`);
      let merged: unknown;
      const { stdout } = await test.run(
        "cat data; chmod u+w data && echo more >> data; rm script; echo new > sub/new; mkdir made; cat data",
        {},
        (root) => {
          merged = [
            Deno.readTextFileSync(`${root}/data`),
            Deno.readTextFileSync(`${root}/sub/new`),
            [...Deno.readDirSync(root)].map(({ name }) => name).sort(),
          ];
        },
      );
      const after = Deno.statSync(`${test.input}/data`);
      return [
        lines(stdout),
        merged,
        Deno.readTextFileSync(`${test.input}/data`),
        after.ino === before.ino && after.mode === before.mode &&
        after.mtime?.getTime() === before.mtime?.getTime(),
        [...Deno.readDirSync(test.input)].map(({ name }) => name).sort(),
      ];
    },
    expected: [
      ["input", "input", "more"],
      ["input\nmore\n", "new\n", ["data", "made", "sub"]],
      "input\n",
      true,
      ["data", "script", "sub"],
    ],
  },
  {
    name: "starts with an empty root when there is no layer",
    sees: async (test) => {
      let left: unknown;
      const { stdout } = await test.run("ls -a; echo x > out", { lowers: [] }, (root) => {
        left = [...Deno.readDirSync(root)].map(({ name }) => name);
      });
      return [lines(stdout), left];
    },
    expected: [[".", ".."], ["out"]],
  },
  {
    name: "can write nowhere but where its own layer is",
    sees: async (test) => {
      const places = "/ /usr /etc /dev /host /proc /etc/passwd /usr/bin/env /proc/sys/kernel/hostname";
      const { stdout } = await test.run(
        `for p in ${places}; do if [ -d $p ]; then (: > $p/probe) ; else (: >> $p); fi 2>/dev/null && echo wrote $p; done; ` +
          "for p in /work /tmp /dev/shm; do (: > $p/probe) && echo $p; done",
      );
      return lines(stdout);
    },
    expected: ["/work", "/tmp", "/dev/shm"],
  },
  {
    name: "sees nothing of the worker's layers",
    sees: async (test) => {
      const { stdout, stderr } = await test.run(
        `ls -A /host; ls ${test.path}; cut -d' ' -f5 /proc/self/mountinfo | grep -c ^/host`,
      );
      return [lines(stdout), lines(stderr).length];
    },
    expected: [["0"], 1],
  },
  {
    name: "has no network unless it is asked for",
    sees: async (test) => {
      const script = "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '; " +
        'python3 -c \'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); s.listen(); ' +
        'c=socket.socket(); c.connect(s.getsockname()); print("up")\' 2>/dev/null || echo down';
      const none = await test.run(script);
      const loopback = await test.run(script, { network: "loopback" });
      const host = await test.run("cat /proc/net/dev", { network: "host" });
      return [lines(none.stdout), lines(loopback.stdout), host.stdout.split("\n").length > 3];
    },
    expected: [["lo", "down"], ["lo", "up"], true],
  },
  {
    name: "stops at the limits of its writable layer, and says how much was left",
    sees: async (test) => {
      const writable: WritableLayer = { kind: "memory", bytes: 1 << 20, inodes: 50 };
      let free: unknown;
      const bytes = await test.run(
        "head -c 2000000 /dev/zero > big; echo $?; wc -c < big",
        { writable },
        (_, report) => {
          free = report.work?.free.bytes;
        },
      );
      const shared = await test.run(
        "head -c 2000000 /dev/zero > /tmp/big; echo $?; head -c 9999 /dev/zero > x; echo $?",
        {
          writable,
        },
      );
      const inodes = await test.run("for i in $(seq 100); do : > f$i || break; done; echo $i", { writable });
      return [
        lines(bytes.stdout)[0],
        Number(lines(bytes.stdout)[1]) <= 1 << 20,
        free,
        lines(shared.stdout),
        Number(inodes.stdout) < 50,
      ];
    },
    expected: ["1", true, 0, ["1", "1"], true],
  },
  {
    name: "keeps what it wrote on disk where that is asked for, and ends it beyond the limit",
    sees: async (test) => {
      let kept: unknown;
      const writable = test.disk(64 << 20);
      const good = await test.run("echo kept > out; echo t > /tmp/t", { writable }, (root) => {
        kept = Deno.readTextFileSync(`${root}/out`);
      });
      const onDisk = writable.kind === "disk" ? Deno.readTextFileSync(`${writable.path}/upper/out`) : "";
      const greedy = await test.run(
        "i=0; while :; do head -c 1000000 /dev/zero > f$i || exit 3; i=$((i+1)); done",
        { writable: test.disk(8 << 20) },
      );
      const one = await test.run("head -c 99999999 /dev/zero > big", { writable: test.disk(8 << 20) });
      return [
        good.report.exitCode,
        kept,
        onDisk,
        greedy.report.diskExceeded,
        greedy.report.exitCode,
        one.report.exitCode > 0,
      ];
    },
    expected: [0, "kept\n", "kept\n", true, 137, true],
  },
  {
    name: "tries the names of its program in order",
    sees: async (test) => {
      const found = await test.run("", {
        executables: ["/nowhere/tool", "/usr/bin/printf"],
        argv: ["tool", "ran"],
      });
      const script = await test.run("", { executables: ["./script"], argv: ["script"] });
      const missing = await test.run("", {
        executables: ["/nowhere/tool", "/not/there/tool"],
        argv: ["tool"],
      });
      const plain = await test.run("", { executables: ["./data"], argv: ["data"] });
      const step = (
        ran: Ran,
      ) => [ran.report.failedStep?.isExec, ran.report.failedStep?.errnoName, ran.report.exitCode];
      return [found.stdout, script.stdout, step(missing), step(plain), missing.report.failedStep?.name];
    },
    expected: ["ran", "script ran\n", [true, "ENOENT", 127], [true, "EACCES", 127], "execve /not/there/tool"],
  },
  {
    name: "names the step for a working directory that is not there",
    sees: async (test) => {
      const { report } = await test.run("", { cwd: "sub/nowhere" });
      return [report.failedStep?.name, report.failedStep?.errnoName, report.failedStep?.role];
    },
    expected: ["chdir /work/sub/nowhere", "ENOENT", "action"],
  },
  {
    name: "lets the action open its standard streams again",
    sees: async (test) => {
      const { stdout, stderr } = await test.run(
        "echo a > /dev/stdout; echo b > /dev/stderr; cat < /dev/stdin; echo c >&1",
      );
      return [stdout, stderr];
    },
    expected: ["a\nc\n", "b\n"],
  },
  {
    name: "ends everything with the action, and everything when killed",
    sees: async (test) => {
      const daemons =
        "for i in 1 2 3; do (setsid sh -c 'trap \"\" TERM HUP; sleep 1000; sleep 1000' &) ; done; ";
      const left = await test.run(`${daemons} exit 5`);
      const request = test.request(`${daemons} : > /dev/stderr; echo ready; kill -STOP $$; sleep 1000`);
      const running = test.sandbox.launch(request);
      await until(() => Deno.readTextFileSync(`${request.out}.stdout`) !== "", "the action to begin");
      const { initPid } = running;
      running.kill();
      const killed = await running.done;
      killed.work?.[Symbol.dispose]();
      return [left.report.exitCode, killed.exitCode, killed.killed, killed.survivors, kill(initPid, 0)];
    },
    expected: [5, 137, true, 0, false],
  },
  {
    name: "ends an action that was killed in the moment it was started",
    sees: async (test) => {
      const seen = new Set<string>();
      for (let i = 0; i < 20; i++) {
        const running = test.sandbox.launch(test.request("sleep 1000"));
        running.kill();
        const { exitCode, killed, work } = await running.done;
        work?.[Symbol.dispose]();
        seen.add(`${exitCode} ${killed}`);
      }
      return [...seen];
    },
    expected: ["137 true"],
  },
  {
    name: "keeps addresses the same where that is asked for",
    sees: async (test) => {
      const stack = "grep stack /proc/self/maps | cut -d' ' -f1";
      const fixed = [await test.run(stack, { aslr: false }), await test.run(stack, { aslr: false })];
      const random = [await test.run(stack), await test.run(stack)];
      return [fixed[0].stdout === fixed[1].stdout, random[0].stdout === random[1].stdout];
    },
    expected: [true, false],
  },
  {
    name: "sets resource limits",
    sees: async (test) => {
      const rlimits = { nofile: { soft: 50, hard: 60 }, stack: { soft: 1 << 20, hard: 1 << 20 } };
      const own = lines((await test.run("ulimit -Sn; ulimit -Hn; ulimit -s", { rlimits })).stdout);
      const most = { nofile: { soft: Infinity, hard: Infinity }, core: { soft: Infinity, hard: Infinity } };
      return [own, (await test.run("exit 5", { rlimits: most })).report.exitCode];
    },
    expected: [["50", "60", "1024"], 5], // beyond the worker's own limits nothing can be given
  },
  {
    name: "bounds processes and memory even where no control group does",
    sees: async (test) => {
      const bomb = "for i in $(seq 100); do sleep 1000 & done 2>/dev/null; echo survived";
      const many = await test.run(bomb, { limits: { pids: 20 } });
      const hog =
        "python3 -c 'b = bytearray(200 << 20)' 2>/dev/null || perl -e '$x = \"x\" x (200 << 20)' 2>/dev/null";
      const large = await test.run(`${hog} && echo got it`, { limits: { memoryBytes: 64 << 20 } });
      return [many.stdout.includes("survived") && many.report.exitCode === 0, large.stdout];
    },
    expected: [false, ""], // a shell that cannot fork gives up
  },
  {
    name: "refuses what it cannot run before it starts anything",
    sees: (test) => {
      const refused = (more: Partial<SandboxRequest>) => {
        try {
          test.sandbox.launch(test.request("", more)).done.catch(() => undefined);
          return "started";
        } catch (error) {
          return (error as { code?: number }).code;
        }
      };
      return Promise.resolve([
        refused({ argv: [] }),
        refused({ executables: [] }),
        refused({ env: [["", "x"]] }),
        refused({ argv: ["a\0b"] }),
        refused({ lowers: ["/etc"] }),
        refused({ lowers: [`${test.path}/lowers/../out`] }),
        refused({ lowers: [`${test.path}/lowers/a,upperdir=b`] }),
        refused({ writable: { kind: "memory", bytes: 0, inodes: 1 } }),
        refused({ writable: { kind: "disk", path: "/tmp", bytes: 1, inodes: 1 } }),
      ]);
    },
    expected: [3, 3, 3, 3, 3, 3, 3, 3, 3], // INVALID_ARGUMENT
  },
  {
    name: "runs many, eight at a time, and leaves no descriptor, no process and no slot taken",
    sees: async (test) => {
      await test.run("true");
      const before = openDescriptors();
      let begun = 0;
      const codes = new Set<number>();
      await Promise.all(Array.from({ length: 8 }, async () => {
        while (begun++ < MANY) codes.add((await test.run("exit 3")).report.exitCode);
      }));
      return [[...codes], openDescriptors() - before, processesIn(test.dir).length];
    },
    expected: [[3], 0, 0],
  },
  {
    name: "refuses the action for which no slot is free",
    sees: async (test) => {
      const running = Array.from({ length: 8 }, () => test.sandbox.launch(test.request("sleep 1000")));
      let code: number | undefined;
      try {
        test.sandbox.launch(test.request("true"));
      } catch (error) {
        code = (error as { code?: number }).code;
      }
      for (const each of running) each.kill();
      for (const each of running) (await each.done).work?.[Symbol.dispose]();
      return [code, (await test.run("exit 4")).report.exitCode];
    },
    expected: [8, 4], // RESOURCE_EXHAUSTED
  },
  ...HOSTILE_CASES,
];
