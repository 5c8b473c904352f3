/**
 * Reads a page of metrics as strictly as its format is written down
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
 *
 * @module
 */

/** One metric with what hangs together under its name. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** Samples by name and labels as they are written. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^\+Inf$/;

function fail(line: string, why: string): never {
  throw new Error(`${why}: ${line}`);
}

/** The names of labels, in order. */
function labelsOf(line: string, text: string): string[] {
  const names: string[] = [];
  for (let rest = text; rest !== "";) {
    const match = LABEL.exec(rest) ?? fail(line, "Labels cannot be read");
    if (names.includes(match[1])) fail(line, `Label ${match[1]} comes twice`);
    names.push(match[1]);
    rest = rest.slice(match[0].length);
  }
  return names;
}

/** Whether a sample belongs to a family. */
function belongs(
  sample: string,
  { name, type }: Pick<Family, "name" | "type">,
  labels: readonly string[],
): boolean {
  if (type !== "histogram") return sample === name;
  if (sample === `${name}_bucket`) return labels.includes("le");
  return sample === `${name}_sum` || sample === `${name}_count`;
}

/** The buckets of a histogram grow, and the last is the count. */
function checkBuckets({ name, samples }: Family): void {
  const series = new Map<string, { last: number; infinite: number | undefined }>();
  for (const [key, value] of samples) {
    if (!key.startsWith(`${name}_bucket`)) continue;
    const rest = key.replace(/le="[^"]*",?/, "").replace("_bucket", "_count").replace(/,?\}$/, "}").replace(
      "{}",
      "",
    );
    const one = series.get(rest) ?? { last: 0, infinite: undefined };
    if (value < one.last) fail(key, "A bucket holds less than the one before it");
    series.set(rest, { last: value, infinite: key.includes('le="+Inf"') ? value : undefined });
  }
  for (const [key, { infinite }] of series) {
    if (infinite === undefined || samples.get(key) !== infinite) {
      fail(key, "The last bucket is not the count");
    }
  }
}

/** The families of a page, by name. Throws where the page breaks a rule. */
export function readExposition(page: string): ReadonlyMap<string, Family> {
  if (!page.endsWith("\n")) fail(page.slice(-80), "The last line does not end");
  const families = new Map<string, Family & { readonly samples: Map<string, number> }>();
  let help: readonly [string, string] | undefined;
  let current: Family & { readonly samples: Map<string, number> } | undefined;
  for (const line of page.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const [mark, what, name, ...rest] = line.split(" ");
    if (mark === "#" && what === "HELP") help = [name, rest.join(" ")];
    else if (mark === "#" && what === "TYPE") {
      if (!NAME.test(name) || help?.[0] !== name || families.has(name)) {
        fail(line, "Not one family with its help");
      }
      if (!["counter", "gauge", "histogram"].includes(rest[0])) fail(line, "Unknown type");
      current = { name, help: help[1], type: rest[0], samples: new Map() };
      families.set(name, current);
    } else if (mark.startsWith("#")) fail(line, "Neither HELP nor TYPE");
    else {
      const match = SAMPLE.exec(line) ?? fail(line, "Not a sample");
      const labels = labelsOf(line, match[2] ?? "");
      if (current === undefined || !belongs(match[1], current, labels)) {
        fail(line, "A sample of another family");
      }
      if (!NUMBER.test(match[3])) fail(line, "Not a number");
      const key = line.slice(0, line.lastIndexOf(" "));
      if (current.samples.has(key)) fail(line, "A sample comes twice");
      current.samples.set(key, match[3] === "+Inf" ? Infinity : Number(match[3]));
    }
  }
  for (const family of families.values()) if (family.type === "histogram") checkBuckets(family);
  return families;
}
