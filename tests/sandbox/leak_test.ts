import { assert, assertEquals } from "@std/assert";
import { asPlainUser, IS_ROOT } from "../_plain_user.ts";
import { whyNoSandbox } from "./_available.ts";

const RUNS = Number(Deno.env.get("BROKKR_LEAK_RUNS") ?? 1000);
/** What the heap may have grown by after a collection, whatever the number of runs. */
const MAX_HEAP_BYTES = 4 << 20;
/** What the process may have grown by: its heap keeps room for garbage. */
const MAX_GROWTH_BYTES = 128 << 20;

interface Report {
  readonly uid: number;
  readonly cgroups?: string;
  readonly runs: number;
  readonly perSecond: number;
  readonly memory: { readonly heapBytes: number; readonly workerBytes: number; readonly zygoteBytes: number };
  readonly problems: readonly string[];
}

function judge(text: string): void {
  const { runs, problems, memory, perSecond, cgroups } = JSON.parse(text) as Report;
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `${runs} runs, ${perSecond.toFixed(0)} a second, control groups: ${
      cgroups ?? "none"
    }; the worker grew by ${mib(memory.workerBytes)} MiB, its heap by ${
      mib(memory.heapBytes)
    } MiB, the zygote by ${memory.zygoteBytes} bytes`,
  );
  assertEquals({ runs, problems }, { runs: RUNS, problems: [] });
  assert(memory.heapBytes < MAX_HEAP_BYTES, `the worker's heap grew by ${mib(memory.heapBytes)} MiB`);
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
      args: ["run", "--allow-all", "--no-check", "--no-lock", "--v8-flags=--expose-gc", script, String(RUNS)],
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
