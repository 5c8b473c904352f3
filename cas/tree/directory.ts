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

import { type BrokkrError, invalidArgument } from "@brokkr/common";
import { decodeUtf8, showBytes, WireReader, WireWriter } from "../_wire.ts";
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

  constructor(readonly fn: DigestFunction, readonly at: string) {}

  run(reader: WireReader): DirectoryContent {
    while (reader.next()) {
      if (reader.field === 1) this.#file(reader.message("a FileNode"));
      else if (reader.field === 2) this.#directory(reader.message("a DirectoryNode"));
      else if (reader.field === 3) this.#symlink(reader.message("a SymlinkNode"));
      else if (reader.field === 5) this.nodeProperties = readNodeProperties(reader.message("NodeProperties"));
      else reader.skip();
    }
    const { files, directories, symlinks, nodeProperties } = this;
    return nodeProperties === undefined
      ? { files, directories, symlinks }
      : { files, directories, symlinks, nodeProperties };
  }

  #file(reader: WireReader): void {
    let name = "";
    let digest: Digest | undefined;
    let executable = false;
    let nodeProperties: NodeProperties | undefined;
    while (reader.next()) {
      if (reader.field === 1) name = this.#text(reader, "file");
      else if (reader.field === 2) digest = readDigest(reader.message("a Digest"), this.fn);
      else if (reader.field === 4) executable = reader.number() !== 0;
      else if (reader.field === 6) nodeProperties = readNodeProperties(reader.message("NodeProperties"));
      else reader.skip();
    }
    this.#take("file", name);
    if (digest === undefined) throw unfit(this.at, "file", JSON.stringify(name), "its digest is missing");
    this.files.push(
      nodeProperties === undefined
        ? { name, digest, executable }
        : { name, digest, executable, nodeProperties },
    );
  }

  #directory(reader: WireReader): void {
    let name = "";
    let digest: Digest | undefined;
    while (reader.next()) {
      if (reader.field === 1) name = this.#text(reader, "directory");
      else if (reader.field === 2) digest = readDigest(reader.message("a Digest"), this.fn);
      else reader.skip();
    }
    this.#take("directory", name);
    if (digest === undefined) {
      throw unfit(this.at, "directory", JSON.stringify(name), "its digest is missing");
    }
    this.directories.push({ name, digest });
  }

  #symlink(reader: WireReader): void {
    let name = "";
    let target = "";
    let nodeProperties: NodeProperties | undefined;
    while (reader.next()) {
      if (reader.field === 1) name = this.#text(reader, "symbolic link");
      else if (reader.field === 2) target = this.#text(reader, "symbolic link with the target");
      else if (reader.field === 4) nodeProperties = readNodeProperties(reader.message("NodeProperties"));
      else reader.skip();
    }
    this.#take("symbolic link", name);
    const problem = targetProblem(target);
    if (problem !== undefined) throw unfit(this.at, "symbolic link", JSON.stringify(name), problem);
    this.symlinks.push(nodeProperties === undefined ? { name, target } : { name, target, nodeProperties });
  }

  #text(reader: WireReader, kind: string): string {
    const bytes = reader.view();
    const text = decodeUtf8(bytes);
    if (text === undefined) throw unfit(this.at, kind, showBytes(bytes), "it is not valid UTF-8");
    return text;
  }

  #take(kind: string, name: string): void {
    const problem = nameProblem(name);
    if (problem !== undefined) throw unfit(this.at, kind, JSON.stringify(name.slice(0, 300)), problem);
    if (this.#names.has(name)) {
      throw unfit(this.at, kind, JSON.stringify(name), "another entry has the same name");
    }
    this.#names.add(name);
  }
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
  return new Parser(fn, at).run(new WireReader(bytes, `${shown(at)} as a Directory`));
}

/** Reads a Digest message. */
export function readDigest(reader: WireReader, fn: DigestFunction): Digest {
  let hash = "";
  let sizeBytes = 0;
  while (reader.next()) {
    if (reader.field === 1) hash = reader.text() ?? "\ufffd";
    else if (reader.field === 2) sizeBytes = reader.number();
    else reader.skip();
  }
  return makeDigest(fn, hash, sizeBytes);
}

function readNodeProperties(reader: WireReader): NodeProperties {
  const properties: { name: string; value: string }[] = [];
  let mtime: { seconds: number; nanos: number } | undefined;
  let unixMode: number | undefined;
  while (reader.next()) {
    if (reader.field === 1) {
      const property = { name: "", value: "" };
      const inner = reader.message("a NodeProperty");
      while (inner.next()) {
        if (inner.field === 1 || inner.field === 2) {
          const text = inner.text();
          if (text === undefined) throw inner.malformed("is not valid UTF-8");
          property[inner.field === 1 ? "name" : "value"] = text;
        } else inner.skip();
      }
      properties.push(property);
    } else if (reader.field === 2) {
      mtime = { seconds: 0, nanos: 0 };
      const inner = reader.message("a Timestamp");
      while (inner.next()) {
        if (inner.field === 1) mtime.seconds = inner.int64();
        else if (inner.field === 2) mtime.nanos = inner.int64();
        else inner.skip();
      }
    } else if (reader.field === 3) {
      unixMode = 0;
      const inner = reader.message("a UInt32Value");
      while (inner.next()) {
        if (inner.field === 1) unixMode = inner.number();
        else inner.skip();
      }
    } else reader.skip();
  }
  return {
    properties,
    ...(mtime === undefined ? {} : { mtime }),
    ...(unixMode === undefined ? {} : { unixMode }),
  };
}

/** Appends a Digest message as field `field`. */
export function writeDigest(writer: WireWriter, field: number, digest: Digest): void {
  writer.message(field, () => {
    writer.text(1, digest.hash);
    writer.number(2, digest.sizeBytes);
  });
}

function writeNodeProperties(writer: WireWriter, field: number, value: NodeProperties | undefined): void {
  if (value === undefined) return;
  writer.message(field, () => {
    for (const property of value.properties.toSorted((a, b) => compareUtf8(a.name, b.name))) {
      writer.message(1, () => {
        writer.text(1, property.name);
        writer.text(2, property.value);
      });
    }
    const { mtime, unixMode } = value;
    if (mtime !== undefined) {
      writer.message(2, () => {
        writer.int64(1, mtime.seconds);
        writer.int64(2, mtime.nanos);
      });
    }
    if (unixMode !== undefined) writer.message(3, () => writer.number(1, unixMode));
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
export function encodeDirectory(content: DirectoryContent): Uint8Array<ArrayBuffer> {
  checkEntries(content);
  const writer = new WireWriter();
  for (const file of sorted(content.files)) {
    writer.message(1, () => {
      writer.text(1, file.name);
      writeDigest(writer, 2, file.digest);
      writer.number(4, file.executable ? 1 : 0);
      writeNodeProperties(writer, 6, file.nodeProperties);
    });
  }
  for (const directory of sorted(content.directories)) {
    writer.message(2, () => {
      writer.text(1, directory.name);
      writeDigest(writer, 2, directory.digest);
    });
  }
  for (const link of sorted(content.symlinks)) {
    writer.message(3, () => {
      writer.text(1, link.name);
      writer.text(2, link.target);
      writeNodeProperties(writer, 4, link.nodeProperties);
    });
  }
  writeNodeProperties(writer, 5, content.nodeProperties);
  return writer.finish();
}
