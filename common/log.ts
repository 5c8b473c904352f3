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

function plain(value: unknown): unknown {
  if (value instanceof Error) {
    const code = (value as { codeName?: unknown }).codeName;
    const cause = value.cause === undefined ? undefined : plain(value.cause);
    return {
      name: value.name,
      message: value.message,
      ...(code === undefined ? {} : { code }),
      ...(cause === undefined ? {} : { cause }),
      stack: value.stack,
    };
  }
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return value.length <= 64 ? value.toHex() : `${value.length} bytes`;
  return value;
}

function text(value: unknown): string {
  if (value instanceof Error) {
    const cause = value.cause instanceof Error ? ` (cause: ${value.cause.message})` : "";
    return JSON.stringify(value.message + cause);
  }
  const simple = plain(value);
  if (typeof simple === "string") return /^[\w./:@+-]+$/.test(simple) ? simple : JSON.stringify(simple);
  return JSON.stringify(simple) ?? "undefined";
}

/**
 * Makes a logger.
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
  const json = options.format === "json";
  const make = (base: LogFields): Logger => {
    const line = (level: LogLevel, message: string, fields: LogFields = {}) => {
      if (ORDER[level] < least) return;
      const time = new Date(wallMs()).toISOString();
      const all = { ...base, ...fields };
      if (json) {
        return write(JSON.stringify({ time, level, message, ...all }, (_key, value) => plain(value)));
      }
      let out = `${time} ${level.toUpperCase().padEnd(5)} ${message}`;
      for (const [key, value] of Object.entries(all)) {
        if (value !== undefined) out += ` ${key}=${text(value)}`;
      }
      write(out);
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
