/**
 * The flags of a process, derived from the keys of its sections.
 *
 * @module
 */

import { configError, keysOf, nearest } from "./_config_load.ts";
import type { Sections } from "./_config_keys.ts";

/** One flag. */
export interface ConfigFlag {
  /** With its dashes, such as `--lease-ttl`. */
  readonly name: string;
  /** The key it sets, such as `control.lease_ttl`. */
  readonly path: string;
  /** What stands for its value in help; empty for a switch. */
  readonly placeholder: string;
  /** A switch that turns off what is on by default, such as `--no-sandbox`. */
  readonly negated: boolean;
  /** What the key is for. */
  readonly doc: string;
  /** Whether it may be given several times. */
  readonly repeatable: boolean;
}

/** A process whose flags come from the configuration. */
export type ProcessName = "control" | "worker" | "up";

const OF_PROCESS: Readonly<Record<ProcessName, readonly (keyof Sections)[]>> = {
  control: ["control", "log"],
  worker: ["worker", "log"],
  up: ["up", "control", "worker", "log"],
};

/** Keys that `brokk up` sets itself. */
const SET_BY_UP = new Set(["control.data_dir", "worker.data_dir", "worker.control"]);

/**
 * The flags of a process. A key's flag is its name in kebab case; where two sections share a name, and always for
 * `[log]`, the later section's flag carries the section's name: `--log-level`, `--worker-memory-budget`. That of a switch
 * which is on by default turns it off: `--no-sandbox`.
 */
export function configFlags(process: ProcessName): readonly ConfigFlag[] {
  const flags = new Map<string, ConfigFlag>();
  for (const section of OF_PROCESS[process]) {
    for (const [, spec] of keysOf(section)) {
      const path = `${section}.${spec.name}`;
      if (process === "up" && SET_BY_UP.has(path)) continue;
      const negated = spec.kind.placeholder === "" && spec.fallback === true;
      const short = (negated ? "--no-" : "--") + spec.name.replaceAll("_", "-");
      const name = section === "log" || flags.has(short) ? `--${section}-${short.slice(2)}` : short;
      flags.set(name, {
        name,
        path,
        placeholder: spec.kind.placeholder,
        negated,
        doc: spec.doc,
        repeatable: spec.kind.repeatable === true,
      });
    }
  }
  return [...flags.values()];
}

const NOT: Readonly<Record<string, string>> = { true: "false", false: "true" };

/** The argument that sets a flag's key to `text`, such as `--slots=2`; `--no-sandbox=true` sets that key to `false`. */
export function flagArgument(flag: ConfigFlag, text: string): string {
  return `${flag.name}=${flag.negated ? NOT[text] ?? text : text}`;
}

/** What a command line said. */
export interface ParsedFlags {
  /** Texts by `section.key`. */
  readonly flags: Readonly<Record<string, string>>;
  /** Value of `--config`. */
  readonly file: string | undefined;
  /** `--help` or `--version` was asked for. */
  readonly asked: "help" | "version" | undefined;
}

/**
 * Reads a process's command line: `--name value` and `--name=value`, `--config FILE`, `--help`, `--version`.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the argument.
 */
export function parseConfigFlags(process: ProcessName, args: readonly string[]): ParsedFlags {
  const known = new Map(configFlags(process).map((flag) => [flag.name, flag]));
  const flags: Record<string, string> = Object.create(null);
  let file: string | undefined;
  const fail = (arg: string, text: string) => configError([{ field: arg, text: `${arg}: ${text}` }]);
  for (let i = 0; i < args.length; i++) {
    const at = args[i].indexOf("=");
    const name = args[i].startsWith("--") && at > 0 ? args[i].slice(0, at) : args[i];
    const given = name === args[i] ? undefined : args[i].slice(at + 1);
    if (name === "--help" || name === "-h") return { flags, file, asked: "help" };
    if (name === "--version") return { flags, file, asked: "version" };
    const flag = known.get(name);
    if (flag === undefined && name !== "--config") {
      const near = nearest(name, [...known.keys(), "--config", "--help"]);
      throw fail(
        name,
        `unknown ${name.startsWith("-") ? "flag" : "argument"}; ${
          near === undefined ? "--help lists the flags" : `did you mean ${near}?`
        }`,
      );
    }
    const text = given ?? (flag?.placeholder === "" ? "true" : args[++i]);
    const value = flag?.negated ? NOT[text] ?? text : text;
    if (value === undefined) throw fail(name, `a value is missing: ${name} ${flag?.placeholder ?? "FILE"}`);
    if (flag === undefined) file = value;
    else if (flag.repeatable && Object.hasOwn(flags, flag.path)) flags[flag.path] += `,${value}`;
    else flags[flag.path] = value;
  }
  return { flags, file, asked: undefined };
}

/** The help text of a process. */
export function configHelp(process: ProcessName, usage: string, about: string): string {
  const rows = configFlags(process).map((flag) =>
    [`${flag.name}${flag.placeholder === "" ? "" : ` ${flag.placeholder}`}`, flag.doc] as const
  );
  rows.push(["--config FILE", "Configuration to read instead of ./brokkr.toml."]);
  rows.push(["--help", "Shows this."], ["--version", "Shows the version."]);
  const lines = [`Usage: ${usage}`, "", about, "", "Flags (over environment variables, over brokkr.toml):"];
  for (const [flag, doc] of rows) {
    lines.push(`  ${flag}`, ...wrap(doc, 90).map((line) => `      ${line}`));
  }
  return lines.join("\n") + "\n";
}

/** Breaks text into lines of at most `width` characters, at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
