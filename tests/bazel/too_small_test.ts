import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BazelClient } from "./clients.ts";
import { openGrid, remote, testEachBazel } from "./_grid.ts";
import { openWorkspace } from "./workspace.ts";

/** What the store may take. */
const LIMIT = "8MiB";
/** Far less than what Bazel's own tries would take, one after the other. */
const SOON_MS = 120_000;

function noise(sizeBytes: number): string {
  const bytes = new Uint8Array(sizeBytes / 2);
  for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes.toHex();
}

/** Builds with a small store, which must fail with words about its limit; gives what Bazel said. */
async function failsWithLimit(client: BazelClient, files: Readonly<Record<string, string>>): Promise<string> {
  await using workspace = await openWorkspace(client, files);
  await using grid = await openGrid({ slots: 2, controlFlags: [`--cas-max-size=${LIMIT}`] });
  const analysed = await workspace.bazel("build", ...remote(grid), "--nobuild", "//:all");
  assertEquals(analysed.code, 0, analysed.text);
  const start = performance.now();
  const { code, text } = await workspace.bazel("build", ...remote(grid), "//:all");
  const tookMs = performance.now() - start;
  assertEquals(code, 34, text);
  assertStringIncludes(text, "cas_max_size");
  assertStringIncludes(text, LIMIT);
  assert(tookMs < SOON_MS, `It took ${tookMs} ms to say so:\n${text}`);
  return text;
}

testEachBazel("says so when the inputs of an action are more than the store may hold", async (client) => {
  const inputs = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`in${i}`, noise(14_000)]));
  const text = await failsWithLimit(client, {
    BUILD:
      `genrule(name = "all", srcs = glob(["in*"]), outs = ["out.bin"], cmd = "cat $(SRCS) | sha256sum > $@")\n`,
    ...inputs,
  });
  assertStringIncludes(text, "raise it to several times what a build needs");
});

testEachBazel("says so when what a build makes is more than the store may hold", async (client) => {
  const names = Array.from({ length: 8 }, (_, i) => `g${i}`);
  const rule = (name: string) =>
    `genrule(name = "${name}", outs = ["${name}.bin"], cmd = "head -c 3000000 /dev/urandom > $@")\n`;
  const text = await failsWithLimit(client, {
    BUILD: `${names.map(rule).join("")}filegroup(name = "all", srcs = [${
      names.map((name) => `":${name}"`).join(", ")
    }])\n`,
  });
  assertStringIncludes(text, "The action ran, but the store cannot take its outputs");
});
