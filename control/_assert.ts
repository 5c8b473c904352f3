/**
 * Assertions that stay in production.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

/** Throws INTERNAL when `condition` does not hold: a fault of this program, never of its input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BrokkrError(Code.INTERNAL, `Assertion failed: ${message}`);
}
