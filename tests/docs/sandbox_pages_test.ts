/** The pages about the sandbox name settings, properties, commands and files that there are. */

import { configKeys } from "@brokkr/common/config";
import { SANDBOX_PROPERTY_NAMES } from "@brokkr/common/sandbox_properties";
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const PAGES = ["docs/sandbox.md", "docs/rootless.md", "docs/systemd/brokkr-worker.service"] as const;

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

for (const path of PAGES) {
  Deno.test(`${path} names settings that there are`, async () => {
    const known = new Set(configKeys().flatMap(({ section, name }) => [name, `${section}.${name}`]));
    const text = await read(path);
    const named = [...text.matchAll(/`(?:(?:worker|control)\.)?(sandbox_\w+|stdout_limit|[a-z]+_timeout)\b/g)]
      .map((match) => match[1]);
    for (const [, full] of text.matchAll(/`((?:worker|control)\.\w+)/g)) named.push(full);
    if (path === "docs/sandbox.md") assert(named.length > 20);
    assertEquals(named.filter((name) => !known.has(name)), []);
  });

  Deno.test(`${path} leads to files that there are`, async () => {
    const links = [...(await read(path)).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link);
    const base = new URL(path, ROOT);
    for (const link of links) await Deno.stat(new URL(link, base));
  });
}

Deno.test("docs/sandbox.md has a row for every property that an action may ask by", async () => {
  const text = await read("docs/sandbox.md");
  for (const name of SANDBOX_PROPERTY_NAMES) assert(new RegExp(`^\\|[^|]*\`${name}\``, "m").test(text), name);
});

Deno.test("The system's unit leaves a root worker the capabilities that the check of the host looks for", async () => {
  const unit = await read("docs/systemd/brokkr-worker.service");
  const left = /^#CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1].split(" ").sort();
  const source = await read("sandbox/_host_resources.ts");
  const needed = [...source.matchAll(/^ {2}(CAP_\w+): \d+,$/gm)].map(([, name]) => name).sort();
  assertEquals(left, needed);
});
