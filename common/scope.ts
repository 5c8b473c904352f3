/**
 * Who asks, and on whose data: every call has a principal, every store and cache call a scope.
 *
 * @module
 */

import type { InstanceName } from "./ids.ts";

/** Who makes a call. Until there is authentication this is `anonymous` or a certificate's name. */
export interface Principal {
  /** How the identity was established. */
  readonly kind: "anonymous" | "certificate" | "internal";
  /** A name for logs and rules, such as `anonymous` or `cert:worker-1`. */
  readonly name: string;
}

/** The principal of a call that carried no credentials. */
export const ANONYMOUS: Principal = Object.freeze({ kind: "anonymous", name: "anonymous" });

/** The principal of the process itself. */
export const INTERNAL: Principal = Object.freeze({ kind: "internal", name: "internal" });

/** What a method needs of its caller. A method that names none is denied to everybody. */
export type Access = "public" | "read" | "write" | "execute" | "admin" | "worker";

/**
 * On whose data a call works. Results written in one scope never answer in another; blob contents are shared, since
 * whoever can name a digest has known the bytes.
 */
export interface Scope {
  /** REAPI instance name. */
  readonly instance: InstanceName;
  /** Tenant; `""` until there are several. */
  readonly tenant: string;
  /** Trust lane, for results of differing provenance; `""` is the default lane. */
  readonly lane: string;
}

/** The scope of an instance for the default tenant and lane. */
export function scopeOf(instance: string): Scope {
  return { instance: instance as InstanceName, tenant: "", lane: "" };
}

/** One string for a scope, unambiguous whatever its parts hold. */
export function scopeKey(scope: Scope): string {
  return `${scope.instance.length}:${scope.instance}${scope.tenant.length}:${scope.tenant}${scope.lane}`;
}
