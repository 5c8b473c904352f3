/**
 * How one key of the configuration is told.
 *
 * @module
 */

import type { Kind } from "./_config_kinds.ts";

/** One key, without its section. */
export interface KeySpec<T> {
  /** Name in TOML; snake case. */
  readonly name: string;
  /** Kind of value. */
  readonly kind: Kind<T>;
  /** Default as TOML would give it. */
  readonly fallback: string | number | boolean | readonly string[] | Readonly<Record<string, string>>;
  /** Documentation: whole sentences. */
  readonly doc: string;
}

/** The keys of one section. */
export type SectionSpec<T> = { readonly [K in keyof T]: KeySpec<T[K]> };

/** One key. */
export function key<T>(
  name: string,
  kind: Kind<T>,
  fallback: KeySpec<T>["fallback"],
  doc: string,
): KeySpec<T> {
  return { name, kind, fallback, doc };
}
