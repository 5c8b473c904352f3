/**
 * The whole configuration as one validated, documented type. Flags go over environment variables, and those over
 * `brokkr.toml`. This module loads zod and a TOML parser, so the client imports it only where a file is read.
 *
 * @module
 */

import {
  type ConfigFlag,
  configFlags,
  configHelp,
  parseConfigFlags,
  type ProcessName,
  wrap,
} from "./_config_flags.ts";
import { SECTION_DOCS, type Sections } from "./_config_keys.ts";
import {
  type ConfigFile,
  type Environment,
  keysOf,
  Loader,
  readConfigFile,
  SECTION_NAMES,
  variableOf,
} from "./_config_load.ts";

export type {
  ClientConfig,
  ControlConfig,
  LogConfig,
  Properties,
  Sections,
  StoreConfig,
  UpConfig,
  WorkerConfig,
  WorkerSandboxConfig,
} from "./_config_keys.ts";
export type { LogLevel } from "./log.ts";
export type { Environment } from "./_config_load.ts";
export {
  type ConfigFlag,
  configFlags,
  configHelp,
  flagArgument,
  parseConfigFlags,
  type ParsedFlags,
  type ProcessName,
} from "./_config_flags.ts";

/** Name of the file that is read when none is named. */
export const CONFIG_FILE = "brokkr.toml";

/** A validated configuration. */
export interface Config extends Sections {
  /** The file it was read from, as it was named; undefined when there was none. */
  readonly file: string | undefined;
}

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The file; it must exist. Without it BROKKR_CONFIG names one, or `./brokkr.toml` is read if it exists. */
  readonly file?: string;
  /** Environment variables; the process's own by default. */
  readonly env?: Environment;
  /** Texts of flags, by key, such as `{ "control.listen": "127.0.0.1:0" }`. */
  readonly flags?: Readonly<Record<string, string>>;
  /** How messages name the flag of a key; `--listen` for `control.listen` by default. */
  readonly flagName?: (path: string) => string;
  /** Directory to start from; the process's own by default. */
  readonly cwd?: string;
}

/**
 * Reads and validates the whole configuration.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT with one line for each fault, which names file and line (or flag, or
 * variable), key, and what would be right; NOT_FOUND when the named file does not exist.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { loadConfig } from "@brokkr/common/config";
 * const config = await loadConfig({ env: { BROKKR_CONTROL_LEASE_TTL: "1m" }, flags: { "worker.slots": "4" } });
 * assertEquals([config.control.leaseTtlMs, config.worker.slots], [60_000, 4]);
 * ```
 */
export async function loadConfig(sources: ConfigSources = {}): Promise<Config> {
  const cwd = sources.cwd ?? Deno.cwd();
  const env = sources.env ?? Deno.env.toObject();
  const named = sources.file ?? env["BROKKR_CONFIG"];
  const file = named !== undefined && named !== ""
    ? await readConfigFile(named, cwd)
    : await readIfThere(CONFIG_FILE, cwd);
  const flagName = sources.flagName ??
    ((path) => "--" + path.slice(path.indexOf(".") + 1).replaceAll("_", "-"));
  const sections = new Loader({ flags: sources.flags ?? {}, flagName, env, file, cwd }).load();
  return { ...sections, file: file?.label };
}

async function readIfThere(path: string, cwd: string): Promise<ConfigFile | undefined> {
  try {
    await Deno.lstat(`${cwd}/${path}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
  }
  return await readConfigFile(path, cwd);
}

/** What a process's command line came to: a configuration, or a text to print before ending. */
export type ProcessConfig =
  | { readonly config: Config; readonly print?: undefined }
  | { readonly config?: undefined; readonly print: string };

/** How {@linkcode loadProcessConfig} presents a process. */
export interface ProcessAbout {
  /** How it is called, such as `brokkr-control [flags]`. */
  readonly usage: string;
  /** One sentence on what it is. */
  readonly about: string;
  /** Its version. */
  readonly version: string;
  /** Environment variables; the process's own by default. */
  readonly env?: Environment;
}

/**
 * The configuration of a server process from its command line, whose flags are derived from its sections.
 *
 * @throws {BrokkrError} as {@linkcode loadConfig} does, and INVALID_ARGUMENT for an unknown flag.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { loadProcessConfig } from "@brokkr/common/config";
 * const about = { usage: "brokkr-control [flags]", about: "The control plane.", version: "0.1.0", env: {} };
 * const { config } = await loadProcessConfig("control", ["--listen", "127.0.0.1:0"], about);
 * assertEquals(config?.control.listen, "127.0.0.1:0");
 * ```
 */
export async function loadProcessConfig(
  process: ProcessName,
  args: readonly string[],
  about: ProcessAbout,
): Promise<ProcessConfig> {
  const { flags, file, asked } = parseConfigFlags(process, args);
  if (asked === "help") return { print: configHelp(process, about.usage, about.about) };
  if (asked === "version") return { print: `${about.version}\n` };
  const names = new Map(configFlags(process).map((flag: ConfigFlag) => [flag.path, flag.name]));
  const flagName = (path: string) => names.get(path) ?? path;
  return { config: await loadConfig({ file, env: about.env, flags, flagName }) };
}

/** A default as TOML writes it. */
function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  return typeof value === "object" ? "{}" : JSON.stringify(value);
}

/** A `brokkr.toml` that names every key with its documentation and default, all commented out. */
export function configReference(): string {
  const lines = [
    "# Brokkr's configuration. Flags go over environment variables (BROKKR_SECTION_KEY), and those over this file.",
    "# Every key is shown with its default. Relative paths are relative to this file.",
  ];
  for (const section of SECTION_NAMES) {
    lines.push("", `# ${SECTION_DOCS[section]}`, `[${section}]`);
    for (const [, spec] of keysOf(section)) {
      lines.push("", ...wrap(`${spec.doc} (${spec.kind.allowed})`, 108).map((line) => `# ${line}`));
      lines.push(`# ${spec.name} = ${toml(spec.fallback)}`);
    }
  }
  return lines.join("\n") + "\n";
}

/** One key of the configuration, as the reference shows it. */
export interface ConfigKey {
  /** Its section, such as `control`. */
  readonly section: keyof Sections;
  /** Its name in TOML, such as `lease_ttl`. */
  readonly name: string;
  /** Its property in {@linkcode Config}, such as `leaseTtlMs`. */
  readonly property: string;
  /** Its default as TOML writes it. */
  readonly fallback: string;
  /** What values look like, with their limits. */
  readonly allowed: string;
  /** Its environment variable. */
  readonly variable: string;
  /** What it is for. */
  readonly doc: string;
}

/**
 * Every key, section by section.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { configKeys } from "@brokkr/common/config";
 * const key = configKeys().find(({ property }) => property === "leaseTtlMs");
 * assertEquals([key?.section, key?.name, key?.variable], ["control", "lease_ttl", "BROKKR_CONTROL_LEASE_TTL"]);
 * ```
 */
export function configKeys(): readonly ConfigKey[] {
  return SECTION_NAMES.flatMap((section) =>
    keysOf(section).map(([property, { name, fallback, kind, doc }]) => ({
      section,
      name,
      property,
      fallback: toml(fallback),
      allowed: kind.allowed,
      variable: variableOf(section, name),
      doc,
    }))
  );
}

/** What each section is about. */
export function configSections(): Readonly<Record<keyof Sections, string>> {
  return SECTION_DOCS;
}
