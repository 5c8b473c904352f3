import { assert } from "@std/assert";
import { testUnless } from "../_skip.ts";
import { Claims } from "../faults/_store_claims.ts";
import { replay } from "./_write_log.ts";
import { type KernelOrReason, output, prepareKernel } from "./kernel.ts";
import { explain, Machine, machineReason, makeExt4Image, sparse } from "./machine.ts";

const CUTS = Number(Deno.env.get("BROKKR_POWER_CUTS") ?? 5);
const SEED = Number(Deno.env.get("BROKKR_POWER_CUT_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);
const ROOT = await Deno.realPath(`${import.meta.dirname}/../..`);
const DISK_MIB = 768;
const LOG_MIB = 4096;
/** The power goes after so many lines that say something of a blob. */
const MIN_LINES = 20;
const MAX_LINES = 900;
/** Every third time the store must evict to take what comes. */
const LIMIT_BYTES = 16 << 20;
/** Twenty seconds on a machine that does nothing else, some minutes on one that is overrun. */
const BOOT_LIMIT_MS = 900_000;

const hostReason = await machineReason();
const prepared: KernelOrReason = hostReason === undefined
  ? await prepareKernel(Deno.env.get("BROKKR_TEST_KERNEL"))
  : { reason: hostReason };
const reason = "reason" in prepared ? prepared.reason : undefined;

/** Numbers in [0, 1) that follow from a seed. */
function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return state / 2 ** 32;
  };
}

/** The disk, what was said of the blobs on it, and the machines that use it one after the other. */
class Arena {
  readonly #dir: string;
  readonly #denoDir: string;
  readonly #chance: () => number;
  readonly #claims = new Claims();
  #blobs = 0;
  #evicting = false;

  constructor(dir: string, denoDir: string, seed: number) {
    this.#dir = dir;
    this.#denoDir = denoDir;
    this.#chance = chances(seed);
  }

  /** Boots: checks what the last cut left, and, unless it is the last round, loads the store until the power goes. */
  async round(number: number, last: boolean): Promise<string> {
    if ("reason" in prepared) throw new Error(prepared.reason);
    const [disk, before, log] = ["disk", "before", "log"].map((name) => `${this.#dir}/${name}`);
    const must = this.#claims.mustBeThere(this.#evicting);
    await Deno.writeTextFile(`${this.#dir}/shown/claims`, JSON.stringify(must));
    const evicted = this.#evicting;
    this.#evicting = number % 3 === 2;
    if (evicted || this.#evicting) this.#claims.forget();
    // A copy that leaves holes: the disk is mostly empty.
    await output("cp", ["--sparse=always", disk, before]);
    await sparse(log, LOG_MIB);
    const lines = MIN_LINES + Math.floor(this.#chance() * (MAX_LINES - MIN_LINES));
    const first = this.#blobs;
    const end = await this.#boot(first, disk, log, last ? 0 : lines);
    this.#claims.take(end);
    this.#claims.cut();
    this.#blobs = this.#claims.next(first);
    // Half of what was not flushed survives, in no order.
    const cut = await replay(log, before, () => this.#chance() < 0.5);
    await Deno.remove(log);
    await Deno.rename(before, disk);
    const checked = /^checked (\d+)$/m.exec(end)?.[1];
    return `${must.length} of ${first} blobs had to be there, ${checked} were right; then ${
      end.split("\n").length - 1
    } lines, ${cut.flushed} writes flushed by ${cut.flushes} flushes, ${cut.kept} more kept, ${cut.lost} lost`;
  }

  async #boot(first: number, scratchImage: string, writeLog: string, lines: number): Promise<string> {
    if ("reason" in prepared) throw new Error(prepared.reason);
    const program = [
      ...["deno", "run", "-A", "--no-check", "--cached-only", "--quiet", "tests/faults/_store_load.ts"],
      ...["/run/scratch/data", `${this.#dir}/shown/claims`, String(first)],
      String(this.#evicting ? LIMIT_BYTES : 0),
    ].map((word) => `'${word === "deno" ? Deno.execPath() : word}'`).join(" ");
    await using machine = await Machine.start({
      kernel: prepared.kernel,
      command: `grep -q ' /run/scratch ext4 rw' /proc/mounts || { echo 'no disk'; exit 1; }\n` +
        `cd '${ROOT}' && export DENO_DIR='${this.#denoDir}' NO_COLOR=1 && exec ${program} 2>&1`,
      scratchImage,
      writeLog,
      memoryMiB: 2048,
      timeLimitMs: BOOT_LIMIT_MS,
      visible: [this.#denoDir, Deno.execPath(), `${this.#dir}/shown`],
      snapshots: [ROOT],
    });
    await machine.waitFor((text) => {
      const at = text.search(/^checked \d+$/m);
      return at >= 0 && text.slice(at).split("\n").length > lines + 1;
    });
    const end = await machine.kill();
    assert(end.status === undefined && !end.timedOut, explain(end));
    return end.output;
  }
}

testUnless(
  reason,
  `A machine whose power is cut ${CUTS} times in mid-load has all that its store acknowledged (seed ${SEED})`,
  async (t) => {
    const dir = await Deno.makeTempDir({ prefix: "brokkr_power_" });
    try {
      const info = await output(Deno.execPath(), ["info", "--json"], ROOT);
      const denoDir: string = JSON.parse(info.stdout).denoDir;
      // Transpiled here, where it costs nothing.
      await output(Deno.execPath(), ["cache", "--quiet", "tests/faults/_store_load.ts"], ROOT);
      await Deno.mkdir(`${dir}/shown`);
      await makeExt4Image(`${dir}/disk`, DISK_MIB);
      const arena = new Arena(dir, denoDir, SEED);
      let went = true;
      for (let round = 0; round <= CUTS && went; round++) {
        const startMs = performance.now();
        went = await t.step(round === CUTS ? "what the last one left" : `cut ${round + 1}`, async () => {
          const report = await arena.round(round, round === CUTS);
          console.log(`      ${report}, ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
        });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);
