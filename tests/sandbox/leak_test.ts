import { assert, assertEquals } from "@std/assert";
import { asPlainUser, IS_ROOT } from "../_plain_user.ts";
import { whyNoSandbox } from "./_available.ts";

const RUNS = Number(Deno.env.get("BROKKR_LEAK_RUNS") ?? 1000);
/** What a garbage-collected heap may have grown by, whatever the number of runs. */
const MAX_GROWTH_BYTES = 64 << 20;

interface Report {
  readonly uid: number;
  readonly cgroups?: string;
  readonly runs: number;
  readonly perSecond: number;
  readonly memory: { readonly workerBytes: number; readonly zygoteBytes: number };
  readonly problems: readonly string[];
}

function judge(text: string): void {
  const { runs, problems, memory, perSecond, cgroups } = JSON.parse(text) as Report;
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `${runs} runs, ${perSecond.toFixed(0)} a second, control groups: ${
      cgroups ?? "none"
    }; the worker grew by ${mib(memory.workerBytes)} MiB, the zygote by ${memory.zygoteBytes} bytes`,
  );
  assertEquals({ runs, problems }, { runs: RUNS, problems: [] });
  assert(memory.workerBytes < MAX_GROWTH_BYTES, `the worker grew by ${mib(memory.workerBytes)} MiB`);
  // It has no heap to grow.
  assert(memory.zygoteBytes <= 64 << 10, `the zygote grew by ${memory.zygoteBytes} bytes`);
}

const reason = await whyNoSandbox();

Deno.test({
  name: `Of ${RUNS} actions, eight at a time, nothing stays${
    reason === undefined ? "" : ` (skipped: ${reason})`
  }`,
  ignore: reason !== undefined,
  fn: async () => {
    const script = new URL("_leak_script.ts", import.meta.url).pathname;
    const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--no-check", "--no-lock", script, String(RUNS)],
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    judge(new TextDecoder().decode(stdout));
  },
});

Deno.test({
  name: `Of ${RUNS} actions of a plain user, eight at a time, nothing stays` +
    (IS_ROOT ? "" : " (skipped: without root the other test shows it)"),
  ignore: !IS_ROOT || reason !== undefined,
  fn: async () => judge(await asPlainUser("tests/sandbox/_leak_script.ts", [String(RUNS)])),
});
