import { assert } from "@std/assert";
import { Claims } from "./_store_claims.ts";

const ROUNDS = Number(Deno.env.get("BROKKR_STORE_KILLS") ?? 10);
const SEED = Number(Deno.env.get("BROKKR_STORE_KILL_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const PROGRAM = new URL("./_store_load.ts", import.meta.url).pathname;
/** Every third round the store must evict to take what comes. */
const LIMIT_BYTES = 48 << 20;
/** A process is killed after so many lines that say something of a blob. */
const MIN_LINES = 50;
const MAX_LINES = 6000;

/** Numbers in [0, 1) that follow from a seed. */
function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return state / 2 ** 32;
  };
}

Deno.test(`A store killed ${ROUNDS} times under load has all that it acknowledged (seed ${SEED})`, async (t) => {
  const chance = chances(SEED);
  const dir = await Deno.makeTempDir({ prefix: "brokkr-kills-" });
  const claims = new Claims();
  let evicting = false, blobs = 0;
  try {
    await Deno.mkdir(`${dir}/data`);
    for (let round = 0; round <= ROUNDS; round++) {
      const lines = MIN_LINES + Math.floor(chance() * (MAX_LINES - MIN_LINES));
      await t.step(`round ${round}`, async () => {
        const must = claims.mustBeThere(evicting);
        await Deno.writeTextFile(`${dir}/claims`, JSON.stringify(must));
        // Of what was said before, an eviction may take anything: promises end with their process.
        const evicted = evicting;
        evicting = round % 3 === 2;
        if (evicting || evicted) claims.forget();
        const first = blobs;
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", "--quiet", PROGRAM].concat(
            [`${dir}/data`, `${dir}/claims`, String(first), String(evicting ? LIMIT_BYTES : 0)],
          ),
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        const complaints = new Response(child.stderr).text();
        let checked: string | undefined, said = 0, text = "";
        for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
          if (checked === undefined) {
            text += chunk;
            checked = /^checked \d+$/m.exec(text)?.[0];
            if (checked !== undefined) claims.take(text);
          } else claims.take(chunk);
          said += chunk.split("\n").length - 1;
          if (checked !== undefined && (said >= lines || round === ROUNDS)) break;
        }
        let alive = true;
        try {
          child.kill("SIGKILL");
        } catch {
          alive = false;
        }
        await child.status;
        claims.cut();
        const complaint = await complaints;
        assert(alive && checked !== undefined, complaint);
        blobs = claims.next(first);
        console.log(
          `      ${checked} of ${first}, ${must.length} had to be there; killed after ${said} lines`,
        );
      });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
