/**
 * The source of the kernel of SHA-256 (FIPS 180-4) and SHA256TREE: messages in parts and as a whole, batches, trees.
 *
 * @module
 */

import { LAYOUT } from "../_sha256_layout.ts";
import { sha256Constants, squareRootFractions } from "../reference.ts";
import type { Kernel } from "./_kernel.ts";
import { blocks1, blocks4, HELPERS, NAMES, padding4, signed } from "./_sha256_rounds.ts";

/** Bytes of a leaf of SHA256TREE. */
const LEAF_BYTES = 1024;
const LANES = [0, 1, 2, 3];
const SHA256_STATE = signed(squareRootFractions(0, 8));
const TREE_STATE = signed(squareRootFractions(8, 8));

/** Round constants plus schedule of the block of padding that ends a message of `bytes`, a multiple of 64. */
function paddingTable(bytes: number): Uint32Array {
  const w = new Uint32Array(64);
  w[0] = 0x80000000;
  w[15] = bytes * 8;
  const rotate = (x: number, n: number) => (x >>> n) | (x << (32 - n));
  for (let i = 16; i < 64; i++) {
    const s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >>> 3);
    const s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  return sha256Constants().map((k, i) => k + w[i]);
}

/** The tables are data of the module, and are spread over the lanes when it is instantiated. */
function start(): string {
  const tables = [...sha256Constants(), ...paddingTable(LEAF_BYTES), ...paddingTable(64)];
  return `
const TABLES = memory.data<u32>([${tables.join(", ")}], 16);
for (let i: usize = 0; i < 64; i++) {
  v128.store(${LAYOUT.constants} + (i << 4), v128.load32_splat(TABLES + (i << 2)));
  v128.store(${LAYOUT.leafPadding} + (i << 4), v128.load32_splat(TABLES + (i << 2), 256));
  v128.store(${LAYOUT.blockPadding} + (i << 4), v128.load32_splat(TABLES + (i << 2), 512));
}`;
}

const STATES = `
/** Sets all lanes to the first state of SHA-256, or of a parent. */
@inline function resetLanes(): void {
  ${SHA256_STATE.map((word, i) => `v128.store(${LAYOUT.lanes}, i32x4.splat(${word}), ${16 * i});`).join("\n")}
}
@inline function resetParents(): void {
  ${TREE_STATE.map((word, i) => `v128.store(${LAYOUT.lanes}, i32x4.splat(${word}), ${16 * i});`).join("\n")}
}
@inline function resetLane(lane: usize): void {
  ${SHA256_STATE.map((word, i) => `store<u32>(lane, ${word}, ${16 * i});`).join("\n")}
}
/** Sets the scalar state. */
export function begin(): void {
  ${SHA256_STATE.map((word, i) => `store<u32>(${LAYOUT.state}, ${word}, ${4 * i});`).join("\n")}
}
@inline function swap(x: v128): v128 {
  return i8x16.shuffle(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}
/** Writes the four lanes as digests: words become big-endian. */
@inline function emitLanes(to: usize): void {
  ${
  [0, 1].map((half) =>
    `transpose(${
      LANES.map((l) => `swap(v128.load(${LAYOUT.lanes}, ${64 * half + 16 * l}))`).join(", ")
    }, ${LAYOUT.schedule});
    ${
      LANES.map((l) => `v128.store(to, v128.load(${LAYOUT.schedule}, ${16 * l}), ${32 * l + 16 * half});`)
        .join(
          "\n",
        )
    }`
  ).join("\n")
}
}
@inline function emitLane(lane: usize, to: usize): void {
  ${NAMES.map((_, i) => `store<u32>(to, bswap<u32>(load<u32>(lane, ${16 * i})), ${4 * i});`).join("\n")}
}
/** Writes the scalar state as a digest. */
@inline function emit(to: usize): void {
  v128.store(to, swap(v128.load(${LAYOUT.state})));
  v128.store(to, swap(v128.load(${LAYOUT.state}, 16)), 16);
}
/** Makes lane ${"`lane`"}'s state the scalar one. */
@inline function takeLane(lane: usize): void {
  ${NAMES.map((_, i) => `store<u32>(${LAYOUT.state}, load<u32>(lane, ${16 * i}), ${4 * i});`).join("\n")}
}
`;

