import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { DirectoryCodec, TreeCodec } from "@brokkr/proto";
import fc from "fast-check";
import { type Digest, digestOf, formatDigest, SHA256 } from "../digest.ts";
import { TreeBuilder } from "./builder.ts";
import { type DirectoryContent, encodeDirectory, parseDirectory } from "./directory.ts";
import { compareUtf8, splitPath, utf8Length } from "./names.ts";
import { treeSource, type WalkedDirectory, walkTree } from "./walk.ts";

const utf8 = new TextEncoder();

function of(text: string): Digest {
  return digestOf(SHA256, utf8.encode(text));
}

function digestText(content: DirectoryContent): string {
  return formatDigest(digestOf(SHA256, encodeDirectory(content)));
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
  order: "92be425251bdbf78d1111397302ea446e72d5bd249c74e1e8eabace7bdfe6e59/840",
  properties: "263626616ecdcb5d5a6dc343eee303a249eb68700a3c0c7bf48fdccfba155d78/148",
  big: "7e1697b4aaac1d338d3e21793132e63ca971521da165817a9c121b733eccccce/55290",
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

Deno.test("encodeDirectory sorts names by their bytes, as Python's protobuf test data has them", () => {
  const names = ["a", "B", "é", "\uff5e", "\u{1F600}", "a.b", "a-b", "a b", "ab", "~", "\ue000"];
  const files = names.map((name) => ({ name, digest: of(name), executable: false }));
  assertEquals(digestText({ files, directories: [], symlinks: [] }), GOLDEN.order);
});

Deno.test("encodeDirectory writes node properties as Python's protobuf does", () => {
  const text = digestText({
    files: [{
      name: "f",
      digest: of("f"),
      executable: false,
      nodeProperties: {
        properties: [{ name: "beta", value: "" }, { name: "alpha", value: "1" }],
        mtime: { seconds: -5, nanos: 7 },
        unixMode: 0o755,
      },
    }],
    directories: [],
    symlinks: [{ name: "s", target: "/abs/olute", nodeProperties: { properties: [], unixMode: 0 } }],
    nodeProperties: { properties: [], mtime: { seconds: 1700000000, nanos: 0 } },
  });
  assertEquals(text, GOLDEN.properties);
});

Deno.test("encodeDirectory writes long entries as Python's protobuf does", () => {
  const files = Array.from({ length: 300 }, (_, i) => ({
    name: `file-${i}-${"n".repeat(100)}`,
    digest: of(String(i)),
    executable: i % 3 === 0,
  }));
  assertEquals(digestText({ files, directories: [], symlinks: [] }), GOLDEN.big);
});

/** Raw wire bytes of one entry: `kind` 1 file, 2 directory, 3 symlink. */
function entry(kind: 1 | 2 | 3, name: Uint8Array, target = "t"): Uint8Array {
  const field = (tag: number, bytes: Uint8Array) => [tag * 8 + 2, bytes.length, ...bytes];
  const digest = [...field(1, utf8.encode(of("x").hash)), 16, 1];
  const second = kind === 3 ? utf8.encode(target) : new Uint8Array(digest);
  const body = new Uint8Array([...field(1, name), ...field(2, second)]);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return new Uint8Array([kind * 8 + 2, ...length, ...body]);
}

Deno.test("parseDirectory refuses every dangerous name, of every kind, by name", () => {
  const names: readonly (readonly [Uint8Array, string])[] = [
    [utf8.encode(""), "may not be empty"],
    [utf8.encode("."), 'may not be "."'],
    [utf8.encode(".."), 'may not be ".."'],
    [utf8.encode("a/b"), "may not hold a slash"],
    [utf8.encode("/etc"), "may not hold a slash"],
    [utf8.encode("a\0b"), "may not hold a NUL"],
    [new Uint8Array([0x63, 0x61, 0x66, 0xe9]), '"caf\\xe9": it is not valid UTF-8'],
    [new Uint8Array([0xed, 0xa0, 0x80]), '"\\xed\\xa0\\x80": it is not valid UTF-8'],
  ];
  for (const [name, message] of names) {
    for (const kind of [1, 2, 3] as const) {
      const error = assertThrows(
        () => parseDirectory(entry(kind, name), SHA256, "in/put"),
        BrokkrError,
        message,
      );
      assertEquals(error.code, Code.INVALID_ARGUMENT);
      assert(error.message.includes('"in/put"'), error.message);
    }
  }
  const long = new Uint8Array(100).fill(0x61);
  assertEquals(parseDirectory(entry(1, long), SHA256).files[0].name.length, 100);
});

Deno.test("parseDirectory takes a name that holds U+FFFD in earnest", () => {
  assertEquals(parseDirectory(entry(1, utf8.encode("\ufffd")), SHA256).files[0].name, "\ufffd");
});

Deno.test("parseDirectory refuses names longer than the kernel takes, and takes the longest", () => {
  const content = (name: string) => ({
    files: [{ name, digest: of("x"), executable: false }],
    directories: [],
    symlinks: [],
  });
  for (const name of ["n".repeat(255), "é".repeat(127), "\u{1F600}".repeat(63)]) {
    encodeDirectory(content(name));
  }
  for (const name of ["n".repeat(256), "é".repeat(128), "\u{1F600}".repeat(64)]) {
    const bytes = DirectoryCodec.encode({ files: [{ name, digest: { hash: of("x").hash, sizeBytes: 1 } }] });
    assertThrows(() => parseDirectory(bytes, SHA256), BrokkrError, "at most 255 bytes");
    assertThrows(() => encodeDirectory(content(name)), BrokkrError, "at most 255 bytes");
  }
});

Deno.test("parseDirectory refuses one name twice, within a kind and across kinds", () => {
  const name = utf8.encode("same");
  for (const a of [1, 2, 3] as const) {
    for (const b of [1, 2, 3] as const) {
      const bytes = new Uint8Array([...entry(a, name), ...entry(b, name)]);
      assertThrows(() => parseDirectory(bytes, SHA256), BrokkrError, "another entry has the same name");
    }
  }
});

Deno.test("parseDirectory refuses unfit targets and takes absolute ones and those that lead out", () => {
  const link = (target: string) => entry(3, utf8.encode("l"), target);
  assertThrows(() => parseDirectory(link(""), SHA256), BrokkrError, "may not be empty");
  assertThrows(() => parseDirectory(link("a\0"), SHA256), BrokkrError, "may not hold a NUL");
  for (const target of ["/usr/bin", "../../x", "a//b/"]) {
    assertEquals(parseDirectory(link(target), SHA256).symlinks[0].target, target);
  }
});

Deno.test("parseDirectory refuses a missing or malformed digest and truncated bytes", () => {
  const digest = { hash: "abc", sizeBytes: 1 };
  const cases = [
    DirectoryCodec.encode({ files: [{ name: "f" }] }),
    DirectoryCodec.encode({ directories: [{ name: "d" }] }),
    DirectoryCodec.encode({ files: [{ name: "f", digest }] }),
    DirectoryCodec.encode({ files: [{ name: "f", digest: { hash: of("").hash, sizeBytes: -1 } }] }),
    entry(1, utf8.encode("cut")).subarray(0, 20),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    new Uint8Array([0x0b]),
  ];
  for (const bytes of cases) {
    assertEquals(assertThrows(() => parseDirectory(bytes, SHA256), BrokkrError).code, Code.INVALID_ARGUMENT);
  }
});

Deno.test("parseDirectory takes entries that are out of order and ignores unknown fields", () => {
  const bytes = new Uint8Array([
    ...entry(2, utf8.encode("z")),
    0xf8,
    0x07,
    0x05, // field 127, a number
    ...entry(1, utf8.encode("b")),
    ...entry(1, utf8.encode("a")),
  ]);
  const content = parseDirectory(bytes, SHA256);
  assertEquals(content.files.map((each) => each.name), ["b", "a"]);
  assertEquals(content.directories.map((each) => each.name), ["z"]);
});

const names = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
  fc.stringMatching(/^[a-c.-]{1,3}$/),
).filter((name) => name !== "." && name !== ".." && !/[\0/]/.test(name) && name.isWellFormed());
const properties = fc.option(
  fc.record({
    properties: fc.uniqueArray(fc.record({ name: fc.string(), value: fc.string() }), {
      selector: (each) => each.name,
      maxLength: 3,
    }).map((each) => each.sort((a, b) => compareUtf8(a.name, b.name))),
    mtime: fc.record({ seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), nanos: fc.nat(999_999_999) }),
    unixMode: fc.nat(0o7777),
  }, { requiredKeys: ["properties"] }),
  { nil: undefined },
);
const digests = fc.record({ text: fc.string({ maxLength: 3 }), size: fc.maxSafeNat() })
  .map(({ text, size }) => ({ ...of(text), sizeBytes: size }));

