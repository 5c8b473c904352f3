import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { DirectoryCodec, TreeCodec } from "@brokkr/proto";
import fc from "fast-check";
import { type Digest, digestOf, formatDigest, SHA256 } from "../digest.ts";
import { TreeBuilder } from "./builder.ts";
import { encodeDirectory } from "./directory.ts";
import { splitPath } from "./names.ts";
import { treeSource, type WalkedDirectory, walkTree } from "./walk.ts";

const utf8 = new TextEncoder();

function of(text: string): Digest {
  return digestOf(SHA256, utf8.encode(text));
}

/**
 * The golden digests were made by Python's protobuf 6 from Directory and Tree messages with sorted entries:
 * `hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()`, with classes that protoc made from
 * proto/build/bazel/remote/execution/v2/remote_execution.proto.
 */
const GOLDEN = {
  empty: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0",
  root: "5a806cbde3fdccd1f3101e2c0e1dfc3077a04e48c85f854b96e8c624acf35be9/314",
  src: "6d0e1eb0cca5e0d231fd175776400405a932cc8ee40f70c03d6c353bcf0db09e/262",
  // children: src, empty, include
  tree: "6d67fe5d82f49d88f47e506df9511340bae669b95031d920960ae42c5ab1d468/661",
};

function sources(): TreeBuilder {
  const tree = new TreeBuilder();
  tree.addDirectory("empty");
  tree.addSymlink("src/link", "../main.c");
  tree.addFile("src/run.sh", of("#!/bin/sh\n"), true);
  tree.addFile("src/include/a.h", of(""));
  tree.addFile("copy/a.h", of(""));
  tree.addFile("src/main.c", of("hello\n"));
  tree.addFile("README", of("x".repeat(200)));
  return tree;
}

Deno.test("TreeBuilder gives the digests that Python's protobuf gives", () => {
  assertEquals(formatDigest(new TreeBuilder().build(SHA256).rootDigest), GOLDEN.empty);
  const built = sources().build(SHA256);
  assertEquals(formatDigest(built.rootDigest), GOLDEN.root);
  assertEquals(built.directories.map((each) => formatDigest(each.digest)).slice(0, 2), [
    GOLDEN.root,
    GOLDEN.src,
  ]);
  assertEquals(built.directories.length, 4, "copy and src/include are one directory");
  assertEquals(formatDigest(sources().buildTree(SHA256).digest), GOLDEN.tree);
});

Deno.test("TreeBuilder refuses unfit and conflicting paths", () => {
  for (const path of ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\0", "\ud800", "n".repeat(256)]) {
    assertThrows(() => new TreeBuilder().addFile(path, of("x")), BrokkrError);
    assertThrows(() => new TreeBuilder().addSymlink(path, "t"), BrokkrError);
    if (path !== "") assertThrows(() => new TreeBuilder().addDirectory(path), BrokkrError);
  }
  assertThrows(() => splitPath(Array(30).fill("n".repeat(200)).join("/")), BrokkrError, "too long");
  const tree = new TreeBuilder();
  tree.addFile("a/f", of("x"));
  assertThrows(() => tree.addFile("a/f", of("y")), BrokkrError, "taken");
  assertThrows(() => tree.addSymlink("a/f", "y"), BrokkrError, "taken");
  assertThrows(() => tree.addSymlink("a", "y"), BrokkrError, "taken");
  assertThrows(() => tree.addFile("a/f/g", of("x")), BrokkrError, "needs a directory");
  assertThrows(() => tree.addDirectory("a/f"), BrokkrError, "needs a directory");
  tree.addDirectory("a");
  assertEquals(tree.entries, 2);
  const small = new TreeBuilder({ maxEntries: 1 });
  small.addFile("a", of("x"));
  assertThrows(() => small.addFile("b", of("x")), BrokkrError, "at most 1 entries");
});

async function walkAll(...walk: Parameters<typeof walkTree>): Promise<WalkedDirectory[]> {
  return await Array.fromAsync(walkTree(...walk));
}

const paths = fc.array(fc.array(fc.constantFrom("a", "b", "c", "é"), { minLength: 1, maxLength: 4 }), {
  maxLength: 12,
}).map((all) => all.map((each) => each.join("/")));

