/**
 * Whether a grid knows the digest function that a client works with.
 *
 * @module
 */

import { type CasClient, digestFunctionName, SHA256 } from "@brokkr/cas/client";
import { invalidArgument } from "@brokkr/common";

const asked = new WeakMap<CasClient, Promise<void>>();

/**
 * Asks the grid, once for each client, whether it offers the client's function. SHA256, which all of them do, is not
 * asked for. What a grid has never heard of it may take for a function whose hashes are as long.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT listing what it offers instead.
 */
export function requireFunction(cas: CasClient): Promise<void> {
  if (cas.fn === SHA256) return Promise.resolve();
  let answer = asked.get(cas);
  if (answer === undefined) {
    answer = ask(cas);
    asked.set(cas, answer);
    // Who failed to ask may ask again.
    answer.catch(() => asked.delete(cas));
  }
  return answer;
}

async function ask(cas: CasClient): Promise<void> {
  const offered = (await cas.capabilities()).cacheCapabilities?.digestFunctions ?? [];
  if (offered.includes(cas.fn.value)) return;
  throw invalidArgument(
    "",
    `The grid does not offer the digest function ${cas.fn.name}; it offers ${
      offered.map(digestFunctionName).join(", ") || "none"
    }`,
  );
}
