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
  /** Smallest and largest of the rounds whose median `value` is. */
  readonly spread?: Spread;
  /** A cell of a table of its own, rather than a line of the main one. */
  readonly cell?: { readonly table: string; readonly row: string; readonly column: string };
  /** What the figure does not say. */
  readonly note?: string;
  /** What bounds it. */
  readonly bound: string;
}

/** How far apart rounds lay. */
export interface Spread {
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
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

/** The median of rounds and how far apart they lay, as a row has them. */
export function summary(values: readonly number[]): { readonly value: number; readonly spread: Spread } {
  return {
    value: median(values),
    spread: { min: Math.min(...values), max: Math.max(...values), rounds: values.length },
  };
}

/** With `--quick` each benchmark does the least that shows that it works; its figures are worth nothing. */
export const QUICK: boolean = Deno.args.includes("--quick");

/** `full`, or `quick` when only the benchmark itself is tried. */
export function rounds(full: number, quick = 1): number {
  return QUICK ? quick : full;
}

/** The port of an endpoint. */
export function portOf(endpoint: string): number {
  return Number(endpoint.slice(endpoint.lastIndexOf(":") + 1));
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

function measured({ value, unit, spread }: Row): string {
  const range = spread === undefined || spread.rounds < 2
    ? ""
    : ` (${show(spread.min)} to ${show(spread.max)}, ${spread.rounds} rounds)`;
  return `${show(value)} ${unit}${range}`;
}

function markdown(lines: readonly (readonly string[])[]): string {
  const [header] = lines;
  return [header, header.map(() => "---"), ...lines.slice(1)]
    .map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Cells of one table: a line for each of their rows, the figure beside its ratio to the yardstick and its spread. */
function matrix(rows: readonly Row[]): string {
  const of = (pick: (cell: NonNullable<Row["cell"]>) => string) => [
    ...new Set(rows.flatMap(({ cell }) => cell === undefined ? [] : [pick(cell)])),
  ];
  const columns = of(({ column }) => column);
  const lines = of(({ row }) => row).map((name) => {
    const cells = columns.map((column) => {
      const found = rows.find(({ cell }) => cell?.row === name && cell.column === column);
      if (found === undefined) return "";
      const ratio = ratioOf(found);
      const { value, spread } = found;
      const range = spread === undefined || spread.rounds < 2 || value === 0
        ? ""
        : ` ±${(((spread.max - spread.min) / 2 / value) * 100).toFixed(0)}%`;
      return `${show(value)}${ratio === undefined ? "" : `, ${ratio.toFixed(2)}x`}${range}${
        found.note === undefined ? "" : `, ${found.note}`
      }`;
    });
    return [name, ...cells, rows.find(({ cell }) => cell?.row === name)?.bound ?? ""];
  });
  return markdown([["", ...columns, "what bounds it"], ...lines]);
}

/** Everything as Markdown: the main table, then those of cells, each under its heading. */
export function report(rows: readonly Row[]): string {
  const main = rows.filter(({ cell }) => cell === undefined);
  const parts = main.length === 0 ? [] : [table(main)];
  for (const name of new Set(rows.flatMap(({ cell }) => cell === undefined ? [] : [cell.table]))) {
    const cells = rows.filter(({ cell }) => cell?.table === name);
    parts.push(`## ${name}`, matrix(cells));
  }
  return parts.join("\n\n");
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const header = ["what", "measured", "yardstick, same run", "ratio", "aim", "met", "what bounds it"];
  const lines = rows.map((row) => {
    const ratio = ratioOf(row);
    const met = meetsAim(row);
    return [
      row.name,
      measured(row),
      row.yardstick === undefined
        ? ""
        : `${row.yardstick.name}: ${show(row.yardstick.value)} ${row.yardstick.unit ?? row.unit}`,
      ratio === undefined ? "" : `${ratio.toFixed(2)}x`,
      aimText(row),
      met === undefined ? "" : met ? "yes" : "**no**",
      row.bound,
    ];
  });
  return markdown([header, ...lines]);
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
