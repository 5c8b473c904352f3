/**
 * What {@linkcode CacheAdmin} sends, made of what the store's keeper and the pins tell.
 *
 * @module
 */

import type {
  AgeClass,
  BlobCount,
  DamagedBlob,
  Digest,
  GoneBlob,
  GoneReason,
  StoreUsage,
  VerifyProgress,
} from "@brokkr/cas";
import {
  DamagedBlob_Outcome as Outcome,
  type GetStoreUsageResponse,
  type Init,
  type Pin as PinMessage,
  type PinBlobsResponse,
  type VerifyStoreResponse,
  type WhyGoneResponse,
  WhyGoneResponse_Reason as Reason,
} from "@brokkr/proto";
import type { PinState } from "./_pins.ts";
import { durationOf, timestampOf } from "./_times.ts";

/** Damaged blobs in one message. */
const DAMAGED_PER_MESSAGE = 500;
/** Most characters of a text from the store. */
const MAX_TEXT = 2000;
/** Missing blobs that are named. */
const MAX_MISSING = 100;
const OUTCOMES: Readonly<Record<DamagedBlob["outcome"], Outcome>> = {
  left: Outcome.LEFT,
  quarantined: Outcome.QUARANTINED,
  repaired: Outcome.REPAIRED,
};
const REASONS: Readonly<Record<GoneReason, Reason>> = {
  evicted: Reason.EVICTED,
  "promise broken": Reason.PROMISE_BROKEN,
  deleted: Reason.DELETED,
  damaged: Reason.DAMAGED,
  collected: Reason.COLLECTED,
};

/** Results of one instance. */
export interface InstanceResults {
  /** Its name; undefined for those that do not say. */
  readonly instance: string | undefined;
  /** How many. */
  readonly results: number;
  /** Bytes they take themselves. */
  readonly bytes: number;
}

/** What a store holds, as it is sent. */
export function usageMessage(
  usage: StoreUsage,
  freeBytes: number,
  instances: readonly InstanceResults[],
): Init<GetStoreUsageResponse> {
  const { retentionSeconds } = usage;
  return {
    blobs: countOf(usage),
    storedBytes: usage.storedBytes,
    savedBytes: usage.savedBytes,
    diskBytes: usage.diskBytes,
    maxBytes: usage.maxBytes,
    maxBlobs: usage.maxBlobs,
    freeBytes,
    garbageBytes: usage.garbageBytes,
    sizes: usage.sizes.map((each) => ({ upToBytes: each.upToBytes, count: countOf(each) })),
    ages: usage.ages.map(ageMessage),
    functions: usage.functions.map((each) => ({ digestFunction: each.fn.value, count: countOf(each) })),
    instances: instances.map(({ instance, results, bytes }) => ({
      instanceName: instance ?? "",
      results,
      bytes,
      unknown: instance === undefined,
    })),
    promised: countOf(usage.promised),
    pinned: countOf(usage.pinned),
    evicted: countOf(usage.evicted),
    brokenPromises: countOf(usage.brokenPromises),
    retention: retentionSeconds === undefined ? undefined : durationOf(retentionSeconds * 1000),
    warning: usage.warning ?? "",
  };
}

/** What became of a blob that is not there, as far as the log remembers and goes back. */
export function goneMessage(
  gone: GoneBlob | undefined,
  sinceMs: number | undefined,
): Init<WhyGoneResponse> {
  return {
    ...(sinceMs === undefined ? {} : { logSince: timestampOf(sinceMs) }),
    ...(gone === undefined ? {} : {
      gone: timestampOf(gone.goneMs),
      used: gone.usedMs === undefined ? undefined : timestampOf(gone.usedMs),
      reason: REASONS[gone.reason],
    }),
  };
}

/** Just a count. */
export function countOf({ blobs, bytes }: BlobCount): BlobCount {
  return { blobs, bytes };
}

/** An age class, as it is sent. */
export function ageMessage(each: AgeClass): Init<GetStoreUsageResponse["ages"][number]> {
  const { upToSeconds } = each;
  return {
    upTo: upToSeconds === undefined ? undefined : durationOf(upToSeconds * 1000),
    count: countOf(each),
  };
}

/** A digest, as it is sent. */
export function wire({ hash, sizeBytes }: Digest): { readonly hash: string; readonly sizeBytes: number } {
  return { hash, sizeBytes };
}

/** What is missing, named as far as there is room. */
export function missingFields(
  missing: readonly Digest[],
): Pick<Init<PinBlobsResponse>, "missing" | "missingCount"> {
  return { missing: missing.slice(0, MAX_MISSING).map(wire), missingCount: missing.length };
}

/** A pin, as it is sent. */
export function pinMessage(pin: PinState): Init<PinMessage> {
  return {
    name: pin.name,
    instanceName: pin.instance,
    digestFunction: pin.fn.value,
    actionDigest: pin.action === undefined ? undefined : wire(pin.action),
    count: { blobs: pin.blobs, bytes: pin.bytes },
    created: timestampOf(pin.createdMs),
    until: timestampOf(pin.untilMs),
    problem: pin.problem ?? "",
  };
}

/** A progress whose findings fit one message. */
export function progressMessage(
  { blobs, bytes, totalBytes, damaged }: VerifyProgress,
): Init<VerifyStoreResponse> {
  return {
    read: { blobs, bytes },
    totalBytes,
    damaged: damaged.map(({ digest, where, problem, outcome }) => ({
      digest: digest === undefined ? undefined : wire(digest),
      digestFunction: digest?.fn.value ?? 0,
      where: where.slice(0, MAX_TEXT),
      problem: problem.slice(0, MAX_TEXT),
      outcome: OUTCOMES[outcome],
    })),
  };
}

/** A progress in messages that fit, however much was found. */
export function* progressMessages(progress: VerifyProgress): Generator<Init<VerifyStoreResponse>> {
  const { damaged } = progress;
  for (let at = 0; at === 0 || at < damaged.length; at += DAMAGED_PER_MESSAGE) {
    yield progressMessage({ ...progress, damaged: damaged.slice(at, at + DAMAGED_PER_MESSAGE) });
  }
}
