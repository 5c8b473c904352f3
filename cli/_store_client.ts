/**
 * A grid's store as its operator uses it: what it holds, whether that is sound, making room, pins, archives of actions.
 * Loaded when it is needed.
 *
 * @module
 */

import type { CasClient, Digest, DigestFunction } from "@brokkr/cas/client";
import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import {
  ActionCache,
  Admin,
  BytesCodec,
  type Codec,
  type CollectStoreResponse,
  type GetStoreUsageResponse,
  type Method,
  type Pin,
  type PinBlobsResponse,
  type UnpinBlobsResponse,
  type UpdateActionResultRequest,
  UpdateActionResultRequestCodec,
  type VerifyStoreResponse,
  type WhyGoneResponse,
  WireWriter,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc/client";
import { digestText } from "./_digest_text.ts";
import { ArchiveExport, type ExportOptions } from "./_archive_export.ts";
import { importArchive, type ImportOptions, type ImportResult } from "./_archive_import.ts";

/** What to pin. */
export interface PinOptions {
  /** How long, in milliseconds. */
  readonly durationMs: number;
  /** Names the pin; its digest by default. */
  readonly name?: string;
  /** Of an action only the result and what it names. */
  readonly withoutInputs?: boolean;
}

/** How long a call may take that looks at everything, in milliseconds. Who waits can end it before. */
const LONG_MS = 24 * 3_600_000;
/** Field 3, `action_result`. */
const ACTION_RESULT_FIELD = 3;

/** An UpdateActionResultRequest whose result stays the bytes it is. */
interface RawUpdate {
  readonly instanceName: string;
  readonly action: Digest;
  readonly result: Uint8Array;
}

const rawUpdateCodec: Codec<UpdateActionResultRequest, RawUpdate> = {
  decode: (bytes) => UpdateActionResultRequestCodec.decode(bytes),
  encode({ instanceName, action, result }) {
    const { hash, sizeBytes, fn } = action;
    const rest = UpdateActionResultRequestCodec.encode({
      instanceName,
      actionDigest: { hash, sizeBytes },
      digestFunction: fn.value,
    });
    const writer = new WireWriter(rest.length + result.length + 16);
    writer.raw(rest);
    writer.header(ACTION_RESULT_FIELD, result.length);
    writer.raw(result);
    return writer.finish();
  },
};

const updateActionResult: Method<UpdateActionResultRequest, Uint8Array, RawUpdate> = {
  ...ActionCache.updateActionResult,
  request: rawUpdateCodec,
  response: BytesCodec,
};

/** A grid's store. */
export class StoreClient {
  readonly #channel: Channel;
  readonly #cas: CasClient;
  readonly #casOf: (fn: DigestFunction) => CasClient;

  /** @internal */
  constructor(channel: Channel, cas: CasClient, casOf: (fn: DigestFunction) => CasClient) {
    this.#channel = channel;
    this.#cas = cas;
    this.#casOf = casOf;
  }

  /** What the store holds. */
  usage(signal?: AbortSignal): Promise<GetStoreUsageResponse> {
    return this.#channel.unary(Admin.getStoreUsage, {}, { timeoutMs: LONG_MS, signal });
  }

  /**
   * Has the store read all it holds; tells how far it is and what is damaged. Ending the iteration ends it.
   *
   * @throws {BrokkrError} RESOURCE_EXHAUSTED when somebody else does the same.
   */
  verify(bytesPerSecond: number, signal?: AbortSignal): AsyncIterable<VerifyStoreResponse> {
    return this.#channel.serverStream(Admin.verifyStore, { bytesPerSecond }, { signal });
  }

  /** Frees garbage and evicts down to `targetBytes`, or tells what that would do. */
  collect(
    options: { readonly targetBytes?: number; readonly dryRun?: boolean; readonly signal?: AbortSignal },
  ): Promise<CollectStoreResponse> {
    const { signal, ...request } = options;
    return this.#channel.unary(Admin.collectStore, request, { timeoutMs: LONG_MS, signal, retries: 0 });
  }

  /** Pins an action with all that belongs to it. */
  pinAction(action: Digest, options: PinOptions): Promise<PinBlobsResponse> {
    return this.#pin({ actionDigest: wire(action), digestFunction: action.fn.value }, options);
  }

  /**
   * Pins blobs.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when their digests are of several functions.
   */
  pinBlobs(blobs: readonly Digest[], options: PinOptions): Promise<PinBlobsResponse> {
    const other = blobs.find(({ fn }) => fn !== blobs[0].fn);
    if (other !== undefined) {
      throw invalidArgument(
        "",
        `Blobs of one pin are of one function, not ${blobs[0].fn.name} and ${other.fn.name}`,
      );
    }
    return this.#pin({ blobDigests: blobs.map(wire), digestFunction: blobs[0]?.fn.value ?? 0 }, options);
  }

  #pin(
    what: Readonly<Record<string, unknown>> & { readonly digestFunction: number },
    { durationMs, name = "", withoutInputs = false }: PinOptions,
  ): Promise<PinBlobsResponse> {
    const seconds = Math.floor(durationMs / 1000);
    return this.#channel.unary(Admin.pinBlobs, {
      ...what,
      instanceName: this.#cas.instance,
      duration: { seconds, nanos: Math.round((durationMs - seconds * 1000) * 1e6) },
      name,
      withoutInputs,
    }, { timeoutMs: LONG_MS });
  }

  /**
   * Ends a pin.
   *
   * @throws {BrokkrError} NOT_FOUND when there is none of that name.
   */
  unpin(name: string): Promise<UnpinBlobsResponse> {
    return this.#channel.unary(Admin.unpinBlobs, { instanceName: this.#cas.instance, name });
  }

  /** Every pin that holds. */
  async pins(): Promise<readonly Pin[]> {
    return (await this.#channel.unary(Admin.listPins, {})).pins;
  }

  /** When and why a blob went, as far as the store's log remembers. */
  whyGone(digest: Digest): Promise<WhyGoneResponse> {
    return this.#channel.unary(Admin.whyGone, { digest: wire(digest), digestFunction: digest.fn.value });
  }

  /**
   * Looks up what belongs to an action, to be written as an archive.
   *
   * @throws {BrokkrError} FAILED_PRECONDITION when something of it is missing; NOT_FOUND when all is.
   */
  exportAction(action: Digest, options: ExportOptions = {}): Promise<ArchiveExport> {
    return ArchiveExport.open(this.#channel, this.#casOf(action.fn), action, options);
  }

  /**
   * Uploads what an archive holds and the grid lacks, then puts its result into the action cache.
   *
   * @throws {BrokkrError} DATA_LOSS when the archive is damaged, and no result is stored then.
   */
  importArchive(source: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<ImportResult> {
    const store = async (action: Digest, result: Uint8Array, signal: AbortSignal | undefined) => {
      const request = { instanceName: this.#cas.instance, action, result };
      await this.#channel.unary(updateActionResult, request, { signal });
    };
    const checkWhole = (action: Digest, signal: AbortSignal | undefined) =>
      this.#requireWhole(action, signal);
    return importArchive(this.#casOf, source, { ...options, store, checkWhole });
  }

  /** All that the action itself names must be there. */
  async #requireWhole(action: Digest, signal: AbortSignal | undefined): Promise<void> {
    const request = {
      instanceName: this.#cas.instance,
      actionDigest: wire(action),
      digestFunction: action.fn.value,
    };
    for await (
      const { missing, missingCount } of this.#channel.serverStream(Admin.getClosure, request, { signal })
    ) {
      if (missingCount === 0) return;
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `The archive lacks ${missingCount} of the blobs that belong to its action, first ${
          digestText(missing[0], action.fn.value)
        }; its result was not stored`,
      );
    }
  }
}

/** A digest, as it is sent. */
function wire({ hash, sizeBytes }: Digest): { readonly hash: string; readonly sizeBytes: number } {
  return { hash, sizeBytes };
}
