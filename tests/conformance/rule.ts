/**
 * What a rule is, and how it says that a server breaks it.
 *
 * @module
 */

import type { Context } from "./context.ts";
import { type Reply, STATUS_NAMES, type StatusName, statusOf } from "./wire.ts";

/** What a server must have for a rule to make sense. */
export type Need =
  /** GetCapabilities has cache_capabilities. */
  | "cache"
  /** Clients may write to the action cache. */
  | "update"
  /** Actions are run: exec_enabled, and a worker took one. */
  | "exec"
  /** supported_compressors has ZSTD. */
  | "zstd"
  /** supported_batch_update_compressors has ZSTD. */
  | "zstd-batch"
  /** supported_compressors has BROTLI. */
  | "brotli"
  /** supported_batch_update_compressors has BROTLI. */
  | "brotli-batch"
  /** supported_compressors has DEFLATE. */
  | "deflate"
  /** supported_batch_update_compressors has DEFLATE. */
  | "deflate-batch"
  /** split_blob_support. */
  | "split"
  /** splice_blob_support. */
  | "splice"
  /** The optional google.longrunning.Operations. */
  | "operations"
  /** The server compresses and unpacks gRPC messages with gzip. */
  | "grpc-gzip";

/** One rule. */
export interface Rule {
  /** Such as `READ-03`; the part before the number is the group. */
  readonly id: string;
  /** A sentence that is true of a server that keeps the rule. */
  readonly title: string;
  /** Where it is written. */
  readonly source: string;
  /** Whether breaking it fails the run, or is a warning. */
  readonly level: "must" | "should";
  readonly needs?: readonly Need[];
  /** Throws {@linkcode Broken} or {@linkcode Skip}. */
  readonly run: (ctx: Context) => Promise<void>;
}

/** The rule is broken. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** The rule does not apply to this server. */
export class Skip extends Error {
  override readonly name = "Skip";
}

/** Sources that many rules share. */
export const SOURCE = {
  reapi: (where: string) => `remote_execution.proto, ${where}`,
  bytestream: (where: string) => `bytestream.proto, ${where}`,
  operations: (where: string) => `operations.proto, ${where}`,
  grpc: (where: string) => `gRPC over HTTP/2, ${where}`,
  compression: "gRPC compression.md, Compression Method Asymmetry",
  rpcCode: (where: string) => `google/rpc/code.proto, ${where}`,
  http2: (where: string) => `RFC 9113, ${where}`,
} as const;

/** Throws {@linkcode Broken} unless `condition` holds. */
export function check(condition: boolean, otherwise: string | (() => string)): asserts condition {
  if (!condition) throw new Broken(typeof otherwise === "string" ? otherwise : otherwise());
}

/** Compares what can be written as JSON. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(a === e, () => `${what}: got ${a.slice(0, 500)} where ${e.slice(0, 500)} is right`);
}

/** Compares bytes. */
export function equalBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  check(
    actual.length === expected.length,
    () => `${what}: ${actual.length} bytes where ${expected.length} are right`,
  );
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  check(at === -1, () => `${what}: the bytes differ from offset ${at} on`);
}

/** The call ended with one of these statuses. */
export function status(reply: Reply, allowed: StatusName | readonly StatusName[], what: string): void {
  const names = typeof allowed === "string" ? [allowed] : allowed;
  const name = reply.code === undefined ? undefined : STATUS_NAMES[reply.code];
  const fits = name !== undefined && names.includes(name);
  check(fits, () => `${what}: ${statusOf(reply)}, where ${names.join(" or ")} is right`);
}

/** The call was refused, by a status of gRPC. */
export function refused(reply: Reply, what: string): void {
  check(
    reply.code !== undefined && reply.code !== 0,
    () => `${what}: ${statusOf(reply)}, where an error status is right`,
  );
}

/** The call succeeded and gave exactly one message. */
export function one(reply: Reply, what: string): Uint8Array {
  status(reply, "OK", what);
  check(
    reply.messages.length === 1,
    () => `${what}: ${reply.messages.length} messages where one is right`,
  );
  return reply.messages[0];
}

/** A client's mistake, whatever name the server has for it: not a fault of the server. */
export const CLIENT_FAULTS: readonly StatusName[] = [
  ...["INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED"] as const,
  ...["PERMISSION_DENIED", "RESOURCE_EXHAUSTED"] as const,
];

/** What makes a rule of a group that needs `needs`. */
type Maker = (
  id: string,
  title: string,
  source: string,
  run: (ctx: Context) => Promise<void>,
  more?: readonly Need[],
) => Rule;

/** Makers of rules that all need the same. */
export function rulesThatNeed(...needs: readonly Need[]): { readonly must: Maker; readonly should: Maker } {
  const maker = (level: "must" | "should"): Maker => (id, title, source, run, more = []) => {
    return { id, title, source, level, needs: [...needs, ...more], run };
  };
  return { must: maker("must"), should: maker("should") };
}
