/**
 * Gathers the configuration from flags, environment and `brokkr.toml`, and validates it. Every complaint says where the
 * value came from.
 *
 * @module
 */

import { parse, TomlError } from "smol-toml";
import { show } from "./_config_kinds.ts";
import { type KeySpec, SECTIONS, type Sections } from "./_config_keys.ts";
import { type TomlPositions, tomlPositions } from "./_toml_positions.ts";
import { BrokkrError, Code } from "./errors.ts";

/** Variables of the environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A parsed `brokkr.toml`. */
export interface ConfigFile {
  /** As messages name it. */
  readonly label: string;
  /** Its directory, against which its relative paths are resolved. */
  readonly directory: string;
  /** What it says. */
  readonly tables: Readonly<Record<string, unknown>>;
  /** Lines of its keys. */
  readonly positions: TomlPositions;
}

const MAX_FILE_BYTES = 1024 * 1024;

/** INVALID_ARGUMENT whose message is one line for each complaint. */
export function configError(
  complaints: readonly { readonly field: string; readonly text: string }[],
): BrokkrError {
  return new BrokkrError(Code.INVALID_ARGUMENT, complaints.map((each) => each.text).join("\n"), {
    details: [{
      kind: "badRequest",
      fieldViolations: complaints.map(({ field, text }) => ({ field, description: text })),
    }],
  });
}

/** The section names. */
export const SECTION_NAMES = Object.keys(SECTIONS) as readonly (keyof Sections)[];

/** A section's keys, by their names in TypeScript. */
export function keysOf(section: keyof Sections): readonly (readonly [string, KeySpec<unknown>])[] {
  return Object.entries(SECTIONS[section]) as [string, KeySpec<unknown>][];
}

/** The environment variable of a key. */
export function variableOf(section: string, name: string): string {
  return `BROKKR_${section}_${name}`.toUpperCase();
}

/** Directory part of a path; `.` for a bare name. */
function directoryOf(path: string): string {
  const at = path.lastIndexOf("/");
  return at < 0 ? "." : at === 0 ? "/" : path.slice(0, at);
}

function absolute(path: string, base: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return "/" + parts.join("/");
}

/**
 * Reads and parses a configuration file.
 *
 * @throws {BrokkrError} NOT_FOUND, PERMISSION_DENIED, or INVALID_ARGUMENT with file, line and column of a syntax error.
 */
export async function readConfigFile(path: string, cwd: string): Promise<ConfigFile> {
  const full = absolute(path, cwd);
  const text = await readText(full, path);
  try {
    return {
      label: path,
      directory: directoryOf(full),
      tables: parse(text),
      positions: tomlPositions(text),
    };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n", 1)[0].replace(/^Invalid TOML document: /, "");
    throw configError([{
      field: path,
      text: `${path}:${error.line}:${error.column}: not valid TOML: ${reason}`,
    }]);
  }
}

async function readText(full: string, label: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    const stat = await Deno.stat(full);
    if (!stat.isFile) throw configError([{ field: label, text: `${label}: not a file` }]);
    if (stat.size > MAX_FILE_BYTES) {
      throw configError([{
        field: label,
        text: `${label}: ${stat.size} bytes are too many; 1 MiB is allowed`,
      }]);
    }
    bytes = await Deno.readFile(full);
  } catch (error) {
    if (error instanceof BrokkrError) throw error;
    const missing = error instanceof Deno.errors.NotFound;
    throw new BrokkrError(
      missing ? Code.NOT_FOUND : Code.PERMISSION_DENIED,
      missing
        ? `${label}: no such file; brokk init writes one`
        : `${label}: cannot be read (${String(error)})`,
      { cause: error },
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw configError([{ field: label, text: `${label}: not UTF-8 text` }]);
  }
}

/** Where values come from, most important first. */
export interface Sources {
  /** Texts of flags, by `section.key`. */
  readonly flags: Readonly<Record<string, string>>;
  /** How messages name a flag; `--key` by default. */
  readonly flagName: (path: string) => string;
  /** The environment. */
  readonly env: Environment;
  /** The file, if there is one. */
  readonly file: ConfigFile | undefined;
  /** Where the process runs; paths in flags and variables are relative to it. */
  readonly cwd: string;
}

interface Found {
  readonly raw: unknown;
  readonly where: string;
  readonly base: string;
}

