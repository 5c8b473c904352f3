/**
 * Rows, tables and small statistics for the benchmarks.
 *
 * @module
 */

/** One figure beside its yardstick, both from this run. */
export interface Row {
  /** What was measured. */
  readonly name: string;
  /** The figure. */
  readonly value: number;
  /** Its unit. */
  readonly unit: string;
  /** What it is compared with, and that thing's figure in this run. */
  readonly yardstick?: { readonly name: string; readonly value: number; readonly unit?: string };
  /** The aim: what is compared with what. */
  readonly aim?: { readonly of: "value" | "ratio"; readonly atLeast?: number; readonly atMost?: number };
  /** What bounds it. */
  readonly bound: string;
}

/** A benchmark: one or more rows. */
export interface Bench {
  /** For `--only`. */
  readonly name: string;
  /** Runs it. */
  run(): Promise<readonly Row[]>;
}

/** value / yardstick, where there is one. */
export function ratioOf(row: Row): number | undefined {
  return row.yardstick === undefined ? undefined : row.value / row.yardstick.value;
}

/** Whether a row meets its aim; undefined when it has none. */
export function meetsAim(row: Row): boolean | undefined {
  if (row.aim === undefined) return undefined;
  const figure = row.aim.of === "value" ? row.value : ratioOf(row) ?? NaN;
  return figure >= (row.aim.atLeast ?? -Infinity) && figure <= (row.aim.atMost ?? Infinity);
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Milliseconds that `fn` takes. */
export async function timeMs(fn: () => unknown): Promise<number> {
  const start = performance.now();
  await fn();
  return performance.now() - start;
}

function show(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function aimText(row: Row): string {
  if (row.aim === undefined) return "";
  const what = row.aim.of === "ratio" ? "x" : ` ${row.unit}`;
  return row.aim.atLeast !== undefined ? `>= ${row.aim.atLeast}${what}` : `<= ${row.aim.atMost}${what}`;
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const header = ["what", "measured", "yardstick, same run", "ratio", "aim", "met", "what bounds it"];
  const lines = rows.map((row) => {
    const ratio = ratioOf(row);
    const met = meetsAim(row);
    return [
      row.name,
      `${show(row.value)} ${row.unit}`,
      row.yardstick === undefined
        ? ""
        : `${row.yardstick.name}: ${show(row.yardstick.value)} ${row.yardstick.unit ?? row.unit}`,
      ratio === undefined ? "" : `${ratio.toFixed(2)}x`,
      aimText(row),
      met === undefined ? "" : met ? "yes" : "**no**",
      row.bound,
    ];
  });
  return [header, header.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** User and system CPU milliseconds that a process has used, from /proc (ticks of 10 ms). */
export function cpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process in MiB, from /proc. */
export function residentMiB(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}
