/**
 * The source of the kernel of SHA-256 (FIPS 180-4) and SHA256TREE: the compression function for one message in scalar code,
 * and for four messages at once, each in a lane of the vectors.
 *
 * @module
 */

import { sha256Constants, squareRootFractions } from "../reference.ts";
import type { Kernel } from "./_kernel.ts";

const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
const each = (f: (name: string, i: number) => string) => NAMES.map(f).join(" ");
const sixteen = (f: (i: number) => string) => Array.from({ length: 16 }, (_, i) => f(i)).join("\n");
const signed = (words: Iterable<number>) => Array.from(words, (word) => word | 0);

/** The names of the eight words in round `i`: they rotate, so that no word is moved. */
function rotated(i: number): string[] {
  return NAMES.map((_, j) => NAMES[(j - (i % 8) + 8) % 8]);
}

/** Where the kernel keeps what in its memory; `wasm/sha256.ts` has the addresses from 4096 on. */
const AT = {
  /** The message schedule of four lanes: 16 vectors. */
  schedule: 0,
  /** The round constants, each four times: 64 vectors. */
  constants: 256,
  /** The states of the four lanes, transposed: 8 vectors. */
  lanes: 1280,
  /** A scalar state: 8 words. */
  state: 1408,
  /** Jobs of a batch that the kernel makes itself: pairs of address and length. */
  jobs: 1472,
  /** The last one or two blocks of the message in each lane: 4 times 128 bytes. */
  tails: 1536,
  /** Round constants plus schedule of the block of padding that ends a leaf, each four times: 64 vectors. */
  leafPadding: 2048,
  /** The same for a message of one block. */
  blockPadding: 3072,
  /** The tables as they come with the module: 192 words. */
  data: 49152,
} as const;

/** Bytes of a leaf of SHA256TREE. */
const LEAF_BYTES = 1024;
const LANES = [0, 1, 2, 3];
const SHA256_STATE = signed(squareRootFractions(0, 8));
const TREE_STATE = signed(squareRootFractions(8, 8));

const ror4 = (x: string, n: number) => `v128.or(i32x4.shr_u(${x}, ${n}), i32x4.shl(${x}, ${32 - n}))`;
const xor4 = (...xs: string[]) => xs.reduce((a, b) => `v128.xor(${a}, ${b})`);
const add4 = (...xs: string[]) => xs.reduce((a, b) => `i32x4.add(${a}, ${b})`);
const ror1 = (x: string, n: number) => `rotr<u32>(${x}, ${n})`;

/**
 * A round for four lanes. The order of the additions keeps the critical path short, and `maj` is computed from the
 * exclusive or of b and c, which is that of a and b of the round before.
 */
function round4(i: number, kw: string): string {
  const [a, b, _c, d, e, f, g, h] = rotated(i);
  const choose = `v128.xor(${g}, v128.and(${e}, v128.xor(${f}, ${g})))`;
  return [
    `t = ${add4(h, kw, choose)};`,
    `t = ${add4("t", xor4(ror4(e, 6), ror4(e, 11), ror4(e, 25)))};`,
    `${d} = ${add4(d, "t")};`,
    `ab = ${xor4(a, b)};`,
    `${h} = i32x4.add(t, ${
      add4(xor4(ror4(a, 2), ror4(a, 13), ror4(a, 22)), `v128.xor(${b}, v128.and(bc, ab))`)
    });`,
    `bc = ab;`,
  ].join(" ");
}

/** The same for one message. */
function round1(i: number, kw: string): string {
  const [a, b, _c, d, e, f, g, h] = rotated(i);
  return [
    `t = (${h} + ${kw}) + (${g} ^ (${e} & (${f} ^ ${g})));`,
    `t += ${ror1(e, 6)} ^ ${ror1(e, 11)} ^ ${ror1(e, 25)};`,
    `${d} += t;`,
    `ab = ${a} ^ ${b};`,
    `${h} = t + ((${ror1(a, 2)} ^ ${ror1(a, 13)} ^ ${ror1(a, 22)}) + (${b} ^ (bc & ab)));`,
    `bc = ab;`,
  ].join(" ");
}