const TAIL = `
@inline function last(x: v128, iota: v128, rest: v128): v128 {
  return v128.or(v128.and(x, i8x16.lt_u(iota, rest)), v128.and(i8x16.eq(iota, rest), i8x16.splat(-128)));
}
/**
 * Writes the last one or two blocks: the ${"`size`"} % 64 bytes at the end of what lies at ${"`p`"}, a bit, zeros, and the length
 * of the whole message in bits. It reads up to 63 bytes behind the end, and keeps none of them.
 */
function tail(to: usize, p: usize, size: u32, total: u64): u32 {
  const rest = size & 63;
  const from = p + (size - rest);
  const n = i8x16.splat(<i8>rest);
  const bits = bswap<u64>(total << 3);
  ${
  LANES.map((j) =>
    `const x${j} = last(v128.load(from, ${16 * j}), i8x16(${
      Array.from({ length: 16 }, (_, i) => 16 * j + i).join(", ")
    }), n);`
  ).join("\n")
}
  v128.store(to, x0); v128.store(to, x1, 16); v128.store(to, x2, 32);
  if (rest < 56) {
    v128.store(to, i64x2.replace_lane(x3, 1, bits), 48);
    return 1;
  }
  v128.store(to, x3, 48);
  const zero = i64x2.splat(0);
  v128.store(to, zero, 64); v128.store(to, zero, 80); v128.store(to, zero, 96);
  v128.store(to, i64x2.replace_lane(zero, 1, bits), 112);
  return 2;
}
/** Ends a message whose ${"`total`"} bytes came in parts; the last ${"`size`"} lie at ${"`p`"} and are not compressed yet. */
export function finish(p: usize, size: u32, total: f64, to: usize): void {
  const n = tail(${LAYOUT.tails}, p, size, <u64>total);
  blocks1(p, size >> 6);
  blocks1(${LAYOUT.tails}, n);
  emit(to);
}
/** A message as a whole. */
export function whole(p: usize, size: u32, to: usize): void {
  begin();
  finish(p, size, <f64>size, to);
}
`;

/** A lane that has no blocks left: it goes on with its padding, or gives its digest and takes the next job. */
function refill(l: number): string {
  return `
    if (left${l} == 0) {
      if (ends${l} != 0) {
        left${l} = ends${l}; p${l} = ${LAYOUT.tails + 128 * l}; ends${l} = 0;
      } else {
        if (busy${l}) { emitLane(${LAYOUT.lanes + 4 * l}, to${l}); busy${l} = false; active--; }
        if (next < end) {
          p${l} = load<u32>(next); size = load<u32>(next, 4); next += 8;
          to${l} = to; to += 32; busy${l} = true; active++;
          resetLane(${LAYOUT.lanes + 4 * l});
          ends${l} = tail(${LAYOUT.tails + 128 * l}, p${l}, size, size);
          left${l} = size >> 6;
          if (left${l} == 0) { left${l} = ends${l}; p${l} = ${LAYOUT.tails + 128 * l}; ends${l} = 0; }
        }
      }
    }`;
}

/**
 * Many messages. Each lane holds one; all run as many blocks as the one with the least left, then lanes that are done take
 * the next. The last two go on alone, as that is faster than lanes that are half empty.
 */
function batch(): string {
  const lanes = (f: (l: number) => string) => LANES.map(f).join("\n");
  return `
/** Does those at the front that come in fours of as many blocks, which need no lanes of their own; how many they are. */
function equals(jobs: usize, n: u32, to: usize): u32 {
  let done: u32 = 0;
  for (; done + 4 <= n; done += 4) {
    const at = jobs + (done << 3);
    ${lanes((l) => `const p${l}: usize = load<u32>(at, ${8 * l}), size${l} = load<u32>(at, ${8 * l + 4});`)}
    const blocks = size0 >> 6, total = (size0 + 8) >> 6;
    if (${
    [1, 2, 3].map((l) => `(size${l} >> 6) != blocks || ((size${l} + 8) >> 6) != total`).join(" || ")
  }) break;
    resetLanes();
    blocks4(p0, p1, p2, p3, blocks);
    const sizes = size0 | size1 | size2 | size3;
    if (sizes == 64) {
      padding4(${LAYOUT.blockPadding});
    } else if (sizes == ${LEAF_BYTES}) {
      padding4(${LAYOUT.leafPadding});
    } else {
      ${lanes((l) => `tail(${LAYOUT.tails + 128 * l}, p${l}, size${l}, size${l});`)}
      blocks4(${LANES.map((l) => LAYOUT.tails + 128 * l).join(", ")}, total - blocks + 1);
    }
    emitLanes(to + (done << 5));
  }
  return done;
}
export function batch(jobs: usize, n: u32, to: usize): void {
  const end = jobs + (n << 3), done = equals(jobs, n, to);
  to += done << 5;
  let next = jobs + (done << 3), active: u32 = 0, size: u32 = 0;
  ${
    lanes((l) =>
      `let p${l}: usize = 0, left${l}: u32 = 0, ends${l}: u32 = 0, to${l}: usize = 0, busy${l} = false;`
    )
  }
  while (true) {
    ${lanes(refill)}
    if (next >= end && active <= 2) break;
    let run: u32 = 0xffffffff;
    ${lanes((l) => `if (busy${l} && left${l} < run) run = left${l};`)}
    const any = busy0 ? p0 : busy1 ? p1 : p2;
    ${lanes((l) => `if (!busy${l}) p${l} = any;`)}
    blocks4(p0, p1, p2, p3, run);
    ${lanes((l) => `if (busy${l}) { left${l} -= run; p${l} += run << 6; }`)}
  }
  ${
    lanes((l) =>
      `if (busy${l}) {
    takeLane(${LAYOUT.lanes + 4 * l});
    blocks1(p${l}, left${l});
    blocks1(${LAYOUT.tails + 128 * l}, ends${l});
    emit(to${l});
  }`
    )
  }
}`;
}

