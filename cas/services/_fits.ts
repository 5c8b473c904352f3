/**
 * Whether what a client is about to store fits the store at all. Said when it asks what is missing: uploading it would
 * evict the first of it for the last, and the client would do so again and again.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { formatSize } from "@brokkr/common/units";
import type { CallContext, ClientMetadata } from "@brokkr/proto/rpc";
import type { BlobStore, DigestBatch } from "../blob_store.ts";
import type { KeptBlobStore, StorePressure } from "../store_keeper.ts";

/** Share of its limit that a store can hold on to: before that is full it makes room. */
const USABLE_SHARE = 0.9;
const MIB = 1 << 20;

/** A size for people, rounded up. */
function roughly(bytes: number): string {
  return formatSize(bytes < MIB ? bytes : Math.ceil(bytes / MIB) * MIB);
}

/** Bazel before 4 ends with a stack trace when it is refused an answer; it is told when it executes the action. */
function crashes(client: ClientMetadata | undefined): boolean {
  return client?.toolName === "bazel" && /^[0-3]\./.test(client.toolVersion);
}

/** Adds up what is asked for at once, slice by slice. */
export class FitCheck {
  readonly #pressure: StorePressure | undefined;
  #bytes = 0;
  #missingBytes = 0;
  #missing = 0;

  constructor(store: BlobStore) {
    const pressure = (store as Partial<KeptBlobStore>).keeper?.pressure?.();
    this.#pressure = pressure?.maxBytes === undefined ? undefined : pressure;
  }

  /** Takes in what was asked for, and which of it is missing. */
  add({ sizes, length }: DigestBatch, missing: Uint32Array): void {
    if (this.#pressure === undefined) return;
    for (let i = 0; i < length; i++) this.#bytes += sizes[i];
    for (const index of missing) this.#missingBytes += sizes[index];
    this.#missing += missing.length;
  }

  /**
   * Throws when what is missing cannot be stored beside the rest. `distinctBytes` counts each blob once; asked only when it
   * matters.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION when the store is too small for all of it, RESOURCE_EXHAUSTED when it is full
   * of what must stay for now.
   */
  check(distinctBytes: () => number, { clientMetadata }: Pick<CallContext, "clientMetadata">): void {
    const { maxBytes, leftBytes } = this.#pressure ?? {};
    if (maxBytes === undefined || this.#missing === 0) return;
    if (this.#bytes <= maxBytes * USABLE_SHARE && leftBytes === undefined) return;
    if (crashes(clientMetadata)) return;
    if (this.#bytes > maxBytes * USABLE_SHARE) {
      const bytes = distinctBytes();
      if (bytes > maxBytes * USABLE_SHARE) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `What is needed at once takes ${roughly(bytes)}, but the grid's store may take ${
            formatSize(maxBytes)
          } ` +
            "(cas_max_size): raise it to several times what a build needs",
        );
      }
    }
    if (leftBytes === undefined || this.#missingBytes <= leftBytes) return;
    throw new BrokkrError(
      Code.RESOURCE_EXHAUSTED,
      `There is no room for the ${
        roughly(this.#missingBytes)
      } that are missing: all that the grid's store holds was ` +
        `promised to builds in the last 10 minutes or is pinned, and it may take ${
          formatSize(maxBytes)
        }; raise ` +
        "cas_max_size to several times what a build needs",
    );
  }
}

/** Bytes of all blobs of a batch, each counted once. */
export function distinctBytes({ fn, hashes, sizes, length }: DigestBatch): number {
  const seen = new Set<string>();
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const hash = hashes.subarray(i * fn.hashBytes, (i + 1) * fn.hashBytes).toHex();
    if (seen.has(hash)) continue;
    seen.add(hash);
    bytes += sizes[i];
  }
  return bytes;
}
