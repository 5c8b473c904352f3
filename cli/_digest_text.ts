/**
 * Digests as they came over the wire, for people.
 *
 * @module
 */

import { digestFunctionByValue } from "@brokkr/cas/client";

/** A digest as it is typed. `functionValue` is REAPI's number of its function; it may be 0 where the hash tells it. */
export function digestText(
  digest: { readonly hash: string; readonly sizeBytes: number } | undefined,
  functionValue: number,
): string {
  if (digest === undefined) return "";
  const fn = digestFunctionByValue(functionValue);
  return `${fn?.named ? `${fn.segment}:` : ""}${digest.hash}/${digest.sizeBytes}`;
}

/** Whether a person wrote a digest there, rather than the name of something. */
export function isDigestText(text: string): boolean {
  return /^(?:[a-z0-9]+:)?[0-9a-f]{32,}\/\d+$/.test(text);
}
