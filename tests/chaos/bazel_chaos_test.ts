import { testEachBazel } from "../bazel/_grid.ts";
import { bazelRound } from "./_bazel_round.ts";
import { seedsOf } from "./_seeds.ts";

testEachBazel(
  "builds with default retries while control and workers die and stop, and then hits for all of it",
  async (client, t) => {
    for (const seed of seedsOf("BROKKR_CHAOS_BAZEL_SEEDS", 2)) {
      await t.step(`BROKKR_CHAOS_SEED=${seed}`, async () => {
        const { longestOutageMs, gaveUp, struck } = await bazelRound(client, seed);
        const away = `control away for ${Math.round(longestOutageMs)} ms at most`;
        console.log(
          `seed ${seed}: ${away}${gaveUp ? ", for which Bazel gave up" : ""}, ${JSON.stringify(struck)}`,
        );
      });
    }
  },
);
