/**
 * How long a peer is waited for: as long as its route says by itself, and less while others wait for the memory it holds.
 *
 * @module
 */

import { BrokkrError, Code, unavailable } from "@brokkr/common";
import type { RouteEntry } from "./_call_core.ts";
import type { Requests } from "./_requests.ts";
import type { Responses } from "./_responses.ts";

/** When a client that was cut off for its slowness is told to come back. */
const RETRY_MS = 1000;
/** While others wait for memory, a peer may let what is sent to it lie, or send nothing, for so long, */
const PRESSED_STALL_MS = 3000;
/** and so much longer for each MiB of an answer that was sent as a whole. */
const PRESSED_MS_PER_MIB = 1000;
/** A client that was cut off in the middle of a message gets so long to notice. */
const LINGER_MS = 1000;

/** A time in seconds, for messages. */
export function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

/** Why the peer of a call that runs is not waited for any longer; undefined when it is. */
export function stalled(
  entry: RouteEntry,
  pressed: boolean,
  nowMs: number,
  { requests, responses }: { readonly requests: Requests | undefined; readonly responses: Responses },
): BrokkrError | undefined {
  const late = (what: string, sinceMs: number, limitMs: number) => {
    const lay = nowMs - sinceMs;
    if (lay > limitMs) return new BrokkrError(Code.DEADLINE_EXCEEDED, `${what} for ${seconds(lay)}`);
    if (!pressed || lay <= PRESSED_STALL_MS || limitMs === Infinity) return undefined;
    return unavailable(`${what} for ${seconds(lay)} while others waited for the memory it holds`, RETRY_MS);
  };
  const untakenMs = responses.untakenSinceMs;
  if (untakenMs !== undefined) return late("The peer took nothing", untakenMs, entry.sendStallMs);
  if (requests === undefined || requests.held) return undefined; // it is we who do not take what it sends
  if (pressed && requests.tooSlow(nowMs)) {
    return unavailable("A message came too slowly while others waited for the memory it holds", RETRY_MS);
  }
  const silentMs = requests.silentSinceMs;
  return silentMs === undefined ? undefined : late("The peer sent nothing", silentMs, entry.receiveStallMs);
}

/** How long the peer of a call that was answered may take for what waits to leave, in milliseconds. */
export function takingMs(entry: RouteEntry, pressed: boolean, heldBytes: number): number {
  if (!pressed || heldBytes === 0) return entry.sendStallMs;
  return Math.min(entry.sendStallMs, PRESSED_STALL_MS + heldBytes / 2 ** 20 * PRESSED_MS_PER_MIB);
}

/** How long a client may go on to send after its call has ended, in milliseconds. */
export function lingeringMs(entry: RouteEntry, partial: boolean): number {
  // Half a message stays in memory as long as its stream.
  return partial ? Math.min(LINGER_MS, entry.sendStallMs) : entry.sendStallMs;
}