function withProperties<T extends object>(value: T, nodeProperties: unknown): T {
  return nodeProperties === undefined ? value : { ...value, nodeProperties };
}

const contents: fc.Arbitrary<DirectoryContent> = fc.record({
  names: fc.uniqueArray(names, { maxLength: 12 }),
  kinds: fc.array(fc.nat(2), { minLength: 12, maxLength: 12 }),
  digests: fc.array(digests, { minLength: 12, maxLength: 12 }),
  properties: fc.array(properties, { minLength: 13, maxLength: 13 }),
}).map((made) => {
  const files = [], directories = [], symlinks = [];
  for (const [i, name] of made.names.sort(compareUtf8).entries()) {
    const digest = made.digests[i];
    if (made.kinds[i] === 0) {
      files.push(withProperties({ name, digest, executable: i % 2 === 0 }, made.properties[i]));
    } else if (made.kinds[i] === 1) directories.push({ name, digest });
    else symlinks.push(withProperties({ name, target: `../${name}` }, made.properties[i]));
  }
  return withProperties({ files, directories, symlinks }, made.properties[12]);
});

Deno.test("parseDirectory gives back what encodeDirectory wrote", () => {
  fc.assert(fc.property(contents, (content) => {
    assertEquals(parseDirectory(encodeDirectory(content), SHA256), content);
  }));
});

