/**
 * One round of all attacks against one worker: from inside it must be refused as the table says, from outside nothing may
 * have changed, and the worker must serve the next action.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  assertServes,
  begin,
  type Facts,
  type Files,
  type Place,
  run,
  told,
  type Way,
  withPlace,
} from "./_arena.ts";
import type { Assault, Expected, Probes, Ran } from "./_attack.ts";
import { ASSAULTS, INPUT_NAMES, INPUTS, ORIGINALS, PROBES } from "./attacks.ts";
import {
  assertAsBefore,
  assertCacheUnchanged,
  type Bait,
  cachedInodes,
  type Inode,
  layBait,
  type Look,
  look,
} from "./_host.ts";
import { compiled } from "./_machine.ts";

/** Tells of each attack, and runs it. */
export type Step = (name: string, attack: () => Promise<void>) => Promise<void>;

/** What a place looked like before it was attacked. */
interface Before {
  readonly look: Look;
  readonly inodes: ReadonlyMap<string, Inode>;
}

/** The round's means. */
interface Means {
  readonly place: Place;
  readonly bait: Bait;
  readonly facts: Facts;
  readonly files: Files;
}

/** Whether a result is one of those expected; `x*` is whatever begins with x. */
function isExpected(result: string, expected: string): boolean {
  return expected.split("|").some((each) =>
    each.endsWith("*") ? result.startsWith(each.slice(0, -1)) : result === each
  );
}

function insideOf(expected: Expected): string {
  return typeof expected === "string" ? expected : expected[0];
}

/** What came of a probe and should not have; nothing when all is as the table says. */
function complaints(results: Ran["results"], expected: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [probe, result] of results) {
    const wanted = expected.get(probe);
    if (wanted === undefined) found.push(`${probe} gave ${result}, and no table knows it`);
    else if (!isExpected(result, wanted)) {
      found.push(`${probe} gave ${JSON.stringify(result)} and not ${wanted}`);
    }
  }
  const seen = new Set(results.map(([probe]) => probe));
  for (const probe of expected.keys()) if (!seen.has(probe)) found.push(`${probe} gave nothing`);
  return found;
}

function tableOf(attacks: readonly Probes[]): Map<string, string> {
  const table = attacks.flatMap(({ name, probes }) =>
    Object.entries(probes).map(([probe, expected]) => [`${name}.${probe}`, insideOf(expected)] as const)
  );
  return new Map([...table, ["evil.end", "OK"]]);
}

/** Nothing of the secret is in what came back. */
function assertSecretKept({ bait }: Means, { stdout, stderr, outputs }: Ran): void {
  const decoder = new TextDecoder();
  const all = [decoder.decode(stdout), decoder.decode(stderr), ...outputs].join("\n");
  assert(!all.includes(bait.secret), "The secret came out");
}

/** Asserts what holds after every attack. */
async function assertUnharmed({ place, bait }: Means, before: Before): Promise<void> {
  await assertServes(place);
  await assertAsBefore(place, before.look);
  await assertCacheUnchanged(place, before.inodes);
  await bait.assertUntouched();
}

/** Runs attacks that share one action. */
async function probe(
  means: Means,
  attacks: readonly Probes[],
  properties: Assault["properties"] = {},
): Promise<Ran> {
  // A copy that the program makes of itself tells what it finds under another attack's name.
  const started = attacks.filter(({ name }) => name !== "identity_after");
  const ran = await run(
    means.place,
    { attacks: started.map(({ name }) => name), properties, timeoutSeconds: 120 },
    means.facts,
    means.files,
  );
  assertEquals([ran.status, ran.exitCode], ["OK", 0], ran.message);
  assertSecretKept(means, ran);
  return ran;
}

function assertResults(ran: Ran, table: ReadonlyMap<string, string>): void {
  // The copy ends as the program does.
  const results = ran.results.filter(([name], at, all) => name !== "evil.end" || at === all.length - 1);
  assertEquals(complaints(results, table), []);
}

