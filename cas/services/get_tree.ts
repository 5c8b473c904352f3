/**
 * ContentAddressableStorage.GetTree: every Directory that can be reached from a root, in pages.
 *
 * Breadth first, in the order in which directories name their children, each Directory once however many others name
 * it: a tree is a graph in disguise, and a few kilobytes can name more paths than there are atoms. Directories are sent
 * as the bytes that are stored. Those that are missing are left out with what lies beneath them; only a missing root is
 * NOT_FOUND.
 *
 * A page token holds how many directories were sent and a hash over their digests, in order. Going on from it walks the
 * tree again without sending, and compares: either exactly the rest follows, or the token is refused. So a token needs
 * no memory and no secret, and outlives a restart.
 *
 * @module
 */

import {
  BrokkrError,
  type ByteBudget,
  type ByteLease,
  Code,
  invalidArgument,
  resourceExhausted,
  type Scope,
  Slices,
} from "@brokkr/common";
import {
  BytesCodec,
  ContentAddressableStorage,
  type GetTreeRequest,
  type Init,
  type Method,
  WireReader,
  WireWriter,
} from "@brokkr/proto";
import { type CallContext, MAX_SEND_MESSAGE_BYTES, type Route, serverStream } from "@brokkr/proto/rpc/server";
import * as nodeCrypto from "node:crypto";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, formatDigest, makeDigest, parseDigest } from "../digest.ts";
import { batchOf } from "../digest_batch.ts";
import type { CasServiceOptions } from "./_shared.ts";

/** Bytes of directories after which a page is sent. */
const PAGE_BYTES = 1 << 20;
/** Directories on a page when the client does not say, and the most that it may ask for. */
const DEFAULT_PAGE_SIZE = 1000;
const MAX_PAGE_SIZE = 10_000;
/** What a page takes beside its directories: the token. */
const PAGE_OVERHEAD_BYTES = 256;
/** Largest Directory that can be sent. */
const MAX_DIRECTORY_BYTES = MAX_SEND_MESSAGE_BYTES - PAGE_OVERHEAD_BYTES;
/** Most different directories that a tree may name. */
const MAX_DIRECTORIES = 200_000;
/** What remembering that a directory was seen takes, generously. */
const SEEN_BYTES = 256;
/** For so many directories at a time memory is asked of the budget. */
const SEEN_STEP = 4096;
/** Entries read between two looks at the time. */
const LOOK_EVERY = 64;
/** When a client may try again that found the memory in use. */
const RETRY_MS = 1000;

/** Version, how many directories, the chain. */
const TOKEN_BYTES = 37;
const TOKEN_VERSION = 1;

const getTree: Method<GetTreeRequest, Uint8Array, Init<GetTreeRequest>> = {
  ...ContentAddressableStorage.getTree,
  response: BytesCodec,
};

/** The route of GetTree. */
export function getTreeRoute(options: CasServiceOptions): Route {
  return serverStream(getTree, "read", (request, context) => pagesOf(request, context, options));
}

/** Limits of a walk, for tests to lower. */
export interface GetTreeLimits {
  /** Most different directories that a tree may name. */
  readonly maxDirectories: number;
  /** Bytes of directories after which a page is sent. */
  readonly pageBytes: number;
}

const LIMITS: GetTreeLimits = { maxDirectories: MAX_DIRECTORIES, pageBytes: PAGE_BYTES };

async function* pagesOf(
  request: GetTreeRequest,
  context: CallContext,
  { store, budget }: CasServiceOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const scope = context.scope(request.instanceName);
  const root = parseDigest(request.rootDigest, request.digestFunction, "root_digest");
  yield* treePages({ store, budget, scope, root, ...request, signal: context.signal });
}

/** What {@linkcode treePages} is given. */
export interface TreePagesOptions extends Pick<GetTreeRequest, "pageSize" | "pageToken"> {
  readonly store: BlobStore;
  readonly budget?: ByteBudget;
  readonly scope: Scope;
  readonly root: Digest;
  readonly signal?: AbortSignal;
  readonly limits?: GetTreeLimits;
}

