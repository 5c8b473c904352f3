/**
 * What clients are told when inputs of an action are gone. Usually they upload them again, and all is well. In a store that
 * is smaller than what the action needs they would do so for ever: they are told what is wrong instead.
 *
 * @module
 */

import {
  type BlobStore,
  type Digest,
  digestKey,
  type KeptBlobStore,
  parseDigest,
  parseDirectoryInSlices,
  type StorePressure,
} from "@brokkr/cas";
import { asBrokkrError, BrokkrError, Code, type Scope, Slices } from "@brokkr/common";
import { formatSize } from "@brokkr/common/units";
import { ActionCodec, type Status } from "@brokkr/proto";

/** What goes sooner after its last use than this was hardly worth storing, in seconds. */
const SHORT_SECONDS = 600;
/** Share of its limit that a store can hold on to: before that is full it makes room. */
const USABLE_SHARE = 0.9;
/** Most directories looked into, */
const MAX_DIRECTORIES = 20_000;
/** and the largest of them, in bytes. */
const MAX_DIRECTORY_BYTES = 16 << 20;
const MIB = 1 << 20;

/** A size for people, rounded up. */
function roughly(bytes: number): string {
  return formatSize(bytes < MIB ? bytes : Math.ceil(bytes / MIB) * MIB);
}

/** How a store gets along with its limits; undefined for one that evicts nothing. */
export function pressureOf(blobs: BlobStore): StorePressure | undefined {
  return (blobs as Partial<KeptBlobStore>).keeper?.pressure?.();
}

/** What is to be said when something is missing of a store that keeps nothing for long; undefined of others. */
function churnOf(blobs: BlobStore): string | undefined {
  const { maxBytes, retentionSeconds } = pressureOf(blobs) ?? {};
  if (retentionSeconds === undefined || retentionSeconds > SHORT_SECONDS) return undefined;
  const limit = maxBytes === undefined ? "its disk" : `cas_max_size, ${formatSize(maxBytes)}`;
  return `the store evicts what was not used for ${retentionSeconds} seconds, since it is small for what is built with it: ` +
    `raise its limit (${limit})`;
}

/** An error about something missing, with the reason where the store's size is it. */
export function withPressure(blobs: BlobStore, error: BrokkrError): BrokkrError {
  const churn = churnOf(blobs);
  if (churn === undefined || error.code !== Code.FAILED_PRECONDITION) return error;
  return new BrokkrError(error.code, `${error.message}; ${churn}`, { details: error.details, cause: error });
}

/** Whether a status says which blobs are missing. */
function namesMissing({ code, details }: Status): boolean {
  return code === Code.FAILED_PRECONDITION &&
    details.some(({ typeUrl }) => typeUrl.endsWith("/google.rpc.PreconditionFailure"));
}

/**
 * What a client is told of an action that a worker gave up with `status`, `action` being the encoded Action. When inputs
 * are missing and the store cannot hold all of them the missing ones are not named: clients upload what is named, and try
 * again. Nor shall they when the store is full of what was promised to others, so that outputs found no place. Undefined
 * when there is nothing to add.
 */
export function explainMissing(
  blobs: BlobStore,
  scope: Scope,
  { fn }: Digest,
  action: Uint8Array,
  status: Status,
): Promise<Status> | undefined {
  if (status.code === Code.RESOURCE_EXHAUSTED && pressureOf(blobs)?.leftBytes !== undefined) {
    return Promise.resolve({ ...status, code: Code.FAILED_PRECONDITION, details: [] });
  }
  const churn = namesMissing(status) ? churnOf(blobs) : undefined;
  if (churn === undefined) return undefined;
  return explain(blobs, scope, fn, action, status, churn);
}

async function explain(
  blobs: BlobStore,
  scope: Scope,
  fn: Digest["fn"],
  action: Uint8Array,
  status: Status,
  churn: string,
): Promise<Status> {
  const told = { ...status, message: `${status.message}; ${churn}` };
  const maxBytes = pressureOf(blobs)?.maxBytes;
  const { inputRootDigest } = ActionCodec.decode(action);
  if (maxBytes === undefined || inputRootDigest === undefined) return told;
  const root = parseDigest(inputRootDigest, fn.value, "input_root_digest");
  const bytes = await inputBytes(blobs, scope, root, maxBytes).catch(() => 0);
  if (bytes <= maxBytes * USABLE_SHARE) return told;
  const atLeast = bytes > maxBytes ? "more than " : "";
  return {
    code: Code.FAILED_PRECONDITION,
    message:
      `The inputs of this action take ${atLeast}${
        roughly(Math.min(bytes, maxBytes))
      }, but the grid's store may take ` +
      `${formatSize(maxBytes)} (cas_max_size): raise it to several times what a build needs`,
    details: [],
  };
}

/**
 * Bytes of all inputs, as far as the directories are there and until it is clear that they are more than `enoughBytes`.
 */
async function inputBytes(
  blobs: BlobStore,
  scope: Scope,
  root: Digest,
  enoughBytes: number,
): Promise<number> {
  const slices = new Slices();
  const seen = new Set<string>([digestKey(root)]);
  const waiting = [root];
  let bytes = root.sizeBytes;
  const add = (digest: Digest): boolean => {
    const key = digestKey(digest);
    if (seen.has(key)) return false;
    seen.add(key);
    bytes += digest.sizeBytes;
    return true;
  };
  let looked = 0;
  for (let next = waiting.pop(); next !== undefined && bytes <= enoughBytes; next = waiting.pop()) {
    if (next.sizeBytes > MAX_DIRECTORY_BYTES || looked++ >= MAX_DIRECTORIES) break;
    let message: Uint8Array;
    try {
      message = await blobs.get(scope, next);
    } catch (error) {
      if (asBrokkrError(error).code === Code.NOT_FOUND) continue;
      throw error;
    }
    const { files, directories } = await parseDirectoryInSlices(message, next.fn, slices);
    for (const { digest } of files) add(digest);
    for (const { digest } of directories) if (add(digest)) waiting.push(digest);
    if (slices.spent) await slices.next();
  }
  return bytes;
}