/** Extends the schedule in scalar variables before rounds 16 and up. */
function extend1(i: number): string {
  const w = (n: number) => `w${(i + n) & 15}`;
  const s0 = `(${ror1(w(1), 7)} ^ ${ror1(w(1), 18)} ^ (${w(1)} >> 3))`;
  const s1 = `(${ror1(w(14), 17)} ^ ${ror1(w(14), 19)} ^ (${w(14)} >> 10))`;
  return `${w(0)} += ${s0} + ${w(9)} + ${s1};`;
}

/** Extends the schedule of four lanes and does the round. */
function extend4(i: number): string {
  const w = (n: number) => `v128.load(${AT.schedule}, ${((i + n) & 15) * 16})`;
  const s0 = xor4(ror4("x", 7), ror4("x", 18), "i32x4.shr_u(x, 3)");
  const s1 = xor4(ror4("y", 17), ror4("y", 19), "i32x4.shr_u(y, 10)");
  return [
    `x = ${w(1)}; y = ${w(14)};`,
    `w = i32x4.add(${add4(w(0), s0)}, ${add4(w(9), s1)});`,
    `v128.store(${AT.schedule}, w, ${i * 16});`,
    round4(i, `i32x4.add(w, v128.load(k, ${i * 16}))`),
  ].join(" ");
}

const HELPERS = `
@inline function swapped(p: usize): v128 {
  const x = v128.load(p);
  return i8x16.shuffle(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}
/** Four vectors of four words of a message each become four vectors of a word of each message. */
@inline function transpose(a: v128, b: v128, c: v128, d: v128, to: usize): void {
  const t0 = v128.shuffle<i32>(a, b, 0, 4, 1, 5), t1 = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const t2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7), t3 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(t0, t1, 0, 2));
  v128.store(to, v128.shuffle<i64>(t0, t1, 1, 3), 16);
  v128.store(to, v128.shuffle<i64>(t2, t3, 0, 2), 32);
  v128.store(to, v128.shuffle<i64>(t2, t3, 1, 3), 48);
}
`;

/** Compresses \`n\` blocks of each of four messages. */
function blocks4(): string {
  const { schedule, constants, lanes } = AT;
  const quarter = (j: number) =>
    `transpose(${[0, 1, 2, 3].map((l) => `swapped(p${l} + ${16 * j})`).join(", ")}, ${schedule + 64 * j});`;
  return `
export function blocks4(p0: usize, p1: usize, p2: usize, p3: usize, n: u32): void {
  let ${NAMES.map((x, i) => `${x.toUpperCase()} = v128.load(${lanes}, ${16 * i})`).join(", ")};
  while (n > 0) {
    n--;
    ${[0, 1, 2, 3].map(quarter).join("\n")}
    p0 += 64; p1 += 64; p2 += 64; p3 += 64;
    let ${NAMES.map((x) => `${x} = ${x.toUpperCase()}`).join(", ")};
    let bc = v128.xor(b, c), t: v128, ab: v128, w: v128, x: v128, y: v128;
    ${
    sixteen((i) => round4(i, add4(`v128.load(${schedule}, ${16 * i})`, `v128.load(${constants}, ${16 * i})`)))
  }
    let k: usize = ${constants};
    for (let r: u32 = 0; r < 3; r++) {
      k += 256;
      ${sixteen(extend4)}
    }
    ${each((x) => `${x.toUpperCase()} = i32x4.add(${x.toUpperCase()}, ${x});`)}
  }
  ${each((x, i) => `v128.store(${lanes}, ${x.toUpperCase()}, ${16 * i});`)}
}`;
}

