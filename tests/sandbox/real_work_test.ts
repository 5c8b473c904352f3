import { assertEquals } from "@std/assert";
import { asPlainUser, IS_ROOT, NOBODY } from "../_plain_user.ts";
import { WORK, type Work, type WorkResult, Workshop } from "./_real_work.ts";

/** Compares so that a failure shows what the work printed on its standard error, too. */
function judge(work: Work, result: WorkResult): void {
  const { exitCode, stdout, stderr, oomKills, pidsRefused } = result;
  assertEquals({ exitCode, stdout, oomKills, pidsRefused }, {
    exitCode: 0,
    stdout: work.prints,
    // Without control groups nothing is counted.
    oomKills: oomKills === undefined ? undefined : 0,
    pidsRefused: pidsRefused === undefined ? undefined : 0,
  }, stderr);
}

async function whyNot(): Promise<string | undefined> {
  try {
    await using _ = await Workshop.open();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

const reason = await whyNot();

for (const work of WORK) {
  Deno.test({
    name: `In the sandbox works ${work.name}${reason === undefined ? "" : ` (skipped: ${reason})`}`,
    ignore: reason !== undefined,
    fn: async (t) => {
      await using workshop = await Workshop.open();
      const result = await workshop.run(work);
      await t.step({
        name: result.skipped === undefined
          ? `with${workshop.limited ? "" : "out"} control groups`
          : `(skipped: ${result.skipped})`,
        ignore: result.skipped !== undefined,
        fn: () => judge(work, result),
      });
    },
  });
}

Deno.test({
  name: "In the sandbox of a user without privileges works" +
    (IS_ROOT ? "" : " (skipped: without root all the other tests show it)"),
  ignore: !IS_ROOT,
  fn: async (t) => {
    const found = JSON.parse(await asPlainUser("tests/sandbox/_real_work_as_plain_user.ts")) as {
      uid: number;
      unavailable?: string;
      results: Record<string, WorkResult>;
    };
    assertEquals(found.uid, NOBODY);
    for (const work of WORK) {
      const result = found.results[work.name];
      const skipped = found.unavailable ?? result.skipped;
      await t.step({
        name: skipped === undefined ? work.name : `${work.name} (skipped: ${skipped})`,
        ignore: skipped !== undefined,
        fn: () => judge(work, result),
      });
    }
  },
});
