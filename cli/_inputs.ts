/**
 * What an action is given: files, directories and links, from this machine or from memory.
 *
 * @module
 */

import { type BuiltTree, type Digest, type DigestFunction, TreeBuilder } from "@brokkr/cas/client";
import { invalidArgument } from "@brokkr/common";
import { BlobSet, LocalTreeReader } from "./_local_tree.ts";

/** A file or directory of this machine. */
export interface LocalInput {
  /** Its path here. */
  readonly from: string;
  /** Where the action finds it, below its root; by default `from` itself if that is relative, else its last name. */
  readonly to?: string;
}

/** A file from memory. */
export interface ContentInput {
  /** Where the action finds it. */
  readonly path: string;
  /** What it holds; text becomes UTF-8. */
  readonly content: Uint8Array | string;
  /** Whether it may be executed. */
  readonly executable?: boolean;
}

/** A file whose content the store has. */
export interface DigestInput {
  /** Where the action finds it. */
  readonly path: string;
  /** What it holds. */
  readonly digest: Digest;
  /** Whether it may be executed. */
  readonly executable?: boolean;
}

/** A symbolic link. */
export interface SymlinkInput {
  /** Where the action finds it. */
  readonly path: string;
  /** Where it leads; kept as it is. */
  readonly target: string;
}

/** A directory, which may stay empty. */
export interface DirectoryInput {
  /** Where the action finds it. */
  readonly path: string;
  /** Says that it is one. */
  readonly directory: true;
}

/** One thing an action is given; a string is the path of a {@linkcode LocalInput}. */
export type Input = string | LocalInput | ContentInput | DigestInput | SymlinkInput | DirectoryInput;

/** Inputs as the store keeps them. */
export interface BuiltInputs {
  /** Digest of the root's Directory. */
  readonly rootDigest: Digest;
  /** Every Directory, the root first. */
  readonly tree: BuiltTree;
  /** Directories and files, each once. */
  readonly blobs: BlobSet;
}

/**
 * Where a local path lies below the action's root: itself when it is relative and stays below the working directory,
 * otherwise its last name.
 */
export function defaultDestination(from: string): string {
  const names: string[] = [];
  let outside = from.startsWith("/");
  for (const name of from.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.pop() === undefined) outside = true;
  }
  if (!outside) return names.join("/");
  const last = names.at(-1);
  if (last === undefined) {
    throw invalidArgument(
      "",
      `Input ${from} has no name of its own; say where it goes, as in ${from}=src`,
    );
  }
  return last;
}

/** A destination without `.` and surplus slashes; `..` stays and is refused by the tree. */
function cleanDestination(to: string): string {
  const names = to.split("/").filter((name, index) => name !== "." && (name !== "" || index === 0));
  return names.length === 1 && names[0] === "" ? "" : names.join("/");
}

/**
 * Builds the Merkle tree of inputs. The same inputs in any order give the same digests.
 *
 * @throws {BrokkrError} NOT_FOUND for a path that does not exist, INVALID_ARGUMENT for names that cannot be.
 */
export async function buildInputs(
  inputs: readonly Input[],
  fn: DigestFunction,
  signal?: AbortSignal,
): Promise<BuiltInputs> {
  const tree = new TreeBuilder();
  const blobs = new BlobSet();
  const reader = new LocalTreeReader(fn, tree, blobs, signal);
  for (const input of inputs) {
    if (typeof input === "string") await reader.add(input, defaultDestination(input));
    else if ("from" in input) {
      await reader.add(
        input.from,
        input.to === undefined ? defaultDestination(input.from) : cleanDestination(input.to),
      );
    } else if ("content" in input) {
      const data = typeof input.content === "string"
        ? new TextEncoder().encode(input.content)
        : input.content;
      tree.addFile(input.path, blobs.addBytes(fn, data), input.executable ?? false);
    } else if ("digest" in input) tree.addFile(input.path, input.digest, input.executable ?? false);
    else if ("target" in input) tree.addSymlink(input.path, input.target);
    else tree.addDirectory(input.path);
  }
  const built = tree.build(fn);
  for (const directory of built.directories) blobs.add(directory);
  return { rootDigest: built.rootDigest, tree: built, blobs };
}
