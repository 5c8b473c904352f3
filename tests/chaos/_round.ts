/**
 * One round of chaos: a grid, clients, strikes, and afterwards everything that was promised is called in.
 *
 * @module
 */

import { seededRandom } from "@brokkr/common";
import { noProcessOf } from "../e2e/_processes.ts";
import type { WireDigest } from "../e2e/_grid.ts";
import { type ChaosAction, chaosAction } from "./_actions.ts";
import { Arena, openPlace, type Place } from "./_arena.ts";
import { ChaosClient } from "./_client.ts";
import { keyOf, Ledger, resultKey } from "./_ledger.ts";
import { runLoad } from "./_load.ts";
import { type Plan, planOf, planText } from "./_plan.ts";

const ACTIONS = 30;
const AT_ONCE = 8;

/** What a round saw. */
export interface Round {
  readonly counts: Readonly<Record<string, number>>;
  readonly longestOutageMs: number;
}

/**
 * Runs the round of a seed.
 *
 * @throws {Error} With the plan, what was violated, and the processes' last lines.
 */
export async function chaosRound(seed: number): Promise<Round> {
  const plan = planOf(seed);
  const ledger = new Ledger();
  let arena: Arena | undefined;
  try {
    await using place = await openPlace();
    // Names that no other round has: processes are found by them.
    const mark = place.path.slice(place.path.lastIndexOf("/") + 1);
    const actions = Array.from({ length: ACTIONS }, (_, i) => chaosAction(mark, i));
    arena = await Arena.start(place, plan);
    try {
      await storm(arena, plan, ledger, actions);
      await arena.settle();
      await noProcessOf(`MARK=${mark}`);
      await callIn(arena, ledger, actions);
      await again(arena, ledger, actions);
    } finally {
      await ended(arena, ledger);
    }
    await reopened(place, plan, ledger, actions);
    if (ledger.violations.length > 0) throw new Error(`${ledger.violations.length} violations`);
    return { counts: { ...ledger.counts, ...arena.struck }, longestOutageMs: arena.longestOutageMs };
  } catch (error) {
    const told = [planText(plan), ...ledger.violations, JSON.stringify(ledger.counts), arena?.log() ?? ""];
    throw new Error(`${error instanceof Error ? error.stack : error}\n${told.join("\n")}`);
  }
}

async function storm(
  arena: Arena,
  plan: Plan,
  ledger: Ledger,
  actions: readonly ChaosAction[],
): Promise<void> {
  const end = new AbortController();
  const load = runLoad({
    endpoint: arena.grid.endpoint,
    seed: plan.seed,
    ledger,
    actions,
    ends: end.signal,
  });
  const struck = arena.strike(plan).finally(() => end.abort());
  await Promise.all([load, struck]);
}

async function ended(arena: Arena, ledger: Ledger): Promise<void> {
  for (const left of await arena.stop()) ledger.violated(`Left behind: ${left}`);
}

/** Does something with each, some at once. */
async function eachOf<T>(all: Iterable<T>, use: (each: T) => Promise<void>): Promise<void> {
  const rest = [...all];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) await use(next);
  }));
}

async function withClient(
  arena: Arena,
  ledger: Ledger,
  use: (client: ChaosClient) => Promise<void>,
): Promise<void> {
  await using client = new ChaosClient(arena.grid.endpoint, ledger, seededRandom(1));
  await use(client);
  // Nothing is struck any more: a call that breaks now, breaks for no reason.
}

/** Everything that was acknowledged is there, and nothing that was not is there by half. */
async function callIn(arena: Arena, ledger: Ledger, actions: readonly ChaosAction[]): Promise<void> {
  await withClient(arena, ledger, async (client) => {
    await client.expectPresent([...ledger.blobs.values()]);
    await eachOf(ledger.blobs.values(), async (blob) => {
      if (await client.readPresent(blob) === undefined) ledger.violated(`${keyOf(blob)} does not read back`);
    });
    const open = [...ledger.attempted].filter(([key]) => !ledger.blobs.has(key)).map(([, blob]) => blob);
    ledger.count("blobs begun and not acknowledged", open.length);
    const missing = new Set((await client.missing(open))?.map(keyOf));
    await eachOf(open, (blob) => agree(client, ledger, blob, missing.has(keyOf(blob))));
    await eachOf(ledger.results.values(), async ({ action, result }) => {
      const answer = await client.cached(action);
      const same = answer !== undefined && answer !== "absent" && resultKey(answer) === resultKey(result);
      if (!same) {
        ledger.violated(
          `Acknowledged result of ${keyOf(action)} is ${JSON.stringify(answer)}, not ${
            JSON.stringify(result)
          }`,
        );
      }
      const known = actions.find(({ digest }) => keyOf(digest) === keyOf(action));
      await known?.check(result, async (blob) => {
        if (blob === undefined || blob.sizeBytes === 0) return new Uint8Array();
        return await client.readPresent(blob) ?? new Uint8Array();
      });
    });
    await eachOf(ledger.written.values(), async ({ digest }) => {
      const answer = await client.cached(digest);
      if (answer !== undefined && ledger.mayAnswer(digest, answer === "absent" ? undefined : answer)) return;
      ledger.violated(`The action cache answers ${keyOf(digest)} with ${JSON.stringify(answer)}`);
    });
  });
}

/** What FindMissing says of a blob and what reading it gives must be the same. */
async function agree(client: ChaosClient, ledger: Ledger, blob: WireDigest, missing: boolean): Promise<void> {
  const bytes = await client.read(blob);
  if (bytes === undefined) ledger.violated(`${keyOf(blob)} can neither be read nor is it absent`);
  if (missing !== (bytes === "absent")) {
    ledger.violated(
      `${keyOf(blob)} is ${missing ? "missing" : "there"}, and reading it finds it ${
        bytes === "absent" ? "absent" : "there"
      }`,
    );
  }
}

/** The same actions once more, on a grid in peace: all of them end, and what was acknowledged is a hit. */
async function again(arena: Arena, ledger: Ledger, actions: readonly ChaosAction[]): Promise<void> {
  await withClient(arena, ledger, async (client) => {
    await eachOf(actions, async (action) => {
      const acknowledged = ledger.results.has(keyOf(action.digest));
      await client.prepare(action);
      const response = await client.execute(action, false);
      if (response?.result === undefined) {
        return ledger.violated(`${keyOf(action.digest)} does not end in peace`);
      }
      if (acknowledged && !response.cachedResult) {
        ledger.violated(`${keyOf(action.digest)} was acknowledged, and ran again`);
      }
      await action.check(response.result, async (blob) => {
        if (blob === undefined || blob.sizeBytes === 0) return new Uint8Array();
        return await client.readPresent(blob) ?? new Uint8Array();
      });
    });
  });
}

/** The data directory opens again, and all is there as it was. */
async function reopened(
  place: Place,
  plan: Plan,
  ledger: Ledger,
  actions: readonly ChaosAction[],
): Promise<void> {
  const arena = await Arena.start(place, { workers: 1, slots: plan.slots });
  try {
    await callIn(arena, ledger, actions);
  } finally {
    await ended(arena, ledger);
  }
}