const TREE = `
/** The digests of the leaves of ${"`size`"} bytes, and how many there are. Nothing has one empty leaf. */
function leaves(p: usize, size: u32, to: usize): u32 {
  let count: u32 = 0;
  while (size >= ${4 * LEAF_BYTES}) {
    resetLanes();
    blocks4(p, p + ${LEAF_BYTES}, p + ${2 * LEAF_BYTES}, p + ${3 * LEAF_BYTES}, ${LEAF_BYTES / 64});
    padding4(${LAYOUT.leafPadding});
    emitLanes(to);
    p += ${4 * LEAF_BYTES}; size -= ${4 * LEAF_BYTES}; to += 128; count += 4;
  }
  let jobs: u32 = 0;
  while (size > 0 || count + jobs == 0) {
    const bytes = min<u32>(size, ${LEAF_BYTES});
    store<u32>(${LAYOUT.leafJobs} + (jobs << 3), <u32>p);
    store<u32>(${LAYOUT.leafJobs} + (jobs << 3), bytes, 4);
    p += bytes; size -= bytes; jobs++;
  }
  batch(${LAYOUT.leafJobs}, jobs, to);
  return count + jobs;
}
/**
 * The digests of ${"`n`"} parents, whose children lie side by side: the block cipher, which is SHA-256's compression without the
 * addition of the first state at its end, so that is taken away again. ${"`to`"} may be ${"`p`"}.
 */
export function parents(p: usize, n: u32, to: usize): void {
  while (n >= 2) {
    resetParents();
    const more = n > 2 ? 128 : 0, most = n > 3 ? 192 : 0;
    blocks4(p, p + 64, p + more, p + most, 1);
    ${
  TREE_STATE.map((word, i) =>
    `v128.store(${LAYOUT.lanes}, i32x4.sub(v128.load(${LAYOUT.lanes}, ${16 * i}), i32x4.splat(${word})), ${
      16 * i
    });`
  ).join("\n")
}
    if (n < 4) {
      ${[0, 1].map((l) => `emitLane(${LAYOUT.lanes + 4 * l}, to + ${32 * l});`).join("\n")}
      if (n == 3) emitLane(${LAYOUT.lanes + 8}, to + 64);
      return;
    }
    emitLanes(to);
    p += 256; to += 128; n -= 4;
  }
  if (n == 0) return;
  ${TREE_STATE.map((word, i) => `store<u32>(${LAYOUT.state}, ${word}, ${4 * i});`).join("\n")}
  blocks1(p, 1);
  ${
  TREE_STATE.map((word, i) =>
    `store<u32>(${LAYOUT.state}, load<u32>(${LAYOUT.state}, ${4 * i}) - ${word}, ${4 * i});`
  ).join("\n")
}
  emit(to);
}
/** Makes ${"`n`"} nodes, side by side, to one, which comes first. Pairs are joined level by level and an odd last one goes up as
 * it is: that is the tree whose left sides are full. */
export function reduce(nodes: usize, n: u32): void {
  while (n > 1) {
    parents(nodes, n >> 1, nodes);
    if (n & 1) {
      const odd = nodes + ((n - 1) << 5), to = nodes + ((n >> 1) << 5);
      const low = v128.load(odd), high = v128.load(odd, 16);
      v128.store(to, low); v128.store(to, high, 16);
    }
    n = (n + 1) >> 1;
  }
}
/** SHA256TREE of ${"`size`"} bytes, written to ${"`nodes`"}, which has room for a digest of each leaf. */
export function tree(p: usize, size: u32, nodes: usize): void {
  reduce(nodes, leaves(p, size, nodes));
}
`;

/** The kernel. */
export const KERNEL: Kernel = {
  name: "sha256",
  // SHA-256 rotates by no whole number of bytes, so relaxed SIMD has nothing to give.
  builds: ["simd"],
  initialPages: LAYOUT.pages,
  maximumPages: LAYOUT.pages,
  memoryBase: LAYOUT.data,
  source: () => [HELPERS, start(), STATES, blocks4(), padding4(), blocks1(), TAIL, batch(), TREE].join("\n"),
};
