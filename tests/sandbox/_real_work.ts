/**
 * Work as builds do it, in the real sandbox with its limits on. Each piece says what it printed; nothing here needs a test
 * library, so that a process of another user can run it.
 *
 * @module
 */

import { type Bind, type Cgroups, defaultBinds, openCgroups, Sandbox } from "@brokkr/sandbox";
import { CMAKE, GO, JAVA, MAKEFILE, NODE, PYTHON, RUST, THREADS_C, THREADS_CC } from "./_work_sources.ts";

/** One piece of work. */
export interface Work {
  readonly name: string;
  /** Programs of the host's that it needs, as paths; it is skipped without them. */
  readonly needs: readonly string[];
  /** Input files. */
  readonly files?: Readonly<Record<string, string>>;
  /** A shell script. */
  readonly script: string;
  /** All that the script prints. */
  readonly prints: string;
  /** Environment beside the usual. */
  readonly env?: readonly (readonly [string, string])[];
  /** Its network; none by default. */
  readonly network?: "loopback";
}

/** How a piece of work went. */
export interface WorkResult {
  /** Why it was not run. */
  readonly skipped?: string;
  readonly exitCode?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly oomKills?: number;
  readonly pidsRefused?: number;
}

/** Where toolchains that a user installed for themselves are shown to actions. */
const RUST_PATH = "/opt/rust";

/** Toolchains outside /usr that this user may show to actions. */
export function extraBinds(): Bind[] {
  const home = Deno.env.get("HOME") ?? "";
  const candidates = [`${home}/.rustup/toolchains/stable-${Deno.build.target}`, "/usr/local/rust"];
  const found = candidates.find((path) => exists(`${path}/bin/rustc`));
  return found === undefined ? [] : [{ source: found, target: RUST_PATH }];
}

