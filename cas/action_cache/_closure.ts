/**
 * Everything that an action result promises: the digests of its files, logs and trees, and of what lies in those.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument, type Scope, Slices } from "@brokkr/common";
import type { ActionResult, Digest as WireDigest } from "@brokkr/proto";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import {
  type Digest,
  type DigestFunction,
  digestKey,
  digestOf,
  formatDigest,
  makeDigest,
  missingBlobsError,
} from "../digest.ts";
import { batchOf, digestAt } from "../digest_batch.ts";
import { batchInSlices, missingInSlices } from "../_slices.ts";
import { type DirectoryContent, parseDirectoryInSlices } from "../tree/directory.ts";
import { splitTree } from "../tree/walk.ts";
import { readActionResult } from "./_read_result.ts";

/** Most digests in one result; some 40 bytes each are kept with it. */
const MAX_CLOSURE_DIGESTS = 1_000_000;
/** Largest Tree or Directory message looked into. */
const MAX_TREE_BYTES = 64 << 20;

/** A result that is sound and too large to be looked into: INVALID_ARGUMENT, and nobody's fault but the action's. */
export class ResultBeyondLimits extends BrokkrError {
  /** Says which limit. */
  constructor(description: string) {
    const details = [{
      kind: "badRequest",
      fieldViolations: [{ field: "action_result", description }],
    }] as const;
    super(Code.INVALID_ARGUMENT, description, { details });
  }
}

/** Digests collected once each; the empty blob, which is always there, is left out. */
class DigestSet {
  readonly all = new Map<string, Digest>();
  readonly #emptyHash: string;

  constructor(fn: DigestFunction) {
    this.#emptyHash = fn.hash(new Uint8Array());
  }