/** The pages of a tree, as encoded GetTreeResponse messages. */
export async function* treePages(options: TreePagesOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { budget, pageSize, pageToken, root, signal, limits = LIMITS } = options;
  if (pageSize < 0) {
    throw invalidArgument(
      "page_size",
      `A page cannot hold ${pageSize} directories; give a positive number, or 0`,
    );
  }
  const perPage = pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const from = pageToken === "" ? undefined : parseToken(pageToken);
  using memory = new Memory(
    await budget?.acquire(limits.pageBytes + SEEN_STEP * SEEN_BYTES, signal),
    budget,
  );
  const chain = new Chain(root);
  let page: Uint8Array[] = [];
  let pageBytes = 0;
  let sent = 0;
  for await (const bytes of walk(options, limits, memory, chain)) {
    if (from !== undefined && sent < from.count) {
      if (++sent === from.count && !sameBytes(from.chain, chain.value)) throw strangeToken();
      continue;
    }
    // Only when another directory is there to follow does a page end with a token.
    if (page.length > 0 && (page.length >= perPage || pageBytes + bytes.length > limits.pageBytes)) {
      yield encodePage(page, pageBytes, formatToken(sent, chain.before));
      page = [];
      pageBytes = 0;
    }
    page.push(bytes);
    pageBytes += bytes.length;
    sent++;
  }
  // A token is only ever given when there is more.
  if (from !== undefined && sent <= from.count) throw strangeToken();
  yield encodePage(page, pageBytes, "");
}

/** Directories breadth first, each once; the chain has taken in each that is yielded. */
async function* walk(
  { store, scope, root, signal }: TreePagesOptions,
  limits: GetTreeLimits,
  memory: Memory,
  chain: Chain,
): AsyncGenerator<Uint8Array, void, undefined> {
  const slices = new Slices(signal);
  const seen = new Set<string>([keyOf(root)]);
  let level = [root];
  for (let isRoot = true; level.length > 0; isRoot = false) {
    const next: Digest[] = [];
    for (const digest of level) {
      if (slices.spent) await slices.next();
      const bytes = await load(store, scope, digest, isRoot, memory, limits);
      if (bytes === undefined) continue;
      chain.add(digest);
      // Children are read first, so that what is no Directory is never sent as one.
      let count = 0;
      for (const child of childrenOf(bytes, digest)) {
        if (++count % LOOK_EVERY === 0 && slices.spent) await slices.next();
        if (child === undefined) continue;
        const key = keyOf(child);
        if (seen.has(key)) continue;
        if (seen.size >= limits.maxDirectories) throw tooMany(limits.maxDirectories);
        seen.add(key);
        memory.hold(seen.size);
        next.push(child);
      }
      yield bytes;
    }
    level = next;
  }
}

/** The bytes of a directory; undefined when it is to be left out. */
async function load(
  store: BlobStore,
  scope: Scope,
  digest: Digest,
  isRoot: boolean,
  memory: Memory,
  limits: GetTreeLimits,
): Promise<Uint8Array | undefined> {
  if (digest.sizeBytes > MAX_DIRECTORY_BYTES) {
    if (!isRoot && (await store.missing(scope, batchOf(digest.fn, [digest]))).length > 0) return undefined;
    throw invalidArgument(
      "root_digest",
      `Directory ${
        formatDigest(digest)
      } of the tree has more than the ${MAX_DIRECTORY_BYTES} bytes that fit ` +
        "a message; read it with ByteStream",
    );
  }
  memory.load(Math.max(0, digest.sizeBytes - limits.pageBytes));
  try {
    return await store.get(scope, digest);
  } catch (error) {
    const gone = error instanceof BrokkrError &&
      (error.code === Code.NOT_FOUND || error.code === Code.DATA_LOSS);
    if (gone && !isRoot) return undefined;
    throw error;
  }
}

/** Digests of the directories that a Directory names; undefined now and then, for whoever must look at the time. */
function* childrenOf(bytes: Uint8Array, digest: Digest): Generator<Digest | undefined, void, undefined> {
  const reader = new WireReader(bytes, `Directory ${formatDigest(digest)}`);
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x12) {
      reader.skip(tag);
      yield undefined;
      continue;
    }
    let hash = "";
    let sizeBytes = 0;
    const outer = reader.enter();
    while (!reader.done) {
      const inner = reader.tag();
      if (inner !== 0x12) {
        reader.skip(inner);
        continue;
      }
      const message = reader.enter();
      while (!reader.done) {
        const field = reader.tag();
        if (field === 0x0a) hash = reader.string();
        else if (field === 0x10) sizeBytes = reader.int64();
        else reader.skip(field);
      }
      reader.leave(message);
    }
    reader.leave(outer);
    yield makeDigest(digest.fn, hash, sizeBytes);
  }
}

