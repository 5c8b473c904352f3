/**
 * The kernel that finds the boundaries of FastCDC 2020. It has no SIMD: a look-up in a table for each byte is what it does, and
 * WebAssembly has no gather. The loop is written out here as AssemblyScript has no macros.
 *
 * @module
 */

import { FASTCDC_LAYOUT, FASTCDC_STATE } from "../_fastcdc_layout.ts";
import { gearTable } from "../reference_fastcdc.ts";
import type { Kernel } from "./_kernel.ts";

const { gearShifted, state, lengths } = FASTCDC_LAYOUT;
/** Bytes that the loop looks at before it asks whether there are more. */
const UNROLLED = 16;

/** Looks at the two bytes at `p + k`; returns from `scan` when a boundary lies before one of them. */
function pair(k: number): string {
  return `
    hash = (hash << 2) + load<u64>(<usize>load<u8>(p, ${k}) << 3, ${gearShifted});
    if (!(hash & shifted)) return p + ${k};
    hash += load<u64>(<usize>load<u8>(p, ${k + 1}) << 3);
    if (!(hash & mask)) return p + ${k + 1};`;
}

const word = (name: Exclude<keyof typeof FASTCDC_STATE, "words">) => state + 4 * FASTCDC_STATE[name];

const SOURCE = `
const GEAR = memory.data<u64>([${Array.from(gearTable(), (value) => `0x${value.toString(16)}`).join(", ")}]);
let H: u64 = 0;

/** The boundary in [p, end), or end; takes whole pairs. */
function scan(p: usize, end: usize, mask: u64): usize {
  let hash = H;
  const shifted = mask << 1;
  while (end - p >= ${UNROLLED}) {
    ${Array.from({ length: UNROLLED / 2 }, (_, i) => pair(2 * i)).join("")}
    p += ${UNROLLED};
  }
  while (p < end) {
    ${pair(0)}
    p += 2;
  }
  H = hash;
  return p;
}

/** Writes the gear tables of a seed. */
export function seed(value: u32): void {
  for (let at: usize = 0; at < ${gearShifted}; at += 8) {
    const gear = load<u64>(GEAR + at) ^ <u64>value;
    store<u64>(at, gear);
    store<u64>(at, gear << 1, ${gearShifted});
  }
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
  builds: ["scalar"],
  initialPages: (FASTCDC_LAYOUT.window + FASTCDC_LAYOUT.windowBytes) / 65536,
  maximumPages: (FASTCDC_LAYOUT.window + FASTCDC_LAYOUT.windowBytes) / 65536,
  memoryBase: FASTCDC_LAYOUT.data,
  source: () => SOURCE,
};