async function assault(means: Means, attack: Assault): Promise<void> {
  const ran = await run(means.place, attack, means.facts, means.files);
  const { ends } = attack;
  const shown = `${ran.status} ${ran.message}\n${new TextDecoder().decode(ran.stdout.slice(0, 2000))}`;
  assert(isExpected(ran.status, ends.status), `It ended with ${shown}`);
  if (ran.status === "OK" && ends.exitCode !== undefined) {
    assert(
      isExpected(String(ran.exitCode), ends.exitCode),
      `It ended with exit code ${ran.exitCode}: ${shown}`,
    );
  }
  if (ends.says !== undefined) assert(ran.message.includes(ends.says), `${ends.says} is not in ${shown}`);
  if (ends.outOfMemory !== undefined) assertEquals(ran.outOfMemory, ends.outOfMemory, shown);
  const expected = new Map(Object.entries(attack.probes ?? {}));
  const results = ran.results.filter(([probe]) => expected.has(probe));
  if (ran.exitCode === 0 || results.length > 0) assertEquals(complaints(results, expected), []);
  if (attack.outputs !== undefined && ran.status === "OK") {
    assertEquals(ran.outputs.filter((each) => !each.includes("->")), attack.outputs);
  }
  assertSecretKept(means, ran);
  await attack.check?.(ran, means.place);
}

/** Two actions side by side: one leaves its mark everywhere, the other looks for it. */
async function neighbours(means: Means): Promise<void> {
  const { place, files } = means;
  const mark = `mark-${crypto.randomUUID()}`;
  const facts = { ...means.facts, MARK: mark, KEY: "0x62726f6b" };
  const holding = await begin(place, { attacks: ["hold"], timeoutSeconds: 120 }, facts, files);
  const pid = await processWith(`READY=${mark}`);
  try {
    const looking = { ...facts, NEIGHBOUR_PID: String(pid) };
    const ran = await run(place, { attacks: ["neighbour"] }, looking, files);
    assertEquals([ran.status, ran.exitCode], ["OK", 0], ran.message);
    for (const [probe, result] of ran.results.filter(([probe]) => probe !== "evil.end")) {
      // A number of the host's may be one of its own in there.
      const refused = probe.includes(".kill") ? "NONE|ESRCH|OK" : "ENOENT|ECONNREFUSED|EACCES";
      assert(isExpected(result, refused), `${probe} gave ${result}`);
    }
    assertEquals(await processWith(`READY=${mark}`), pid, "The neighbour lives");
  } finally {
    Deno.kill(pid, "SIGKILL");
  }
  const ran = await told(place, await holding.response(), 0);
  // What was killed was a part of it, or all of it.
  assert(ran.status === "OK" && isExpected(String(ran.exitCode), "0|137"), `${ran.status} ${ran.exitCode}`);
}

/** Number of the process whose command line holds a word, once there is one. */
async function processWith(word: string): Promise<number> {
  for (const until = performance.now() + 60_000; performance.now() < until;) {
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
      if (line.includes(word) && line.endsWith("wait\0")) return Number(name);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`No process with ${word} came to be`);
}

/** Asserts that the sandbox holds at all, and its limits too: otherwise nothing that takes all there is may be run. */
async function assertHeld(means: Means): Promise<void> {
  const identity = PROBES.filter(({ name }) => name === "identity");
  assertResults(await probe(means, identity), tableOf(identity));
}

