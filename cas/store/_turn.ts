/**
 * Giving way to others.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** Lets the event loop turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
