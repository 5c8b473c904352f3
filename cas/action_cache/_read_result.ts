/**
 * Reading a large ActionResult without holding up the event loop.
 *
 * @module
 */

import { Slices } from "@brokkr/common";
import { type ActionResult, ActionResultCodec, WireReader } from "@brokkr/proto";

/** Decoded in one go; half a millisecond or so. */
const CHUNK_BYTES = 16 << 10;
/** Numbers of the repeated fields, which may be taken apart: all others are decoded together. */
const REPEATED: ReadonlySet<number> = new Set([2, 3, 10, 11, 12]);

/**
 * Decodes an encoded ActionResult in slices. The same message comes out as from the codec: repeated fields may come in
 * any number of pieces, and everything else is decoded in one.
 *
 * @throws {BrokkrError} INVALID_ARGUMENT when it is malformed.
 */
export async function readActionResult(bytes: Uint8Array): Promise<ActionResult> {
  if (bytes.length <= CHUNK_BYTES) return ActionResultCodec.decode(bytes);
  const parts: ActionResult[] = [];
  const slices = new Slices();
  const rest: Uint8Array[] = [];
  const reader = new WireReader(bytes, "build.bazel.remote.execution.v2.ActionResult");
  /** Where the repeated fields begin that have not been decoded yet. */
  let from = 0;
  const decodeTo = (end: number) => {
    if (end > from) parts.push(ActionResultCodec.decode(bytes.subarray(from, end)));
    from = end;
  };
  while (!reader.done) {
    if (slices.spent) await slices.next();
    const start = reader.pos;
    const tag = reader.tag();
    reader.skip(tag);
    if (!REPEATED.has(tag >>> 3)) {
      decodeTo(start);
      rest.push(bytes.subarray(start, reader.pos));
      from = reader.pos;
    } else if (reader.pos - from >= CHUNK_BYTES) decodeTo(reader.pos);
  }
  decodeTo(reader.pos);
  return {
    ...ActionResultCodec.decode(join(rest)),
    outputFiles: parts.flatMap((part) => part.outputFiles),
    outputDirectories: parts.flatMap((part) => part.outputDirectories),
    outputFileSymlinks: parts.flatMap((part) => part.outputFileSymlinks),
    outputDirectorySymlinks: parts.flatMap((part) => part.outputDirectorySymlinks),
    outputSymlinks: parts.flatMap((part) => part.outputSymlinks),
  };
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
