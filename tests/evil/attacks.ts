/**
 * All attacks: what each is about, and what must come of it.
 *
 * @module
 */

import type { Assault, Probes } from "./_attack.ts";
import { EXHAUSTION } from "./attacks/exhaustion.ts";
import { HOST } from "./attacks/host.ts";
import { IDENTITY } from "./attacks/identity.ts";
import { INPUTS } from "./attacks/inputs.ts";
import { KERNEL } from "./attacks/kernel.ts";
import { MOUNTS } from "./attacks/mounts.ts";
import { NETWORK } from "./attacks/network.ts";
import { OUTPUTS } from "./attacks/outputs.ts";
import { PROCESSES } from "./attacks/processes.ts";

/** Attacks that only look at what comes of calls; on this architecture. */
export const PROBES: readonly Probes[] = [...HOST, ...KERNEL, ...MOUNTS, ...IDENTITY, ...NETWORK].filter((
  { only },
) => only === undefined || only === Deno.build.arch);

/** Attacks on inputs, in one action; {@linkcode ORIGINALS} is what the next one must find. */
export { INPUT_NAMES, INPUTS, ORIGINALS } from "./attacks/inputs.ts";

/** Attacks that take an action of their own. */
export const ASSAULTS: readonly Assault[] = [...PROCESSES, ...EXHAUSTION, ...OUTPUTS];

/** Every attack by name, for a person. */
export function names(): string[] {
  return [...PROBES, ...INPUTS, ...ASSAULTS].map(({ name }) => name);
}
