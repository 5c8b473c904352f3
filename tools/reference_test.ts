import { assertEquals } from "@std/assert";
import { configKeys } from "@brokkr/common/config";
import { referencePages, REMEDY } from "./reference.ts";

const ROOT = new URL("../", import.meta.url);
const pages = await referencePages();

for (const { path, text } of pages) {
  Deno.test(`${path} is what the programs are`, async () => {
    const committed = await Deno.readTextFile(new URL(path, ROOT)).catch(() => "");
    assertEquals(committed === text, true, `${path} is out of date; run: ${REMEDY}`);
  });
}

Deno.test("The reference has every key with its variable, and no link in it leads nowhere", () => {
  const { text } = pages[0];
  for (const { section, name, variable } of configKeys()) {
    assertEquals(text.includes(`\n### ${section}.${name}\n`), true, `${section}.${name} has no heading`);
    assertEquals(text.includes(`- \`${variable}\``), true, `${variable} is missing`);
  }
  const anchors = new Set([...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title.replace(/[.[\]]/g, "")));
  const dead = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor).filter((each) =>
    !anchors.has(each)
  );
  assertEquals(dead, []);
});

/** Sources of a member that run in its process. */
async function sources(member: string): Promise<string> {
  let text = "";
  for await (const { name, isFile } of Deno.readDir(new URL(`${member}/`, ROOT))) {
    if (isFile && name.endsWith(".ts") && !/_test\.ts$|^_test/.test(name)) {
      text += await Deno.readTextFile(new URL(`${member}/${name}`, ROOT));
    }
  }
  // What only declares a property does not use it.
  return text.replace(/^\s*readonly \w+\??:.*$/gm, "").replace(/\/\*\*[\s\S]*?\*\//g, "");
}

Deno.test("Every key is used by the program that it sets up", async () => {
  const cli = await sources("cli") + await sources("cli/commands") + await sources("cli/up");
  const used = {
    client: cli,
    control: await sources("control"),
    worker: await sources("worker"),
    up: cli,
    log: await Deno.readTextFile(new URL("common/log.ts", ROOT)),
  };
  const unused = configKeys().filter(({ section, property }) =>
    !new RegExp(`\\b${property}\\b`).test(used[section])
  );
  assertEquals(unused.map(({ section, name }) => `${section}.${name}`), []);
});
