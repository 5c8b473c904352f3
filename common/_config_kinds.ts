/**
 * The kinds of values that configuration keys have: how each is validated (with zod), written in TOML and read from the
 * text of a flag or an environment variable.
 *
 * @module
 */

import { z } from "zod";
import { parseProcessors } from "./sandbox_properties.ts";
import { type Parsed, parseDuration, parseEndpoint, parseHostPort, parseSize } from "./units.ts";

/** One kind of value. */
export interface Kind<T> {
  /** What stands for a value in help, such as `SIZE`; empty for a switch. */
  readonly placeholder: string;
  /** What values look like, for the reference. */
  readonly allowed: string;
  /** Validates what TOML (or {@linkcode Kind.fromText}) gave. */
  readonly schema: z.ZodType<T>;
  /** What TOML would have given for a flag's or variable's text. */
  fromText(text: string): unknown;
  /** Paths are resolved against the directory of the file that names them. */
  readonly isPath?: boolean;
  /** A flag that may be given several times; its texts are joined with commas. */
  readonly repeatable?: boolean;
}

/** A value as a message shows it. */
export function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : plainly(value);
  return text.length <= 80 ? text : text.slice(0, 76) + " ...";
}

function plainly(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "a table";
  return String(value);
}

const asIs = (text: string): unknown => text;

/** A schema for text that `parse` reads; `also` takes what is not text. */
function parsed<T>(
  what: string,
  parse: (text: string) => Parsed<T>,
  also: (raw: unknown) => Parsed<T> | undefined = () => undefined,
): z.ZodType<T> {
  return z.unknown().transform((raw, context) => {
    const result = typeof raw === "string" ? parse(raw) : also(raw) ?? { error: what };
    if (result.error === undefined) return result.value;
    context.addIssue({ code: "custom", message: `${show(raw)} ${result.error}` });
    return z.NEVER;
  });
}

function within<T extends number>(
  kind: z.ZodType<T>,
  range: { readonly min?: string; readonly max?: string },
  parse: (text: string) => Parsed<number>,
): z.ZodType<T> {
  const min = range.min === undefined ? 0 : parse(range.min).value ?? 0;
  const max = range.max === undefined ? Infinity : parse(range.max).value ?? Infinity;
  return kind.superRefine((value, context) => {
    if (value < min) context.addIssue({ code: "custom", message: `must be at least ${range.min}` });
    if (value > max) context.addIssue({ code: "custom", message: `must be at most ${range.max}` });
  });
}

/** A size in bytes: `"4GiB"`, or a whole number of bytes. */
export function size(range: { readonly min?: string; readonly max?: string } = {}): Kind<number> {
  const schema = parsed("is not a size, such as 512KiB, 64MiB or 4GiB", parseSize, (raw) => {
    return typeof raw === "number" ? parseSize(String(raw)) : undefined;
  });
  return {
    placeholder: "SIZE",
    allowed: `size, such as 512KiB or 4GiB${limits(range)}`,
    schema: within(schema, range, parseSize),
    fromText: asIs,
  };
}

/** A duration in milliseconds: `"30s"`. */
export function duration(range: { readonly min?: string; readonly max?: string } = {}): Kind<number> {
  const schema = parsed("is not a duration, such as 500ms, 30s or 1h30m", parseDuration);
  return {
    placeholder: "DURATION",
    allowed: `duration, such as 500ms, 30s or 1h30m${limits(range)}`,
    schema: within(schema, range, parseDuration),
    fromText: asIs,
  };
}

function limits(range: { readonly min?: string | number; readonly max?: string | number }): string {
  if (range.min !== undefined && range.max !== undefined) return `, ${range.min} to ${range.max}`;
  if (range.min !== undefined) return `, at least ${range.min}`;
  return range.max === undefined ? "" : `, at most ${range.max}`;
}

