/**
 * TLS to an address instead of a name. grpc-js 1.14.7 hands the address over as SNI host name, which TLS forbids and Deno
 * refuses; without it the certificate is checked against the address, as it should be.
 *
 * @module
 */

import type { ChannelCredentials } from "@grpc/grpc-js";
import { isIP } from "node:net";

const MAKE = "_createSecureConnector";

/** Makes `credentials` fit for `host` if that is an IP address. */
export function fitAddress(credentials: ChannelCredentials, host: string): ChannelCredentials {
  const make: unknown = Reflect.get(credentials, MAKE);
  if (isIP(host.replace(/^\[|\]$/g, "")) === 0 || typeof make !== "function") return credentials;
  Reflect.set(credentials, MAKE, (...args: unknown[]): unknown => {
    const connector: unknown = Reflect.apply(make, credentials, args);
    if (typeof connector !== "object" || connector === null) return connector;
    const options: unknown = Reflect.get(connector, "connectionOptions");
    if (typeof options === "object" && options !== null) Reflect.deleteProperty(options, "servername");
    return connector;
  });
  return credentials;
}
