/**
 * Where a client connects to, and what its failures to do so mean.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "@brokkr/common";

/** A parsed endpoint. */
export interface Endpoint {
  /** `grpc://host:port` or `grpcs://host:port`, in one spelling. */
  readonly url: string;
  /** Whether the connection is encrypted. */
  readonly secure: boolean;
  /** Name or address, with brackets around IPv6. */
  readonly host: string;
  /** `host:port` as grpc-js resolves it. */
  readonly target: string;
}

const DEFAULT_PORT = 8980;

/**
 * Reads `grpc://host[:port]` or `grpcs://host[:port]`; the port is 8980 when left out.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying what an endpoint looks like.
 */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(grpcs?):\/\/(\[[0-9a-fA-F:.]+\]|[^\s:/?#[\]@]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const port = match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (match === null || port < 1 || port > 65535) {
    throw invalidArgument(
      "endpoint",
      `"${text}" is no endpoint; write grpc://host:port, or grpcs://host:port for TLS`,
    );
  }
  const target = `${match[2]}:${port}`;
  return { url: `${match[1]}://${target}`, secure: match[1] === "grpcs", host: match[2], target };
}

/** What grpc-js says when it could not connect, in words that say what to do. */
export function connectionError(endpoint: Endpoint, details: string): BrokkrError | undefined {
  const cannot = (why: string) =>
    new BrokkrError(Code.UNAVAILABLE, `Cannot reach ${endpoint.url}: ${why}`, { cause: new Error(details) });
  if (/ECONNREFUSED|connection refused/i.test(details)) {
    return cannot("connection refused; is a control plane running there? Start one with `brokk up`");
  }
  if (/ENOTFOUND|EAI_AGAIN|Name resolution failed/i.test(details)) return cannot("no such host");
  if (/EHOSTUNREACH|ENETUNREACH|unreachable/i.test(details)) return cannot("no route to the host");
  if (/ETIMEDOUT|timed out/i.test(details)) return cannot("no answer within the connection's time limit");
  if (/certificate|UnknownIssuer|self[- ]signed|NotValidForName|altnames/i.test(details)) {
    const why = /Last error: (?:Error: )?(.+?)\.? Resolution note:/.exec(details)?.[1] ?? firstLine(details);
    return cannot(`the TLS certificates do not fit (${why}); tls_ca names the authorities to trust`);
  }
  if (/No connection established|Failed to connect|ECONNRESET|socket hang up|Socket closed/i.test(details)) {
    const hint = endpoint.secure
      ? "does the server speak TLS, and is the client's certificate one it accepts?"
      : "does the server want TLS? Then write grpcs://";
    return cannot(`the connection closed before the first call; ${hint}`);
  }
  return undefined;
}

/**
 * How Node words a connection that broke (most often with the name of an errno, once in a sentence of its own), and
 * grpc-js one that had ended before the call began.
 */
const BROKEN_CONNECTION =
  /Failed to start HTTP\/2 stream with error (.*)|internal client error: (.*(?:\bE(?:PIPE|CONN[A-Z]+|TIMEDOUT|SHUTDOWN|NET[A-Z]+|HOST[A-Z]+)\b|socket has been ended).*)/s;

/**
 * The error for a connection that broke while something was written to it. grpc-js knows ECONNRESET and ETIMEDOUT as
 * such; the rest it takes for an INTERNAL error of a server that in truth never got the call.
 */
export function droppedError(endpoint: Endpoint, details: string): BrokkrError | undefined {
  const found = BROKEN_CONNECTION.exec(details);
  const why = found?.[1] ?? found?.[2];
  if (why === undefined) return undefined;
  return new BrokkrError(Code.UNAVAILABLE, `The connection to ${endpoint.url} dropped: ${firstLine(why)}`, {
    cause: new Error(details),
  });
}

/**
 * The error for an answer that is no gRPC: most often the pages' port was dialled, or a proxy answered. grpc-js reads the
 * length of a message from the text of such an answer, and complains of a size that nobody sent.
 */
export function foreignError(endpoint: Endpoint, details: string): BrokkrError | undefined {
  const size = Number(/^Received message larger than max \((\d+) vs/.exec(details)?.[1] ?? 0);
  const bytes = [24, 16, 8, 0].map((shift) => (size >>> shift) & 0xff);
  if (size === 0 || !bytes.every((byte) => byte === 10 || byte === 13 || (byte >= 32 && byte < 127))) {
    return undefined;
  }
  return new BrokkrError(
    Code.UNIMPLEMENTED,
    `Cannot reach ${endpoint.url}: something answers there that is no gRPC server; is it the port of the pages, or a proxy?`,
    { cause: new Error(details) },
  );
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0].slice(0, 200);
}
