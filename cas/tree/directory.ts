/**
 * One directory of a Merkle tree: read from the bytes of a REAPI Directory with every name checked, and written as
 * canonical bytes.
 *
 * Read from bytes and not from a decoded message, because a decoder turns names that are no UTF-8 into others. What is
 * refused is what could do harm or cannot exist: unfit and duplicate names, unfit targets, malformed digests. What is
 * merely not canonical (entries out of order) is accepted: the digest names those bytes, and they mean the same files.
 *
 * @module
 */

import { type BrokkrError, invalidArgument, type Slices } from "@brokkr/common";
import { WireReader, WireWriter } from "@brokkr/proto";
import { decodeUtf8, showBytes, writeMessage } from "../_wire.ts";
import { type Digest, type DigestFunction, makeDigest } from "../digest.ts";
import { compareUtf8, nameProblem, targetProblem } from "./names.ts";

/** Properties of a file, a symbolic link or a directory beside its name and contents. */
export interface NodeProperties {
  /** Named values, in order of their names when written. */
  readonly properties: readonly { readonly name: string; readonly value: string }[];
  /** Time of last change. */
  readonly mtime?: { readonly seconds: number; readonly nanos: number };
  /** Permission bits. */
  readonly unixMode?: number;
}

/** A file in a directory. */
export interface FileEntry {
  /** Its name. */
  readonly name: string;
  /** Its contents. */
  readonly digest: Digest;
  /** Whether it may be executed. */
  readonly executable: boolean;
  /** Its properties, if any were given. */
  readonly nodeProperties?: NodeProperties;
}

/** A directory in a directory. */
export interface DirectoryEntry {
  /** Its name. */
  readonly name: string;
  /** Digest of its own Directory message. */
  readonly digest: Digest;
}

/** A symbolic link in a directory. */
export interface SymlinkEntry {
  /** Its name. */
  readonly name: string;
  /** Where it leads; may be absolute or lead nowhere. */
  readonly target: string;
  /** Its properties, if any were given. */
  readonly nodeProperties?: NodeProperties;
}

/** A directory whose names have been checked. */
export interface DirectoryContent {
  /** Files. */
  readonly files: readonly FileEntry[];
  /** Directories. */
  readonly directories: readonly DirectoryEntry[];
  /** Symbolic links. */
  readonly symlinks: readonly SymlinkEntry[];
  /** Properties of the directory itself, if any were given. */
  readonly nodeProperties?: NodeProperties;
}

/** How a directory is named in errors. */
function shown(at: string): string {
  return at === "" ? "The root directory" : `Directory ${JSON.stringify(at.slice(0, 200))}`;
}

function unfit(at: string, kind: string, name: string, problem: string): BrokkrError {
  return invalidArgument("directory", `${shown(at)} holds the ${kind} ${name}: ${problem}`);
}

/** State of one directory being read. */
class Parser {
  readonly files: FileEntry[] = [];
  readonly directories: DirectoryEntry[] = [];
  readonly symlinks: SymlinkEntry[] = [];
  nodeProperties: NodeProperties | undefined;
  readonly #names = new Set<string>();
  readonly #reader: WireReader;
  readonly #fn: DigestFunction;
  readonly #at: string;

  constructor(reader: WireReader, fn: DigestFunction, at: string) {
    this.#reader = reader;
    this.#fn = fn;
    this.#at = at;
  }

