import { assertEquals } from "@std/assert";
import { asPlainUser, IS_ROOT } from "../_plain_user.ts";
import { whyNoSandbox } from "./_available.ts";

const ROUNDS = Number(Deno.env.get("BROKKR_KILL_ROUNDS") ?? 50);
const SEED = Number(Deno.env.get("BROKKR_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);

interface Report {
  readonly uid: number;
  readonly killed: Record<string, number>;
  readonly spreadMs: number;
  readonly problems: readonly string[];
}

const reason = await whyNoSandbox();

function judge(text: string, rounds: number): void {
  const report = JSON.parse(text) as Report;
  const kills = Object.values(report.killed).reduce((a, b) => a + b, 0);
  console.log(
    `Seed ${SEED}: killed ${JSON.stringify(report.killed)} within ${report.spreadMs.toFixed(1)} ms`,
  );
  assertEquals({ problems: report.problems, kills }, { problems: [], kills: rounds });
}

Deno.test({
  name: `Whoever of a sandbox is killed, and whenever: nothing stays${
    reason === undefined ? "" : ` (skipped: ${reason})`
  }`,
  ignore: reason !== undefined,
  fn: async () => {
    console.log(`Seed ${SEED}; BROKKR_SEED=${SEED} repeats it`);
    const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-all",
        "--no-check",
        "--no-lock",
        new URL("_kill_script.ts", import.meta.url).pathname,
        String(ROUNDS),
        String(SEED),
      ],
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    judge(new TextDecoder().decode(stdout), ROUNDS);
  },
});

Deno.test({
  name: "Whoever of a plain user's sandbox is killed, and whenever: nothing stays" +
    (IS_ROOT ? "" : " (skipped: without root the other test shows it)"),
  ignore: !IS_ROOT || reason !== undefined,
  fn: async () => {
    judge(await asPlainUser("tests/sandbox/_kill_script.ts", [String(ROUNDS), String(SEED)]), ROUNDS);
  },
});
