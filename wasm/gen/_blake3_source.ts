/**
 * The source of the BLAKE3 kernels (https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf): the compression
 * function for one block in scalar code and for four blocks at once, each in a lane of the vectors; and above it the tree.
 *
 * @module
 */

import { CHUNK_BYTES, JOB_BYTES, LAYOUT, SKIPPED } from "../_blake3_layout.ts";
import type { Build } from "./_kernel.ts";

/** The initial chaining value (section 2.2), as signed words: that of SHA-256, fractions of square roots of primes. */
const IV = [
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
].map((word) => word | 0);
/** How the message words are permuted between two rounds (section 2.2, table 2). */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
const each = (n: number, f: (i: number) => string, separator = "\n  ") => range(n).map(f).join(separator);

/** Which message words the rounds use, in the order of use. */
function schedule(): number[][] {
  const rounds = [range(16)];
  while (rounds.length < 7) rounds.push(PERMUTATION.map((from) => (rounds.at(-1) ?? [])[from]));
  return rounds;
}

/** Instructions of one kind: on vectors or on words. */
interface Ops {
  add(a: string, b: string): string;
  xor(a: string, b: string): string;
  rotate(x: string, bits: 16 | 12 | 8 | 7): string;
  /** Message word `i`. */
  word(i: number): string;
}

/** The steps of the quarter round G (section 2.2). */
function quarter(ops: Ops, [a, b, c, d]: readonly string[], x: number, y: number): string[] {
  const half = (m: number, first: 16 | 8, second: 12 | 7) => [
    `${a} = ${ops.add(ops.add(a, ops.word(m)), b)};`,
    `${d} = ${ops.rotate(ops.xor(d, a), first)};`,
    `${c} = ${ops.add(c, d)};`,
    `${b} = ${ops.rotate(ops.xor(b, c), second)};`,
  ];
  return [...half(x, 16, 12), ...half(y, 8, 7)];
}

/**
 * The seven rounds over the variables v0 to v15. The quarter rounds follow one another: mixing the instructions of those that
 * are independent gained nothing, as processors look further ahead than a quarter round.
 */
function rounds(ops: Ops): string {
  const column = (i: number, shift: number) => range(4).map((row) => `v${4 * row + (i + shift * row) % 4}`);
  const half = (m: readonly number[], shift: number) =>
    range(4).flatMap((i) => quarter(ops, column(i, shift), m[2 * i], m[2 * i + 1]));
  return schedule().flatMap((m) => [...half(m.slice(0, 8), 0), ...half(m.slice(8), 1)]).join("\n  ");
}

const SHUFFLES = { 16: [2, 3, 0, 1], 8: [1, 2, 3, 0] } as const;

/** The 16 byte numbers of a rotation of four words. */
function shuffle(bits: 16 | 8): number[] {
  return range(16).map((i) => (i & 12) + SHUFFLES[bits][i & 3]);
}

function vectorOps(build: Build): Ops {
  return {
    add: (a, b) => `i32x4.add(${a}, ${b})`,
    xor: (a, b) => `v128.xor(${a}, ${b})`,
    rotate: (x, bits) => {
      if (bits === 12 || bits === 7) {
        return `v128.or(i32x4.shr_u(t = ${x}, ${bits}), i32x4.shl(t, ${32 - bits}))`;
      }
      if (build === "relaxed") return `i8x16.relaxed_swizzle(${x}, k${bits})`;
      return `i8x16.shuffle(t = ${x}, t, ${shuffle(bits).join(", ")})`;
    },
    word: (i) => `v128.load(${LAYOUT.words}, ${16 * i})`,
  };
}

const SCALAR: Ops = {
  add: (a, b) => `(${a} + ${b})`,
  xor: (a, b) => `(${a} ^ ${b})`,
  rotate: (x, bits) => `rotr<u32>(${x}, ${bits})`,
  word: (i) => `load<u32>(p, ${4 * i})`,
};

/** Compresses a block of four messages: `h0` to `h7` are the chaining values, `clo` to `flags` the rest of the state. */
function compress4(build: Build): string {
  const rest = ["clo", "chi", "bytes", "flags"];
  const start = (i: number) => i < 8 ? `h${i}` : i < 12 ? `i32x4.splat(${IV[i - 8]})` : rest[i - 12];
  return `let ${each(16, (i) => `v${i} = ${start(i)}`, ", ")};
  ${rounds(vectorOps(build))}
  ${each(8, (i) => `h${i} = v128.xor(v${i}, v${i + 8});`)}`;
}

/** Puts the rotations' masks into registers, where they are registers. */
function masks(build: Build): string {
  if (build !== "relaxed") return "let t: v128;";
  return `let t: v128; const k16 = v128.load(${LAYOUT.masks}), k8 = v128.load(${LAYOUT.masks}, 16);`;
}

