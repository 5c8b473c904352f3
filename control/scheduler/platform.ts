/**
 * Which workers can run which actions.
 *
 * An action's platform is a list of properties, and a worker must offer each of them: the same name with the same value.
 * A worker that has a name several times offers each of the values, which gives REAPI's lexicon its meaning: of `ISA`
 * all that an action names must hold, `OSFamily` must be exactly the worker's. What no worker offers today somebody may
 * offer tomorrow, so an action that matches nothing waits, and {@linkcode explainMismatch} says why.
 *
 * Some properties ask something of the sandbox, such as `memory=4GiB`: a worker says which it takes and how much it
 * grants. An action goes to a worker that grants all it asks for; where none does, to one that takes the properties and
 * refuses it. A name that a worker offers as a plain property is just that on this worker.
 *
 * @module
 */

import { formatAmount, isGranted, type SandboxGrant } from "@brokkr/common/sandbox_properties";
import type { PlatformProperty, WorkerSpec } from "./types.ts";

const MAX_SHOWN = 5;

/** One string for a platform, the same whatever the order of its properties. */
export function platformKey(platform: readonly PlatformProperty[]): string {
  if (platform.length === 0) return "";
  return platform.map(({ name, value }) => `${name.length}:${name}${value.length}:${value}`).sort().join();
}

/** A worker's offer, made for looking up. */
export interface PlatformOffer {
  /** Values by name. */
  readonly values: ReadonlyMap<string, ReadonlySet<string>>;
  /** What its sandbox grants, by name. */
  readonly grants: ReadonlyMap<string, SandboxGrant>;
}

/** Indexes what a worker offers. */
export function platformOffer(
  platform: readonly PlatformProperty[],
  grants: readonly SandboxGrant[] = [],
): PlatformOffer {
  const values = new Map<string, Set<string>>();
  for (const { name, value } of platform) {
    const known = values.get(name);
    if (known === undefined) values.set(name, new Set([value]));
    else known.add(value);
  }
  return { values, grants: new Map(grants.map((grant) => [grant.name, grant])) };
}

/**
 * The first property that `offer` lacks, or undefined when it has all. With `ungranted`, properties that ask more of the
 * sandbox than it grants are passed over: the worker knows them.
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
  ungranted = false,
): PlatformProperty | undefined {
  for (const property of wanted) {
    const values = offer.values.get(property.name);
    const grant = values === undefined ? offer.grants.get(property.name) : undefined;
    const fits = grant === undefined
      ? values?.has(property.value) === true
      : ungranted || isGranted(grant, property.value);
    if (!fits) return property;
  }
  return undefined;
}

/** What offers have of a property, in words, each once. */
function offered(name: string, offers: readonly PlatformOffer[]): readonly string[] {
  const words = offers.flatMap(({ values, grants }) => {
    const own = values.get(name);
    if (own !== undefined) return [...own];
    const grant = grants.get(name);
    if (grant === undefined) return [];
    return grant.words.length > 0 ? grant.words : [`up to ${formatAmount(name, grant.most)}`];
  });
  return [...new Set(words)];
}

/**
 * Words for why none of `workers` can run an action of platform `wanted`; undefined when one can. With `ungranted`, one
 * that would refuse it for what it asks of the sandbox can, too.
 */
export function explainMismatch(
  wanted: readonly PlatformProperty[],
  environments: readonly string[] | undefined,
  workers: readonly WorkerSpec[],
  ungranted = false,
): string | undefined {
  if (workers.length === 0) return "No worker is connected";
  const fits = workers.filter((worker) => environments?.includes(worker.environment) ?? true);
  if (fits.length === 0) return `No connected worker has one of the environments ${environments?.join(", ")}`;
  const offers = fits.map((worker) => platformOffer(worker.platform, worker.grants));
  const some = (properties: readonly PlatformProperty[]) =>
    offers.some((offer) => firstMismatch(properties, offer, ungranted) === undefined);
  if (some(wanted)) return undefined;
  for (const property of wanted) {
    if (some([property])) continue;
    const { name, value } = property;
    const words = offered(name, offers);
    const shown = words.slice(0, MAX_SHOWN).join(", ") + (words.length > MAX_SHOWN ? ", ..." : "");
    return `No connected worker offers ${name}=${value}` +
      (words.length === 0 ? `; none offers any ${name}` : `; offered are ${shown}`);
  }
  return `No one connected worker offers all of ${wanted.map((p) => `${p.name}=${p.value}`).join(", ")}`;
}
