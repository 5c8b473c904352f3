/**
 * Makes `gen/` from the .proto files: static codecs by pbjs, and what gives them types. Run it with `deno task gen`;
 * the output is committed, depends on nothing but the .proto files and the pinned packages, and a test makes it again
 * and compares.
 *
 * @module
 */

import { printCodecs } from "./_generate/javascript.ts";
import { buildModel, loadRoot } from "./_generate/model.ts";
import { printDeclarations, printMessages, printServices } from "./_generate/typescript.ts";

/** Text of every generated file, by its name in `gen/`. */
export async function generate(): Promise<ReadonlyMap<string, string>> {
  const model = buildModel(loadRoot(import.meta.dirname + "/"));
  return new Map([
    ["codecs.js", await printCodecs(model)],
    ["codecs.d.ts", printDeclarations(model)],
    ["messages.ts", printMessages(model)],
    ["services.ts", printServices(model)],
  ]);
}

if (import.meta.main) {
  const gen = new URL("gen/", import.meta.url);
  await Deno.mkdir(gen, { recursive: true });
  for (const [name, text] of await generate()) await Deno.writeTextFile(new URL(name, gen), text);
}
