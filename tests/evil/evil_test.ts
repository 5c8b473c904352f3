import { assert } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { unfit } from "./_machine.ts";
import { evilRound, withoutSandbox } from "./round.ts";

/** On a machine that is emulated everything takes twenty times as long: there it is about its control groups. */
const EMULATED = Deno.env.get("BROKKR_TEST_MACHINE") !== undefined;
/** How often each attack is run. */
const REPEAT = Number(Deno.env.get("BROKKR_EVIL_REPEAT") ?? (EMULATED ? 1 : 5));

const reason = await unfit();

for (const way of ["root", "plain user"] as const) {
  testUnless(
    reason,
    `No attack succeeds against a worker of ${way === "root" ? "root" : "a plain user"}`,
    async (t) => {
      const failed: string[] = [];
      await evilRound(way, { repeat: REPEAT, limitsOnly: EMULATED }, async (name, attack) => {
        if (!await t.step({ name, fn: attack, sanitizeOps: false, sanitizeResources: false })) {
          failed.push(name);
        }
      });
      assert(failed.length === 0, `Not held: ${failed.join(", ")}`);
    },
  );
}

testUnless(reason, "Attacks that are harmless succeed where there is no sandbox", async () => {
  const shown = await withoutSandbox();
  assert(shown >= 80, `Only ${shown} probes came further without a sandbox`);
});