const startValues = `let ${each(8, (i) => `h${i} = i32x4.splat(${IV[i]})`, ", ")};`;

/** Takes the columns of a matrix of words whose rows are four vectors: `put` says what becomes of column `i`. */
function transpose(rows: readonly string[], put: (i: number, column: string) => string): string {
  const [a, b, c, d] = rows;
  return `x0 = v128.shuffle<i32>(${a}, ${b}, 0, 4, 1, 5); x1 = v128.shuffle<i32>(${c}, ${d}, 0, 4, 1, 5);
  x2 = v128.shuffle<i32>(${a}, ${b}, 2, 6, 3, 7); x3 = v128.shuffle<i32>(${c}, ${d}, 2, 6, 3, 7);
  ${put(0, "v128.shuffle<i64>(x0, x1, 0, 2)")} ${put(1, "v128.shuffle<i64>(x0, x1, 1, 3)")}
  ${put(2, "v128.shuffle<i64>(x2, x3, 0, 2)")} ${put(3, "v128.shuffle<i64>(x2, x3, 1, 3)")}`;
}

/** Writes the message words of the four blocks at `pointers`. */
function loadWords(pointers: readonly string[]): string {
  return each(4, (j) =>
    `r0 = v128.load(${pointers[0]}, ${16 * j}); r1 = v128.load(${pointers[1]}, ${16 * j});
  r2 = v128.load(${pointers[2]}, ${16 * j}); r3 = v128.load(${pointers[3]}, ${16 * j});
  ${
      transpose(
        ["r0", "r1", "r2", "r3"],
        (i, column) => `v128.store(${LAYOUT.words}, ${column}, ${64 * j + 16 * i});`,
      )
    }`);
}

const temporaries = "let r0: v128, r1: v128, r2: v128, r3: v128, x0: v128, x1: v128, x2: v128, x3: v128;";
/** The columns of h0 to h7 are the chaining values of the lanes: `y` has the first halves, `z` the second. */
const columns = `${transpose(["h0", "h1", "h2", "h3"], (i, column) => `const y${i} = ${column};`)}
  ${transpose(["h4", "h5", "h6", "h7"], (i, column) => `const z${i} = ${column};`)}`;
const storeColumn = (to: string, i: number) => `v128.store(${to}, y${i}); v128.store(${to}, z${i}, 16);`;

const HELPERS = `
/** Writes the constants that are read from memory. */
export function init(): void {
  const m: usize = ${LAYOUT.masks};
  v128.store(m, i8x16(${shuffle(16).join(", ")}));
  v128.store(m, i8x16(${shuffle(8).join(", ")}), 16);
  v128.store(m, i8x16.splat(-1), 32);
  v128.store(m, i8x16.splat(0), 48);
}

/** Copies the last bytes of a blob, at most 64, and zeros behind them. It reads a whole block. */
function pad(from: usize, bytes: u32, to: usize): void {
  ${
  each(4, (j) => {
    const left = `max<i32>(0, min<i32>(16, <i32>bytes - ${16 * j}))`;
    const mask = `v128.load(<usize>(${LAYOUT.masks + 48} - ${left}))`;
    return `v128.store(to, v128.and(v128.load(from, ${16 * j}), ${mask}), ${16 * j});`;
  })
}
}
`;

/** One chunk, or two chaining values that become one. */
function single(): string {
  const rest = ["clo", "chi", "bytes", "flags"];
  return `
export function single(p: usize, length: u32, counter: f64, first: u32, last: u32, to: usize): void {
  const clo = <u32><u64>counter, chi = <u32>(<u64>counter >> 32);
  let ${each(8, (i) => `h${i}: u32 = ${IV[i]}`, ", ")};
  let flags = first;
  while (true) {
    const bytes: u32 = min<u32>(length, 64);
    if (length <= 64) flags |= last;
    if (length < 64) { pad(p, length, ${LAYOUT.blocks}); p = ${LAYOUT.blocks}; }
    let ${each(16, (i) => `v${i}: u32 = ${i < 8 ? `h${i}` : i < 12 ? IV[i - 8] : rest[i - 12]}`, ", ")};
    ${rounds(SCALAR)}
    ${each(8, (i) => `h${i} = v${i} ^ v${i + 8};`)}
    if (length <= 64) break;
    length -= 64;
    p += 64;
    flags = 0;
  }
  ${each(8, (i) => `store<u32>(to, h${i}, ${4 * i});`)}
}
`;
}

