/** What `brokk run` loads before it has an answer: each heavy module would cost a cached run more than it takes. */

import { assertEquals } from "@std/assert";

interface Graph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

async function loadedBy(file: string): Promise<Set<string>> {
  const path = decodeURIComponent(new URL(file, import.meta.url).pathname);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", path] }).output();
  const graph: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (name: string) => {
    const specifier = graph.redirects[name] ?? name;
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code !== undefined && isDynamic !== true) visit(code.specifier);
    }
  };
  graph.roots.forEach(visit);
  return seen;
}

for (const file of ["./program.ts", "./commands/run.ts"]) {
  Deno.test(`${file} loads no heavy module by itself`, async () => {
    const packages = [...await loadedBy(file)].filter((specifier) => specifier.startsWith("npm:"));
    assertEquals(packages.map((specifier) => /^npm:\/?((?:@[^/]+\/)?[^@/]+)/.exec(specifier)?.[1]), [
      "commander",
    ]);
  });
}