/** Collects complaints and values. */
export class Loader {
  readonly #sources: Sources;
  readonly #complaints: { field: string; text: string }[] = [];

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** All sections, validated. Throws every complaint at once. */
  load(): Sections {
    this.#checkNames();
    this.#checkVariables();
    const sections: Record<string, Record<string, unknown>> = {};
    for (const section of SECTION_NAMES) {
      const values: Record<string, unknown> = sections[section] = {};
      for (const [property, spec] of keysOf(section)) values[property] = this.#value(section, spec);
    }
    // The table of keys is typed so that each section has exactly its interface's properties, each of its type.
    const config = sections as unknown as Sections;
    if (this.#complaints.length === 0) this.#checkTogether(config);
    if (this.#complaints.length > 0) throw configError(this.#complaints);
    return config;
  }

  #complain(field: string, where: string, what: string): void {
    this.#complaints.push({ field, text: `${where}: ${what}` });
  }

  /** The table of a section in the file. */
  #table(section: string): Readonly<Record<string, unknown>> {
    const tables = this.#sources.file?.tables ?? {};
    const table = Object.hasOwn(tables, section) ? tables[section] : undefined;
    return isTable(table) ? table : {};
  }

  #find(section: string, spec: KeySpec<unknown>): Found {
    const { flags, flagName, env, file, cwd } = this.#sources;
    const path = `${section}.${spec.name}`;
    if (Object.hasOwn(flags, path)) {
      return { raw: spec.kind.fromText(flags[path]), where: flagName(path), base: cwd };
    }
    const variable = variableOf(section, spec.name);
    const text = env[variable];
    if (text !== undefined) return { raw: spec.kind.fromText(text), where: variable, base: cwd };
    const table = this.#table(section);
    if (file !== undefined && Object.hasOwn(table, spec.name)) {
      const line = file.positions.lineOf([section, spec.name]);
      return { raw: table[spec.name], where: `${file.label}:${line}: ${path}`, base: file.directory };
    }
    return { raw: spec.fallback, where: path, base: cwd };
  }

  #value(section: string, spec: KeySpec<unknown>): unknown {
    const found = this.#find(section, spec);
    const result = spec.kind.schema.safeParse(found.raw);
    if (!result.success) {
      for (const issue of result.error.issues) {
        this.#complain(`${section}.${spec.name}`, found.where, issue.message);
      }
      return undefined;
    }
    if (spec.kind.isPath !== true || typeof result.data !== "string" || result.data === "") {
      return result.data;
    }
    const expanded = expandHome(result.data, this.#sources.env, found.raw === spec.fallback);
    return absolute(expanded, found.base);
  }

  /** Refuses what the file names and nothing knows, with a suggestion. */
  #checkNames(): void {
    const file = this.#sources.file;
    if (file === undefined) return;
    for (const [section, table] of Object.entries(file.tables)) {
      const where = `${file.label}:${file.positions.lineOf([section])}: ${section}`;
      if (!Object.hasOwn(SECTIONS, section)) {
        this.#complain(section, where, unknownSection(section));
      } else if (!isTable(table)) {
        this.#complain(
          section,
          where,
          `${show(table)} is not a section; write [${section}] and its keys below`,
        );
      } else this.#checkKeys(file, section as keyof Sections, table);
    }
  }

  /** Refuses variables that look like ours and mean nothing: a setting that is misspelled must not be left out silently. */
  #checkVariables(): void {
    const known = SECTION_NAMES.flatMap((section) =>
      keysOf(section).map(([, spec]) => variableOf(section, spec.name))
    );
    for (const name of Object.keys(this.#sources.env)) {
      if (!name.startsWith("BROKKR_") || known.includes(name) || isOthers(name)) continue;
      const near = nearest(name, [...known, ...OTHER_VARIABLES]);
      const hint = near !== undefined
        ? `did you mean ${near}?`
        : "variables are named BROKKR_SECTION_KEY, such as BROKKR_CONTROL_LISTEN";
      const shown = show(name.slice(0, 100));
      this.#complain(name, /^[A-Z0-9_]{1,100}$/.test(name) ? name : shown, `unknown variable; ${hint}`);
    }
  }

  #checkKeys(file: ConfigFile, section: keyof Sections, table: Readonly<Record<string, unknown>>): void {
    const known = keysOf(section).map(([, spec]) => spec.name);
    for (const name of Object.keys(table)) {
      if (known.includes(name)) continue;
      const where = `${file.label}:${file.positions.lineOf([section, name])}: ${section}.${name}`;
      const near = nearest(name, known);
      const elsewhere = SECTION_NAMES.find((other) => keysOf(other).some(([, spec]) => spec.name === name));
      const hint = near !== undefined
        ? `did you mean ${near}?`
        : elsewhere !== undefined
        ? `there is ${elsewhere}.${name}`
        : `[${section}] has ${known.join(", ")}`;
      this.#complain(`${section}.${name}`, where, `unknown key; ${hint}`);
    }
  }

  /** Rules that tie keys together. */
  #checkTogether(config: Sections): void {
    const { client, control, worker } = config;
    const rule = (ok: boolean, section: keyof Sections, property: string, what: string) => {
      const spec = keysOf(section).find(([name]) => name === property)?.[1];
      if (ok || spec === undefined) return;
      this.#complain(`${section}.${spec.name}`, this.#find(section, spec).where, what);
    };
    const pair = (section: "client" | "control" | "worker", cert: string, key: string) => {
      rule(cert === "" || key !== "", section, "tlsCert", "needs tls_key beside it");
      rule(key === "" || cert !== "", section, "tlsKey", "needs tls_cert beside it");
    };
    pair("client", client.tlsCert, client.tlsKey);
    pair("control", control.tlsCert, control.tlsKey);
    pair("worker", worker.tlsCert, worker.tlsKey);
    rule(
      control.tlsClientCa === "" || control.tlsCert !== "",
      "control",
      "tlsClientCa",
      "needs tls_cert and tls_key: client certificates travel in TLS only",
    );
    rule(
      control.leaseTtlMs >= 2 * control.heartbeatIntervalMs,
      "control",
      "leaseTtlMs",
      "must be at least twice heartbeat_interval, or one lost heartbeat ends a lease",
    );
    rule(
      control.defaultTimeoutMs <= control.maxTimeoutMs,
      "control",
      "defaultTimeoutMs",
      "must not be longer than max_timeout",
    );
    const most = (amount: number, max: number, property: string, key: string) => {
      rule(
        max === 0 || amount <= max,
        "worker",
        property,
        `must be at least ${key}, or 0 for as much as that`,
      );
    };
    most(worker.sandboxMemoryBytes, worker.sandboxMaxMemoryBytes, "sandboxMaxMemoryBytes", "sandbox_memory");
    most(worker.sandboxPids, worker.sandboxMaxPids, "sandboxMaxPids", "sandbox_pids");
    most(worker.sandboxCpuMillis, worker.sandboxMaxCpuMillis, "sandboxMaxCpuMillis", "sandbox_cpu");
    most(worker.sandboxDiskBytes, worker.sandboxMaxDiskBytes, "sandboxMaxDiskBytes", "sandbox_disk");
  }
}

