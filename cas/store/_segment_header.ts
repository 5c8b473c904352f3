/**
 * The first bytes of a segment file, and its name. Little-endian: magic `BKRSEG\0\0`, version, number, where the segment
 * before it ends (float64), zeros.
 *
 * @module
 */

/** Length of the header; records begin behind it. */
export const SEGMENT_HEADER_BYTES = 64;

const MAGIC = Uint8Array.of(0x42, 0x4b, 0x52, 0x53, 0x45, 0x47, 0, 0);
const VERSION = 1;

/** File name of a segment. */
export function segmentName(id: number): string {
  return `${id.toString(16).padStart(8, "0")}.seg`;
}

/** Number of the segment with this file name, or undefined when it is no such name. */
export function segmentIdOf(name: string): number | undefined {
  const match = /^([0-9a-f]{8})\.seg$/.exec(name);
  const id = match === null ? 0 : parseInt(match[1], 16);
  return id >= 1 && id < 0xffffffff ? id : undefined;
}

/**
 * The header of a segment. `previousEnd` is where the segment before it ends: what lies there beyond that was never
 * acknowledged, and is not to be believed even where it looks whole. 0 says nothing of it.
 */
export function encodeSegmentHeader(id: number, previousEnd = 0): Uint8Array {
  const header = new Uint8Array(SEGMENT_HEADER_BYTES);
  header.set(MAGIC);
  const view = new DataView(header.buffer);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, id, true);
  view.setFloat64(16, previousEnd, true);
  return header;
}

/** Where the segment before the one with this header ends; infinity when that is not said. */
export function previousEndOf(header: Uint8Array): number {
  const end = new DataView(header.buffer, header.byteOffset, header.byteLength).getFloat64(16, true);
  return end >= SEGMENT_HEADER_BYTES ? end : Infinity;
}

/** What is wrong with a segment's header, or undefined. */
export function segmentHeaderFault(header: Uint8Array, id: number): string | undefined {
  if (header.length < SEGMENT_HEADER_BYTES) return "it is cut short";
  for (let i = 0; i < MAGIC.length; i++) if (header[i] !== MAGIC[i]) return "its magic is wrong";
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (view.getUint32(8, true) !== VERSION) return `its version is ${view.getUint32(8, true)}, not ${VERSION}`;
  if (view.getUint32(12, true) !== id) return "it is another segment's";
  return undefined;
}
