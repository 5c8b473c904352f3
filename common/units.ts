/**
 * Sizes, durations and addresses as people write them. Loaded by the client on every start, so it imports nothing.
 *
 * @module
 */

/** A parsed value, or what is wrong with the text, as the end of a sentence that begins with the text. */
export type Parsed<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly value?: undefined; readonly error: string };

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const NOT_A_SIZE = "is not a size, such as 512KiB, 64MiB or 4GiB";
const NOT_A_DURATION = "is not a duration, such as 500ms, 30s or 1h30m";

/**
 * A size in bytes from text such as `4GiB`, `1.5MiB`, `10MB` or `1024` (bytes).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseSize } from "@brokkr/common/units";
 * assertEquals(parseSize("4KiB"), { value: 4096 });
 * assertEquals(parseSize("4 apples").error, "is not a size, such as 512KiB, 64MiB or 4GiB");
 * ```
 */
export function parseSize(text: string): Parsed<number> {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([A-Za-z]{1,3})?$/.exec(text);
  if (match === null) return { error: NOT_A_SIZE };
  const unit = match[2] ?? "B";
  if (!Object.hasOwn(SIZE_UNITS, unit)) return { error: NOT_A_SIZE };
  const value = Math.round(Number(match[1]) * SIZE_UNITS[unit]);
  if (!Number.isSafeInteger(value)) return { error: "is larger than any size can be" };
  return { value };
}

/** The shortest exact text that {@linkcode parseSize} reads as `bytes`: `4GiB`, `1536KiB`, `1000B`. */
export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    if (bytes >= SIZE_UNITS[unit] && bytes % SIZE_UNITS[unit] === 0) {
      return `${bytes / SIZE_UNITS[unit]}${unit}`;
    }
  }
  return `${bytes}B`;
}

/** A size for people, rounded to three digits or so: `1.5 MiB`, `999 B`. */
export function humanSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const count = bytes / SIZE_UNITS[unit];
    if (count >= 1) return `${count >= 100 ? count.toFixed(0) : count.toFixed(1)} ${unit}`;
  }
  return `${bytes} B`;
}

/**
 * A duration in milliseconds from text such as `250ms`, `30s`, `1.5h` or `1h30m`. Each unit may stand once, larger ones
 * first; a number without a unit is refused, since nobody can tell whether it means seconds.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseDuration } from "@brokkr/common/units";
 * assertEquals(parseDuration("1m30s"), { value: 90_000 });
 * assertEquals(parseDuration("30").error, "is not a duration, such as 500ms, 30s or 1h30m");
 * ```
 */
export function parseDuration(text: string): Parsed<number> {
  const match =
    /^(?:(\d{1,9}(?:\.\d{1,6})?)d)?(?:(\d{1,9}(?:\.\d{1,6})?)h)?(?:(\d{1,9}(?:\.\d{1,6})?)m)?(?:(\d{1,9}(?:\.\d{1,6})?)s)?(?:(\d{1,12})ms)?$/
      .exec(text);
  if (match === null || text === "") return { error: NOT_A_DURATION };
  const value = ["d", "h", "m", "s", "ms"].reduce(
    (sum, unit, index) => sum + Number(match[index + 1] ?? 0) * DURATION_UNITS[unit],
    0,
  );
  return { value: Math.round(value) };
}

/** The text that {@linkcode parseDuration} reads as `ms`, a whole number of milliseconds: `1h30m`, `0s`. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const count = Math.floor(rest / DURATION_UNITS[unit]);
    rest -= count * DURATION_UNITS[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}

/** A duration for people: `850 µs`, `12.3 ms`, `4.56 s`, `2m05s`, `3h07m`. */
export function humanDuration(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor(seconds / 60) % 60)}m`;
}

/** A host (name, IPv4 or IPv6 address without brackets) and a port. */
export interface HostPort {
  /** Name or address; an IPv6 address is without its brackets. */
  readonly host: string;
  /** 0 to 65535; 0 asks for any free one. */
  readonly port: number;
}

const HOST_PORT =
  /^(?:\[([0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,16})?)\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/;

/** A host and port from `127.0.0.1:8980`, `[::1]:8980` or `build.example:8980`. */
export function parseHostPort(text: string): Parsed<HostPort> {
  const match = HOST_PORT.exec(text);
  if (match === null) return { error: "is not host:port, such as 127.0.0.1:8980" };
  const port = Number(match[3]);
  if (port > 65535) return { error: `has port ${port}; ports go up to 65535` };
  return { value: { host: match[1] ?? match[2], port } };
}

/** `host:port`, with brackets about an IPv6 address. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * An endpoint such as `grpc://127.0.0.1:8980`, or `grpcs://` with TLS, as its canonical text. A port is required.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseEndpoint } from "@brokkr/common/units";
 * assertEquals(parseEndpoint("127.0.0.1:8980"), { value: "grpc://127.0.0.1:8980" });
 * ```
 */
export function parseEndpoint(text: string): Parsed<string> {
  const match = /^(?:(grpcs?):\/\/)?([^/]*)\/?$/.exec(text);
  const address = match === null ? undefined : parseHostPort(match[2]);
  if (match === null || address?.value === undefined || address.value.port === 0) {
    return { error: address?.error?.startsWith("has port") ? address.error : NOT_AN_ENDPOINT };
  }
  return { value: `${match[1] ?? "grpc"}://${formatHostPort(address.value)}` };
}

const NOT_AN_ENDPOINT = "is not an endpoint, such as grpc://127.0.0.1:8980 or grpcs://build.example:443";
/** Where a control plane listens unless it is told otherwise, as a client names it. */
export const DEFAULT_ENDPOINT = "grpc://127.0.0.1:8980";