Deno.test("TreeBuilder gives one tree whatever the order of calls, and walkTree finds every path again", async () => {
  await fc.assert(fc.asyncProperty(paths, fc.infiniteStream(fc.nat()), async (all, random) => {
    const add = (tree: TreeBuilder, list: readonly string[]) => {
      // Directories only, so that no order can conflict; a file beside each under a name of its own.
      for (const path of list) {
        tree.addDirectory(path);
        try {
          tree.addFile(`${path}/file`, of(path.slice(-1)));
        } catch {
          // The same path came twice.
        }
      }
      return tree.buildTree(SHA256);
    };
    const keyed = all.map((path) => ({ path, key: random.next().value ?? 0 }));
    const made = add(new TreeBuilder(), all);
    const again = add(new TreeBuilder(), keyed.sort((a, b) => a.key - b.key).map((each) => each.path));
    assertEquals(made.digest, again.digest);
    const source = treeSource(made.data, SHA256);
    assertEquals(source.rootDigest, made.built.rootDigest);
    const walked = await walkAll(source.rootDigest, source.fetch);
    const files = walked.flatMap(({ path, content }) =>
      content?.files.map((file) => `${path}/${file.name}`) ?? []
    );
    assertEquals(files.sort(), [...new Set(all)].map((path) => `${path}/file`).sort());
  }));
});

Deno.test("TreeBuilder writes Trees that the generated codec reads, sorted topologically and each directory once", () => {
  fc.assert(fc.property(paths, (all) => {
    const tree = new TreeBuilder();
    for (const path of all) tree.addDirectory(path);
    const made = tree.buildTree(SHA256);
    const message = TreeCodec.decode(made.data);
    const listed = [message.root ?? DirectoryCodec.decode(new Uint8Array()), ...message.children];
    const hashes = listed.map((each) => digestOf(SHA256, DirectoryCodec.encode(each)).hash as string);
    assertEquals(new Set(hashes).size, hashes.length);
    assertEquals(hashes, made.built.directories.map((each) => each.digest.hash as string));
    for (const [i, directory] of listed.entries()) {
      for (const child of directory.directories) {
        assert(hashes.indexOf(child.digest?.hash ?? "") > i, "a child stands before its parent");
      }
    }
  }));
});

Deno.test("walkTree fetches each directory once, a level at a time, and skips what it is told to", async () => {
  const built = sources().build(SHA256);
  const byHash = new Map(built.directories.map((each) => [each.digest.hash, each.data]));
  const asked: number[] = [];
  const fetch = (digests: readonly Digest[]) => {
    asked.push(digests.length);
    return Promise.resolve(digests.map((digest) => byHash.get(digest.hash)));
  };
  const walked = await walkAll(built.rootDigest, fetch);
  assertEquals(walked.map((each) => each.path), ["", "copy", "empty", "src", "src/include"]);
  assertEquals(asked, [1, 3]);
  const skipped = await walkAll(built.rootDigest, fetch, { skip: (_digest, path) => path === "src" });
  assertEquals(skipped.map((each) => [each.path, each.content !== undefined]), [
    ["", true],
    ["copy", true],
    ["empty", true],
    ["src", false],
  ]);
});

Deno.test("walkTree names every missing directory of a level", async () => {
  const built = sources().build(SHA256);
  const root = built.directories[0].data;
  const error = await assertRejects(
    () =>
      walkAll(
        built.rootDigest,
        (digests) => digests.map((each) => each.sizeBytes === 314 ? root : undefined),
      ),
    BrokkrError,
    "3 directories of a tree are missing",
  );
  assertEquals(error.code, Code.FAILED_PRECONDITION);
});

Deno.test("walkTree refuses trees that unfold without end", async () => {
  let data = encodeDirectory({ files: [], directories: [], symlinks: [] });
  const byHash = new Map<string, Uint8Array>();
  let digest = digestOf(SHA256, data);
  byHash.set(digest.hash, data);
  for (let i = 0; i < 60; i++) {
    data = encodeDirectory({
      files: [],
      directories: [{ name: "a", digest }, { name: "b", digest }],
      symlinks: [],
    });
    digest = digestOf(SHA256, data);
    byHash.set(digest.hash, data);
  }
  const fetch = (digests: readonly Digest[]) => digests.map((each) => byHash.get(each.hash));
  await assertRejects(
    () => walkAll(digest, fetch, { maxEntries: 10_000 }),
    BrokkrError,
    "more than 10000 entries",
  );
  await assertRejects(
    () => walkAll(digest, fetch, { maxDepth: 10 }),
    BrokkrError,
    "more than 10 directories",
  );
});
