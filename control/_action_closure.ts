/**
 * Everything that belongs to an action: the Action, its Command and input tree, its cached result and all that this names.
 *
 * @module
 */

import {
  type ActionCache,
  batchOf,
  type BlobStore,
  closureOf,
  type Digest,
  type DigestFunction,
  formatDigest,
  parseDigest,
  parseDirectoryInSlices,
} from "@brokkr/cas";
import {
  asBrokkrError,
  BrokkrError,
  type ByteBudget,
  type ByteLease,
  Code,
  invalidArgument,
  notFound,
  resourceExhausted,
  type Scope,
  Slices,
} from "@brokkr/common";
import { ActionCodec, ClosureBlob_Role as Role } from "@brokkr/proto";

/** Most blobs of one action, as of one result. */
export const MAX_CLOSURE_BLOBS = 1_000_000;
/** Largest Action, Command or Directory looked into, in bytes. */
const MAX_MESSAGE_BYTES = 64 << 20;
/** Those up to this are read at once. */
const WHOLE_BYTES = 1 << 20;
/** What remembering a blob takes, generously. */
const MEMBER_BYTES = 300;
/** For so many blobs at a time memory is asked of the budget. */
const MEMORY_STEP = 4096;
const RETRY_MS = 1000;
/** Digests asked for or sorted in one go; a few milliseconds. */
const SLICE = 8192;
/** Hex digits that blobs are put in order by before each group is sorted. */
const GROUP_DIGITS = 3;

/** One blob of a closure. */
export interface Member {
  /** The blob. */
  readonly digest: Digest;
  /** What it is first of all: an input that is an output too is an input. */
  readonly role: Role;
}

/** What belongs to an action. */
export interface ActionClosure {
  /** All that is there, in order of the hashes, each once; without the empty blob. */
  readonly blobs: readonly Member[];
  /** Bytes of those. */
  readonly bytes: number;
  /** What belongs to it and is not there. What lies below a missing directory nobody knows. */
  readonly missing: readonly Digest[];
  /** The encoded ActionResult; undefined when none that is complete is cached. */
  readonly result: Uint8Array | undefined;
  /** What else there is to say, in sentences without a period. */
  readonly notes: readonly string[];
}

/** What {@linkcode actionClosure} looks into. */
export interface ClosureSources {
  /** The store. */
  readonly blobs: BlobStore;
  /** Results. */
  readonly cache: ActionCache;
  /** Environments whose results count, the first that has one first. */
  readonly environments: readonly string[];
  /** Charged for what is remembered until the closure is disposed of. */
  readonly budget: ByteBudget;
}

/** A closure and the memory it takes. */
export interface HeldClosure extends ActionClosure, Disposable {}

/**
 * Collects what belongs to an action. All that is found counts as used and is promised, as for a client that asked.
 *
 * @throws {BrokkrError} NOT_FOUND when neither the action nor a result of it is there; INVALID_ARGUMENT when a message is
 * malformed or there is too much; RESOURCE_EXHAUSTED when there is no memory for it.
 */
export async function actionClosure(
  sources: ClosureSources,
  scope: Scope,
  action: Digest,
  options: { readonly withoutInputs?: boolean; readonly signal?: AbortSignal } = {},
): Promise<HeldClosure> {
  using stack = new DisposableStack();
  const members = stack.use(new Members(sources.budget, action.fn));
  const slices = new Slices(options.signal);
  const notes: string[] = [];
  if (options.withoutInputs !== true) await addInputs(sources.blobs, scope, action, members, slices);
  const result = await addResult(sources, scope, action, members, notes);
  const { present, missing } = await sortOut(sources.blobs, scope, action.fn, members, slices);
  if (result === undefined && (options.withoutInputs === true || missing.some((each) => each === action))) {
    throw notFound(
      `${options.withoutInputs === true ? "No complete result of action" : "Neither action"} ${
        formatDigest(action)
      } ` +
        `${
          options.withoutInputs === true ? "is cached" : "nor a complete result of it is there"
        } in instance ` +
        `${JSON.stringify(scope.instance)}${notes.length === 0 ? "" : `: ${notes.join("; ")}`}`,
    );
  }
  const bytes = present.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
  const held = stack.move();
  return { blobs: present, bytes, missing, result, notes, [Symbol.dispose]: () => held.dispose() };
}

/** Blobs once each, charged to the budget. */
class Members implements Disposable {
  readonly all = new Map<string, Member>();
  readonly #budget: ByteBudget;
  readonly #emptyHash: string;
  readonly #leases: ByteLease[] = [];
  #room = 0;

  constructor(budget: ByteBudget, fn: DigestFunction) {
    this.#budget = budget;
    this.#emptyHash = fn.hash(new Uint8Array());
  }

