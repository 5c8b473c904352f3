/**
 * Time for processes that wait.
 *
 * @module
 */

import { type Clock, systemClock } from "@brokkr/common";

/** The machine's clock, whose timers keep the process alive: a client that waits to try again must not end meanwhile. */
export const awakeClock: Clock = {
  ...systemClock,
  setTimer(delayMs, fn) {
    const id = setTimeout(fn, Math.max(0, delayMs));
    const cancel = () => clearTimeout(id);
    return { cancel, [Symbol.dispose]: cancel };
  },
};
