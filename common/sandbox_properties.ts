/**
 * The platform properties by which one action asks something of the sandbox it runs in. Control needs to know them to
 * find a worker that grants them, workers to carry them out; both read them here, so that they agree.
 *
 * @module
 */

import { formatSize, type Parsed, parseSize } from "./units.ts";

/** Which network an action has. */
export type NetworkName = "none" | "loopback" | "host";
/** Where what an action writes is kept. */
export type LayerName = "memory" | "disk";
/** Whether something is on. */
export type SwitchName = "on" | "off";

/** What each property stands for; amounts are numbers. */
export interface SandboxProperties {
  /** Which network it has. */
  readonly network: NetworkName;
  /** Where what it writes is kept. */
  readonly "writable-layer": LayerName;
  /** Most memory, in bytes. */
  readonly memory: number;
  /** Most processor time, in thousandths of a processor. */
  readonly cpu: number;
  /** Most processes and threads. */
  readonly pids: number;
  /** Most bytes in a writable layer on disk. */
  readonly disk: number;
  /** Whether addresses are randomized. */
  readonly aslr: SwitchName;
  /** Whether the processor's time stamp may be read. */
  readonly rdtsc: SwitchName;
}

/** Name of such a property. */
export type SandboxPropertyName = keyof SandboxProperties;

/** What a worker grants of one property: one of some words, or an amount up to a most. */
export interface SandboxGrant {
  /** The property. */
  readonly name: string;
  /** Words that are granted; empty for an amount. */
  readonly words: readonly string[];
  /** Greatest amount granted, in the property's unit; 0 for words. */
  readonly most: number;
}

const words = (...allowed: readonly string[]) => (text: string): Parsed<string> =>
  allowed.includes(text) ? { value: text } : { error: `is not one of ${allowed.join(", ")}` };

const positive = (parsed: Parsed<number>): Parsed<number> =>
  parsed.value === 0 ? { error: "is nothing at all" } : parsed;

const bytes = (text: string): Parsed<number> => positive(parseSize(text));

/**
 * Thousandths of a processor, from text such as `2`, `0.5` or `1.25`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseProcessors } from "@brokkr/common/sandbox_properties";
 * assertEquals(parseProcessors("1.5"), { value: 1500 });
 * assertEquals(parseProcessors("all").error, "is not a number of processors, such as 2 or 0.5");
 * ```
 */
export function parseProcessors(text: string): Parsed<number> {
  const value = /^\d{1,6}(?:\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : NaN;
  return Number.isNaN(value) ? { error: "is not a number of processors, such as 2 or 0.5" } : { value };
}

function count(text: string): Parsed<number> {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  return Number.isNaN(value) ? { error: "is not a whole number, such as 512" } : positive({ value });
}

const PARSERS: Readonly<Record<SandboxPropertyName, (text: string) => Parsed<string | number>>> = {
  network: words("none", "loopback", "host"),
  "writable-layer": words("memory", "disk"),
  memory: bytes,
  cpu: (text) => positive(parseProcessors(text)),
  pids: count,
  disk: bytes,
  aslr: words("on", "off"),
  rdtsc: words("on", "off"),
};

/** All their names. */
export const SANDBOX_PROPERTY_NAMES = Object.keys(PARSERS) as readonly SandboxPropertyName[];

/** Whether a platform property's name is one of theirs. */
export function isSandboxProperty(name: string): name is SandboxPropertyName {
  return Object.hasOwn(PARSERS, name);
}

/**
 * What the value of a property stands for: a word, or an amount in the property's unit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseSandboxProperty } from "@brokkr/common/sandbox_properties";
 * assertEquals(parseSandboxProperty("memory", "4GiB"), { value: 4 * 2 ** 30 });
 * assertEquals(parseSandboxProperty("network", "any").error, "is not one of none, loopback, host");
 * ```
 */
export function parseSandboxProperty<N extends SandboxPropertyName>(
  name: N,
  text: string,
): Parsed<SandboxProperties[N]> {
  // Each parser gives what its property stands for.
  return PARSERS[name](text) as Parsed<SandboxProperties[N]>;
}

/** An amount as a property's value says it: `4GiB`, `1.5`, `512`. */
export function formatAmount(name: string, amount: number): string {
  if (name === "cpu") return String(amount / 1000);
  return name === "pids" ? String(amount) : formatSize(amount);
}

/** Whether a grant covers a value, as text. What cannot be read is not covered. */
export function isGranted(grant: SandboxGrant, text: string): boolean {
  if (!isSandboxProperty(grant.name)) return grant.words.includes(text);
  const { value } = parseSandboxProperty(grant.name, text);
  if (value === undefined) return false;
  return typeof value === "number" ? value <= grant.most : grant.words.includes(value);
}
