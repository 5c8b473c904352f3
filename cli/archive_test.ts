/** Archives of actions, and the tar they are. */

import { type Digest, digestOf, formatDigest, SHA256 } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { type ArchivedBlob, ContentsHash, type Manifest, openArchive, writeArchive } from "./_archive.ts";
import { readTar, tarEnd, tarHeader, tarPadding } from "./_tar.ts";
import { inTempDir } from "./_testing.ts";

const encoder = new TextEncoder();
const ACTION = digestOf(SHA256, encoder.encode("an action"));

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return joined(all);
}

/** `bytes` in pieces of the sizes given, over and over; each is overwritten once the next is asked for. */
async function* inPieces(bytes: Uint8Array, sizes: readonly number[] = [1 << 16]) {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length]);
    const piece = bytes.slice(at, at + size);
    yield piece;
    piece.fill(0xee);
    at += size;
  }
}

/** A file as tar has it. */
function file(name: string, data: Uint8Array | string): Uint8Array[] {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return [tarHeader(name, bytes.length), bytes, tarPadding(bytes.length)];
}

/** A header that was changed, with a checksum that is right again. */
function altered(header: Uint8Array, change: (header: Uint8Array) => void): Uint8Array {
  const copy = header.slice();
  change(copy);
  copy.fill(0x20, 148, 156);
  const sum = copy.reduce((total, byte) => total + byte, 0);
  copy.set(encoder.encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return copy;
}

interface Told {
  readonly manifest: Manifest;
  readonly blobs: readonly (readonly [digest: string, data: Uint8Array])[];
}

async function readAll(bytes: Uint8Array, sizes?: readonly number[]): Promise<Told> {
  const { manifest, blobs } = await openArchive(inPieces(bytes, sizes));
  const all: [string, Uint8Array][] = [];
  for await (const { digest, data } of blobs) all.push([formatDigest(digest), await collect(data)]);
  return { manifest, blobs: all };
}

function inOrder(contents: readonly (Uint8Array | string)[]): (readonly [Digest, Uint8Array])[] {
  const byHash = new Map(contents.map((content) => {
    const data = typeof content === "string" ? encoder.encode(content) : content;
    const digest = digestOf(SHA256, data);
    return [digest.hash as string, [digest, data] as const];
  }));
  return [...byHash.values()].sort(([a], [b]) => a.hash < b.hash ? -1 : 1);
}

function manifestOf(
  blobs: readonly (readonly [Digest, Uint8Array])[],
  change: Partial<Manifest> = {},
): Manifest {
  const start = { action: ACTION, result: undefined, inputs: true, ...change };
  const contents = new ContentsHash(start);
  for (const [digest] of blobs) contents.add(digest);
  const { blobs: count, bytes } = contents;
  return {
    instance: "main",
    blobs: count,
    bytes,
    contents: contents.finish(),
    roles: { inputs: count },
    ...start,
  };
}

async function archive(
  contents: readonly (Uint8Array | string)[],
  change: Partial<Manifest> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const blobs = inOrder(contents);
  const give = async function* (): AsyncGenerator<ArchivedBlob> {
    for (const [digest, data] of blobs) yield { digest, data: inPieces(data, [7]) };
  };
  return await collect(writeArchive({ ...manifestOf(blobs, change), ...change }, give()));
}

Deno.test("Files come out of a tar as they went in, whatever the pieces", async () => {
  const names = fc.stringMatching(/^[a-z][a-z0-9./_-]{0,99}$/);
  const files = fc.array(fc.tuple(names, fc.uint8Array({ maxLength: 1500 })), { maxLength: 6 });
  const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(fc.asyncProperty(files, sizes, fc.nat(3), async (files, sizes, skipped) => {
    const bytes = joined([...files.flatMap(([name, data]) => file(name, data)), tarEnd()]);
    const seen: [string, number, Uint8Array | undefined][] = [];
    for await (const { name, sizeBytes, data } of readTar(inPieces(bytes, sizes))) {
      seen.push([name, sizeBytes, seen.length === skipped ? undefined : await collect(data)]);
    }
    assertEquals(
      seen,
      files.map(([name, data], at) => [name, data.length, at === skipped ? undefined : new Uint8Array(data)]),
    );
  }));
});

Deno.test("tar reads what is written here, and the same is read of what tar wrote", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeFile(`${cwd}/ours.tar`, joined([...file("a", "first"), ...file("d/b", ""), tarEnd()]));
    const tar = async (...args: string[]) => {
      const { success, stderr } = await new Deno.Command("tar", { args, cwd }).output();
      assert(success, new TextDecoder().decode(stderr));
    };
    await Deno.mkdir(`${cwd}/out`);
    await tar("-xf", "ours.tar", "-C", "out");
    assertEquals(await Deno.readTextFile(`${cwd}/out/a`), "first");
    assertEquals(await Deno.readTextFile(`${cwd}/out/d/b`), "");
    await tar("-cf", "theirs.tar", "-C", "out", "a", "d/b");
    const names: string[] = [];
    for await (const { name } of readTar((await Deno.open(`${cwd}/theirs.tar`)).readable)) names.push(name);
    assertEquals(names, ["a", "d/b"]);
  });
});

