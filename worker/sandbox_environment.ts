/**
 * The environment variables of an action in a sandbox: its own, what makes results the same everywhere where it does not
 * say otherwise, and nothing of the host's.
 *
 * @module
 */

import { invalidArgument } from "@brokkr/common";

/** Environment variables, in order. */
export type ActionEnvironment = readonly (readonly [name: string, value: string])[];

/**
 * Variables by which the dynamic linker (ld.so(8)) loads code beside a program's own, or traces it into files and onto
 * its output. LD_LIBRARY_PATH is none of them: builds need it.
 */
const LINKER_VARIABLES: ReadonlySet<string> = new Set([
  "LD_AUDIT",
  "LD_DEBUG",
  "LD_DEBUG_OUTPUT",
  "LD_DYNAMIC_WEAK",
  "LD_ORIGIN_PATH",
  "LD_PRELOAD",
  "LD_PROFILE",
  "LD_PROFILE_OUTPUT",
  "LD_SHOW_AUXV",
  "LD_TRACE_LOADED_OBJECTS",
  "LD_TRACE_PRELINKING",
  "LD_USE_LOAD_BIAS",
  "LD_VERBOSE",
]);

/** 2000-01-01, which is also the time of last change of every input (https://reproducible-builds.org/specs/source-date-epoch). */
export const SOURCE_DATE_EPOCH = "946684800";

/**
 * The environment that an action runs with: TZ, LANG and SOURCE_DATE_EPOCH are added, each only if the command does not
 * set it (LANG also not beside any LC_ variable).
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for LD_PRELOAD and its like unless `allowPreload`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sandboxEnvironment } from "@brokkr/worker";
 * assertEquals(sandboxEnvironment([["PATH", "/usr/bin"], ["LC_ALL", "C"]], false), [
 *   ["PATH", "/usr/bin"],
 *   ["LC_ALL", "C"],
 *   ["TZ", "UTC"],
 *   ["SOURCE_DATE_EPOCH", "946684800"],
 * ]);
 * ```
 */
export function sandboxEnvironment(env: ActionEnvironment, allowPreload: boolean): ActionEnvironment {
  const names = new Set<string>();
  for (const [name] of env) {
    names.add(name);
    if (allowPreload || !LINKER_VARIABLES.has(name)) continue;
    throw invalidArgument(
      "command.environment_variables",
      `${name} is refused: it has the dynamic linker load or trace what is no input of the action; the worker's operator ` +
        "can allow it by worker.sandbox_allow_preload",
    );
  }
  const hasLocale = [...names].some((name) => name === "LANG" || name.startsWith("LC_"));
  return [
    ...env,
    ...(names.has("TZ") ? [] : [["TZ", "UTC"] as const]),
    ...(hasLocale ? [] : [["LANG", "C.UTF-8"] as const]),
    ...(names.has("SOURCE_DATE_EPOCH") ? [] : [["SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH] as const]),
  ];
}
