/**
 * Capabilities: GetCapabilities. What is listed works.
 *
 * @module
 */

import { DIGEST_FUNCTIONS, SHA256 } from "@brokkr/cas";
import { type CacheCapabilities, Capabilities, type Init, type ServerCapabilities } from "@brokkr/proto";
import { type Route, unary } from "@brokkr/proto/rpc/server";

/** The range of `ExecutionPolicy.priority`: all that the field can hold. */
const PRIORITIES = { minPriority: -(2 ** 31), maxPriority: 2 ** 31 - 1 };

/** The capabilities of a grid whose store has `cache`. */
export function serverCapabilities(cache: Init<CacheCapabilities>): Init<ServerCapabilities> {
  return {
    cacheCapabilities: cache,
    executionCapabilities: {
      // Deprecated, and all that older Bazels look at.
      digestFunction: SHA256.value,
      digestFunctions: DIGEST_FUNCTIONS.map((fn) => fn.value),
      execEnabled: true,
      executionPriorityCapabilities: { priorities: [PRIORITIES] },
      // Of outputs: what Command.output_node_properties may ask for. Inputs are all laid out with the same mode and time.
      supportedNodeProperties: ["mtime", "unix_mode"],
    },
    // Some clients refuse a server whose oldest version is above 2.0.
    lowApiVersion: { major: 2, minor: 0 },
    highApiVersion: { major: 2, minor: 11 },
  };
}

/** Routes of the Capabilities service. */
export function capabilitiesRoutes(cache: Init<CacheCapabilities>): Route[] {
  const capabilities = serverCapabilities(cache);
  return [
    unary(Capabilities.getCapabilities, "public", (request, context) => {
      context.scope(request.instanceName);
      return capabilities;
    }),
  ];
}
