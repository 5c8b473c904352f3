/**
 * The layout of the executable image a program becomes: a static ELF64 file with two loaded segments, one with code
 * that cannot be written and one with data that cannot be run, and a stack that cannot be run either.
 *
 * @module
 */

import type { Arch } from "./arch.ts";

/** Where the code segment (file offset 0: headers, then code) is loaded. */
export const CODE_ADDRESS = 0x400000;
/** Where code starts within the file and the segment. */
export const CODE_OFFSET = 0x100;
/** Where the data segment starts within the file. */
export const DATA_OFFSET = 0x1000;
/** Where the data segment is loaded: congruent to its file offset modulo 64 KiB, the largest page size there is. */
export const DATA_ADDRESS = 0x411000;

const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const SEGMENT_ALIGN = 0x10000;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
const DATA_HEADER = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;

/** Writes an unsigned 64-bit number below 2^53. */
export function setUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x100000000), true);
}

/** Writes the file and program headers and the code into the first {@linkcode DATA_OFFSET} bytes of `image`. */
export function writeElf(image: Uint8Array<ArrayBuffer>, arch: Arch, code: Uint8Array): void {
  if (CODE_OFFSET + code.length > DATA_OFFSET) {
    throw new RangeError(`Code of ${code.length} bytes does not fit below ${DATA_OFFSET}`);
  }
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  // e_ident: magic, 64-bit, little-endian, version 1.
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0);
  view.setUint16(16, 2, true); // e_type: ET_EXEC
  view.setUint16(18, arch.elfMachine, true); // e_machine
  view.setUint32(20, 1, true); // e_version
  setUint64(view, 24, CODE_ADDRESS + CODE_OFFSET); // e_entry
  setUint64(view, 32, ELF_HEADER_BYTES); // e_phoff
  view.setUint16(52, ELF_HEADER_BYTES, true); // e_ehsize
  view.setUint16(54, PROGRAM_HEADER_BYTES, true); // e_phentsize
  view.setUint16(56, 3, true); // e_phnum
  const header = (
    index: number,
    type: number,
    flags: number,
    offset: number,
    address: number,
    size: number,
  ) => {
    const at = ELF_HEADER_BYTES + index * PROGRAM_HEADER_BYTES;
    view.setUint32(at, type, true);
    view.setUint32(at + 4, flags, true);
    setUint64(view, at + 8, offset);
    setUint64(view, at + 16, address);
    setUint64(view, at + 24, address);
    setUint64(view, at + 32, size);
    setUint64(view, at + 40, size);
    setUint64(view, at + 48, type === PT_LOAD ? SEGMENT_ALIGN : 16);
  };
  header(0, PT_LOAD, PF_R | PF_X, 0, CODE_ADDRESS, CODE_OFFSET + code.length);
  header(1, PT_LOAD, PF_R | PF_W, DATA_OFFSET, DATA_ADDRESS, image.length - DATA_OFFSET);
  header(2, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0);
  image.set(code, CODE_OFFSET);
}

/** Says in the headers of `image` that its data segment now has `bytes` bytes. */
export function setDataSegmentBytes(view: DataView, bytes: number): void {
  setUint64(view, DATA_HEADER + 32, bytes);
  setUint64(view, DATA_HEADER + 40, bytes);
}