/** Attacks one worker. */
async function attackPlace(
  means: Means,
  { repeat, limitsOnly = false }: RoundOptions,
  step: Step,
): Promise<void> {
  const { place } = means;
  await assertHeld(means);
  const originals = async () => assertResults(await probe(means, [ORIGINALS]), tableOf([ORIGINALS]));
  await originals();
  await assertServes(place);
  const before: Before = { look: await look(place), inodes: await cachedInodes(place) };
  const twice = (name: string, attack: () => Promise<void>) =>
    step(name, async () => {
      for (let time = 0; time < repeat; time++) await attack();
      await assertUnharmed(means, before);
    });
  await twice("what calls give", async () => assertResults(await probe(means, PROBES), tableOf(PROBES)));
  await twice("what calls give beside a loopback device", async () => {
    const attacks = PROBES.filter(({ name }) => name === "connections" || name === "connections_world");
    const { results } = await probe(means, attacks, { network: "loopback" });
    for (const [name, result] of results) {
      if (name !== "evil.end") assert(result !== "OK", `${name} gave ${result}`);
    }
  });
  await twice("writing to inputs", async () => {
    assertResults(await probe(means, INPUTS), tableOf(INPUTS));
    await originals();
  });
  await twice("actions side by side", () => neighbours(means));
  for (const attack of ASSAULTS) {
    if (limitsOnly && (attack.needs === undefined || ALIKE.has(attack.name))) continue;
    if (attack.needs !== undefined && !place.limited.has(attack.needs)) {
      await step(
        `${attack.name} (skipped: there is no control group for ${attack.needs})`,
        () => Promise.resolve(),
      );
    } else await twice(attack.name, () => assault(means, attack));
  }
}

/** Attacks that a control group holds for the same reason as others; where time is short those others will do. */
const ALIKE: ReadonlySet<string> = new Set([
  "memory processes",
  "memory shared",
  "memory sysv",
  "memory tables",
  "memory pipes",
]);

/** How a round is run. */
export interface RoundOptions {
  /** How often each attack is run. */
  readonly repeat: number;
  /** Of the attacks that have an action of their own only those that a control group has to hold. */
  readonly limitsOnly?: boolean;
}

/** Runs all attacks against a worker of a kind. */
export async function evilRound(way: Way, options: RoundOptions, step: Step): Promise<void> {
  const program = await compiled();
  await using bait = await layBait();
  const files: Files = {
    "evil*": program,
    "in/directory": null,
    swapped: null,
    ...Object.fromEntries(INPUT_NAMES.map((name) => [`in/${name}`, `original ${name}\n`])),
  };
  await withPlace(way, bait.secret, async (place) => {
    await attackPlace({ place, bait, facts: bait.facts(place), files }, options, step);
  });
}

/** What a kernel has not shows nothing about a sandbox. */
const NOT_THERE = "ENOSYS|EAFNOSUPPORT|ENODEV|EPROTONOSUPPORT";

/**
 * Runs what is harmless without a sandbox, as root, and asserts that it comes further there: it is the sandbox that
 * refuses it. Gives how many probes showed that.
 */
export async function withoutSandbox(): Promise<number> {
  const program = await compiled();
  await using bait = await layBait();
  return await withPlace("no sandbox", bait.secret, async (place) => {
    const attacks = PROBES.filter(({ probes }) =>
      Object.values(probes).some((each) => typeof each !== "string")
    );
    const ran = await run(place, { attacks: attacks.map(({ name }) => name) }, bait.facts(place), {
      "evil*": program,
    });
    assertEquals([ran.status, ran.exitCode], ["OK", 0], ran.message);
    const found: string[] = [];
    let shown = 0;
    for (const { name, probes } of attacks) {
      for (const [probe, expected] of Object.entries(probes)) {
        if (typeof expected === "string") continue;
        const results = ran.results.filter(([each]) => each === `${name}.${probe}`).map(([, result]) =>
          result
        );
        const further = results.filter((result) => isExpected(result, expected[1])).length > 0;
        if (further) shown++;
        else if (!results.some((result) => isExpected(result, NOT_THERE))) {
          found.push(`${name}.${probe} gave ${results} and not ${expected[1]}`);
        }
      }
    }
    assertEquals(found, []);
    // The host notices when it is reached.
    let noticed = false;
    await bait.assertUntouched().catch(() => noticed = true);
    assert(noticed, "Somebody reached a socket of the host, and it was not seen");
    return shown;
  });
}
