/**
 * How the policy of system calls is written down: rules that name calls, what they are answered, and why.
 *
 * @module
 */

import type { AARCH64_CALLS } from "./calls_aarch64.ts";
import type { X86_64_CALLS } from "./calls_x86_64.ts";

/** Name of a system call of any architecture. */
export type CallName = keyof typeof X86_64_CALLS | keyof typeof AARCH64_CALLS;

/** The errors that refused calls fail with; their numbers are the same on every architecture. */
export const REFUSALS = {
  /** It administers the machine or attacks it. */
  EPERM: 1,
  /** There is not enough of it, as on a machine that has none set aside. */
  ENOMEM: 12,
  /** The kernel does not know such an option. */
  EINVAL: 22,
  /** The file does not know such a request. */
  ENOTTY: 25,
  /** The kernel does not have the call: what programs expect of an older one and go another way. */
  ENOSYS: 38,
  /** The kernel does not have that protocol. */
  EPROTONOSUPPORT: 93,
  /** The file system cannot do that: what programs answer by writing. */
  EOPNOTSUPP: 95,
  /** The kernel does not have that family of addresses. */
  EAFNOSUPPORT: 97,
} as const;

/** An error that refused calls fail with. */
export type Refusal = keyof typeof REFUSALS;

/**
 * What becomes of a call: it is made; it is not made and says that it succeeded; it is not made and fails; or the whole
 * process is killed.
 */
export type Action = "allow" | "succeed" | "kill" | Refusal;

/**
 * A condition on an argument. Only its lower 32 bits count, because every argument that the policy looks at is an int
 * (or shorter, or for clone a word whose upper half is dropped) to the kernel, which does not see the upper half: a
 * filter that did would be got round with it.
 */
export interface Condition {
  /** Which argument, from 0. */
  readonly arg: 0 | 1 | 2 | 3 | 4 | 5;
  /** Bits to look at; all 32 by default. */
  readonly mask?: number;
  /** Values that fulfil it, by name. */
  readonly is: Readonly<Record<string, number>>;
}

/** What a call is answered when all conditions hold. */
export interface Case {
  readonly when: readonly Condition[];
  readonly action: Action;
  /** Why; the rule's own reason by default. */
  readonly reason?: string;
}

/** What some calls are answered, and why. */
export interface Rule {
  readonly calls: readonly CallName[];
  /** Looked at in order; the first that applies is taken. */
  readonly cases?: readonly Case[];
  /** What happens when no case applies. */
  readonly action: Action;
  readonly reason: string;
}

/** Rules of one purpose. */
export interface Group {
  readonly title: string;
  readonly rules: readonly Rule[];
}

/** What changes the policy. */
export interface SeccompOptions {
  /** Whether addresses are randomized; true by default. Without it programs may ask for addresses that are not. */
  readonly aslr?: boolean;
  /** Whether room on disk may be taken without writing; true by default. */
  readonly fallocate?: boolean;
}
