/**
 * Durations and moments as the wire has them.
 *
 * @module
 */

import type { Duration, Timestamp } from "@brokkr/proto";

/** Milliseconds as a Duration; nothing below zero. */
export function durationOf(ms: number): Duration {
  const micros = Math.round(Math.max(0, ms) * 1000);
  const seconds = Math.floor(micros / 1e6);
  return { seconds, nanos: (micros - seconds * 1e6) * 1000 };
}

/** A Duration in milliseconds. */
export function durationMs({ seconds, nanos }: Duration): number {
  return seconds * 1000 + nanos / 1e6;
}

/** Milliseconds since 1970 as a Timestamp. */
export function timestampOf(wallMs: number): Timestamp {
  const micros = Math.round(wallMs * 1000);
  const seconds = Math.floor(micros / 1e6);
  return { seconds, nanos: (micros - seconds * 1e6) * 1000 };
}

/** A Timestamp in milliseconds since 1970, or undefined. */
export function timestampMs(timestamp: Timestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}
