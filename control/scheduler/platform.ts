/**
 * Which workers can run which actions.
 *
 * An action's platform is a list of properties, and a worker must offer each of them: the same name with the same value.
 * A worker that has a name several times offers each of the values, which gives REAPI's lexicon its meaning: of `ISA`
 * all that an action names must hold, `OSFamily` must be exactly the worker's. What no worker offers today somebody may
 * offer tomorrow, so an action that matches nothing waits, and {@linkcode explainMismatch} says why.
 *
 * @module
 */

import type { PlatformProperty, WorkerSpec } from "./types.ts";

const MAX_SHOWN = 5;

/** One string for a platform, the same whatever the order of its properties. */
export function platformKey(platform: readonly PlatformProperty[]): string {
  if (platform.length === 0) return "";
  return platform.map(({ name, value }) => `${name.length}:${name}${value.length}:${value}`).sort().join();
}

/** A worker's offer, made for looking up. */
export type PlatformOffer = ReadonlyMap<string, ReadonlySet<string>>;

/** Indexes what a worker offers. */
export function platformOffer(platform: readonly PlatformProperty[]): PlatformOffer {
  const offer = new Map<string, Set<string>>();
  for (const { name, value } of platform) {
    const values = offer.get(name);
    if (values === undefined) offer.set(name, new Set([value]));
    else values.add(value);
  }
  return offer;
}

/**
 * The first property that `offer` lacks, or undefined when it has all.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { firstMismatch, platformOffer } from "./platform.ts";
 * const offer = platformOffer([{ name: "ISA", value: "x86-64" }, { name: "ISA", value: "avx2" }]);
 * assertEquals(firstMismatch([{ name: "ISA", value: "avx2" }], offer), undefined);
 * assertEquals(firstMismatch([{ name: "ISA", value: "neon" }], offer), { name: "ISA", value: "neon" });
 * ```
 */
export function firstMismatch(
  wanted: readonly PlatformProperty[],
  offer: PlatformOffer,
): PlatformProperty | undefined {
  for (const property of wanted) {
    if (offer.get(property.name)?.has(property.value) !== true) return property;
  }
  return undefined;
}

/** Words for why none of `workers` can run an action of platform `wanted`; undefined when one can. */
export function explainMismatch(
  wanted: readonly PlatformProperty[],
  environments: readonly string[] | undefined,
  workers: readonly WorkerSpec[],
): string | undefined {
  if (workers.length === 0) return "No worker is connected";
  const fits = workers.filter((worker) => environments?.includes(worker.environment) ?? true);
  if (fits.length === 0) return `No connected worker has one of the environments ${environments?.join(", ")}`;
  const offers = fits.map((worker) => platformOffer(worker.platform));
  if (offers.some((offer) => firstMismatch(wanted, offer) === undefined)) return undefined;
  for (const { name, value } of wanted) {
    if (offers.some((offer) => offer.get(name)?.has(value))) continue;
    const offered = new Set(offers.flatMap((offer) => [...offer.get(name) ?? []]));
    const shown = [...offered].slice(0, MAX_SHOWN).join(", ") + (offered.size > MAX_SHOWN ? ", ..." : "");
    return `No connected worker offers ${name}=${value}` +
      (offered.size === 0 ? `; none offers any ${name}` : `; offered are ${shown}`);
  }
  return `No one connected worker offers all of ${wanted.map((p) => `${p.name}=${p.value}`).join(", ")}`;
}
