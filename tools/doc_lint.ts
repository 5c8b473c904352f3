/**
 * Runs `deno doc --lint` over everything the members export.
 *
 * @module
 */

const root = new URL("..", import.meta.url).pathname;
const { workspace } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`)) as { workspace: string[] };
const files: string[] = [];
for (const member of workspace) {
  const { exports } = JSON.parse(await Deno.readTextFile(`${root}/${member}/deno.json`)) as {
    exports: string | Record<string, string>;
  };
  for (const path of typeof exports === "string" ? [exports] : Object.values(exports)) {
    const file = new URL(`${member}/${path}`, `file://${root}/`).pathname;
    if (!file.includes("/gen/")) files.push(file);
  }
}
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", ...files],
  stdout: "null",
}).output();
console.log(`Documentation lint: ${files.length} entry points, ${code === 0 ? "no findings" : "see above"}`);
Deno.exit(code);
