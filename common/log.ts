/**
 * Structured logs, as text for a person or JSON lines for a machine.
 *
 * @module
 */

/** How grave a line is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Named values of a line. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes lines; {@linkcode Logger.with} adds fields to all lines of a child. */
export interface Logger {
  /** For those who look for a fault. */
  debug(message: string, fields?: LogFields): void;
  /** What an operator wants to read afterwards. */
  info(message: string, fields?: LogFields): void;
  /** Something is wrong and was handled. */
  warn(message: string, fields?: LogFields): void;
  /** Something failed. */
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

/** How a logger is set up. */
export interface LogOptions {
  /** Least level written; `info` by default. */
  readonly level?: LogLevel;
  /** `text` by default. */
  readonly format?: "text" | "json";
  /** Where lines go, without their newline; standard error by default. */
  readonly write?: (line: string) => void;
  /** Milliseconds since 1970; `Date.now` by default. */
  readonly wallMs?: () => number;
}

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const encoder = new TextEncoder();

function writeStderr(line: string): void {
  const bytes = encoder.encode(line + "\n");
  try {
    for (let done = 0; done < bytes.length;) done += Deno.stderr.writeSync(bytes.subarray(done));
  } catch {
    // Standard error is gone (closed pipe, full disk): there is nowhere left to say so, and a log line must not kill.
  }
}

/** Characters of one text of a line; what is longer is cut. */
const MAX_TEXT = 4096;
/** Characters of a line. */
const MAX_LINE = 32_768;
/** Characters of a text when all of them together made the line too long. */
const SHORT_TEXT = 128;
/** Fields that are kept when a line is too long. */
const MAX_FIELDS = 64;

/**
 * What a terminal or a reader of lines could take for something else than text: control characters, separators of lines
 * and paragraphs, and what turns the direction of writing.
 */
// deno-lint-ignore no-control-regex -- control characters are what it looks for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

function escaped(text: string): string {
  return text.replace(UNSAFE, (unsafe) => `\\u${unsafe.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}... (${text.length - limit} more)`;
}

function plain(value: unknown, limit: number): unknown {
  if (value instanceof Error) {
    const code = (value as { codeName?: unknown }).codeName;
    const cause = value.cause === undefined ? undefined : plain(value.cause, limit);
    return {
      name: value.name,
      message: cut(value.message, limit),
      ...(code === undefined ? {} : { code }),
      ...(cause === undefined ? {} : { cause }),
      stack: value.stack,
    };
  }
  if (typeof value === "string") return cut(value, limit);
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return value.length <= 64 ? value.toHex() : `${value.length} bytes`;
  return value;
}

/** JSON of anything, on one line; a value that has none (a circle, a getter that throws) is named so. */
function json(value: unknown, limit: number): string {
  try {
    return escaped(JSON.stringify(value, (_key, inner) => plain(inner, limit)) ?? "null");
  } catch (error) {
    return JSON.stringify(`not to be written: ${error instanceof Error ? error.name : "an error"}`);
  }
}

function text(value: unknown, limit: number): string {
  if (value instanceof Error) {
    const cause = value.cause instanceof Error ? ` (cause: ${value.cause.message})` : "";
    return json(cut(value.message, limit) + cause, limit + MAX_TEXT);
  }
  const simple = plain(value, limit);
  if (typeof simple === "string" && /^[\w./:@+-]+$/.test(simple)) return simple;
  return json(simple, limit + MAX_TEXT);
}

interface Line {
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

function jsonLine({ time, level, message, fields }: Line, limit: number): string {
  let out = `{"time":${JSON.stringify(time)},"level":"${level}","message":${json(message, limit)}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined && !RESERVED.has(key)) out += `,${json(key, limit)}:${json(value, limit)}`;
  }
  return out + "}";
}

function textLine({ time, level, message, fields }: Line, limit: number): string {
  let out = `${time} ${level.toUpperCase().padEnd(5)} ${escaped(cut(message, limit))}`;
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) out += ` ${escaped(cut(key, SHORT_TEXT))}=${text(value, limit)}`;
  }
  return out;
}

/** Names that a field must not take: they are the line's own. */
const RESERVED = new Set(["time", "level", "message"]);

/** Fields of a line that was too long: short ones as they are, the rest cut down to a text. */
function shortened(fields: LogFields): LogFields {
  const kept = Object.entries(fields).slice(0, MAX_FIELDS).map(([key, value]) => {
    const simple = typeof value === "number" || typeof value === "boolean";
    return [cut(key, SHORT_TEXT), simple ? value : cut(text(value, SHORT_TEXT), SHORT_TEXT)];
  });
  return { ...Object.fromEntries(kept), truncated: true };
}

/**
 * Makes a logger. Whatever is in a message or a field, it makes one line, of at most 32 Ki characters: control characters
 * are escaped, long texts are cut, and a line that is too long says `truncated`. Logging never throws.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createLogger } from "@brokkr/common";
 * const lines: string[] = [];
 * const log = createLogger({ write: (line) => lines.push(line), wallMs: () => 0 });
 * log.with({ worker: "w1" }).info("Lease taken", { lease: "1.2" });
 * assertEquals(lines, ["1970-01-01T00:00:00.000Z INFO  Lease taken worker=w1 lease=1.2"]);
 * ```
 */
export function createLogger(options: LogOptions = {}): Logger {
  const least = ORDER[options.level ?? "info"];
  const write = options.write ?? writeStderr;
  const wallMs = options.wallMs ?? Date.now;
  const format = options.format === "json" ? jsonLine : textLine;
  const make = (base: LogFields): Logger => {
    const line = (level: LogLevel, message: string, fields: LogFields = {}) => {
      if (ORDER[level] < least) return;
      const time = new Date(wallMs()).toISOString();
      const whole = { time, level, message, fields: { ...base, ...fields } };
      const out = format(whole, MAX_TEXT);
      if (out.length <= MAX_LINE) return write(out);
      write(format({ ...whole, fields: shortened(whole.fields) }, SHORT_TEXT));
    };
    return {
      debug: (message, fields) => line("debug", message, fields),
      info: (message, fields) => line("info", message, fields),
      warn: (message, fields) => line("warn", message, fields),
      error: (message, fields) => line("error", message, fields),
      with: (fields) => make({ ...base, ...fields }),
    };
  };
  return make({});
}

/** A logger that writes nothing. */
export const noLog: Logger = createLogger({ write: () => {} });
