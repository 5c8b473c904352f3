/**
 * Measures both rivals against each other and prints what it found as JSON: `_sandbox_launches.ts [PAIRS]`. It is a
 * program of its own so that an ordinary user can run it.
 *
 * @module
 */

import { type Arena, openArena, type Rival } from "./_sandbox_rivals.ts";

/** What was measured with so many at a time. */
export interface LaunchFigures {
  readonly inFlight: number;
  readonly sandboxMs: readonly number[];
  readonly bwrapMs: readonly number[];
}

/** Everything that was measured. */
export interface LaunchReport {
  readonly uid: number;
  readonly cgroups?: string;
  /** Why there is nothing to compare with. */
  readonly missing?: string;
  readonly figures: readonly LaunchFigures[];
}

const TRUE = ["/bin/true"];

async function batch(rival: Rival, count: number, inFlight: number, into: number[]): Promise<void> {
  let left = count;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) {
      const start = performance.now();
      await rival.launch(TRUE);
      into.push(performance.now() - start);
    }
  }));
}

/** Pairs in alternating order, so that neither has the better half of the machine's moods. */
async function pairs(arena: Arena, total: number, inFlight: number): Promise<LaunchFigures> {
  const sandboxMs: number[] = [];
  const bwrapMs: number[] = [];
  const size = inFlight === 1 ? 1 : inFlight * 5;
  const sides: [Rival | undefined, number[]][] = [[arena.sandbox, sandboxMs], [arena.bwrap, bwrapMs]];
  for (const [rival] of sides) if (rival !== undefined) await batch(rival, 40, inFlight, []);
  for (let done = 0, odd = false; done < total; done += size, odd = !odd) {
    for (const [rival, into] of odd ? sides : sides.toReversed()) {
      if (rival !== undefined) await batch(rival, size, inFlight, into);
    }
  }
  return { inFlight, sandboxMs, bwrapMs };
}

/** Measures one at a time and eight at a time. */
export async function measureLaunches(total: number): Promise<LaunchReport> {
  await using arena = await openArena();
  const figures = [];
  for (const inFlight of [1, 8]) figures.push(await pairs(arena, total, inFlight));
  const { cgroups, missing } = arena;
  return { uid: Deno.uid() ?? -1, cgroups, missing, figures };
}

if (import.meta.main) console.log(JSON.stringify(await measureLaunches(Number(Deno.args[0] ?? 400))));