/** Compresses \`n\` blocks of one message. */
function blocks1(): string {
  const { state } = AT;
  const constants = signed(sha256Constants());
  const rounds = Array.from({ length: 64 }, (_, i) => {
    return (i < 16 ? "" : extend1(i)) + round1(i, `(w${i & 15} + ${constants[i]})`);
  });
  return `
export function blocks1(p: usize, n: u32): void {
  let ${NAMES.map((x, i) => `${x.toUpperCase()} = load<u32>(${state}, ${4 * i})`).join(", ")};
  while (n > 0) {
    n--;
    let ${NAMES.map((x) => `${x} = ${x.toUpperCase()}`).join(", ")};
    let bc = b ^ c, t: u32, ab: u32;
    let ${[0, 1, 2, 3].map((j) => `x${j} = swapped(p + ${16 * j})`).join(", ")};
    let ${
    Array.from({ length: 16 }, (_, i) => `w${i} = <u32>i32x4.extract_lane(x${i >> 2}, ${i & 3})`).join(", ")
  };
    ${rounds.join("\n")}
    ${each((x) => `${x.toUpperCase()} += ${x};`)}
    p += 64;
  }
  ${each((x, i) => `store<u32>(${state}, ${x.toUpperCase()}, ${4 * i});`)}
}`;
}

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
  v128.store(${AT.constants} + (i << 4), v128.load32_splat(TABLES + (i << 2)));
  v128.store(${AT.leafPadding} + (i << 4), v128.load32_splat(TABLES + (i << 2), 256));
  v128.store(${AT.blockPadding} + (i << 4), v128.load32_splat(TABLES + (i << 2), 512));
}`;
}

/** Compresses a block of padding behind messages of one size in the lanes, whose schedule needs no work as it is known. */
function padding4(): string {
  return `