/** Variables of ours that are no keys of the configuration. */
const OTHER_VARIABLES = ["BROKKR_CONFIG", "BROKKR_PARENT_PIPE", "BROKKR_DEBUG"];

/**
 * Whether a variable is none of the configuration's: it has another purpose, or Kubernetes made it for a service whose
 * name begins with `brokkr` (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
function isOthers(name: string): boolean {
  if (OTHER_VARIABLES.includes(name) || /^BROKKR_(TEST|SIM)_/.test(name)) return true;
  return /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/.test(name);
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function unknownSection(name: string): string {
  const near = nearest(name, SECTION_NAMES);
  if (near !== undefined) return `unknown section; did you mean [${near}]?`;
  const owners = SECTION_NAMES.filter((section) => keysOf(section).some(([, spec]) => spec.name === name));
  if (owners.length > 0) {
    return `keys stand in a section; did you mean ${owners.map((s) => `${s}.${name}`).join(" or ")}?`;
  }
  return `unknown section; there are ${SECTION_NAMES.map((section) => `[${section}]`).join(", ")}`;
}

const DATA_HOME = "~/.local/share/";

/** Puts the home directory for `~/`; a default also honours XDG_DATA_HOME, and a service without HOME gets /var/lib. */
function expandHome(path: string, env: Environment, isDefault: boolean): string {
  if (!path.startsWith("~/")) return path;
  const dataHome = env["XDG_DATA_HOME"];
  if (isDefault && path.startsWith(DATA_HOME) && dataHome?.startsWith("/")) {
    return `${dataHome}/${path.slice(DATA_HOME.length)}`;
  }
  const home = env["HOME"];
  if (home?.startsWith("/")) return `${home}/${path.slice(2)}`;
  return isDefault ? `/var/lib/${path.slice(DATA_HOME.length)}` : path;
}

/** The one of `known` that `name` most likely means, if any is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(4, Math.ceil(name.length / 2));
  for (const candidate of known) {
    const distance = editDistance(name.slice(0, 64), candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance (Wagner and Fischer 1974), one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