/** A whole number. */
export function integer(range: { readonly min: number; readonly max: number }): Kind<number> {
  const schema = z.unknown().transform((raw, context) => {
    const wrong = typeof raw !== "number" || !Number.isSafeInteger(raw);
    if (!wrong && raw >= range.min && raw <= range.max) return raw;
    const message = wrong
      ? `${show(raw)} is not a whole number`
      : `${raw} is out of range: ${range.min} to ${range.max} are allowed`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
  return {
    placeholder: "NUMBER",
    allowed: `whole number${limits(range)}`,
    schema,
    fromText: (text) => /^-?\d{1,15}$/.test(text) ? Number(text) : text,
  };
}

/** True or false. */
export function boolean(): Kind<boolean> {
  return {
    placeholder: "",
    allowed: "true or false",
    schema: z.boolean({ error: (issue) => `${show(issue.input)} is neither true nor false` }),
    fromText: (text) => text === "true" ? true : text === "false" ? false : text,
  };
}

/** Text of at most 1024 characters, matching `pattern` if one is given. */
export function text(placeholder: string, allowed: string, pattern = /^\P{Cc}*$/u): Kind<string> {
  return {
    placeholder,
    allowed,
    schema: z.string({ error: (issue) => `${show(issue.input)} is not text in quotes` })
      .max(1024, { error: "is longer than 1024 characters" })
      .refine((value) => pattern.test(value), { error: (issue) => `${show(issue.input)} is not ${allowed}` }),
    fromText: asIs,
  };
}

/** A path; `""` for none. */
export function path(allowed: string): Kind<string> {
  return { ...text("PATH", allowed, /^\P{Cc}*$/u), isPath: true };
}

/** One of a few words. */
export function oneOf<T extends string>(...words: readonly [T, ...T[]]): Kind<T> {
  const allowed = words.join(", ");
  return {
    placeholder: words.join("|"),
    allowed: `one of ${allowed}`,
    schema: z.enum(words, { error: (issue) => `${show(issue.input)} is not one of ${allowed}` }) as z.ZodType<
      T
    >,
    fromText: asIs,
  };
}

/** Thousandths of a processor: `1.5`, or `"1.5"`. */
export function processors(): Kind<number> {
  const schema = parsed("is not a number of processors, such as 2 or 0.5", parseProcessors, (raw) => {
    return typeof raw === "number" ? parseProcessors(String(raw)) : undefined;
  });
  return {
    placeholder: "NUMBER",
    allowed: "number of processors, such as 2 or 0.5",
    schema,
    fromText: asIs,
  };
}

/** Most items of a list. */
const MAX_ITEMS = 1000;

/** A list of texts, `complaint` of each of which says what is wrong with it, if anything is. Each is kept once. */
function list<T extends string>(
  placeholder: string,
  allowed: string,
  complaint: (item: string) => string | undefined,
): Kind<readonly T[]> {
  const schema = z.unknown().transform((raw, context): readonly T[] => {
    const issue = (message: string) => context.addIssue({ code: "custom", message });
    if (!Array.isArray(raw) || !raw.every((item) => typeof item === "string")) {
      issue(`${show(raw)} is not an array of texts in quotes`);
      return z.NEVER;
    }
    if (raw.length > MAX_ITEMS) issue(`has ${raw.length} items; at most ${MAX_ITEMS} are allowed`);
    for (const item of raw.slice(0, MAX_ITEMS)) {
      const wrong = complaint(item);
      if (wrong !== undefined) issue(`${show(item)} ${wrong}`);
    }
    // Whatever had a complaint is not given out.
    return [...new Set(raw)] as T[];
  });
  return {
    placeholder,
    allowed,
    schema,
    repeatable: true,
    fromText: (text) => text === "" ? [] : text.split(","),
  };
}

/** Any of a few words. */
export function someOf<T extends string>(...words: readonly T[]): Kind<readonly T[]> {
  const known: readonly string[] = words;
  return list(
    words.join("|"),
    `array of any of ${words.join(", ")}`,
    (item) => known.includes(item) ? undefined : `is not one of ${words.join(", ")}`,
  );
}

/** Paths of the host that are seen inside a sandbox: `/path`, `/path:/inside`, or `default` for those of the system. */
export function binds(): Kind<readonly string[]> {
  const path = /^\/(?!.*(?:^|\/)\.\.?(?:\/|$))[^:,\p{Cc}]*$/u;
  return list("PATH", 'array of "/path", "/path:/inside" and "default"', (item) => {
    const [host, inside = host, ...rest] = item.split(":");
    if (
      item === "default" || (item.length <= 4096 && rest.length === 0 && path.test(host) && path.test(inside))
    ) {
      return inside === "/" ? "would hide everything else inside; name a directory below /" : undefined;
    }
    return 'is neither "default", nor an absolute path without .. such as /opt/tools or /opt/tools-3:/opt/tools';
  });
}

/** `host:port` to listen on; `""` for none when `optional`. Port 0 takes any free one. */
export function hostPort(optional = false): Kind<string> {
  const schema = parsed("is not host:port, such as 127.0.0.1:8980", (raw): Parsed<string> => {
    if (optional && raw === "") return { value: "" };
    const address = parseHostPort(raw);
    return address.error === undefined ? { value: raw } : address;
  });
  return {
    placeholder: "HOST:PORT",
    allowed: `host:port, such as 127.0.0.1:8980${optional ? '; "" for none' : ""}`,
    schema,
    fromText: asIs,
  };
}

/** `grpc://host:port` or `grpcs://host:port`. */
export function endpoint(): Kind<string> {
  return {
    placeholder: "ENDPOINT",
    allowed: "grpc://host:port, or grpcs://host:port for TLS",
    schema: parsed("is not an endpoint, such as grpc://127.0.0.1:8980", parseEndpoint),
    fromText: asIs,
  };
}

/** Property names and, for each, its values. */
export type Properties = Readonly<Record<string, readonly string[]>>;

const NAME_VALUE = /^[^=,\s][^=,]{0,254}=[^,]{0,1024}$/u;

/** A table of properties: `{ OSFamily = "linux", ISA = ["x86-64", "x86-64-v3"] }`. */
export function properties(): Kind<Properties> {
  const schema = z.unknown().transform((raw, context): Properties => {
    const issue = (message: string): never => {
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    };
    if (typeof raw !== "object" || raw === null || Array.isArray(raw) || raw instanceof Date) {
      return issue(`${show(raw)} is not a table of properties, such as { Pool = "fast" }`);
    }
    const result: Record<string, readonly string[]> = Object.create(null);
    for (const [name, value] of Object.entries(raw)) {
      const values: unknown[] = Array.isArray(value) ? value : [value];
      const texts = values.filter((each) => typeof each === "string");
      if (name === "" || texts.length !== values.length) {
        return issue(`property ${show(name)} needs a string, or an array of strings, not ${show(value)}`);
      }
      result[name] = texts;
    }
    return result;
  });
  return {
    placeholder: "NAME=VALUE",
    allowed: "a table of strings, or of arrays of strings where a property has several values",
    schema,
    repeatable: true,
    fromText(text) {
      const table: Record<string, string[]> = Object.create(null);
      for (const pair of text === "" ? [] : text.split(",")) {
        if (!NAME_VALUE.test(pair)) return text;
        const at = pair.indexOf("=");
        (table[pair.slice(0, at)] ??= []).push(pair.slice(at + 1));
      }
      return table;
    },
  };
}
