/**
 * What a grid acknowledged, and what it was merely asked for: the truth that it is held to afterwards.
 *
 * @module
 */

import { type ActionResult, ActionResultCodec } from "@brokkr/proto";
import type { WireDigest } from "../e2e/_grid.ts";

/** `hash/size` of a digest. */
export function keyOf({ hash, sizeBytes }: WireDigest): string {
  return `${hash}/${sizeBytes}`;
}

/** What may be in the action cache under a key that a client writes to. */
interface Written {
  readonly digest: WireDigest;
  /** The result acknowledged last; undefined when none was. */
  acknowledged: string | undefined;
  /** Results whose writing broke off since then: each may be there or not. */
  readonly open: Set<string>;
}

/** Hex of an encoded result: two are the same when this is. */
export function resultKey(result: ActionResult): string {
  return ActionResultCodec.encode(result).toHex();
}

/** Records of one round. */
export class Ledger {
  /** Blobs that some client was told are stored. */
  readonly blobs = new Map<string, WireDigest>();
  /** Blobs whose upload was begun, acknowledged or not. */
  readonly attempted = new Map<string, WireDigest>();
  /** Results that clients got, by action. */
  readonly results = new Map<string, { readonly action: WireDigest; readonly result: ActionResult }>();
  /** Results that clients put in. */
  readonly written = new Map<string, Written>();
  /** What must never have happened. */
  readonly violations: string[] = [];
  /** How often what happened, for the report. */
  readonly counts: Record<string, number> = {};

  /** Counts an event. */
  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  /** Notes what must never happen. */
  violated(what: string): void {
    if (this.violations.length < 50) this.violations.push(what);
  }

  /** An upload is about to begin. */
  attempt(...digests: readonly WireDigest[]): void {
    for (const digest of digests) this.attempted.set(keyOf(digest), digest);
  }

  /** Uploads were acknowledged. */
  stored(...digests: readonly WireDigest[]): void {
    for (const digest of digests) this.blobs.set(keyOf(digest), digest);
    this.count("blobs acknowledged", digests.length);
  }

  /** A client was given the cacheable result of an action. Never may another one have got a different result. */
  finished(action: WireDigest, result: ActionResult): void {
    const key = keyOf(action);
    const before = this.results.get(key);
    if (before === undefined) {
      this.results.set(key, { action, result });
      return this.count("actions acknowledged");
    }
    if (resultKey(before.result) !== resultKey(result)) {
      this.violated(
        `Action ${key} was reported with two results:\n${JSON.stringify(before.result)}\n${
          JSON.stringify(result)
        }`,
      );
    }
  }

  /** A client is about to write a result of its own. */
  writing(action: WireDigest, result: ActionResult): void {
    const key = keyOf(action);
    const entry = this.written.get(key) ??
      { digest: action, acknowledged: undefined, open: new Set<string>() };
    entry.open.add(resultKey(result));
    this.written.set(key, entry);
  }

  /** It was acknowledged. */
  wrote(action: WireDigest, result: ActionResult): void {
    const entry = this.written.get(keyOf(action));
    if (entry === undefined) throw new Error("Acknowledged before it was begun");
    entry.acknowledged = resultKey(result);
    entry.open.clear();
    this.count("cache updates acknowledged");
  }

  /** Whether the action cache may answer so; undefined stands for NOT_FOUND. */
  mayAnswer(action: WireDigest, result: ActionResult | undefined): boolean {
    const entry = this.written.get(keyOf(action));
    if (entry === undefined) return result === undefined;
    if (result === undefined) return entry.acknowledged === undefined;
    const key = resultKey(result);
    return key === entry.acknowledged || entry.open.has(key);
  }
}
