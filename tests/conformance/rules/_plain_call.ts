/**
 * The call that rules about the wire are tried on.
 *
 * @module
 */

import { type Context, METHOD } from "../context.ts";
import { status } from "../rule.ts";
import type { Reply } from "../wire.ts";

/** GetCapabilities, the call that every server has. */
export function plain(ctx: Context, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
  return ctx.call(METHOD.capabilities, { 1: ctx.instance }, { headers });
}

/** Sends bytes as they are as the body of GetCapabilities, each chunk by itself. */
export async function body(
  ctx: Context,
  chunks: readonly Uint8Array[],
  headers: Readonly<Record<string, string>> = {},
  timeoutMs?: number,
): Promise<Reply> {
  const call = ctx.open(METHOD.capabilities, { headers, timeoutMs });
  for (const chunk of chunks) await call.raw(chunk);
  call.end();
  return await call.reply;
}

/** The server still does what it is for, on the same connection. */
export async function alive(ctx: Context, after: string): Promise<void> {
  status(await plain(ctx), "OK", `GetCapabilities after ${after}`);
}
