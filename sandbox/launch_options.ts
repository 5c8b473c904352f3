/**
 * What an action is started with, checked, and turned into the parameters of its program.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";
import type { RlimitName } from "./action_program.ts";
import { RLIMIT } from "./linux.ts";
import type { ParameterValue } from "./program.ts";

/** Where stdout or stderr goes: a file the launcher creates or appends to, or a descriptor open with O_APPEND. */
export type OutputTarget = { readonly path: string } | { readonly fd: number };

/** A resource limit. */
export interface Rlimit {
  /** What is enforced. */
  readonly soft: number;
  /** How far the action may raise it. */
  readonly hard: number;
}

/** What to run, and how. */
export interface LaunchOptions {
  /** What execve gets: absolute, or relative to `cwd`. PATH is not searched. */
  readonly executable: string;
  /** The arguments, argv[0] as given. */
  readonly argv: readonly string[];
  /** The whole environment, in this order; pairs keep even numeric names in order. */
  readonly env: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  /** Working directory, absolute. */
  readonly cwd: string;
  /** Standard input; /dev/null by default. */
  readonly stdin?: { readonly path: string };
  /** Standard output. */
  readonly stdout: OutputTarget;
  /** Standard error. */
  readonly stderr: OutputTarget;
  /** How much of each of stdout and stderr is kept; 256 MiB by default. See {@linkcode ExitReport}. */
  readonly outputLimitBytes?: number;
  /** File mode creation mask; 0o022 by default. */
  readonly umask?: number;
  /** Resource limits; by default no core files, and at most 65,536 open files. */
  readonly rlimits?: Readonly<Partial<Record<RlimitName, Rlimit>>>;
}

/** Default of {@linkcode LaunchOptions.outputLimitBytes}. */
export const DEFAULT_OUTPUT_LIMIT_BYTES = 256 * 1024 * 1024;

/** `value`, unless it holds a NUL. */
export function refuseNul(field: string, value: string): string {
  if (value.includes("\0")) {
    throw invalidArgument(field, `A string for a process must not hold a NUL: ${JSON.stringify(value)}`);
  }
  return value;
}

/** An environment as execve takes it. */
export function environmentStrings(env: LaunchOptions["env"]): string[] {
  const pairs: readonly (readonly [string, string])[] = Array.isArray(env) ? env : Object.entries(env);
  return pairs.map(([name, value]) => {
    if (name === "" || name.includes("=")) {
      throw invalidArgument("env", `An environment variable cannot be called ${JSON.stringify(name)}`);
    }
    return refuseNul("env", `${name}=${value}`);
  });
}

/** A limit as prlimit takes it. */
export function rlimitValue(name: string, limit: Rlimit): Uint8Array {
  const word = (value: number) => {
    if (value === Infinity) return 0xffff_ffff_ffff_ffffn; // RLIM_INFINITY
    if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    throw invalidArgument("rlimits", `A limit must be a whole number of at least 0, not ${name}=${value}`);
  };
  return new Uint8Array(new BigUint64Array([word(limit.soft), word(limit.hard)]).buffer);
}

/** Names of the limits in `limits`, in a fixed order. */
export function rlimitNames(limits: NonNullable<LaunchOptions["rlimits"]>): RlimitName[] {
  return (Object.keys(RLIMIT) as RlimitName[]).filter((name) => limits[name] !== undefined);
}

/**
 * Parameter values for the options alone.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the field that cannot be passed to a process.
 */
export function launchParameters(options: LaunchOptions): Record<string, ParameterValue> {
  if (!options.cwd.startsWith("/")) {
    throw invalidArgument("cwd", `A working directory must be absolute, not ${JSON.stringify(options.cwd)}`);
  }
  if (options.executable === "") throw invalidArgument("executable", "There is no program to run");
  if (options.argv.length === 0) throw invalidArgument("argv", "There must be at least argv[0]");
  const values: Record<string, ParameterValue> = {
    executable: refuseNul("executable", options.executable),
    argv: options.argv.map((arg) => refuseNul("argv", arg)),
    env: environmentStrings(options.env),
    cwd: refuseNul("cwd", options.cwd),
    umask: (options.umask ?? 0o022) & 0o777,
  };
  if (options.stdin !== undefined) values.stdin = refuseNul("stdin", options.stdin.path);
  for (const name of rlimitNames(options.rlimits ?? {})) {
    const limit = options.rlimits?.[name];
    if (limit !== undefined) values[`rlimit_${name}`] = rlimitValue(name, limit);
  }
  return values;
}