function padding4(table: usize): void {
  let ${NAMES.map((x, i) => `${x} = v128.load(${AT.lanes}, ${16 * i})`).join(", ")};
  let bc = v128.xor(b, c), t: v128, ab: v128;
  for (let k = table; k < table + 1024; k += 256) {
    ${sixteen((i) => round4(i, `v128.load(k, ${i * 16})`))}
  }
  ${each((x, i) => `v128.store(${AT.lanes}, i32x4.add(${x}, v128.load(${AT.lanes}, ${16 * i})), ${16 * i});`)}
}`;
}

const STATES = `
/** Sets all lanes to the first state of SHA-256, or of a parent. */
@inline function resetLanes(): void {
  ${SHA256_STATE.map((word, i) => `v128.store(${AT.lanes}, i32x4.splat(${word}), ${16 * i});`).join("\n")}
}
@inline function resetParents(): void {
  ${TREE_STATE.map((word, i) => `v128.store(${AT.lanes}, i32x4.splat(${word}), ${16 * i});`).join("\n")}
}
@inline function resetLane(lane: usize): void {
  ${SHA256_STATE.map((word, i) => `store<u32>(lane, ${word}, ${16 * i});`).join("\n")}
}
/** Sets the scalar state. */
export function begin(): void {
  ${SHA256_STATE.map((word, i) => `store<u32>(${AT.state}, ${word}, ${4 * i});`).join("\n")}
}
@inline function swap(x: v128): v128 {
  return i8x16.shuffle(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}
/** Writes the four lanes as digests: words become big-endian. */
@inline function emitLanes(to: usize): void {
  ${
  [0, 1].map((half) =>
    `transpose(${
      LANES.map((l) => `swap(v128.load(${AT.lanes}, ${64 * half + 16 * l}))`).join(", ")
    }, ${AT.schedule});
    ${
      LANES.map((l) => `v128.store(to, v128.load(${AT.schedule}, ${16 * l}), ${32 * l + 16 * half});`).join(
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
  v128.store(to, swap(v128.load(${AT.state})));
  v128.store(to, swap(v128.load(${AT.state}, 16)), 16);
}
/** Makes lane ${"`lane`"}'s state the scalar one. */
@inline function takeLane(lane: usize): void {
  ${NAMES.map((_, i) => `store<u32>(${AT.state}, load<u32>(lane, ${16 * i}), ${4 * i});`).join("\n")}
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
  const n = tail(${AT.tails}, p, size, <u64>total);
  blocks1(p, size >> 6);
  blocks1(${AT.tails}, n);
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
        left${l} = ends${l}; p${l} = ${AT.tails + 128 * l}; ends${l} = 0;
      } else {
        if (busy${l}) { emitLane(${AT.lanes + 4 * l}, to${l}); busy${l} = false; active--; }
        if (next < end) {
          p${l} = load<u32>(next); size = load<u32>(next, 4); next += 8;
          to${l} = to; to += 32; busy${l} = true; active++;
          resetLane(${AT.lanes + 4 * l});
          ends${l} = tail(${AT.tails + 128 * l}, p${l}, size, size);
          left${l} = size >> 6;
          if (left${l} == 0) { left${l} = ends${l}; p${l} = ${AT.tails + 128 * l}; ends${l} = 0; }
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
    if ((size0 | size1 | size2 | size3) == 64) {
      padding4(${AT.blockPadding});
    } else {
      ${lanes((l) => `tail(${AT.tails + 128 * l}, p${l}, size${l}, size${l});`)}
      blocks4(${LANES.map((l) => AT.tails + 128 * l).join(", ")}, total - blocks + 1);
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
    takeLane(${AT.lanes + 4 * l});
    blocks1(p${l}, left${l});
    blocks1(${AT.tails + 128 * l}, ends${l});
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
    padding4(${AT.leafPadding});
    emitLanes(to);
    p += ${4 * LEAF_BYTES}; size -= ${4 * LEAF_BYTES}; to += 128; count += 4;
  }
  let jobs: u32 = 0;
  while (size > 0 || count + jobs == 0) {
    const bytes = min<u32>(size, ${LEAF_BYTES});
    store<u32>(${AT.jobs} + (jobs << 3), <u32>p);
    store<u32>(${AT.jobs} + (jobs << 3), bytes, 4);
    p += bytes; size -= bytes; jobs++;
  }
  batch(${AT.jobs}, jobs, to);
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
    `v128.store(${AT.lanes}, i32x4.sub(v128.load(${AT.lanes}, ${16 * i}), i32x4.splat(${word})), ${16 * i});`
  ).join("\n")
}
    if (n < 4) {
      ${[0, 1].map((l) => `emitLane(${AT.lanes + 4 * l}, to + ${32 * l});`).join("\n")}
      if (n == 3) emitLane(${AT.lanes + 8}, to + 64);
      return;
    }
    emitLanes(to);
    p += 256; to += 128; n -= 4;
  }
  if (n == 0) return;
  ${TREE_STATE.map((word, i) => `store<u32>(${AT.state}, ${word}, ${4 * i});`).join("\n")}
  blocks1(p, 1);
  ${
  TREE_STATE.map((word, i) =>
    `store<u32>(${AT.state}, load<u32>(${AT.state}, ${4 * i}) - ${word}, ${4 * i});`
  ).join("\n")
}
  emit(to);
}
/**
 * SHA256TREE of ${"`size`"} bytes, written to ${"`nodes`"}, which has room for a digest of each leaf. Pairs are joined level by
 * level and an odd last one goes up as it is: that is the tree whose left sides are full.
 */
export function tree(p: usize, size: u32, nodes: usize): void {
  let n = leaves(p, size, nodes);
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
`;

/** The kernel. */
export const KERNEL: Kernel = {
  name: "sha256",
  // SHA-256 rotates by no whole number of bytes, so relaxed SIMD has nothing to give.
  builds: ["simd"],
  initialPages: 72,
  maximumPages: 72,
  memoryBase: AT.data,
  source: () => [HELPERS, start(), STATES, blocks4(), padding4(), blocks1(), TAIL, batch(), TREE].join("\n"),
};
