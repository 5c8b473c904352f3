/**
 * What an attack is: data. What it does is in `programs`; here stands why, and what must come of it.
 *
 * @module
 */

import type { Command, Init } from "@brokkr/proto";
import type { Files, Place } from "./_arena.ts";

/**
 * What may come of a probe, several results divided by `|`: inside the sandbox, and, where that harms nobody, without one.
 * The second shows that it is the sandbox that refuses, and that the attack can tell.
 */
export type Expected = string | readonly [inside: string, without: string];

/** Attacks that only look at what comes of a call; many share one action. */
export interface Probes {
  /** As the program knows it. */
  readonly name: string;
  /** The hole it is about: a CVE, or what somebody could gain. */
  readonly why: string;
  /** Architectures that have it; all by default. */
  readonly only?: "x86_64";
  /** Results that must come, by name of the probe; every result that comes must be named here. */
  readonly probes: Readonly<Record<string, Expected>>;
}

/** How an action ended, as its client sees it. */
export interface Ran {
  /** Name of the status' code. */
  readonly status: string;
  /** What the status, or the response, says in words. */
  readonly message: string;
  /** Exit code; -1 when there is no result. */
  readonly exitCode: number;
  /** Whether something of it was killed for memory. */
  readonly outOfMemory: boolean;
  /** Results of probes: `attack.probe` and what came of it. */
  readonly results: readonly (readonly [probe: string, result: string])[];
  /** Standard output and error. */
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** Outputs, as `path=content`, `path->target` or `path/`; executable files have a `*`. */
  readonly outputs: readonly string[];
  /** From the call to its end. */
  readonly ms: number;
}

/** An attack that takes an action of its own, since it ends the action or takes all there is. */
export interface Assault {
  /** What it is called here; no other has that name. */
  readonly name: string;
  /** The hole it is about. */
  readonly why: string;
  /** Attacks of the program that are run, in this order. */
  readonly attacks?: readonly string[];
  /** More of the command, or another one. */
  readonly command?: Init<Command>;
  /** More inputs. */
  readonly files?: Files;
  /** Platform properties. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Seconds until it is killed; 60 by default. */
  readonly timeoutSeconds?: number;
  /** What must come of it; several ways to end are told apart by `|`. */
  readonly ends: {
    /** `OK`, or the code of the status. */
    readonly status: string;
    /** Exit code, where the status is OK. */
    readonly exitCode?: string;
    /** Words in the message. */
    readonly says?: string;
    /** Whether it was killed for memory. */
    readonly outOfMemory?: boolean;
  };
  /** Results of probes that must come, as in {@linkcode Probes.probes}, `attack.probe`. */
  readonly probes?: Readonly<Record<string, string>>;
  /** Outputs that must be in the result, exactly. */
  readonly outputs?: readonly string[];
  /** It needs limits of control groups: nothing else would stop it, so without them it is not run. */
  readonly needs?: "memory" | "pids";
  /** More to look at. */
  readonly check?: (ran: Ran, place: Place) => void | Promise<void>;
}