/** Four blocks that lie one behind the other, each a message or a parent of its own. */
function blocks4(build: Build): string {
  const pointers = range(4).map((i) => i === 0 ? "p" : `p + ${64 * i}`);
  return `
function blocks4(p: usize, bytes: v128, flags: v128, to: usize): void {
  ${masks(build)} ${temporaries} ${startValues}
  const clo = i32x4.splat(0), chi = clo;
  ${loadWords(pointers)}
  ${compress4(build)}
  ${columns}
  ${each(4, (i) => `v128.store(to, y${i}, ${32 * i}); v128.store(to, z${i}, ${32 * i + 16});`)}
}
`;
}

/**
 * Works off the job table. A lane holds a job; every turn compresses a block in each lane, then the lanes whose job is over
 * take the next one. Lanes without a job compress what they happen to find and nobody reads it.
 */
function lanes(build: Build): string {
  const refill = (i: number) => `
      if (finished & ${1 << i}) {
        if (job < end) {
          p${i} = load<u32>(job); o${i} = load<u32>(job, 24);
          left = i32x4.replace_lane(left, ${i}, load<i32>(job, 4));
          clo = i32x4.replace_lane(clo, ${i}, load<i32>(job, 8));
          chi = i32x4.replace_lane(chi, ${i}, load<i32>(job, 12));
          first = i32x4.replace_lane(first, ${i}, load<i32>(job, 16));
          last = i32x4.replace_lane(last, ${i}, load<i32>(job, 20));
          job += ${JOB_BYTES};
          active++;
        } else {
          p${i} = 0;
          left = i32x4.replace_lane(left, ${i}, i32.MAX_VALUE);
        }
      }`;
  const padded = (i: number) => {
    const block = LAYOUT.blocks + 64 * i;
    return `const b${i} = i32x4.extract_lane(bytes, ${i}); if (b${i} < 64) { pad(p${i}, b${i}, ${block}); q${i} = ${block}; }`;
  };
  return `
function lanes(job: usize, count: u32): void {
  ${masks(build)} ${temporaries} ${startValues}
  let ${each(4, (i) => `p${i}: usize = 0, o${i}: usize = 0`, ", ")};
  let left = i32x4.splat(0), clo = left, chi = left, first = left, last = left;
  let finished: i32 = 15, active: i32 = 0;
  const end = job + <usize>count * ${JOB_BYTES}, whole = i32x4.splat(64);
  while (true) {
    if (finished) {
      ${each(4, refill)}
      if (active === 0) return;
    }
    const over = i32x4.le_s(left, whole), bytes = i32x4.min_s(left, whole);
    const flags = v128.or(first, v128.and(last, over));
    finished = i32x4.bitmask(over);
    let ${each(4, (i) => `q${i} = p${i}`, ", ")};
    if (v128.any_true(v128.xor(bytes, whole))) {
      ${each(4, padded)}
    }
    ${loadWords(["q0", "q1", "q2", "q3"])}
    ${each(4, (i) => `p${i} += 64;`, " ")}
    ${compress4(build)}
    left = i32x4.sub(left, whole);
    first = i32x4.splat(0);
    if (finished) {
      ${columns}
      ${each(4, (i) => `if (finished & ${1 << i}) { ${storeColumn(`o${i}`, i)} active--; }`)}
      ${each(8, (i) => `h${i} = v128.bitselect(i32x4.splat(${IV[i]}), h${i}, over);`)}
    }
  }
}
`;
}

const TREE = `
@inline function put(job: usize, p: usize, length: u32, counter: u64, first: u32, last: u32, to: usize): void {
  store<u32>(job, p); store<u32>(job, length, 4); store<u64>(job, counter, 8);
  store<u32>(job, first, 16); store<u32>(job, last, 20); store<u32>(job, to, 24);
}
@inline function copy(from: usize, to: usize): void {
  const a = v128.load(from), b = v128.load(from, 16);
  v128.store(to, a); v128.store(to, b, 16);
}

/**
 * The chaining value of the chunks of which \`counter\` is the first, a subtree at most, or with \`root\` the hash. The parents
 * are computed level by level: a value without a neighbour goes up as it is, which gives the tree of section 2.1.
 */
export function tree(p: usize, length: u32, counter: f64, root: u32, to: usize): void {
  if (length <= ${CHUNK_BYTES}) return single(p, length, counter, ${CHUNK_START}, ${CHUNK_END} | root, to);
  const values: usize = ${LAYOUT.values};
  let n = (length + ${CHUNK_BYTES - 1}) / ${CHUNK_BYTES}, job: usize = ${LAYOUT.jobs};
  for (let i: u32 = 0; i < n; i++, job += ${JOB_BYTES}) {
    const at = i * ${CHUNK_BYTES};
    put(job, p + at, min<u32>(${CHUNK_BYTES}, length - at), <u64>counter + i, ${CHUNK_START}, ${CHUNK_END}, values + i * 32);
  }
  lanes(${LAYOUT.jobs}, n);
  const bytes = i32x4.splat(64), flags = i32x4.splat(${PARENT});
  while (n > 2) {
    const pairs = n >> 1;
    let pair: u32 = 0;
    // The last four may include pairs that do not exist: their values are written where nothing is any more.
    for (; pair + 2 <= pairs; pair += 4) blocks4(values + pair * 64, bytes, flags, values + pair * 32);
    if (pair < pairs) single(values + pair * 64, 64, 0, ${PARENT}, 0, values + pair * 32);
    if (n & 1) copy(values + (n - 1) * 32, values + pairs * 32);
    n = (n + 1) >> 1;
  }
  single(values, 64, 0, ${PARENT}, root, to);
}
`;