Deno.test("encodeDirectory writes the bytes that the generated codec writes for sorted entries", () => {
  const wire = (nodeProperties: DirectoryContent["nodeProperties"]) =>
    nodeProperties === undefined ? undefined : {
      properties: nodeProperties.properties,
      mtime: nodeProperties.mtime,
      unixMode: nodeProperties.unixMode === undefined ? undefined : { value: nodeProperties.unixMode },
    };
  const digest = (each: Digest) => ({ hash: each.hash, sizeBytes: each.sizeBytes });
  fc.assert(fc.property(contents, (content) => {
    const expected = DirectoryCodec.encode({
      files: content.files.map((each) => ({
        name: each.name,
        digest: digest(each.digest),
        isExecutable: each.executable,
        nodeProperties: wire(each.nodeProperties),
      })),
      directories: content.directories.map((each) => ({ name: each.name, digest: digest(each.digest) })),
      symlinks: content.symlinks.map((each) => ({
        name: each.name,
        target: each.target,
        nodeProperties: wire(each.nodeProperties),
      })),
      nodeProperties: wire(content.nodeProperties),
    });
    assertEquals(encodeDirectory(content), new Uint8Array(expected));
  }));
});

Deno.test("parseDirectory of any bytes gives a directory or INVALID_ARGUMENT", () => {
  const mutated = fc.record({ content: contents, at: fc.nat(), byte: fc.nat(255), cut: fc.nat() }).map(
    ({ content, at, byte, cut }) => {
      const bytes = encodeDirectory(content);
      if (bytes.length === 0) return bytes;
      bytes[at % bytes.length] = byte;
      return bytes.subarray(0, 1 + cut % bytes.length);
    },
  );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      try {
        const content = parseDirectory(bytes, SHA256);
        encodeDirectory(content);
      } catch (error) {
        assert(error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("compareUtf8 orders as the bytes do and utf8Length counts them", () => {
  const text = fc.string({ unit: "binary", maxLength: 6 }).filter((each) => each.isWellFormed());
  fc.assert(
    fc.property(text, text, (a, b) => {
      const x = utf8.encode(a), y = utf8.encode(b);
      assertEquals(utf8Length(a), x.length);
      let expected = x.length - y.length;
      for (let i = 0; i < Math.min(x.length, y.length); i++) {
        if (x[i] !== y[i]) {
          expected = x[i] - y[i];
          break;
        }
      }
      assertEquals(Math.sign(compareUtf8(a, b)), Math.sign(expected));
    }),
    { numRuns: 1000 },
  );
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