  /** True when it was new. */
  add(digest: Digest): boolean {
    if (digest.sizeBytes === 0 && digest.hash === this.#emptyHash) return false;
    const key = digestKey(digest);
    const before = this.all.get(key);
    if (before !== undefined) {
      if (before.sizeBytes === digest.sizeBytes) return false;
      throw invalidArgument(
        "action_result",
        `One hash is given two sizes: ${formatDigest(before)} and ${formatDigest(digest)}`,
      );
    }
    if (this.all.size >= MAX_CLOSURE_DIGESTS) {
      throw new ResultBeyondLimits(`A result may name at most ${MAX_CLOSURE_DIGESTS} blobs`);
    }
    this.all.set(key, digest);
    return true;
  }
}

/**
 * The digests that a result promises, all of them present in `store`.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming what is missing; INVALID_ARGUMENT when the result or a tree of it is
 * malformed.
 */
export async function closureOf(
  store: BlobStore,
  scope: Scope,
  fn: DigestFunction,
  resultBytes: Uint8Array,
): Promise<Digest[]> {
  const closure = await pinnedClosureOf(store, scope, fn, resultBytes, () => Promise.resolve());
  return Array.from({ length: closure.length }, (_, i) => digestAt(closure, i));
}

/**
 * As {@linkcode closureOf}, packed. `pin` is called with all of them before it is found out that they are there, so that
 * none goes between that and the end of the pin.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming what is missing; INVALID_ARGUMENT when the result or a tree of it is
 * malformed.
 */
export async function pinnedClosureOf(
  store: BlobStore,
  scope: Scope,
  fn: DigestFunction,
  resultBytes: Uint8Array,
  pin: (closure: DigestBatch) => Promise<void>,
): Promise<DigestBatch> {
  const result = await readActionResult(resultBytes);
  const set = new DigestSet(fn);
  const { trees, roots } = await collectNamed(result, fn, set);
  if (trees.length > 0 || roots.length > 0) {
    // What the result itself names first: what it lacks of that is told before trees are read.
    await requirePresent(store, scope, await batchInSlices(fn, [...set.all.values()]));
    const known = new Map<string, Uint8Array>();
    for (const tree of trees) await collectTree(await readBounded(store, scope, tree), tree, set, known);
    await collectRoots(store, scope, roots, set, known);
  }
  const closure = await batchInSlices(fn, [...set.all.values()]);
  if (closure.length > 0) await pin(closure);
  await requirePresent(store, scope, closure);
  return closure;
}

function wireDigest(message: WireDigest | undefined, fn: DigestFunction, what: string): Digest {
  if (message === undefined) throw invalidArgument("action_result", `${what} has no digest`);
  return makeDigest(fn, message.hash, message.sizeBytes);
}

/** What the result itself names. */
async function collectNamed(
  result: ActionResult,
  fn: DigestFunction,
  set: DigestSet,
): Promise<{ trees: Digest[]; roots: Digest[] }> {
  const trees: Digest[] = [];
  const roots: Digest[] = [];
  const slices = new Slices();
  for (const file of result.outputFiles) {
    if (slices.spent) await slices.next();
    checkPath(file.path);
    set.add(wireDigest(file.digest, fn, `Output file ${JSON.stringify(file.path.slice(0, 200))}`));
  }
  for (const directory of result.outputDirectories) {
    if (slices.spent) await slices.next();
    checkPath(directory.path);
    const { treeDigest, rootDirectoryDigest } = directory;
    if (treeDigest === undefined && rootDirectoryDigest === undefined) {
      throw invalidArgument(
        "action_result",
        `Output directory ${JSON.stringify(directory.path.slice(0, 200))} has no digest`,
      );
    }
    if (treeDigest !== undefined) {
      const digest = wireDigest(treeDigest, fn, "A tree");
      set.add(digest);
      trees.push(digest);
    }
    if (rootDirectoryDigest !== undefined) {
      const digest = wireDigest(rootDirectoryDigest, fn, "A root directory");
      set.add(digest);
      roots.push(digest);
    }
  }
  for (const links of [result.outputSymlinks, result.outputFileSymlinks, result.outputDirectorySymlinks]) {
    for (const link of links) checkPath(link.path);
  }
  if (result.stdoutDigest !== undefined) set.add(wireDigest(result.stdoutDigest, fn, "Standard output"));
  if (result.stderrDigest !== undefined) set.add(wireDigest(result.stderrDigest, fn, "Standard error"));
  return { trees, roots };
}

function checkPath(path: string): void {
  if (path.startsWith("/") || path.includes("\0")) {
    throw invalidArgument(
      "action_result",
      `Output path ${JSON.stringify(path.slice(0, 200))} must be relative and without NUL`,
    );
  }
}

async function requirePresent(store: BlobStore, scope: Scope, digests: DigestBatch): Promise<void> {
  const missing = await missingInSlices(store, scope, digests);
  if (missing.length === 0) return;
  throw incompleteError(Array.from(missing, (index) => digestAt(digests, index)));
}

/** FAILED_PRECONDITION that names what a result promises and the store lacks. */
export function incompleteError(missing: readonly Digest[]): BrokkrError {
  return missingBlobsError(
    `The result cannot be cached: ${missing.length} of the blobs it names are missing, first ${
      formatDigest(missing[0])
    }; upload them first`,
    missing,
  );
}

/** A blob that should be small enough to look into. */
async function readBounded(store: BlobStore, scope: Scope, digest: Digest): Promise<Uint8Array> {
  if (digest.sizeBytes > MAX_TREE_BYTES) {
    throw new ResultBeyondLimits(
      `Tree ${formatDigest(digest)} is larger than the ${MAX_TREE_BYTES} bytes that are looked into`,
    );
  }
  if (digest.sizeBytes <= 1 << 20) return await store.get(scope, digest);
  const whole = new Uint8Array(digest.sizeBytes);
  let length = 0;
  for await (const piece of store.read(scope, digest)) {
    whole.set(piece, length);
    length += piece.length;
  }
  return whole;
}

/** The files of every directory in a Tree. Directories are remembered in `known` under their keys. */
async function collectTree(
  bytes: Uint8Array,
  tree: Digest,
  set: DigestSet,
  known: Map<string, Uint8Array>,
): Promise<void> {
  const within = new Set<string>();
  const named: Digest[] = [];
  const slices = new Slices();
  for (const directory of splitTree(bytes)) {
    if (slices.spent) await slices.next();
    const key = digestKey(await digestInSlices(tree.fn, directory, slices));
    within.add(key);
    known.set(key, directory);
    const content = await parseDirectoryInSlices(directory, tree.fn, slices);
    for (const file of content.files) {
      if (slices.spent) await slices.next();
      set.add(file.digest);
    }
    for (const child of content.directories) named.push(child.digest);
  }
  for (const child of named) {
    if (slices.spent) await slices.next();
    if (within.has(digestKey(child))) continue;
    throw invalidArgument(
      "action_result",
      `Tree ${formatDigest(tree)} names the directory ${formatDigest(child)} and does not hold it`,
    );
  }
}

/** Directories reachable from `roots`, which must be blobs themselves, and their files. */
async function collectRoots(
  store: BlobStore,
  scope: Scope,
  roots: readonly Digest[],
  set: DigestSet,
  known: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const seen = new Set<string>();
  let level: Digest[] = [...roots];
  const slices = new Slices();
  while (level.length > 0) {
    const missing: Digest[] = [];
    const next: Digest[] = [];
    for (const digest of level) {
      const key = digestKey(digest);
      if (seen.has(key)) continue;
      if (slices.spent) await slices.next();
      seen.add(key);
      set.add(digest);
      const content = await readDirectory(store, scope, digest, known.get(key), slices);
      if (content === undefined) {
        missing.push(digest);
        continue;
      }
      for (const file of content.files) {
        if (slices.spent) await slices.next();
        set.add(file.digest);
      }
      for (const child of content.directories) next.push(child.digest);
    }
    if (missing.length > 0) throw incompleteError(missing);
    level = next;
  }
}

async function readDirectory(
  store: BlobStore,
  scope: Scope,
  digest: Digest,
  known: Uint8Array | undefined,
  slices: Slices,
): Promise<DirectoryContent | undefined> {
  if (known === undefined && digest.sizeBytes > 0) {
    const missing = await store.missing(scope, batchOf(digest.fn, [digest]));
    if (missing.length > 0) return undefined;
  }
  return await parseDirectoryInSlices(known ?? await readBounded(store, scope, digest), digest.fn, slices);
}

/** How much is hashed in one go; under a millisecond. */
const HASH_BYTES = 256 << 10;

async function digestInSlices(fn: DigestFunction, bytes: Uint8Array, slices: Slices): Promise<Digest> {
  if (bytes.length <= HASH_BYTES) return digestOf(fn, bytes);
  const hasher = fn.hasher();
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    if (slices.spent) await slices.next();
    hasher.update(bytes.subarray(at, at + HASH_BYTES));
  }
  return makeDigest(fn, hasher.digestHex(), bytes.length);
}