  /** Reads one entry; false at the end. */
  step(): boolean {
    const reader = this.#reader;
    if (reader.done) return false;
    const tag = reader.tag();
    if (tag === 0x0a) inside(reader, () => this.#file());
    else if (tag === 0x12) inside(reader, () => this.#directory());
    else if (tag === 0x1a) inside(reader, () => this.#symlink());
    else if (tag === 0x2a) this.nodeProperties = inside(reader, () => readNodeProperties(reader));
    else reader.skip(tag);
    return true;
  }

  content(): DirectoryContent {
    const { files, directories, symlinks, nodeProperties } = this;
    return withProperties({ files, directories, symlinks }, nodeProperties);
  }

  #file(): void {
    const reader = this.#reader;
    let name = "";
    let digest: DigestFields | undefined;
    let executable = false;
    let nodeProperties: NodeProperties | undefined;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) name = this.#text("file");
      else if (tag === 0x12) digest = inside(reader, () => readDigestFields(reader));
      else if (tag === 0x20) executable = reader.bool();
      else if (tag === 0x32) nodeProperties = inside(reader, () => readNodeProperties(reader));
      else reader.skip(tag);
    }
    this.#take("file", name);
    const entry = { name, digest: this.#digest("file", name, digest), executable };
    this.files.push(withProperties(entry, nodeProperties));
  }

  #directory(): void {
    const reader = this.#reader;
    let name = "";
    let digest: DigestFields | undefined;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) name = this.#text("directory");
      else if (tag === 0x12) digest = inside(reader, () => readDigestFields(reader));
      else reader.skip(tag);
    }
    this.#take("directory", name);
    this.directories.push({ name, digest: this.#digest("directory", name, digest) });
  }

  #symlink(): void {
    const reader = this.#reader;
    let name = "";
    let target = "";
    let nodeProperties: NodeProperties | undefined;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) name = this.#text("symbolic link");
      else if (tag === 0x12) target = this.#text("symbolic link with the target");
      else if (tag === 0x22) nodeProperties = inside(reader, () => readNodeProperties(reader));
      else reader.skip(tag);
    }
    this.#take("symbolic link", name);
    const problem = targetProblem(target);
    if (problem !== undefined) throw unfit(this.#at, "symbolic link", JSON.stringify(name), problem);
    this.symlinks.push(withProperties({ name, target }, nodeProperties));
  }

  /** A digest that is malformed is told with the entry it stands in. */
  #digest(kind: string, name: string, fields: DigestFields | undefined): Digest {
    const refuse = (problem: string) => unfit(this.#at, kind, JSON.stringify(name), problem);
    if (fields === undefined) throw refuse("its digest is missing");
    try {
      return makeDigest(this.#fn, fields.hash, fields.sizeBytes);
    } catch (error) {
      throw refuse(error instanceof Error ? error.message : String(error));
    }
  }

  #text(kind: string): string {
    const bytes = this.#reader.view();
    const text = decodeUtf8(bytes);
    if (text === undefined) throw unfit(this.#at, kind, showBytes(bytes), "it is not valid UTF-8");
    return text;
  }

  #take(kind: string, name: string): void {
    const problem = nameProblem(name);
    if (problem !== undefined) throw unfit(this.#at, kind, JSON.stringify(name.slice(0, 300)), problem);
    if (this.#names.has(name)) {
      throw unfit(this.#at, kind, JSON.stringify(name), "another entry has the same name");
    }
    this.#names.add(name);
  }
}

/** Runs `body` over the sub-message whose tag was just read. */
function inside<T>(reader: WireReader, body: () => T): T {
  const outer = reader.enter();
  const value = body();
  reader.leave(outer);
  return value;
}

function withProperties<T extends object>(
  value: T,
  nodeProperties: NodeProperties | undefined,
): T & { readonly nodeProperties?: NodeProperties } {
  return nodeProperties === undefined ? value : { ...value, nodeProperties };
}

/**
 * Reads the bytes of a REAPI Directory. `at` is its path, for errors.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the directory, the entry and what is wrong with it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { digestOf, encodeDirectory, parseDirectory, SHA256 } from "@brokkr/cas";
 * const digest = digestOf(SHA256, new Uint8Array(3));
 * const content = { files: [{ name: "a", digest, executable: true }], directories: [], symlinks: [] };
 * assertEquals(parseDirectory(encodeDirectory(content), SHA256), content);
 * ```
 */
export function parseDirectory(bytes: Uint8Array, fn: DigestFunction, at = ""): DirectoryContent {
  const parser = makeParser(bytes, fn, at);
  while (parser.step());
  return parser.content();
}

/**
 * As {@linkcode parseDirectory}, in slices: a directory of 100,000 entries takes a third of a second.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT naming the directory, the entry and what is wrong with it; what the slices throw.
 */
export async function parseDirectoryInSlices(
  bytes: Uint8Array,
  fn: DigestFunction,
  slices: Slices,
): Promise<DirectoryContent> {
  const parser = makeParser(bytes, fn, "");
  while (parser.step()) if (slices.spent) await slices.next();
  return parser.content();
}

function makeParser(bytes: Uint8Array, fn: DigestFunction, at: string): Parser {
  const name = at === "" ? "Directory" : `Directory (${JSON.stringify(at.slice(0, 200))})`;
  return new Parser(new WireReader(bytes, name), fn, at);
}

interface DigestFields {
  readonly hash: string;
  readonly sizeBytes: number;
}

function readDigestFields(reader: WireReader): DigestFields {
  let hash = "";
  let sizeBytes = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) hash = reader.string();
    else if (tag === 0x10) sizeBytes = reader.int64();
    else reader.skip(tag);
  }
  return { hash, sizeBytes };
}

/** Reads the fields of a Digest message. */
export function readDigest(reader: WireReader, fn: DigestFunction): Digest {
  const { hash, sizeBytes } = readDigestFields(reader);
  return makeDigest(fn, hash, sizeBytes);
}

