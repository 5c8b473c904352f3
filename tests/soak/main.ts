/**
 * `deno task soak`: the randomised tests over and over, each round with new seeds, for as long as is asked. A failure ends
 * it and shows what the test printed, its seed included.
 *
 * Flags: `--minutes=N` (10 by default), `--only=NAME[,NAME]`. Variables that a suite sets, such as `BROKKR_CHAOS_SEEDS`,
 * can be set from outside.
 *
 * @module
 */

/** One kind of test that gains from repetition. */
interface Suite {
  readonly name: string;
  /** What it repeats, for the report. */
  readonly about: string;
  readonly files: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whether what the tests print is shown as it comes. */
  readonly shown?: boolean;
}

const SUITES: readonly Suite[] = [
  {
    name: "scheduler",
    about: "seeded simulations of workers that crash, delay, reorder and repeat (1,000 a round)",
    files: ["control/scheduler/simulation_test.ts"],
    env: { BROKKR_SIM_RUNS: "1000" },
  },
  {
    name: "codecs",
    about: "mutated and truncated messages against both codecs",
    files: ["proto/raw", "proto/codec_test.ts", "proto/oracle_test.ts"],
  },
  { name: "trees", about: "hostile names and trees", files: ["cas/tree", "cas/resource_name_test.ts"] },
  {
    name: "store",
    about: "the store against its model, through crashes, faults and kill -9",
    files: ["cas/store", "cas/metadata"],
  },
  {
    name: "rpc",
    about: "abrupt GOAWAYs, resets and half-closed connections at a server process",
    files: ["proto/rpc"],
  },
  {
    name: "launcher",
    about: "process trees killed at random moments, with and without root",
    files: ["sandbox"],
  },
  {
    name: "sandbox-kills",
    about:
      "worker, zygote, outer process, PID 1 and action killed at random moments (1,000 a round, as root and not)",
    files: ["tests/sandbox/kill_test.ts"],
    env: { BROKKR_KILL_ROUNDS: "1000" },
  },
  {
    name: "sandbox-leaks",
    about:
      "actions of many kinds, eight at a time, after which nothing may be left (10,000 a round, as root and not)",
    files: ["tests/sandbox/leak_test.ts"],
    env: { BROKKR_LEAK_RUNS: "10000" },
  },
  {
    name: "fuzz",
    about: "damaged messages, names and trees (a million in process and a million calls a round)",
    files: ["tests/fuzz"],
    env: { BROKKR_FUZZ_COUNT: "1000000" },
  },
  {
    name: "faults",
    about: "no descriptors, jumping clocks, names that do not resolve, full and read-only disks",
    files: ["tests/faults"],
  },
  {
    name: "store-crash",
    about:
      "a store on a simulated disk that loses, tears and reorders what was not synced (4,000 lives a round)",
    files: ["cas/store/crash_simulation_test.ts"],
    env: { BROKKR_CRASH_SEEDS: "2000", BROKKR_CRASH_FROM: "0" },
  },
  {
    name: "store-kills",
    about: "kill -9 of a store under mixed load, with and without eviction, and its check (100 a round)",
    files: ["tests/faults/store_kills_test.ts"],
    env: { BROKKR_STORE_KILLS: "100" },
  },
  {
    name: "power-cut",
    about: "the power of a machine cut in mid-load, and the store checked after the next boot (50 a round)",
    files: ["tests/vm/power_cut_test.ts"],
    env: { BROKKR_POWER_CUTS: "50" },
  },
  {
    name: "bazel",
    about: "real Bazel: every rule, tests, trees, Ctrl-C, 200 sources and 1,000 actions with both",
    files: ["tests/bazel"],
    env: { BROKKR_BAZEL_ALL: "1" },
  },
  {
    name: "evil",
    about: "every attack on a worker of root and of a plain user (100 times a round)",
    files: ["tests/evil"],
    env: { BROKKR_EVIL_REPEAT: "100" },
  },
  {
    name: "chaos",
    about: "control and workers killed, stopped and ended at seeded moments under load (20 seeds a round)",
    files: ["tests/chaos/chaos_test.ts"],
    env: { BROKKR_CHAOS_SEEDS: "20" },
  },
  {
    name: "chaos-bazel",
    about: "the same while Bazel 2.1.0 and 4.2.3 build (5 seeds each a round)",
    files: ["tests/chaos/bazel_chaos_test.ts"],
    env: { BROKKR_CHAOS_BAZEL_SEEDS: "5" },
  },
  {
    name: "flood",
    about: "uploads of ten times what the store may hold (256 MiB) while Bazel 2.1.0 and 4.2.3 build",
    files: ["tests/bazel/flood_test.ts", "tests/e2e/eviction_test.ts"],
    env: { BROKKR_FLOOD_LIMIT_MIB: "256", BROKKR_FLOOD_MIB_PER_SECOND: "16" },
    shown: true,
  },
];

