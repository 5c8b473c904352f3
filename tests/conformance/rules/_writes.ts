/**
 * What rules about writes share.
 *
 * @module
 */

import type { Context, Digest } from "../context.ts";
import { Fields, msg } from "../protobuf.ts";
import { one, refused } from "../rule.ts";
import type { Reply } from "../wire.ts";
/** What a write answers. */
export function committed(reply: Reply, what: string): number {
  return Fields.parse(one(reply, what)).int(1);
}

/** One WriteRequest. */
export function part(name: string, offset: number, data: Uint8Array, finish = false): Uint8Array {
  return msg({ 1: name, 2: offset, 3: finish, 10: data });
}

/** A write whose messages must lead to an error, and leave nothing behind. */
export async function refusedWrite(
  ctx: Context,
  digest: Digest,
  messages: readonly Uint8Array[],
  what: string,
) {
  refused(await ctx.writeMessages(messages), what);
  await ctx.notStored(digest, what);
}
