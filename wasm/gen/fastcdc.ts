/**
 * The kernel that finds the boundaries of FastCDC 2020. The loop is written out here as AssemblyScript has no macros.
 *
 * @module
 */

import { FASTCDC_LAYOUT, FASTCDC_STATE } from "../_fastcdc_layout.ts";
import { gearTable } from "../reference_fastcdc.ts";
import type { Kernel } from "./_kernel.ts";

const { scaled, state, lengths } = FASTCDC_LAYOUT;
/** Bytes whose table offsets are made at once. The loop has two such halves. */
const HALF = 32;

/** Writes the table offsets of the `HALF` bytes at `p + from` to half `to`. */
function scale(from: number, to: 0 | 1): string {
  return Array.from({ length: HALF / 16 }, (_, i) => {
    const at = scaled + 2 * (to * HALF + 16 * i);
    return `
    bytes = v128.load(p, ${from + 16 * i});
    v128.store(${at}, i16x8.shl(i16x8.extend_low_i8x16_u(bytes), 3));
    v128.store(${at + 16}, i16x8.shl(i16x8.extend_high_i8x16_u(bytes), 3));`;
  }).join("");
}

/** Looks at the byte at `p + k`; returns from `scan` when a boundary lies before it. */
function look(k: number): string {
  return `
    hash = (hash << 1) + load<u64>(load<u16>(${scaled + 2 * k}));
    if (!(hash & mask)) return p + ${k};`;
}

function lookAtHalf(half: 0 | 1): string {
  return Array.from({ length: HALF }, (_, i) => look(half * HALF + i)).join("");
}

const word = (name: Exclude<keyof typeof FASTCDC_STATE, "words">) => state + 4 * FASTCDC_STATE[name];

/*
 * The algorithm takes bytes in pairs and shifts hash, table and mask for the first of each, which saves a shift. That finds the
 * same boundaries as a shift for every byte does, as no mask has the topmost bit; here the latter is as fast and needs one
 * table.
 *
 * What bounds the loop is the number of instructions. The engine checks the bounds of every access whose address is not a
 * constant. So bytes are widened and multiplied by eight sixteen at a time, to addresses that are constants, from where each is
 * one unchecked load; only the look-up in the table is checked. One half is scaled while the other is looked at, so that no load
 * waits for a store just before it.
 */
const SOURCE = `
const GEAR = memory.data<u64>([${Array.from(gearTable(), (value) => `0x${value.toString(16)}`).join(", ")}]);
let H: u64 = 0;

/** The boundary in [p, end), or end. Reads, but does not look at, up to ${HALF} bytes after the end. */
function scan(p: usize, end: usize, mask: u64): usize {
  let hash = H;
  let bytes: v128;
  if (end - p >= ${2 * HALF}) {
    ${scale(0, 0)}
    do {
      ${scale(HALF, 1)}
      ${lookAtHalf(0)}
      ${scale(2 * HALF, 0)}
      ${lookAtHalf(1)}
      p += ${2 * HALF};
    } while (end - p >= ${2 * HALF});
  }
  while (p < end) {
    hash = (hash << 1) + load<u64>(<usize>load<u8>(p) << 3);
    if (!(hash & mask)) return p;
    p++;
  }
  H = hash;
  return p;
}

/** Writes the gear table of a seed. */
export function seed(value: u32): void {
  for (let at: usize = 0; at < 2048; at += 8) store<u64>(at, load<u64>(GEAR + at) ^ <u64>value);
}

/**
 * Goes on with the chunk of the state through the bytes [p, end). Writes the lengths of the chunks that ended, and returns how
 * many did. A byte that is left is to come again, before the next ones.
 */
export function feed(p: usize, end: usize): u32 {
  const min = load<u32>(${word("min")}), avg = load<u32>(${word("avg")}), max = load<u32>(${word("max")});
  const evenMax = max & ~1;
  const strict = load<u64>(${word("strict")}), loose = load<u64>(${word("loose")});
  let scanned = load<u32>(${word("scanned")});
  let count: u32 = 0;
  H = load<u64>(${word("hash")});
  while (p < end) {
    if (scanned < min) {
      const here = <u32>(end - p);
      const skipped = min - scanned < here ? min - scanned : here;
      p += skipped;
      scanned += skipped;
      H = 0;
      continue;
    }
    let ended = false;
    if (scanned < evenMax) {
      const limit = scanned < avg ? avg : evenMax;
      const left = <u32>(end - p) & ~1;
      if (left == 0) break;
      const length = limit - scanned < left ? limit - scanned : left;
      const stop = p + length;
      const at = scan(p, stop, scanned < avg ? strict : loose);
      scanned += <u32>(at - p);
      p = at;
      ended = at < stop;
    } else if (scanned < max) {
      scanned++;
      p++;
    }
    if (ended || scanned == max) {
      store<u32>(${lengths} + (count << 2), scanned);
      count++;
      scanned = 0;
    }
  }
  store<u64>(${word("hash")}, H);
  store<u32>(${word("scanned")}, scanned);
  store<u32>(${word("left")}, <u32>(end - p));
  return count;
}
`;

/** FastCDC 2020. */
export const KERNEL: Kernel = {
  name: "fastcdc",
  builds: ["simd"],
  initialPages: FASTCDC_LAYOUT.pages,
  maximumPages: FASTCDC_LAYOUT.pages,
  memoryBase: FASTCDC_LAYOUT.data,
  source: () => SOURCE,
};