  /** True when it was new. */
  add(digest: Digest, role: Role): boolean {
    if (digest.sizeBytes === 0 && digest.hash === this.#emptyHash) return false;
    // With the size: what is named with a wrong one is another blob, which is not there.
    const key = formatDigest(digest);
    if (this.all.has(key)) return false;
    if (this.all.size >= MAX_CLOSURE_BLOBS) {
      throw invalidArgument(
        "action_digest",
        `More than ${MAX_CLOSURE_BLOBS} blobs belong to the action, which is the limit`,
      );
    }
    if (this.all.size >= this.#room) {
      const lease = this.#budget.tryAcquire(MEMORY_STEP * MEMBER_BYTES);
      if (lease === undefined) {
        throw resourceExhausted(
          "The memory for looking through actions is in use; try again later",
          RETRY_MS,
        );
      }
      this.#leases.push(lease);
      this.#room += MEMORY_STEP;
    }
    this.all.set(key, { digest, role });
    return true;
  }

  [Symbol.dispose](): void {
    for (const lease of this.#leases) lease.release();
  }
}

async function addInputs(
  blobs: BlobStore,
  scope: Scope,
  action: Digest,
  members: Members,
  slices: Slices,
): Promise<void> {
  members.add(action, Role.ACTION);
  const bytes = await readMessage(blobs, scope, action, "Action");
  if (bytes === undefined) return;
  const { commandDigest, inputRootDigest } = ActionCodec.decode(bytes);
  if (commandDigest !== undefined) {
    members.add(parseDigest(commandDigest, action.fn.value, "command_digest"), Role.COMMAND);
  }
  if (inputRootDigest === undefined) return;
  const root = parseDigest(inputRootDigest, action.fn.value, "input_root_digest");
  members.add(root, Role.DIRECTORY);
  // Each directory once, however many others name it: a tree is a graph in disguise.
  const waiting = [root];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    if (slices.spent) await slices.next();
    const message = await readMessage(blobs, scope, directory, "Directory");
    if (message === undefined) continue;
    const content = await parseDirectoryInSlices(message, action.fn, slices);
    for (const { digest } of content.files) members.add(digest, Role.INPUT);
    for (const { digest } of content.directories) {
      if (members.add(digest, Role.DIRECTORY)) waiting.push(digest);
    }
  }
}

/** A blob that should be a small message; undefined when it is gone. */
async function readMessage(
  blobs: BlobStore,
  scope: Scope,
  digest: Digest,
  what: string,
): Promise<Uint8Array | undefined> {
  if (digest.sizeBytes > MAX_MESSAGE_BYTES) {
    throw invalidArgument(
      "action_digest",
      `${what} ${formatDigest(digest)} is larger than the ${MAX_MESSAGE_BYTES} bytes that are looked into`,
    );
  }
  try {
    if (digest.sizeBytes <= WHOLE_BYTES) return await blobs.get(scope, digest);
    const whole = new Uint8Array(digest.sizeBytes);
    let length = 0;
    for await (const piece of blobs.read(scope, digest)) {
      whole.set(piece, length);
      length += piece.length;
    }
    return whole;
  } catch (error) {
    const { code } = asBrokkrError(error);
    if (code === Code.NOT_FOUND || code === Code.DATA_LOSS) return undefined;
    throw error;
  }
}

async function addResult(
  sources: ClosureSources,
  scope: Scope,
  action: Digest,
  members: Members,
  notes: string[],
): Promise<Uint8Array | undefined> {
  let note = "No result of it is cached";
  for (const environment of sources.environments) {
    const answer = await sources.cache.peek(scope, action, environment);
    if (!answer.hit) {
      if (answer.reason === "incomplete") note = incompleteNote(answer.missing);
      continue;
    }
    try {
      const named = await closureOf(sources.blobs, scope, action.fn, answer.bytes);
      for (const digest of named) members.add(digest, Role.OUTPUT);
      return answer.bytes;
    } catch (error) {
      // Something of it went between the two looks.
      if (!(error instanceof BrokkrError) || error.code !== Code.FAILED_PRECONDITION) throw error;
      note = `Its result is not complete any more: ${error.message}`;
    }
  }
  notes.push(note);
  return undefined;
}

function incompleteNote(missing: readonly Digest[]): string {
  return `Its result is not complete any more: ${missing.length} of the blobs it names are gone, first ${
    formatDigest(missing[0])
  }`;
}

/** What is there and what is not, in order of the hashes. */
async function sortOut(
  blobs: BlobStore,
  scope: Scope,
  fn: DigestFunction,
  members: Members,
  slices: Slices,
): Promise<{ readonly present: Member[]; readonly missing: Digest[] }> {
  const sorted = await inOrder(members.all.values(), slices);
  const present: Member[] = [];
  const missing: Digest[] = [];
  for (let from = 0; from < sorted.length; from += SLICE) {
    if (slices.spent) await slices.next();
    const slice = sorted.slice(from, from + SLICE);
    const gone = new Set(await blobs.missing(scope, batchOf(fn, slice.map(({ digest }) => digest))));
    slice.forEach((member, index) => {
      if (gone.has(index)) missing.push(member.digest);
      else present.push(member);
    });
  }
  return { present, missing };
}

/** Members in order of their hashes. A million strings sorted at once would hold up the event loop for a second. */
async function inOrder(members: Iterable<Member>, slices: Slices): Promise<Member[]> {
  const groups = new Map<string, Member[]>();
  for (const member of members) {
    if (slices.spent) await slices.next();
    const key = member.digest.hash.slice(0, GROUP_DIGITS);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [member]);
    else group.push(member);
  }
  const sorted: Member[] = [];
  for (const key of [...groups.keys()].sort()) {
    if (slices.spent) await slices.next();
    const group = groups.get(key) ?? [];
    group.sort((a, b) => a.digest.hash < b.digest.hash ? -1 : a.digest.hash > b.digest.hash ? 1 : 0);
    sorted.push(...group);
  }
  return sorted;
}
