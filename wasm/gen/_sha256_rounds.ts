/**
 * The compression function of SHA-256 (FIPS 180-4, 6.2.2) as AssemblyScript: for one message in scalar code, and for four
 * messages at once, each in a lane of the vectors.
 *
 * @module
 */

import { LAYOUT } from "../_sha256_layout.ts";
import { sha256Constants } from "../reference.ts";

/** The words of the state. */
export const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"] as const;
/** Text for each of the eight words of the state. */
const each = (f: (name: string, i: number) => string) => NAMES.map(f).join(" ");
const sixteen = (f: (i: number) => string) => Array.from({ length: 16 }, (_, i) => f(i)).join("\n");
/** Words as AssemblyScript's `i32` has them. */
export const signed = (words: Iterable<number>) => Array.from(words, (word) => word | 0);

/** The names of the eight words in round `i`: they rotate, so that no word is moved. */
function rotated(i: number): string[] {
  return NAMES.map((_, j) => NAMES[(j - (i % 8) + 8) % 8]);
}

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
  const w = (n: number) => `v128.load(${LAYOUT.schedule}, ${((i + n) & 15) * 16})`;
  const s0 = xor4(ror4("x", 7), ror4("x", 18), "i32x4.shr_u(x, 3)");
  const s1 = xor4(ror4("y", 17), ror4("y", 19), "i32x4.shr_u(y, 10)");
  return [
    `x = ${w(1)}; y = ${w(14)};`,
    `w = i32x4.add(${add4(w(0), s0)}, ${add4(w(9), s1)});`,
    `v128.store(${LAYOUT.schedule}, w, ${i * 16});`,
    round4(i, `i32x4.add(w, v128.load(k, ${i * 16}))`),
  ].join(" ");
}

/** What the functions here need. */
export const HELPERS = `
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
export function blocks4(): string {
  const { schedule, constants, lanes } = LAYOUT;
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
export function blocks1(): string {
  const { state } = LAYOUT;
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

/** Compresses a block of padding behind messages of one size in the lanes, whose schedule needs no work as it is known. */
export function padding4(): string {
  return `
function padding4(table: usize): void {
  let ${NAMES.map((x, i) => `${x} = v128.load(${LAYOUT.lanes}, ${16 * i})`).join(", ")};
  let bc = v128.xor(b, c), t: v128, ab: v128;
  for (let k = table; k < table + 1024; k += 256) {
    ${sixteen((i) => round4(i, `v128.load(k, ${i * 16})`))}
  }
  ${
    each((x, i) =>
      `v128.store(${LAYOUT.lanes}, i32x4.add(${x}, v128.load(${LAYOUT.lanes}, ${16 * i})), ${16 * i});`
    )
  }
}`;
}
