/** What Deno reads before `brokk run` has an answer: each heavy module would cost a cached run more than it takes. */

import { assertEquals } from "@std/assert";

interface Graph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier: string } }[];
  }[];
}

/** Every module that Deno reads for `file`: those of imports with a literal name are, evaluated or not; types are not. */
async function readFor(file: string): Promise<string[]> {
  const path = decodeURIComponent(new URL(file, import.meta.url).pathname);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json", path] }).output();
  const { roots, redirects, modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set<string>();
  const visit = (name: string) => {
    const specifier = redirects[name] ?? name;
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const { code } of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (code !== undefined) visit(code.specifier);
    }
  };
  roots.forEach(visit);
  return [...seen];
}

async function filesIn(directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL(directory, import.meta.url))) names.push(name);
  return names;
}

for (const file of ["./main.ts", "./commands/run.ts"]) {
  Deno.test(`Deno reads no heavy module for ${file}`, async () => {
    const modules = await readFor(file);
    const packages = modules.filter((specifier) => specifier.startsWith("npm:"));
    assertEquals(packages.map((specifier) => /^npm:\/?((?:@[^/]+\/)?[^@/]+)/.exec(specifier)?.[1]), [
      "commander",
    ]);
    assertEquals(
      modules.filter((specifier) =>
        /\/(control|worker|sandbox)\/|\/rpc\/(?!quick_call|request_metadata)/.test(specifier)
      ),
      [],
    );
  });
}

Deno.test("The compiled executable holds every command and every module that is loaded by a computed name", async () => {
  const held = await readFor("./up/compiled.ts");
  const commands = (await filesIn("./commands")).filter((name) =>
    !name.startsWith("_") && !name.endsWith("_test.ts")
  );
  for (const name of commands) {
    assertEquals(held.some((specifier) => specifier.endsWith(`/cli/commands/${name}`)), true, name);
  }
  for (
    const part of [
      "control/main.ts",
      "worker/main.ts",
      "cli/_execution.ts",
      "common/config.ts",
      "proto/rpc/client.ts",
    ]
  ) {
    assertEquals(held.some((specifier) => specifier.endsWith(`/${part}`)), true, part);
  }
});
