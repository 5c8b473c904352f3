import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { DirectoryCodec } from "@brokkr/proto";
import fc from "fast-check";
import { type Digest, digestOf, formatDigest, SHA256 } from "../digest.ts";
import { type DirectoryContent, encodeDirectory, parseDirectory } from "./directory.ts";
import { compareUtf8 } from "./names.ts";

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
  order: "92be425251bdbf78d1111397302ea446e72d5bd249c74e1e8eabace7bdfe6e59/840",
  properties: "263626616ecdcb5d5a6dc343eee303a249eb68700a3c0c7bf48fdccfba155d78/148",
  big: "7e1697b4aaac1d338d3e21793132e63ca971521da165817a9c121b733eccccce/55290",
};

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