function keyOf(digest: Digest): string {
  return `${digest.hash}${digest.sizeBytes}`;
}

function tooMany(limit: number): BrokkrError {
  return invalidArgument("root_digest", `The tree names more than ${limit} different directories`);
}

/** What a walk holds of the budget. It grows without waiting: two that waited for each other would wait for ever. */
class Memory implements Disposable {
  readonly #budget: ByteBudget | undefined;
  readonly #leases: (ByteLease | undefined)[];
  #loaded: ByteLease | undefined;
  #seen = SEEN_STEP;

  constructor(first: ByteLease | undefined, budget: ByteBudget | undefined) {
    this.#budget = budget;
    this.#leases = [first];
  }

  /** Holds what remembering `seen` directories takes. */
  hold(seen: number): void {
    if (seen <= this.#seen) return;
    this.#leases.push(this.#more(SEEN_STEP * SEEN_BYTES));
    this.#seen += SEEN_STEP;
  }

  /** Holds `sizeBytes` for a directory larger than a page, until the next one is loaded. */
  load(sizeBytes: number): void {
    this.#loaded?.release();
    this.#loaded = this.#more(sizeBytes);
  }

  #more(sizeBytes: number): ByteLease | undefined {
    if (sizeBytes === 0 || this.#budget === undefined) return undefined;
    const lease = this.#budget.tryAcquire(sizeBytes);
    if (lease !== undefined) return lease;
    throw resourceExhausted("The memory for walking trees is in use; try again later", RETRY_MS);
  }

  [Symbol.dispose](): void {
    this.#loaded?.release();
    for (const lease of this.#leases) lease?.release();
  }
}

/** A hash over the digests of the directories so far, in order, beginning with the root's. */
class Chain {
  /** The hash now. */
  value: Uint8Array;
  /** The hash before the last directory. */
  before: Uint8Array;

  constructor(root: Digest) {
    this.value = this.before = hashOf(`${root.fn.value} ${root.hash} ${root.sizeBytes}`);
  }

  add(digest: Digest): void {
    this.before = this.value;
    this.value = hashOf(`${this.value.toHex()} ${digest.hash} ${digest.sizeBytes}`);
  }
}

function hashOf(text: string): Uint8Array {
  return Uint8Array.fromHex(nodeCrypto.hash("sha256", text, "hex"));
}

function encodePage(directories: readonly Uint8Array[], bytes: number, token: string): Uint8Array {
  const writer = new WireWriter(bytes + directories.length * 6 + PAGE_OVERHEAD_BYTES);
  for (const directory of directories) {
    // Unlike a `bytes` field, an empty Directory is written: it is there.
    writer.header(1, directory.length);
    writer.raw(directory);
  }
  writer.stringField(2, token);
  return writer.finish();
}

interface Token {
  readonly count: number;
  readonly chain: Uint8Array;
}

function formatToken(count: number, chain: Uint8Array): string {
  const bytes = new Uint8Array(TOKEN_BYTES);
  bytes[0] = TOKEN_VERSION;
  new DataView(bytes.buffer).setUint32(1, count);
  bytes.set(chain, 5);
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function parseToken(text: string): Token {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" });
  } catch (cause) {
    throw strangeToken(cause);
  }
  if (bytes.length !== TOKEN_BYTES || bytes[0] !== TOKEN_VERSION) throw strangeToken();
  const count = new DataView(bytes.buffer).getUint32(1);
  const chain = bytes.subarray(5);
  // What differs in bits that mean nothing is no token of ours either.
  if (count === 0 || formatToken(count, chain) !== text) throw strangeToken();
  return { count, chain };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function strangeToken(cause?: unknown): BrokkrError {
  return invalidArgument(
    "page_token",
    "The page token is not one of this tree, or the tree has changed since; leave it out to begin again",
    cause,
  );
}
