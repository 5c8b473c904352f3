/**
 * Runs `deno doc --lint` over everything the members export. What they export under a name that begins with `_` is for
 * the workspace's own tests and no public face.
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
  for (const [name, path] of Object.entries(typeof exports === "string" ? { ".": exports } : exports)) {
    if (name.startsWith("./_")) continue;
    const file = new URL(`${member}/${path}`, `file://${root}/`).pathname;
    if (!file.includes("/gen/")) files.push(file);
  }
}
const { code, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", ...files],
  stdout: "null",
  stderr: "piped",
}).output();
// It warns of each part of @types/node that it did not need to resolve.
const findings = new TextDecoder().decode(stderr).split("\n")
  .filter((line) => !/^(Warning Failed resolving types|Check |\s+at file:.*@types\/node)/.test(line));
if (code !== 0) console.error(findings.join("\n"));
console.log(`Documentation lint: ${files.length} entry points, ${code === 0 ? "no findings" : "see above"}`);
Deno.exit(code);