Deno.test("A file of 8 GiB and more has its size in a header that others read, and is streamed", async () => {
  const sizeBytes = 8 * 2 ** 30 + 5;
  const zeros = new Uint8Array(64 << 20);
  const source = async function* () {
    yield tarHeader("large", sizeBytes);
    for (let left = sizeBytes; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
    yield tarPadding(sizeBytes);
    yield tarEnd();
  };
  let read = 0;
  for await (const entry of readTar(source())) {
    assertEquals(entry.sizeBytes, sizeBytes);
    for await (const piece of entry.data) read += piece.length;
  }
  assertEquals(read, sizeBytes);
});

Deno.test("An archive holds what was put into it, and the same is always the same bytes", async () => {
  const contents = fc.array(fc.uint8Array({ minLength: 1, maxLength: 700 }), { maxLength: 8 });
  const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(fc.asyncProperty(contents, sizes, async (contents, sizes) => {
    const bytes = await archive(contents);
    assertEquals(await archive(contents.toReversed()), bytes);
    const { manifest, blobs } = await readAll(bytes, sizes);
    const expected = inOrder(contents);
    assertEquals(manifest, manifestOf(expected));
    assertEquals(blobs, expected.map(([digest, data]) => [formatDigest(digest), new Uint8Array(data)]));
  }));
});

Deno.test("An archive whose result has another size than its manifest says is refused before it is read", async () => {
  const result = digestOf(SHA256, encoder.encode("two"));
  const huge = { ...result, sizeBytes: 2 ** 43 };
  const blob: ArchivedBlob = { digest: huge, data: inPieces(encoder.encode("two")) };
  const bytes = writeArchive(
    manifestOf([[huge, new Uint8Array()]], { result }),
    async function* () {
      yield blob;
    }(),
  );
  const { blobs } = await openArchive(bytes);
  const error = await assertRejects(async () => {
    for await (const { data } of blobs) await collect(data);
  }, BrokkrError);
  assertStringIncludes(error.message, `its result ${formatDigest(result)} has ${2 ** 43} bytes`);
});

Deno.test("An archive that lost its end or had a byte changed is refused, or means the same", async () => {
  const bytes = await archive(["one", "two", "x".repeat(1000)], {
    result: digestOf(SHA256, encoder.encode("two")),
  });
  const whole = await readAll(bytes);
  const essence = ({ manifest: { action, result, inputs }, blobs }: Told) => ({
    action,
    result,
    inputs,
    blobs,
  });
  const refusal = async (damaged: Uint8Array) => {
    try {
      assertEquals(essence(await readAll(damaged)), essence(whole));
      return undefined;
    } catch (error) {
      if (!(error instanceof BrokkrError)) throw error;
      assertEquals(error.code, Code.DATA_LOSS);
      return error.message;
    }
  };
  for (let end = 0; end < bytes.length; end += 97) {
    assertStringIncludes(await refusal(bytes.subarray(0, end)) ?? "It was taken", "it ends early");
  }
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const damaged = bytes.slice();
      damaged[at] ^= change;
      if (await refusal(damaged) !== undefined) refused++;
    }),
    { numRuns: 1000 },
  );
  // What may be changed without harm is blanks, the instance and the counts by role in the manifest.
  assert(refused > 900, `Only ${refused} of 1000 were refused`);
});

const sound = inOrder(["one", "two"]);
const [[first, firstData], [second, secondData]] = sound;
const nameOf = ({ hash }: Digest) => `blobs/sha256/${hash}`;
const manifestText = (await collect(inPieces(await archive(["one", "two"])))).subarray(512, 1024);
const json = new TextDecoder().decode(manifestText).replace(/\0+$/, "");
const head = file("manifest.json", json);
const manifestWith = (change: Readonly<Record<string, unknown>>) =>
  file("manifest.json", JSON.stringify({ ...JSON.parse(json), ...change }));
const blobs = [...file(nameOf(first), firstData), ...file(nameOf(second), secondData)];
const changed = (name: string, change: (header: Uint8Array) => void) => [
  altered(tarHeader(name, 3), change),
  firstData,
  tarPadding(3),
];
const at = (offset: number, text: string) => (header: Uint8Array) =>
  void header.set(encoder.encode(text), offset);

