import { assertEquals, assertGreater } from "@std/assert";
import { chaosRound } from "./_round.ts";
import { planOf } from "./_plan.ts";
import { seedsOf } from "./_seeds.ts";

Deno.test("The same seed makes the same plan, and every plan strikes control and a worker", () => {
  for (let seed = 0; seed < 200; seed++) {
    const plan = planOf(seed);
    assertEquals(planOf(seed), plan);
    assertGreater(plan.control.length, 0);
    assertGreater(plan.worker.flat().length, 0);
    assertEquals(plan.worker.length, plan.workers);
  }
});

Deno.test("Whatever dies or stops, what was acknowledged is there and right, and nothing is left behind", async (t) => {
  for (const seed of seedsOf("BROKKR_CHAOS_SEEDS", 10)) {
    await t.step(`BROKKR_CHAOS_SEED=${seed}`, async () => {
      const { counts, longestOutageMs } = await chaosRound(seed);
      console.log(
        `seed ${seed}: control away for ${Math.round(longestOutageMs)} ms at most, ${JSON.stringify(counts)}`,
      );
      assertGreater(counts["blobs acknowledged"], 0);
      assertGreater(counts["actions acknowledged"], 0);
    });
  }
});
