/**
 * What clients do while processes are struck: uploads of every kind, reads, executions, cache updates, all at once.
 *
 * @module
 */

import { type Random, seededRandom } from "@brokkr/common";
import { type ActionResult, ActionResultCodec } from "@brokkr/proto";
import { digest, utf8, type WireDigest } from "../e2e/_grid.ts";
import type { ChaosAction } from "./_actions.ts";
import { chaosBytes, ChaosClient } from "./_client.ts";
import type { Ledger } from "./_ledger.ts";

/** What a load needs. */
export interface LoadOptions {
  readonly endpoint: string;
  readonly seed: number;
  readonly ledger: Ledger;
  /** Actions that clients execute, the same one more than once. */
  readonly actions: readonly ChaosAction[];
  /** The load ends when this is aborted: calls under way come to their end, new ones are not begun. */
  readonly ends: AbortSignal;
}

type Turn = (client: ChaosClient, random: Random) => Promise<void>;

function pick<T>(random: Random, from: readonly T[]): T | undefined {
  return from[Math.floor(random.next() * from.length)];
}

/** Runs clients until the end is called for. */
export async function runLoad(options: LoadOptions): Promise<void> {
  const turns: readonly Turn[] = [
    uploadSmall,
    uploadLarge,
    (client, random) => look(client, random, options.ledger),
    ...Array.from({ length: 4 }, () => executor(options)),
    updater(options),
  ];
  await Promise.all(turns.map(async (turn, i) => {
    const random = seededRandom(options.seed * 31 + i);
    await using client = new ChaosClient(options.endpoint, options.ledger, random);
    while (!options.ends.aborted) {
      await turn(client, random);
      await new Promise((resolve) => setTimeout(resolve, 5 + random.next() * 40));
    }
  }));
}

async function uploadSmall(client: ChaosClient, random: Random): Promise<void> {
  const size = () => Math.floor(random.next() ** 3 * 60_000);
  if (random.next() < 0.3) await client.putStream(chaosBytes(random, size()));
  else {
    const count = 1 + Math.floor(random.next() * 12);
    await client.putBatch(Array.from({ length: count }, () => chaosBytes(random, size())));
  }
}

async function uploadLarge(client: ChaosClient, random: Random): Promise<void> {
  const sizeBytes = Math.floor(200_000 + random.next() * 4_000_000);
  const broken = random.next() < 0.5 ? random.next() * sizeBytes : Infinity;
  await client.putStream(chaosBytes(random, sizeBytes), broken);
}

/** Asks for and reads what was acknowledged, and what is only under way. */
async function look(client: ChaosClient, random: Random, ledger: Ledger): Promise<void> {
  const known = [...ledger.blobs.values()];
  await client.expectPresent(known.filter(() => random.next() < 0.3));
  const acknowledged = pick(random, known);
  if (acknowledged !== undefined) await client.readPresent(acknowledged);
  const attempted = pick(random, [...ledger.attempted.values()].slice(-20));
  if (attempted !== undefined) await client.read(attempted);
}

function executor({ actions }: LoadOptions): Turn {
  return async (client, random) => {
    const action = pick(random, actions);
    if (action === undefined) return;
    await client.prepare(action);
    await client.execute(action, true);
  };
}

/** A result that names a blob. */
function resultOf(output: WireDigest, word: string): ActionResult {
  const init = { outputFiles: [{ path: "out", digest: output }], stdoutRaw: utf8(word) };
  return ActionResultCodec.decode(ActionResultCodec.encode(init));
}

function updater({ seed, ledger }: LoadOptions): Turn {
  let count = 0;
  return async (client, random) => {
    const output = pick(random, [...ledger.blobs.values()]);
    if (output === undefined) return;
    // Some keys are written to again and again.
    const action = digest(utf8(`cache key ${seed} ${Math.floor(random.next() * 40)}`));
    await client.update(action, resultOf(output, `value ${++count}`));
    const answer = await client.cached(action);
    if (answer === undefined) return;
    if (!ledger.mayAnswer(action, answer === "absent" ? undefined : answer)) {
      ledger.violated(
        `The action cache answers ${action.hash} with what nobody wrote last: ${JSON.stringify(answer)}`,
      );
    }
  };
}
