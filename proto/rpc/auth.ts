/**
 * Who calls and what they may do. Nothing is allowed that is not granted.
 *
 * @module
 */

import { type Access, ANONYMOUS, type InstanceName, invalidArgument, type Principal } from "@brokkr/common";

/** What is known of the other end of a connection. */
export interface PeerInfo {
  /** Address and port. */
  readonly address: string;
  /** Whether the connection is encrypted. */
  readonly encrypted: boolean;
  /** Common name of the client certificate, present only if the certificate was verified against the server's CA. */
  readonly certificateName?: string;
}

/**
 * Whether `principal` may call a method that needs `access`. Asked once without an instance before a call starts, and
 * again for every instance the call names.
 */
export type Authorize = (
  principal: Principal,
  access: Access,
  path: string,
  instance?: InstanceName,
) => boolean;

/** What {@linkcode defaultPolicy} grants. */
export interface PolicyOptions {
  /** What everyone may do, with and without a certificate. */
  readonly anonymousAccess: readonly Access[];
  /**
   * What certificates may do beyond that, by common name; a name that ends in `*` stands for all that begin so, `*`
   * alone for every verified certificate. All rules that fit add up.
   */
  readonly certificateAccess?: Readonly<Record<string, readonly Access[]>>;
}

/** The principal of a connection: `cert:<common name>` with a verified certificate, anonymous without. */
export function defaultAuthenticate(peer: PeerInfo): Principal {
  if (peer.certificateName === undefined) return ANONYMOUS;
  return { kind: "certificate", name: `cert:${peer.certificateName}` };
}

function matches(rule: string, name: string): boolean {
  return rule.endsWith("*") ? name.startsWith(rule.slice(0, -1)) : rule === name;
}

/**
 * A policy of fixed grants. Whatever is not named is denied; the process itself may do everything.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ANONYMOUS } from "@brokkr/common";
 * import { defaultPolicy } from "@brokkr/proto/rpc/server";
 * const policy = defaultPolicy({
 *   anonymousAccess: ["public", "read"],
 *   certificateAccess: { "worker-*": ["worker", "write"] },
 * });
 * assertEquals(policy(ANONYMOUS, "read", "/a.B/C"), true);
 * assertEquals(policy(ANONYMOUS, "worker", "/a.B/C"), false);
 * assertEquals(policy({ kind: "certificate", name: "cert:worker-7" }, "worker", "/a.B/C"), true);
 * ```
 */
export function defaultPolicy(options: PolicyOptions): Authorize {
  const everyone = new Set(options.anonymousAccess);
  const rules = Object.entries(options.certificateAccess ?? {});
  return (principal, access) => {
    if (principal.kind === "internal" || everyone.has(access)) return true;
    if (principal.kind !== "certificate" || !principal.name.startsWith("cert:")) return false;
    const name = principal.name.slice("cert:".length);
    return rules.some(([rule, granted]) => matches(rule, name) && granted.includes(access));
  };
}

/** Segments that REAPI keeps for resource names, and that an instance name must not hold. */
const RESERVED = new Set([
  "blobs",
  "uploads",
  "actions",
  "actionResults",
  "operations",
  "capabilities",
  "compressed-blobs",
]);
const MAX_INSTANCE_LENGTH = 256;

/**
 * An instance name from the wire, checked: at most 256 characters, segments between single slashes, none of them empty,
 * `.`, `..` or a word that resource names use, and no control characters.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT saying which rule it breaks.
 */
export function checkInstanceName(name: string): InstanceName {
  if (name === "") return name as InstanceName;
  if (name.length > MAX_INSTANCE_LENGTH) {
    throw invalidArgument(
      "instance_name",
      `Instance name of ${name.length} characters is longer than ${MAX_INSTANCE_LENGTH}`,
    );
  }
  // deno-lint-ignore no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f]/.test(name) || !name.isWellFormed()) {
    throw invalidArgument("instance_name", "Instance name holds control characters or broken Unicode");
  }
  for (const segment of name.split("/")) {
    if (segment === "" || segment === "." || segment === "..") {
      throw invalidArgument("instance_name", `Instance name "${name}" has an empty or dotted segment`);
    }
    if (RESERVED.has(segment)) {
      throw invalidArgument(
        "instance_name",
        `Instance name "${name}" holds the segment "${segment}", which resource names use`,
      );
    }
  }
  return name as InstanceName;
}