const ROOT = new URL("../../", import.meta.url).pathname;

function flag(name: string): string | undefined {
  return Deno.args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

/** Reads a stream to its end, and shows it if asked to. */
async function read(stream: ReadableStream<Uint8Array>, shown: boolean): Promise<string> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (shown) await Deno.stderr.write(new TextEncoder().encode(piece));
  }
  return text;
}

/** Runs one suite once; the counts of Deno's last line. Seeds are steps. */
async function round(
  suite: Suite,
): Promise<{ readonly passed: number; readonly steps: number; readonly ms: number }> {
  const start = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--no-check", "--no-prompt", ...suite.files],
    cwd: ROOT,
    env: {
      ...Object.fromEntries(
        Object.entries(suite.env ?? {}).map(([name, value]) => [name, Deno.env.get(name) ?? value]),
      ),
      NO_COLOR: "1",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const texts = await Promise.all(
    [child.stdout, child.stderr].map((from) => read(from, suite.shown === true)),
  );
  const { success } = await child.status;
  const text = texts.join("");
  const counts = /^ok \| (\d+) passed(?: \((\d+) steps?\))?/m.exec(text);
  const passed = Number(counts?.[1] ?? 0);
  if (!success || passed === 0) {
    console.error(text);
    console.error(`Soak failed in ${suite.name}`);
    Deno.exit(1);
  }
  return { passed, steps: Number(counts?.[2] ?? 0), ms: performance.now() - start };
}

const minutes = Number(flag("minutes") ?? 10);
const only = flag("only")?.split(",");
const suites = SUITES.filter(({ name }) => only === undefined || only.includes(name));
if (suites.length === 0 || !(minutes > 0)) {
  console.error(`Usage: soak [--minutes=N] [--only=${SUITES.map(({ name }) => name).join(",")}]`);
  Deno.exit(2);
}
const totals = suites.map((suite) => ({ suite, rounds: 0, passed: 0, steps: 0, ms: 0 }));
const end = performance.now() + minutes * 60_000;
while (performance.now() < end) {
  for (const total of totals) {
    if (performance.now() >= end && total.rounds > 0) break;
    const { passed, steps, ms } = await round(total.suite);
    total.rounds++;
    total.passed += passed;
    total.steps += steps;
    total.ms += ms;
    console.error(
      `${total.suite.name}: round ${total.rounds}, ${passed} tests, ${steps} steps, ${
        (ms / 1000).toFixed(1)
      } s`,
    );
  }
}
console.log(`Deno ${Deno.version.deno}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} cores\n`);
console.log(
  "| suite | what is repeated | rounds | tests passed | steps or seeds passed | failed | minutes |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- |");
for (const { suite, rounds, passed, steps, ms } of totals) {
  console.log(
    `| ${suite.name} | ${suite.about} | ${rounds} | ${passed} | ${steps} | 0 | ${(ms / 60_000).toFixed(1)} |`,
  );
}
