// Kills workers, zygotes, outer processes, PID 1s and actions at random moments and looks what is left. Arguments: rounds,
// seed. Prints a JSON report.
import { removeTree } from "@brokkr/sandbox";
import {
  adoptOrphans,
  controlGroups,
  descendants,
  descriptorNames,
  kill9,
  mounts,
  type Process,
  Random,
  reapOrphans,
  settled,
} from "./_resources.ts";

const ROUNDS = Number(Deno.args[0]);
const SEED = Number(Deno.args[1]);
const random = new Random(SEED);
const NAME = `kill-${Deno.pid}-${SEED}`;
const TARGETS = ["worker", "zygote", "outer", "init", "action"] as const;
type Target = typeof TARGETS[number];

const problems: string[] = [];
const killed: Record<string, number> = {};
const dir = Deno.makeTempDirSync({ prefix: "brokkr_kill_" });
for (const name of ["lowers", "lowers/input", "disk", "out"]) Deno.mkdirSync(`${dir}/${name}`);

interface Answer {
  readonly ends?: readonly string[];
}

/** A worker process. */
class Worker {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  #rest = "";
  /** What it holds when nothing runs. */
  idle: readonly string[] = [];

  private constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--no-check",
        "--no-lock",
        `--config=${new URL("../../deno.json", import.meta.url).pathname}`,
        new URL("_kill_worker.ts", import.meta.url).pathname,
        dir,
        NAME,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#input = this.#child.stdin.getWriter();
  }

  static async start(): Promise<Worker> {
    const worker = new Worker();
    console.error("hear");
    await worker.hear();
    console.error("heard");
    // The first actions make it load what it then keeps.
    await worker.ask("launch");
    await worker.ask("settle");
    worker.idle = descriptorNames(worker.pid);
    return worker;
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #answer(): Promise<Answer> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("The worker ended");
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(line);
  }

  async tell(request: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${request}\n`));
  }

  async ask(request: string): Promise<Answer> {
    await this.tell(request);
    return await this.#answer();
  }

  /** The answer to what was told before. */
  async hear(): Promise<void> {
    await this.#answer();
  }

  async gone(): Promise<void> {
    await this.#lines.cancel().catch(() => undefined);
    await this.#input.abort().catch(() => undefined);
    await this.#child.status;
  }
}

function childOf(all: readonly Process[], parent: number): number | undefined {
  const children = all.filter((process) => process.parent === parent && process.state !== "Z");
  return children.length === 0 ? undefined : random.of(children).pid;
}

/** The process to kill, if it is there by now. */
function find(target: Target, worker: Worker): number | undefined {
  if (target === "worker") return worker.pid;
  const all = descendants(worker.pid);
  let pid: number | undefined = worker.pid;
  for (const step of TARGETS.slice(1)) {
    pid = pid === undefined ? undefined : childOf(all, pid);
    if (step === target) break;
  }
  return pid;
}

function zygoteOf(worker: Worker): number | undefined {
  return descendants(worker.pid).find(({ parent, state }) => parent === worker.pid && state !== "Z")?.pid;
}

function spin(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** From the request until the action runs: what the random delays are spread over. */
async function launchMs(worker: Worker): Promise<number> {
  const start = performance.now();
  await worker.tell("launch");
  await settled(() => find("action", worker) === undefined ? "no action" : undefined);
  const ms = performance.now() - start;
  console.error("hear");
  await worker.hear();
  console.error("heard");
  await worker.ask("settle");
  return ms;
}

function left(worker: Worker | undefined): string | undefined {
  reapOrphans(new Set(worker === undefined ? [] : [worker.pid]));
  // A worker has one child that stays, the zygote; it makes a new one when it needs it.
  const expected = new Set(worker === undefined ? [] : [worker.pid, zygoteOf(worker)]);
  const more = descendants(Deno.pid).filter(({ pid }) => !expected.has(pid));
  if (more.length > 0) return `processes: ${more.map((p) => `${p.pid} ${p.name} ${p.state}`).join(", ")}`;
  const changed = mounts(Deno.pid).filter((line) => !mountsBefore.has(line));
  if (changed.length > 0) return `mounts: ${changed.join("; ")}`;
  if (worker === undefined) return undefined;
  const groups = controlGroups(NAME).filter((path) => path.includes("/action-"));
  if (groups.length > 0) return `control groups: ${groups.join(", ")}`;
  const before = [...worker.idle];
  const added = descriptorNames(worker.pid).filter((kind) => {
    const index = before.indexOf(kind);
    if (index >= 0) before.splice(index, 1);
    return index < 0;
  });
  // Deno makes a pair of sockets for signals when it comes to it; what leaks does so again and again.
  return added.length <= before.length + 2
    ? undefined
    : `descriptors: ${added.join(", ")} instead of ${before}`;
}

async function round(number: number, worker: Worker, spread: number): Promise<Worker> {
  const target = random.of(TARGETS);
  const delay = random.next() * spread;
  await worker.tell("launch");
  spin(delay);
  let pid: number | undefined;
  await settled(() => (pid = find(target, worker)) === undefined ? "nobody yet" : undefined, 20_000);
  if (pid === undefined) throw new Error(`Round ${number}: there was never a process to kill as ${target}`);
  kill9(pid);
  killed[target] = (killed[target] ?? 0) + 1;
  const about = `round ${number}, ${target} after ${delay.toFixed(2)} ms`;
  console.error(performance.now().toFixed(0), about);
  if (target === "worker") {
    await worker.gone();
    const rest = await settled(() => left(undefined), 3000);
    if (rest !== undefined) {
      problems.push(`${about}: ${rest}`);
      console.error(about, rest);
    }
    return await Worker.start();
  }
  console.error("hear");
  await worker.hear();
  console.error("heard");
  const { ends } = await worker.ask("settle");
  for (const end of ends ?? []) {
    if (!/^137 0$|UNAVAILABLE|No process could be made/.test(end)) {
      problems.push(`${about}: ended with ${end}`);
    }
  }
  console.error("settled", ends);
  const rest = await settled(() => left(worker), 3000);
  if (rest !== undefined) {
    problems.push(`${about}: ${rest}`);
    console.error(about, rest);
  }
  return worker;
}

adoptOrphans();
const mountsBefore = new Set(mounts(Deno.pid));
let worker = await Worker.start();
const spread = await launchMs(worker) * 1.2;
for (let number = 1; number <= ROUNDS; number++) worker = await round(number, worker, spread);
await worker.ask("close");
await worker.gone();
const rest = await settled(() => left(undefined), 3000) ??
  await settled(() => {
    const groups = controlGroups(NAME);
    return groups.length === 0 ? undefined : `control groups: ${groups.join(", ")}`;
  });
if (rest !== undefined) problems.push(`at the end: ${rest}`);
await removeTree(dir);
console.log(JSON.stringify({ uid: Deno.uid(), killed, spreadMs: spread, problems }));
