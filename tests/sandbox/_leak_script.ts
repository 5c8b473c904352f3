// Runs actions of many kinds, eight at a time, and looks what is left. Arguments: runs. Prints a JSON report.
import { type Cgroups, openCgroups, removeTree, Sandbox, type SandboxRequest } from "@brokkr/sandbox";
import {
  adoptOrphans,
  anonymousBytes,
  controlGroups,
  descendants,
  descriptorNames,
  descriptors,
  mounts,
  settled,
} from "./_resources.ts";

const RUNS = Number(Deno.args[0]);
const IN_FLIGHT = 8;
/** Runs before the first look: code is compiled, caches fill. */
const WARM_UP = Math.min(400, Math.ceil(RUNS / 4));
const NAME = `leak-${Deno.pid}`;

adoptOrphans();
const dir = Deno.makeTempDirSync({ prefix: "brokkr_leak_" });
for (const name of ["lowers", "lowers/input", "disk", "out"]) Deno.mkdirSync(`${dir}/${name}`);
let cgroups: Cgroups | undefined;
try {
  cgroups = openCgroups({ name: NAME });
} catch {
  cgroups = undefined; // an ordinary user may have none
}
const sandbox = await Sandbox.open({
  slots: IN_FLIGHT,
  lowersPath: `${dir}/lowers`,
  diskPath: `${dir}/disk`,
  ...(cgroups === undefined ? {} : { cgroups }),
});

/** A kind of action, and how it ends. */
interface Kind {
  readonly script: string;
  readonly code: number;
  readonly more?: (number: number) => Partial<SandboxRequest>;
  /** Killed by the worker once it is started. */
  readonly kill?: boolean;
}

const KINDS: readonly Kind[] = [
  { script: "exit 0", code: 0 },
  { script: "echo out; echo err >&2; echo file > file; mkdir -p a/b; exit 3", code: 3 },
  { script: "for i in 1 2; do (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; done; exit 4", code: 4 },
  { script: "exit 5", code: 5, more: () => ({ network: "loopback" }) },
  { script: "exit 6", code: 6, more: () => ({ lowers: [] }) },
  { script: "", code: 127, more: () => ({ executables: ["/nowhere"] }) },
  { script: "", code: 127, more: () => ({ cwd: "nowhere" }) },
  { script: "sleep 1000", code: 137, kill: true },
  { script: "kill -SEGV $$", code: 139 },
  {
    script: "echo file > file; mkdir d; exit 7",
    code: 7,
    more: (number) => {
      const path = `${dir}/disk/${number}`;
      Deno.mkdirSync(path);
      return { writable: { kind: "disk", path, bytes: 1 << 20, inodes: 100 } };
    },
  },
];

/** What the heap holds when all garbage is gone. */
function heapBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Deno.memoryUsage().heapUsed;
}

const wrong: string[] = [];
let begun = 0;

async function one(number: number): Promise<void> {
  const kind = KINDS[number % KINDS.length];
  const out = `${dir}/out/${number}`;
  const running = sandbox.launch({
    executables: ["/bin/sh"],
    argv: ["sh", "-c", kind.script],
    env: [["PATH", "/usr/bin:/bin"]],
    cwd: "",
    stdout: { path: `${out}.stdout` },
    stderr: { path: `${out}.stderr` },
    lowers: [`${dir}/lowers/input`],
    writable: { kind: "memory", bytes: 1 << 20, inodes: 100 },
    limits: { memoryBytes: 256 << 20, pids: 50 },
    ...kind.more?.(number),
  });
  if (kind.kill) running.kill();
  const { exitCode, survivors, work } = await running.done;
  work?.[Symbol.dispose]();
  if (exitCode !== kind.code || survivors !== 0) {
    wrong.push(`run ${number}: ${kind.script} ended with ${exitCode}, ${survivors} survive`);
  }
  for (const name of ["stdout", "stderr"]) Deno.removeSync(`${out}.${name}`);
  // Most have no layer on disk, and then there is nothing.
  await removeTree(`${dir}/disk/${number}`);
}

async function run(until: number): Promise<void> {
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (begun < until) await one(begun++);
  }));
}

/** Everything that could be left, countable. */
function holdings(): Record<string, number> {
  return {
    descriptors: descriptors(Deno.pid),
    zygoteDescriptors: descriptors(sandbox.zygotePid),
    processes: descendants(Deno.pid).length,
    mounts: mounts(Deno.pid).filter((line) => line.includes(dir) || / - overlay /.test(line)).length,
    zygoteMounts:
      mounts(sandbox.zygotePid).filter((line) => line.includes(dir) || / - overlay /.test(line)).length,
    controlGroups: controlGroups(NAME).length,
    files: ["lowers/input", "disk", "out"].reduce(
      (sum, at) => sum + [...Deno.readDirSync(`${dir}/${at}`)].length,
      0,
    ),
  };
}

await run(WARM_UP);
// Deno makes a pair of sockets for signals when it comes to it.
Deno.addSignalListener("SIGUSR1", () => {});
const before = holdings();
const names = descriptorNames(Deno.pid);
const heapBefore = heapBytes();
const memoryBefore = anonymousBytes(Deno.pid);
const zygoteBefore = anonymousBytes(sandbox.zygotePid);
const startMs = performance.now();
await run(RUNS);
const ms = performance.now() - startMs;
const more = () => {
  const now = holdings();
  return Object.keys(now).filter((name) => now[name] > before[name]);
};
const left = await settled(() => more().length === 0 ? undefined : "left");
const problems = [
  ...wrong,
  ...left === undefined
    ? []
    : more().map((name) =>
      `${name}: ${before[name]} became ${holdings()[name]}${
        name === "descriptors" ? `: ${names} became ${descriptorNames(Deno.pid)}` : ""
      }`
    ),
];
const memory = {
  heapBytes: heapBytes() - heapBefore,
  workerBytes: anonymousBytes(Deno.pid) - memoryBefore,
  zygoteBytes: anonymousBytes(sandbox.zygotePid) - zygoteBefore,
};
await sandbox.close();
cgroups?.[Symbol.dispose]();
const rest = await settled(() => {
  const processes = descendants(Deno.pid).length;
  const groups = controlGroups(NAME);
  return processes + groups.length === 0 ? undefined : `${processes} processes and ${groups} after closing`;
});
if (rest !== undefined) problems.push(rest);
await removeTree(dir);
console.log(JSON.stringify({
  uid: Deno.uid(),
  cgroups: cgroups?.version,
  runs: begun,
  perSecond: (RUNS - WARM_UP) / ms * 1000,
  memory,
  problems,
}));
Deno.exit();