/** Whether a program is there, as the host sees what the sandbox shows. */
function present(program: string, binds: readonly Bind[]): boolean {
  const bind = binds.find(({ target, source }) => program.startsWith(`${target ?? source}/`));
  if (bind === undefined) return exists(program);
  return exists(bind.source + program.slice((bind.target ?? bind.source).length));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

const PART = { "part.c": "int part(void) { return 7; }\n" };

/** All of it. */
export const WORK: readonly Work[] = [
  {
    name: "gcc with pthreads: compiles, links, archives and runs",
    needs: ["/usr/bin/gcc"],
    files: { "threads.c": THREADS_C, ...PART },
    script: "gcc -O2 -g -pthread -flto -o threads threads.c; ./threads; gcc -c -pipe -o part.o part.c; " +
      "ar rcs libpart.a part.o; gcc -shared -fPIC -o libpart.so part.c; objdump -d libpart.so > dump; " +
      "strip threads; ./threads; gcc -save-temps -static -pthread -o fixed threads.c; ./fixed",
    prints: "8000\n8000\n8000\n",
  },
  {
    name: "g++ with threads, futures, files and a precompiled header",
    needs: ["/usr/bin/g++"],
    files: { "main.cc": THREADS_CC, "all.h": "#include <vector>\n#include <string>\n" },
    script: "g++ -O1 -std=c++17 -pthread -o main main.cc; ./main; cp all.h pre.h; g++ -o pre.h.gch pre.h; " +
      "test -s pre.h.gch",
    prints: "281\n",
  },
  {
    name: "make, eight jobs at a time",
    needs: ["/usr/bin/make", "/usr/bin/gcc"],
    files: {
      "Makefile": MAKEFILE,
      "main.c": '#include <stdio.h>\nint part24(void);\nint main(void) { printf("%d\\n", part24()); }\n',
    },
    script: "make -s -j8; make -j8 -q && echo up to date; ls part*.o | wc -l",
    prints: "24\nup to date\n24\n",
  },
  {
    name: "python3: subprocess, multiprocessing by fork and spawn, threads, temporary files, sqlite",
    needs: ["/usr/bin/python3"],
    files: { "main.py": PYTHON },
    script: "/usr/bin/python3 main.py; /usr/bin/python3 -m compileall -q main.py; ls __pycache__ | wc -l",
    prints: "328350\n285\n285\n42\nfrom a child\n5\ne3b0c442 1 1000\n1\n",
  },
  {
    name: "node: worker threads, child processes, files, sockets of loopback and of files",
    needs: ["/usr/bin/node"],
    files: { "main.js": NODE },
    script: "node main.js",
    prints: "42\nchild\nforked\n1048576 1\npacked\nserved\nlocal\n",
    network: "loopback",
  },
  {
    name: "java: javac, jar, threads, parallel streams, a child process",
    needs: ["/usr/bin/javac"],
    files: { "Main.java": JAVA },
    script:
      "javac Main.java; jar cfe main.jar Main *.class; java -jar main.jar; java -XX:+UseSerialGC -cp . Main",
    prints: "4950\n499500\nchild\ntextbrokkr\n".repeat(2),
  },
  {
    name: "git: init, commit, branch, merge, clone, gc, archive",
    needs: ["/usr/bin/git"],
    script: "export HOME=/tmp GIT_CONFIG_NOSYSTEM=1; git config --global user.name b; " +
      "git config --global user.email b@example.com; git config --global init.defaultBranch main; " +
      "git init -q one; cd one; for i in $(seq 50); do echo $i > file; git add file; git commit -q -m $i; done; " +
      "git checkout -q -b side; echo s > side; git add side; git commit -q -m side; git checkout -q main; " +
      "git merge -q --no-ff -m merged side; git gc -q; git fsck --strict 2>/dev/null; cd ..; git clone -q one two; " +
      "cd two; git rev-list --count HEAD; git archive HEAD | tar t | sort; git status --short; git grep -c s -- side",
    prints: "52\nfile\nside\nside:1\n",
  },
  {
    name: "tar and gzip: the same twice",
    needs: ["/usr/bin/tar", "/usr/bin/gzip"],
    files: { "a": "a\n", "d/b": "b\n", "d/e/c": "c\n".repeat(1000) },
    script: "for i in 1 2; do mkdir /tmp/t$i; cp -r a d /tmp/t$i; touch /tmp/t$i/d/new; " +
      "tar --sort=name --mtime=@$SOURCE_DATE_EPOCH -C /tmp/t$i -cz . > $i.tgz; tar -cz a d > in$i.tgz; done; " +
      "cmp 1.tgz 2.tgz && cmp in1.tgz in2.tgz && echo same; tar tvzf in1.tgz a | tr -s ' '; tar xzf 1.tgz -C /tmp; cat /tmp/d/b; " +
      "xz -T2 -k 1.tgz; test -s 1.tgz.xz",
    prints: "same\n-r--r--r-- brokkr/brokkr 2 2000-01-01 00:00 a\nb\n",
  },
  {
    name: "rustc: compiles, links and runs",
    needs: [`${RUST_PATH}/bin/rustc`, "/usr/bin/gcc"],
    files: { "main.rs": RUST },
    script: `${RUST_PATH}/bin/rustc -O -C codegen-units=4 main.rs; ./main`,
    prints: "28 child\n",
  },
  {
    name: "rustc of the system: compiles, links and runs",
    needs: ["/usr/bin/rustc", "/usr/bin/gcc"],
    files: { "main.rs": RUST },
    script: "rustc -O main.rs; ./main",
    prints: "28 child\n",
  },
  {
    name: "go: builds, vets and runs",
    needs: ["/usr/local/go/bin/go"],
    files: { "main.go": GO, "go.mod": "module example.com/main\ngo 1.18\n" },
    script: "go build -o main . && ./main; go vet .",
    prints: "4950 child\n",
    env: [["PATH", "/usr/local/go/bin:/usr/bin:/bin"], ["HOME", "/tmp"], ["GOCACHE", "/tmp/go"], [
      "GOFLAGS",
      "-mod=mod",
    ]],
  },
  {
    name: "go of the system: builds and runs",
    needs: ["/usr/bin/go"],
    files: { "main.go": GO, "go.mod": "module example.com/main\ngo 1.18\n" },
    script: "go build -o main . && ./main",
    prints: "4950 child\n",
    env: [["HOME", "/tmp"], ["GOCACHE", "/tmp/go"], ["GOFLAGS", "-mod=mod"]],
  },
  {
    name: "a shell: pipelines, jobs, traps, here documents, FIFOs",
    needs: ["/bin/bash"],
    script:
      "seq 100000 | sort -rn --parallel=2 | head -n 1; mkfifo pipe; (echo through > pipe &); cat pipe; " +
      "cat <<< here; for i in 1 2 3; do (exit $i) & done; wait; trap 'echo trapped' USR1; kill -USR1 $$; " +
      "timeout 60 sh -c 'echo timed'; yes | head -n 3 | xargs -n1 -P4 echo | wc -l; " +
      "diff <(echo a) <(echo a) && echo alike; find /usr/bin -maxdepth 1 -name env | wc -l; stdbuf -o0 echo raw; " +
      "nice -n 5 echo nice; awk 'BEGIN { print 6*7 }'; date -u -d @0 +%Y; mktemp -d > /dev/null; df . > /dev/null",
    prints: "100000\nthrough\nhere\ntrapped\ntimed\n3\nalike\n1\nraw\nnice\n42\n1970\n",
  },
  {
    name: "perl: forks, pipes, waits, looks up users",
    needs: ["/usr/bin/perl"],
    script:
      `perl -e 'use IPC::Open3; use File::Temp; use POSIX; my $p = fork; exit 3 if !$p; waitpid $p, 0; ` +
      `print $? >> 8, "\\n"; print \`echo piped\`; print +(getpwuid $<)[0], "\\n"; printf "%s\\n", strftime("%Z", localtime 0)'`,
    prints: "3\npiped\nbrokkr\nUTC\n",
  },
  {
    name: "cmake and ninja: configure, build, test",
    needs: ["/usr/bin/cmake", "/usr/bin/ninja", "/usr/bin/g++"],
    files: {
      "CMakeLists.txt": CMAKE,
      "main.cc": 'extern "C" int part();\nint main() { return part() - 7; }\n',
      ...PART,
    },
    script: "cmake -G Ninja -B out -S . > log; ninja -C out >> log; cd out; ctest -Q; ls main libpart.a",
    prints: "libpart.a\nmain\n",
  },
  {
    name: "cmake and make: configure, build",
    needs: ["/usr/bin/cmake", "/usr/bin/make", "/usr/bin/g++"],
    files: {
      "CMakeLists.txt": CMAKE,
      "main.cc": 'extern "C" int part();\nint main() { return part() - 7; }\n',
      ...PART,
    },
    script: "cmake -B out -S . > log; cmake --build out --parallel 4 >> log; out/main && echo runs",
    prints: "runs\n",
  },
  {
    name: "sqlite3: a database with a write-ahead log",
    needs: ["/usr/bin/sqlite3"],
    script: "sqlite3 db 'pragma journal_mode=wal; create table t (x); insert into t values (1), (2); " +
      "select sum(x) from t; vacuum;'; sqlite3 db 'pragma integrity_check'",
    prints: "wal\n3\nok\n",
  },
  {
    name: "openssl: keys, certificates, digests",
    needs: ["/usr/bin/openssl"],
    script:
      "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1 -subj /CN=brokkr 2> /dev/null; " +
      "openssl x509 -in cert -noout -subject; echo -n | openssl dgst -sha256 -r | cut -c1-8",
    prints: "subject=CN = brokkr\ne3b0c442\n",
  },
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ["PATH", "/usr/bin:/bin"],
  ["TZ", "UTC"],
  ["LANG", "C.UTF-8"],
  ["SOURCE_DATE_EPOCH", "946684800"],
];

/** Runs pieces of work in one sandbox, one after the other. */
export class Workshop implements AsyncDisposable {
  readonly #path: string;
  readonly #binds: readonly Bind[];
  readonly #sandbox: Sandbox;
  readonly #cgroups: Cgroups | undefined;
  #count = 0;

  private constructor(path: string, binds: readonly Bind[], sandbox: Sandbox, cgroups: Cgroups | undefined) {
    this.#path = path;
    this.#binds = binds;
    this.#sandbox = sandbox;
    this.#cgroups = cgroups;
  }

  /** Opens one, with control groups where there are any. */
  static async open(): Promise<Workshop> {
    const path = Deno.makeTempDirSync({ prefix: "brokkr_work_" });
    for (const name of ["lowers", "out"]) Deno.mkdirSync(`${path}/${name}`);
    let cgroups: Cgroups | undefined;
    try {
      cgroups = openCgroups({ name: `real-work-${Deno.pid}` });
    } catch {
      cgroups = undefined; // an ordinary user may have none: then the work goes without those limits
    }
    const binds = extraBinds();
    try {
      const sandbox = await Sandbox.open({
        slots: 1,
        lowersPath: `${path}/lowers`,
        binds: [...defaultBinds(), ...binds],
        ...(cgroups === undefined ? {} : { cgroups }),
      });
      return new Workshop(path, binds, sandbox, cgroups);
    } catch (error) {
      cgroups?.[Symbol.dispose]();
      Deno.removeSync(path, { recursive: true });
      throw error;
    }
  }

  /** Whether the limits of control groups hold. */
  get limited(): boolean {
    return this.#cgroups !== undefined;
  }

  /** Does one piece of work. */
  async run(work: Work): Promise<WorkResult> {
    const missing = work.needs.find((program) => !present(program, this.#binds));
    if (missing !== undefined) return { skipped: `${missing} is not installed` };
    const number = ++this.#count;
    const input = `${this.#path}/lowers/${number}`;
    layOut(input, work.files ?? {});
    const out = `${this.#path}/out/${number}`;
    const own = new Map(work.env ?? []);
    const shell = work.needs.includes("/bin/bash") ? "/bin/bash" : "/bin/sh";
    const report = await this.#sandbox.launch({
      executables: [shell],
      argv: [shell, "-ec", work.script],
      env: [...ENVIRONMENT.filter(([name]) => !own.has(name)), ...own],
      cwd: "",
      stdout: { path: `${out}.stdout` },
      stderr: { path: `${out}.stderr` },
      lowers: [input],
      writable: { kind: "memory", bytes: 2 ** 30, inodes: 100_000 },
      limits: { memoryBytes: 2 * 2 ** 30, pids: 512 },
      ...(work.network === undefined ? {} : { network: work.network }),
    }).done;
    report.work?.[Symbol.dispose]();
    return {
      exitCode: report.exitCode,
      stdout: Deno.readTextFileSync(`${out}.stdout`),
      stderr: (report.failedStep?.message ?? "") + Deno.readTextFileSync(`${out}.stderr`),
      oomKills: report.usage?.oomKills,
      pidsRefused: report.usage?.pidsRefused,
    };
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sandbox.close();
    this.#cgroups?.[Symbol.dispose]();
    Deno.removeSync(this.#path, { recursive: true });
  }
}

const EPOCH_SECONDS = 946_684_800;

/** Lays files out as inputs are: read-only, and of one time. */
function layOut(root: string, files: Readonly<Record<string, string>>): void {
  Deno.mkdirSync(root, { mode: 0o755 });
  for (const [name, content] of Object.entries(files)) {
    const path = `${root}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
    Deno.writeTextFileSync(path, content);
    Deno.chmodSync(path, 0o444);
    Deno.utimeSync(path, EPOCH_SECONDS, EPOCH_SECONDS);
  }
  for (const name of new Set(Object.keys(files).map((path) => path.split("/").slice(0, -1).join("/")))) {
    if (name !== "") Deno.utimeSync(`${root}/${name}`, EPOCH_SECONDS, EPOCH_SECONDS);
  }
}
