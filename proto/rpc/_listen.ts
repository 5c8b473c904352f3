/**
 * Where a server listens, and whether it may.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { BrokkrError, Code, invalidArgument } from "@brokkr/common";

/** Certificates of a server, as PEM text. */
export interface TlsOptions {
  /** The server's certificate, followed by intermediate ones. */
  readonly cert: string;
  /** Its private key. */
  readonly key: string;
  /** Authority whose certificates clients must show; without it clients need none. */
  readonly clientCa?: string;
}

/** A host and a port. */
export interface HostPort {
  /** Name or address, without brackets. */
  readonly host: string;
  /** Port, 0 for any free one. */
  readonly port: number;
}

/**
 * Splits `host:port` or `[v6]:port`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it is neither.
 */
export function parseHostPort(address: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw invalidArgument(
      "listen",
      `"${address}" is no address to listen on; write host:port, such as 127.0.0.1:8980`,
    );
  }
  return { host: match[1] ?? match[2], port };
}

/** `host:port` with brackets where an IPv6 address needs them. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) ||
    /^::ffff:127\./i.test(host);
}

/** Whether other machines can reach `address`, which is `host:port`. */
export function isExposed(address: string): boolean {
  return !isLoopback(parseHostPort(address).host);
}

/**
 * Refuses addresses that others can reach, unless clients must show a certificate.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming what would allow it.
 */
export function checkExposure(
  address: string,
  tls: TlsOptions | undefined,
  allowInsecureRemote: boolean,
): void {
  if (!isExposed(address) || tls?.clientCa !== undefined || allowInsecureRemote) return;
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `Refusing to listen on ${address}: other machines can reach it and nothing would check who they are. ` +
      "Give a server certificate and a client CA (--tls-cert, --tls-key, --tls-client-ca), listen on 127.0.0.1, " +
      "or allow it in words with --allow-insecure-remote",
  );
}

/**
 * The credentials of a server.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when a PEM text is none.
 */
export function serverCredentials(tls: TlsOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const parts = [["cert", tls.cert], ["key", tls.key], ["clientCa", tls.clientCa]] as const;
  for (const [name, pem] of parts) {
    if (pem !== undefined && !pem.includes("-----BEGIN ")) {
      throw invalidArgument(`tls.${name}`, "Text is not PEM: it has no -----BEGIN line");
    }
  }
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  // Deno 2.9.6 serves garbage when grpc-js names no authority at all; one that nothing is checked against does no harm.
  const ca = Buffer.from(tls.clientCa ?? tls.cert);
  return ServerCredentials.createSsl(ca, [pair], tls.clientCa !== undefined);
}

/**
 * Binds one address.
 *
 * @returns the port.
 * @throws {BrokkrError} FAILED_PRECONDITION when the port is in use or may not be opened, UNAVAILABLE otherwise.
 */
export function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(bindError(address, error));
    });
  });
}

/** What went wrong when `address` was to be bound, in words that say what to do. */
export function bindError(address: string, error: Error): BrokkrError {
  const why = error.message;
  if (/EADDRINUSE|in use/i.test(why)) {
    return new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Cannot listen on ${address}: the port is in use; stop the process that has it or choose another port`,
      { cause: error },
    );
  }
  if (/EACCES|denied/i.test(why)) {
    return new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Cannot listen on ${address}: not permitted; ports below 1024 need privileges`,
      { cause: error },
    );
  }
  if (/EADDRNOTAVAIL|not available|assign requested/i.test(why)) {
    return new BrokkrError(
      Code.FAILED_PRECONDITION,
      `Cannot listen on ${address}: this machine has no such address`,
      { cause: error },
    );
  }
  return new BrokkrError(Code.UNAVAILABLE, `Cannot listen on ${address}: ${why}`, { cause: error });
}