for (
  const [what, pieces, message] of [
    ["is empty", [], "it ends early"],
    ["is no tar", [encoder.encode("PK\x03\x04".repeat(300))], "a header's checksum is wrong"],
    ["has no manifest", [...blobs, tarEnd()], "it does not begin with manifest.json"],
    ["has only an end", [tarEnd()], "it does not begin with manifest.json"],
    [
      "has a manifest of another kind",
      [...file("manifest.json", "{}"), tarEnd()],
      "format of manifest.json is missing",
    ],
    ["has a manifest that is no JSON", [...file("manifest.json", "{"), tarEnd()], "manifest.json is no JSON"],
    ["has a huge manifest", [tarHeader("manifest.json", 2 ** 40)], "manifest.json has 1099511627776 bytes"],
    [
      "is of a later version",
      [...manifestWith({ version: 2 }), ...blobs, tarEnd()],
      "version of manifest.json is 2",
    ],
    [
      "has another function",
      [...manifestWith({ digestFunction: "murmur3" }), tarEnd()],
      "digestFunction of manifest.json",
    ],
    [
      "says it has no end of blobs",
      [...manifestWith({ blobs: 1e15 }), tarEnd()],
      "blobs of manifest.json is 100000",
    ],
    ["says it has half a byte", [...manifestWith({ bytes: 0.5 }), tarEnd()], "bytes of manifest.json is 0.5"],
    ["names no action", [...manifestWith({ action: "../x" }), tarEnd()], 'action of manifest.json is "../x"'],
    [
      "names another action",
      [...manifestWith({ action: formatDigest(first) }), ...blobs, tarEnd()],
      "not those of",
    ],
    ["lacks a blob", [...head, ...file(nameOf(first), firstData), tarEnd()], "it holds 1 blobs of 3 bytes"],
    ["holds a blob twice", [...head, ...blobs, ...blobs.slice(3), tarEnd()], "is out of order"],
    [
      "holds them in another order",
      [...head, ...blobs.slice(3), ...blobs.slice(0, 3), tarEnd()],
      "is out of order",
    ],
    [
      "holds more",
      [...head, ...blobs, ...file(`blobs/sha256/${"f".repeat(64)}`, "x"), tarEnd()],
      "holds more than",
    ],
    [
      "holds other bytes",
      [...head, ...file(nameOf(first), "eno"), ...blobs.slice(3), tarEnd()],
      "has another hash",
    ],
    [
      "has an absolute path",
      [...head, ...file(`/etc/${first.hash}`, firstData), tarEnd()],
      "does not belong there",
    ],
    [
      "leads elsewhere",
      [...head, ...file(`blobs/sha256/../../${first.hash}`, firstData)],
      "does not belong there",
    ],
    [
      "has capitals",
      [...head, ...file(nameOf(first).toUpperCase(), firstData), tarEnd()],
      "does not belong there",
    ],
    [
      "has another file",
      [...head, ...blobs, ...file("zz", "more"), tarEnd()],
      'entry "zz" does not belong there',
    ],
    ["has a link", [...head, ...changed(nameOf(first), at(156, "2/etc/passwd"))], "is no regular file"],
    ["has a hard link", [...head, ...changed(nameOf(first), at(157, "/etc/passwd"))], "is no regular file"],
    ["has a directory", [...head, ...changed("blobs/", at(156, "5"))], "is no regular file"],
    ["has an extended header", [...head, ...changed("x", at(156, "x"))], "is no regular file"],
    [
      "has a name in two fields",
      [...head, ...changed(nameOf(first), at(345, "/etc"))],
      "goes on in another field",
    ],
    [
      "is of tar's first format",
      [...head, ...changed(nameOf(first), at(257, "\0\0\0\0\0\0\0\0"))],
      "ustar format",
    ],
    ["has no size", [...head, ...changed(nameOf(first), at(124, "            "))], "a size that cannot be"],
    [
      "has a negative size",
      [...head, ...changed(nameOf(first), at(124, "-0000000001\0"))],
      "a size that cannot be",
    ],
    [
      "has an endless size",
      [...head, ...changed(nameOf(first), (header) => header.fill(0xff, 124, 136).fill(0x80, 124, 125))],
      "a size that cannot be",
    ],
    [
      "has a size beyond its manifest",
      [...head, tarHeader(nameOf(first), 2 ** 50)],
      "holds more than the 2 blobs",
    ],
    ["has a block of zeros in it", [...head, new Uint8Array(512), ...blobs, tarEnd()], "a block of zeros"],
    ["goes on after its end", [...head, ...blobs, tarEnd(), ...blobs], "something follows its end"],
    ["never ends", [...head, ...blobs, tarEnd(), new Uint8Array(2 << 20)], "something follows its end"],
  ] as const
) {
  Deno.test(`An archive that ${what} is refused`, async () => {
    const error = await assertRejects(() => readAll(joined(pieces)), BrokkrError);
    assertEquals(error.code, Code.DATA_LOSS);
    assertStringIncludes(error.message, message);
  });
}

Deno.test("The archive that the refused ones are made of is taken", async () => {
  const { blobs: read } = await readAll(joined([...head, ...blobs, tarEnd(), new Uint8Array(9216)]));
  assertEquals(read.map(([digest]) => digest), sound.map(([digest]) => formatDigest(digest)));
});
