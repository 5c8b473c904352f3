// A worker that somebody kills: opens a sandbox, then does what each line of its input asks, and answers with a line.
// Arguments: directory, name of its control groups.
import { type Cgroups, openCgroups, Sandbox, type SandboxedProcess } from "@brokkr/sandbox";

const [dir, name] = Deno.args;
let cgroups: Cgroups | undefined;
try {
  cgroups = openCgroups({ name });
} catch {
  cgroups = undefined; // an ordinary user may have none
}
const sandbox = await Sandbox.open({
  slots: 4,
  lowersPath: `${dir}/lowers`,
  diskPath: `${dir}/disk`,
  ...(cgroups === undefined ? {} : { cgroups }),
});
const DAEMONS =
  "for i in 1 2; do (setsid sh -c 'trap \"\" TERM HUP; sleep 1000; sleep 1000' &) ; done; sleep 1000";
const out = new TextEncoder();
let running: Promise<string>[] = [];
let trees: SandboxedProcess[] = [];
let count = 0;

function say(value: unknown): void {
  Deno.stdout.writeSync(out.encode(`${JSON.stringify(value)}\n`));
}

function launch(): void {
  const number = ++count;
  const disk = `${dir}/disk/${Deno.pid}-${number}`;
  if (number % 2 === 0) Deno.mkdirSync(disk);
  try {
    const tree = sandbox.launch({
      executables: ["/bin/sh"],
      argv: ["sh", "-c", DAEMONS],
      env: [["PATH", "/usr/bin:/bin"]],
      cwd: "",
      stdout: { path: `${dir}/out/stdout` },
      stderr: { path: `${dir}/out/stderr` },
      lowers: [`${dir}/lowers/input`],
      writable: number % 2 === 0
        ? { kind: "disk", path: disk, bytes: 1 << 20, inodes: 100 }
        : { kind: "memory", bytes: 1 << 20, inodes: 100 },
      network: number % 3 === 0 ? "loopback" : "none",
      limits: { memoryBytes: 256 << 20, pids: 50 },
    });
    trees.push(tree);
    running.push(tree.done.then((report) => {
      report.work?.[Symbol.dispose]();
      return `${report.exitCode} ${report.survivors}`;
    }, (error) => `${error}`));
  } catch (error) {
    running.push(Promise.resolve(`${error}`));
  }
}

say({});
const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
for await (const text of input) {
  const request = text.trim();
  if (request === "launch") {
    launch();
    launch();
    say({});
  } else if (request === "settle") {
    for (const tree of trees) tree.kill();
    const ends = await Promise.all(running);
    running = [];
    trees = [];
    say({ ends });
  } else {
    await sandbox.close();
    cgroups?.[Symbol.dispose]();
    say({});
    break;
  }
}
// Whoever gave the orders has gone, or has asked for the end.
Deno.exit();
