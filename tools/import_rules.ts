/**
 * Checks who imports whom: members import only what the house rules allow, only by name, and never each other's
 * internals. Run by `deno task ok`.
 *
 * @module
 */

/** Member, and the members it may import. `cli/up` alone may also import control and worker. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  common: [],
  wasm: [],
  proto: ["common"],
  cas: ["common", "proto", "wasm"],
  sandbox: ["common"],
  worker: ["common", "proto", "cas", "sandbox"],
  control: ["common", "proto", "cas"],
  cli: ["common", "proto", "cas", "sandbox"],
  "cli/up": ["common", "proto", "cas", "sandbox", "control", "worker", "cli"],
  tests: ["common", "proto", "cas", "sandbox", "worker", "control", "cli", "wasm"],
  docs: [],
};

/** One import that breaks a rule. */
export interface Violation {
  /** File, relative to the root. */
  readonly file: string;
  /** Line of the import, from 1. */
  readonly line: number;
  /** What is wrong and what would be right. */
  readonly reason: string;
}

const SPECIFIER =
  /(?:^|[\s;}])(?:import|export)\b(?:[^"'`;]*?\bfrom)?\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;

/** Blanks out comments, keeping line numbers: the examples in JSDoc import as users do. */
function withoutComments(source: string): string {
  return source.replace(
    /\/\*[\s\S]*?\*\/|(^|[^:"'`\\])\/\/[^\n]*/g,
    (match, before: string | undefined) =>
      (before ?? "") + match.slice((before ?? "").length).replace(/[^\n]/g, " "),
  );
}

/** The specifiers a file imports, with their lines. */
export function importsOf(source: string): { readonly specifier: string; readonly line: number }[] {
  const code = withoutComments(source);
  const found = [];
  for (const match of code.matchAll(SPECIFIER)) {
    const at = match.index + match[0].length;
    found.push({ specifier: match[1] ?? match[2], line: code.slice(0, at).split("\n").length });
  }
  return found;
}

function resolveRelative(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** The rule an import breaks, or undefined. `file` is relative to the root. */
export function judge(file: string, specifier: string): string | undefined {
  const member = file.split("/")[0];
  const unit = file.startsWith("cli/up/") ? "cli/up" : member;
  const allowed = ALLOWED[unit];
  if (allowed === undefined) return undefined;
  if (/^(jsr|https?):/.test(specifier)) {
    return `${specifier} is fetched from outside the registry; use the import map`;
  }
  if (specifier.startsWith("npm:")) {
    return `${specifier} names a version here; put it into deno.json's imports`;
  }
  const named = /^@brokkr\/([^/]+)(\/.*)?$/.exec(specifier);
  if (named !== null) {
    const target = named[1];
    if (target === member && !file.endsWith("_test.ts") && !file.endsWith("_bench.ts")) {
      return `${member} imports itself by name; use a relative path`;
    }
    if (target !== member && !allowed.includes(target)) {
      return `${unit} may not import ${target} (it may import: ${allowed.join(", ") || "nothing"})`;
    }
    return undefined;
  }
  if (!specifier.startsWith(".")) return undefined;
  const target = resolveRelative(file, specifier);
  if (target.split("/")[0] !== member) {
    return `${specifier} leaves ${member}; import @brokkr/${target.split("/")[0]}`;
  }
  if (unit === "cli" && target.startsWith("cli/up/") && !file.endsWith("_test.ts")) {
    return file === "cli/main.ts" || file === "cli/demo.ts" || file.startsWith("cli/commands/")
      ? undefined
      : `${specifier} pulls control and worker into the client; only the commands may load cli/up`;
  }
  return undefined;
}

async function* sources(root: string, dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(`${root}/${dir}`)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory && entry.name !== "gen" && entry.name !== "node_modules") {
      yield* sources(root, path);
    } else if (entry.isFile && entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts")) yield path;
  }
}

/** Checks every source below `root`. */
export async function checkImports(
  root: string,
): Promise<{ readonly files: number; readonly violations: Violation[] }> {
  const violations: Violation[] = [];
  let files = 0;
  for (const member of Object.keys(ALLOWED).filter((name) => !name.includes("/"))) {
    for await (const file of sources(root, member)) {
      files++;
      for (const { specifier, line } of importsOf(await Deno.readTextFile(`${root}/${file}`))) {
        const reason = judge(file, specifier);
        if (reason !== undefined) violations.push({ file, line, reason });
      }
    }
  }
  return { files, violations };
}

if (import.meta.main) {
  const root = new URL("..", import.meta.url).pathname;
  const { files, violations } = await checkImports(root);
  for (const { file, line, reason } of violations) console.error(`${file}:${line}: ${reason}`);
  console.log(`Import rules: ${files} files, ${violations.length} violations`);
  if (violations.length > 0) Deno.exit(1);
}
