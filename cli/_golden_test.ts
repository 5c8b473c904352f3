import { SHA256, splitTree } from "@brokkr/cas/client";
import { formatDigest, TreeBuilder } from "@brokkr/cas/client";
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type ActionSpec, buildAction } from "./_action.ts";
import { buildInputs, type Input } from "./_inputs.ts";
import { BlobSet } from "./_local_tree.ts";

/** Digests made by Python; see testdata/make_goldens.py. */
interface Golden {
  readonly trees: Readonly<
    Record<string, {
      readonly entries: readonly Entry[];
      readonly root: string;
      readonly directories: readonly string[];
    }>
  >;
  readonly commands: Readonly<
    Record<string, { readonly spec: GoldenCommand; readonly command: string; readonly action: string }>
  >;
}

interface Entry {
  readonly path: string;
  readonly content?: string;
  readonly repeat?: number;
  readonly executable?: boolean;
  readonly target?: string;
  readonly directory?: boolean;
}

interface GoldenCommand extends Omit<ActionSpec, "platform"> {
  readonly platform?: readonly (readonly [string, string])[];
}

const golden: Golden = JSON.parse(
  await Deno.readTextFile(new URL("./testdata/golden.json", import.meta.url)),
);

function contentOf(entry: Entry): string {
  return (entry.content ?? "").repeat(entry.repeat ?? 1);
}

async function writeTree(root: string, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries) {
    const path = `${root}/${entry.path}`;
    await Deno.mkdir(entry.directory ? path : path.slice(0, path.lastIndexOf("/")), { recursive: true });
    if (entry.target !== undefined) await Deno.symlink(entry.target, path);
    else if (!entry.directory) {
      await Deno.writeTextFile(path, contentOf(entry), { mode: entry.executable ? 0o755 : 0o640 });
    }
  }
}

function asInput(entry: Entry): Input {
  const { path, target, executable } = entry;
  if (entry.directory) return { path, directory: true };
  return target !== undefined ? { path, target } : { path, content: contentOf(entry), executable };
}

for (const [name, { entries, root, directories }] of Object.entries(golden.trees)) {
  Deno.test(`A tree with ${name} has Python's digests when read from disk`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "brokkr-golden-" });
    try {
      await writeTree(directory, entries);
      const built = await buildInputs([{ from: directory, to: "" }], SHA256);
      assertEquals(formatDigest(built.rootDigest), root);
      assertEquals(built.tree.directories.map((each) => formatDigest(each.digest)).sort(), directories);
      for (const { digest } of built.tree.directories) assertEquals(built.blobs.has(digest), true);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });

  Deno.test(`A tree with ${name} has Python's digests when built in memory, in any order`, async () => {
    const inputs = entries.map(asInput);
    assertEquals(formatDigest((await buildInputs(inputs, SHA256)).rootDigest), root);
    assertEquals(formatDigest((await buildInputs(inputs.toReversed(), SHA256)).rootDigest), root);
  });
}

for (const [name, { spec, command, action }] of Object.entries(golden.commands)) {
  Deno.test(`An action of ${name} has Python's digests`, () => {
    const platform: Record<string, string[]> = {};
    for (const [key, value] of spec.platform ?? []) (platform[key] ??= []).push(value);
    const empty = { fn: SHA256, hash: SHA256.hash(new Uint8Array()), sizeBytes: 0 };
    const inputRoot = new TreeBuilder().build(SHA256).rootDigest;
    assertEquals(formatDigest(inputRoot), formatDigest(empty as typeof inputRoot));
    const built = buildAction({ ...spec, platform }, inputRoot, SHA256, new BlobSet());
    assertEquals(formatDigest(built.commandDigest), command);
    assertEquals(formatDigest(built.actionDigest), action);
  });
}

Deno.test("A tree's digest does not depend on the order in which its entries are given", async () => {
  const name = fc.string({ minLength: 1, maxLength: 6, unit: "grapheme" })
    .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..");
  const paths = fc.uniqueArray(name, { maxLength: 12 });
  await fc.assert(fc.asyncProperty(paths, fc.infiniteStream(fc.nat(3)), async (names, kinds) => {
    const inputs = names.map((path): Input => {
      const kind = kinds.next().value;
      if (kind === 0) return { path, directory: true };
      return kind === 1
        ? { path, target: "x" }
        : { path: `${path}/f`, content: path, executable: kind === 2 };
    });
    const one = await buildInputs(inputs, SHA256);
    const other = await buildInputs(inputs.toReversed(), SHA256);
    assertEquals(formatDigest(one.rootDigest), formatDigest(other.rootDigest));
    assertEquals(one.tree.directories.length, splitTree(treeOf(inputs)).length);
  }));
});

function treeOf(inputs: readonly Input[]): Uint8Array {
  const tree = new TreeBuilder();
  for (const input of inputs) {
    if (typeof input === "string" || "from" in input) continue;
    if ("content" in input) {
      tree.addFile(input.path, new BlobSet().addBytes(SHA256, encode(input.content)), input.executable);
    } else if ("target" in input) tree.addSymlink(input.path, input.target);
    else if ("directory" in input) tree.addDirectory(input.path);
  }
  return tree.buildTree(SHA256).data;
}

function encode(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
