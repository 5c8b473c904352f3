/**
 * What the commands write: bytes to standard output, lines to standard error, progress where a person looks.
 *
 * @module
 */

import { humanSize } from "@brokkr/common/units";

const encoder = new TextEncoder();

/** Exit code of a process whose reader went away, as a shell shows death by SIGPIPE. */
const BROKEN_PIPE_EXIT = 141;

async function writeTo(
  stream: { write(data: Uint8Array): Promise<number> },
  data: Uint8Array,
): Promise<void> {
  try {
    for (let at = 0; at < data.length;) at += await stream.write(data.subarray(at));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(BROKEN_PIPE_EXIT);
    throw error;
  }
}

/** Writes bytes to standard output, all of them. */
export async function writeOut(data: Uint8Array | string): Promise<void> {
  await writeTo(Deno.stdout, typeof data === "string" ? encoder.encode(data) : data);
}

/** Writes bytes to standard error, all of them. */
export async function writeErr(data: Uint8Array | string): Promise<void> {
  await writeTo(Deno.stderr, typeof data === "string" ? encoder.encode(data) : data);
}

/** Writes a value as JSON and a newline. */
export async function writeJson(value: unknown): Promise<void> {
  await writeOut(JSON.stringify(value, undefined, Deno.stdout.isTerminal() ? 2 : undefined) + "\n");
}

/** Text from elsewhere with its control characters shown, not obeyed: it goes to somebody's terminal. */
export function plainText(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Columns of text, each as wide as its widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === row.length - 1 ? cell : cell.padEnd(widths[i])).join("  ").trimEnd();
  return rows.map((row) => line(row) + "\n").join("");
}

/** A bar of `width` cells, `part` of it (0 to 1) filled. */
export function bar(part: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, part)) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/** How far a transfer is, in one line. */
export function transferLine(what: string, done: number, total: number): string {
  return `${what} ${bar(total === 0 ? 1 : done / total, 24)} ${humanSize(done)} of ${humanSize(total)}`;
}

const REDRAW_MS = 60;
/** Where a terminal does not tell how wide it is. */
const UNKNOWN_WIDTH = 79;

/** One line at the foot of a terminal that is drawn over and over; nothing at all elsewhere. */
export class ProgressLine {
  readonly #shown: boolean;
  #drawnAt = -Infinity;
  #drawn = false;

  /** Shown on a terminal unless `quiet`. */
  constructor(quiet: boolean) {
    this.#shown = !quiet && Deno.stderr.isTerminal();
  }

  /** Draws `text` in place of what was there; `now` even if that was drawn a moment ago. */
  show(text: string, now = false): void {
    const atMs = performance.now();
    if (!this.#shown || (!now && atMs - this.#drawnAt < REDRAW_MS)) return;
    this.#drawnAt = atMs;
    this.#drawn = true;
    const { columns } = Deno.consoleSize();
    const width = columns > 1 ? columns - 1 : UNKNOWN_WIDTH;
    Deno.stderr.writeSync(encoder.encode(`\r\x1b[2K${text.slice(0, width)}`));
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#drawn) Deno.stderr.writeSync(encoder.encode("\r\x1b[2K"));
    this.#drawn = false;
  }
}