const RUN = `
/** Hashes the blobs of a run none of which has more than 64 bytes. */
export function runTiny(blobs: u32): void {
  let p: usize = ${LAYOUT.run}, to: usize = ${LAYOUT.hashes};
  const whole = i32x4.splat(64), flags = i32x4.splat(${CHUNK_START | CHUNK_END | ROOT});
  for (let i: u32 = 0; i < blobs; i += 4) {
    const bytes = v128.load(${LAYOUT.lengths} + (i << 2));
    let from = p;
    if (v128.any_true(v128.xor(bytes, whole))) {
      from = ${LAYOUT.blocks};
      ${each(4, (i) => `pad(p + ${64 * i}, i32x4.extract_lane(bytes, ${i}), ${LAYOUT.blocks + 64 * i});`)}
    }
    blocks4(from, bytes, flags, to);
    p += 256;
    to += 128;
  }
}

/** Joins the chaining values of the larger blobs of a run, a level of all of them at a time. */
function join(end: usize): void {
  while (true) {
    let job: usize = ${LAYOUT.jobs};
    for (let blob: usize = ${LAYOUT.larger}; blob < end; blob += 16) {
      const values: usize = load<u32>(blob), n = load<u32>(blob, 4);
      for (let pair: u32 = 0; pair < n >> 1; pair++, job += ${JOB_BYTES}) {
        const to = n === 2 ? <usize>load<u32>(blob, 8) : values + pair * 32;
        put(job, values + pair * 64, 64, 0, ${PARENT}, n === 2 ? ${ROOT} : 0, to);
      }
    }
    if (job === ${LAYOUT.jobs}) return;
    lanes(${LAYOUT.jobs}, <u32>(job - ${LAYOUT.jobs}) / ${JOB_BYTES});
    for (let blob: usize = ${LAYOUT.larger}; blob < end; blob += 16) {
      const values: usize = load<u32>(blob), n = load<u32>(blob, 4);
      if (n > 1 && n & 1) copy(values + (n - 1) * 32, values + (n >> 1) * 32);
      store<u32>(blob, (n + 1) >> 1, 4);
    }
  }
}

/** Hashes the blobs of a run. */
export function run(blobs: u32): void {
  let job: usize = ${LAYOUT.jobs}, p: usize = ${LAYOUT.run}, values: usize = ${LAYOUT.runValues};
  let larger: usize = ${LAYOUT.larger}, to: usize = ${LAYOUT.hashes};
  const lengths: usize = ${LAYOUT.lengths};
  for (let i: u32 = 0; i < blobs; i++, to += 32) {
    const length = load<u32>(lengths + (i << 2));
    if (length === ${SKIPPED}) continue;
    if (length <= ${CHUNK_BYTES}) {
      put(job, p, length, 0, ${CHUNK_START}, ${CHUNK_END | ROOT}, to);
      job += ${JOB_BYTES};
    } else {
      const n = (length + ${CHUNK_BYTES - 1}) / ${CHUNK_BYTES};
      store<u32>(larger, values); store<u32>(larger, n, 4); store<u32>(larger, to, 8);
      larger += 16;
      for (let chunk: u32 = 0; chunk < n; chunk++, job += ${JOB_BYTES}, values += 32) {
        const at = chunk * ${CHUNK_BYTES};
        put(job, p + at, min<u32>(${CHUNK_BYTES}, length - at), chunk, ${CHUNK_START}, ${CHUNK_END}, values);
      }
    }
    p += (max<u32>(length, 1) + 63) & ~63;
  }
  lanes(${LAYOUT.jobs}, <u32>(job - ${LAYOUT.jobs}) / ${JOB_BYTES});
  if (larger > ${LAYOUT.larger}) join(larger);
}
`;

/** The source of a build of the kernel. */
export function blake3Source(build: Build): string {
  return HELPERS + single() + blocks4(build) + lanes(build) + TREE + RUN;
}
