/**
 * Writing what belongs to an action into an archive, a bounded part of it in memory at a time.
 *
 * @module
 */

import {
  type CasClient,
  type Digest,
  digestKey,
  digestOf,
  formatDigest,
  parseDigest,
} from "@brokkr/cas/client";
import { digestText } from "./_digest_text.ts";
import { BrokkrError, Code } from "@brokkr/common";
import { Admin, ClosureBlob_Role as Role, type GetClosureResponse } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc/client";
import { type ArchivedBlob, ContentsHash, type Manifest, writeArchive } from "./_archive.ts";

/** Options of an export. */
export interface ExportOptions {
  /** Only the result and what it names. */
  readonly withoutInputs?: boolean;
  /** Told how far it is. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

/** Blobs up to this are fetched together. */
const SMALL_BYTES = 1 << 20;
/** Bytes and number of those that are in memory at a time. */
const GROUP_BYTES = 8 << 20;
const GROUP_BLOBS = 2000;

const ROLE_NAMES: ReadonlyMap<number, string> = new Map([
  [Role.ACTION, "action"],
  [Role.COMMAND, "command"],
  [Role.DIRECTORY, "directories"],
  [Role.INPUT, "inputs"],
  [Role.OUTPUT, "outputs"],
]);

/** An action that can be written as an archive. */
export class ArchiveExport {
  /** What the archive holds. */
  readonly manifest: Manifest;
  /** What there is to say of it, such as that the action has no result. */
  readonly notes: readonly string[];
  readonly #cas: CasClient;
  readonly #blobs: readonly Digest[];
  readonly #result: Uint8Array | undefined;
  readonly #options: ExportOptions;

  private constructor(
    cas: CasClient,
    options: ExportOptions,
    found: {
      readonly manifest: Manifest;
      readonly notes: readonly string[];
      readonly blobs: readonly Digest[];
      readonly result: Uint8Array | undefined;
    },
  ) {
    this.#cas = cas;
    this.#options = options;
    this.manifest = found.manifest;
    this.notes = found.notes;
    this.#blobs = found.blobs;
    this.#result = found.result;
  }

  /** Looks up what belongs to an action; see {@linkcode StoreClient.exportAction}. */
  static async open(
    channel: Channel,
    cas: CasClient,
    action: Digest,
    options: ExportOptions,
  ): Promise<ArchiveExport> {
    const { withoutInputs = false, signal } = options;
    const request = {
      instanceName: cas.instance,
      actionDigest: { hash: action.hash, sizeBytes: action.sizeBytes },
      digestFunction: action.fn.value,
      withoutInputs,
    };
    let head: GetClosureResponse | undefined;
    const blobs: Digest[] = [];
    // In an order that does not depend on the hashes.
    const roles: Record<string, number> = Object.fromEntries(
      [...ROLE_NAMES.values()].map((name) => [name, 0]),
    );
    for await (const message of channel.serverStream(Admin.getClosure, request, { signal })) {
      head ??= message;
      requireAll(head, action);
      for (const { digest, role } of message.blobs) {
        blobs.push(parseDigest(digest, action.fn.value));
        const name = ROLE_NAMES.get(role) ?? "others";
        roles[name] = (roles[name] ?? 0) + 1;
      }
    }
    if (head === undefined || head.count?.blobs !== blobs.length) {
      throw new BrokkrError(
        Code.UNAVAILABLE,
        "The grid did not tell all that belongs to the action; try again",
      );
    }
    const { actionResult, notes } = head;
    const result = actionResult === undefined ? undefined : digestOf(action.fn, actionResult);
    if (result !== undefined) addInOrder(blobs, result);
    const contents = new ContentsHash({ action, result, inputs: !withoutInputs });
    for (const digest of blobs) contents.add(digest);
    const manifest = {
      action,
      instance: cas.instance,
      result,
      inputs: !withoutInputs,
      blobs: contents.blobs,
      bytes: contents.bytes,
      contents: contents.finish(),
      roles,
    };
    return new ArchiveExport(cas, options, { manifest, notes, blobs, result: actionResult });
  }

  /** The archive's bytes, in pieces that are valid until the next is asked for. */
  bytes(): AsyncIterable<Uint8Array> {
    return writeArchive(this.manifest, this.#fetch());
  }

  async *#fetch(): AsyncGenerator<ArchivedBlob, void, undefined> {
    const { signal, onProgress } = this.#options;
    let bytes = 0;
    for (let at = 0; at < this.#blobs.length;) {
      const group = this.#group(at);
      at += Math.max(1, group.length);
      if (group.length === 0) {
        const digest = this.#blobs[at - 1];
        yield { digest, data: this.#cas.read(digest, {}, { signal }) };
        onProgress?.(bytes += digest.sizeBytes, this.manifest.bytes);
        continue;
      }
      const found = await this.#fetchGroup(group);
      for (const digest of group) {
        const data = found.get(digestKey(digest));
        if (data === undefined) {
          throw new BrokkrError(Code.INTERNAL, `Blob ${formatDigest(digest)} did not come`);
        }
        yield { digest, data: once(data) };
        onProgress?.(bytes += digest.sizeBytes, this.manifest.bytes);
      }
    }
  }

  /** The small blobs from `at` on that are fetched together; none when the first is large. */
  #group(at: number): readonly Digest[] {
    let bytes = 0;
    let end = at;
    for (; end < this.#blobs.length && end - at < GROUP_BLOBS; end++) {
      const { sizeBytes } = this.#blobs[end];
      bytes += sizeBytes;
      if (sizeBytes > SMALL_BYTES || bytes > GROUP_BYTES) break;
    }
    return this.#blobs.slice(at, end);
  }

  async #fetchGroup(group: readonly Digest[]): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    const { result } = this.manifest;
    const wanted = [...group];
    if (result !== undefined && this.#result !== undefined) {
      const at = wanted.findIndex(({ hash }) => hash === result.hash);
      if (at >= 0) {
        wanted.splice(at, 1);
        found.set(digestKey(result), this.#result);
      }
    }
    await this.#cas.getMany(wanted, (digest, data) => void found.set(digestKey(digest), data.slice()), {
      signal: this.#options.signal,
    });
    return found;
  }
}

function requireAll({ missing, missingCount, notes }: GetClosureResponse, action: Digest): void {
  if (missingCount === 0) return;
  const [first] = missing;
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    `${missingCount} of the blobs that belong to action ${formatDigest(action)} are gone, first ` +
      digestText(first, action.fn.value) +
      (notes.length === 0 ? "; --no-inputs exports its result and what that names" : `. ${notes.join(". ")}`),
  );
}

/** Adds the result's message, unless it is one of the blobs, or empty and so always there. */
function addInOrder(blobs: Digest[], result: Digest): void {
  if (result.sizeBytes === 0) return;
  const at = blobs.findIndex(({ hash }) => hash >= result.hash);
  if (at >= 0 && blobs[at].hash === result.hash) return;
  blobs.splice(at < 0 ? blobs.length : at, 0, result);
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield data;
}