function readNodeProperties(reader: WireReader): NodeProperties {
  const properties: { name: string; value: string }[] = [];
  let mtime: { seconds: number; nanos: number } | undefined;
  let unixMode: number | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) properties.push(inside(reader, () => readNodeProperty(reader)));
    else if (tag === 0x12) mtime = inside(reader, () => readTimestamp(reader));
    else if (tag === 0x1a) {
      unixMode = inside(reader, () => {
        let value = 0;
        while (!reader.done) {
          const inner = reader.tag();
          if (inner === 0x08) value = reader.uint32();
          else reader.skip(inner);
        }
        return value;
      });
    } else reader.skip(tag);
  }
  return {
    properties,
    ...(mtime === undefined ? {} : { mtime }),
    ...(unixMode === undefined ? {} : { unixMode }),
  };
}

function readNodeProperty(reader: WireReader): { name: string; value: string } {
  const property = { name: "", value: "" };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) property.name = reader.string();
    else if (tag === 0x12) property.value = reader.string();
    else reader.skip(tag);
  }
  return property;
}

function readTimestamp(reader: WireReader): { seconds: number; nanos: number } {
  const time = { seconds: 0, nanos: 0 };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) time.seconds = reader.int64();
    else if (tag === 0x10) time.nanos = reader.int32();
    else reader.skip(tag);
  }
  return time;
}

function writeDigestField(writer: WireWriter, field: number, digest: Digest): void {
  writeMessage(writer, field, () => {
    writer.stringField(1, digest.hash);
    writer.intField(2, digest.sizeBytes);
  });
}

function writeNodeProperties(writer: WireWriter, field: number, value: NodeProperties | undefined): void {
  if (value === undefined) return;
  writeMessage(writer, field, () => {
    for (const property of value.properties.toSorted((a, b) => compareUtf8(a.name, b.name))) {
      writeMessage(writer, 1, () => {
        writer.stringField(1, property.name);
        writer.stringField(2, property.value);
      });
    }
    const { mtime, unixMode } = value;
    if (mtime !== undefined) {
      writeMessage(writer, 2, () => {
        writer.intField(1, mtime.seconds);
        writer.intField(2, mtime.nanos);
      });
    }
    if (unixMode !== undefined) writeMessage(writer, 3, () => writer.intField(1, unixMode));
  });
}

function sorted<T extends { readonly name: string }>(entries: readonly T[]): readonly T[] {
  for (let i = 1; i < entries.length; i++) {
    if (compareUtf8(entries[i - 1].name, entries[i].name) > 0) {
      return entries.toSorted((a, b) => compareUtf8(a.name, b.name));
    }
  }
  return entries;
}

function checkEntries(content: DirectoryContent): void {
  const names = new Set<string>();
  for (const entries of [content.files, content.directories, content.symlinks]) {
    for (const { name } of entries) {
      const problem = nameProblem(name);
      if (problem !== undefined) throw unfit("", "entry", JSON.stringify(name.slice(0, 300)), problem);
      if (names.has(name)) throw unfit("", "entry", JSON.stringify(name), "another entry has the same name");
      names.add(name);
    }
  }
  for (const { name, target } of content.symlinks) {
    const problem = targetProblem(target);
    if (problem !== undefined) throw unfit("", "symbolic link", JSON.stringify(name), problem);
  }
}

/**
 * The canonical bytes of a directory: entries sorted by the bytes of their names, nothing superfluous. The same
 * directory always gives the same bytes, whoever writes it.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT for unfit or duplicate names.
 */
export function encodeDirectory(content: DirectoryContent): Uint8Array {
  checkEntries(content);
  const writer = new WireWriter();
  for (const file of sorted(content.files)) {
    writeMessage(writer, 1, () => {
      writer.stringField(1, file.name);
      writeDigestField(writer, 2, file.digest);
      writer.intField(4, file.executable ? 1 : 0);
      writeNodeProperties(writer, 6, file.nodeProperties);
    });
  }
  for (const directory of sorted(content.directories)) {
    writeMessage(writer, 2, () => {
      writer.stringField(1, directory.name);
      writeDigestField(writer, 2, directory.digest);
    });
  }
  for (const link of sorted(content.symlinks)) {
    writeMessage(writer, 3, () => {
      writer.stringField(1, link.name);
      writer.stringField(2, link.target);
      writeNodeProperties(writer, 4, link.nodeProperties);
    });
  }
  writeNodeProperties(writer, 5, content.nodeProperties);
  return writer.finish();
}
