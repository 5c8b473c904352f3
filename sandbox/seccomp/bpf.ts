/**
 * Classic BPF as far as filters of system calls need it: the instructions, a graph of decisions, and its layout as a
 * program.
 *
 * Jumps go forward only and a conditional one at most 255 instructions far, so a program is laid out from its end:
 * every target is in place before what jumps there. Equal nodes are one node, which is how the many rules that end in
 * the same action share their code.
 *
 * @module
 */

/** Size of a `struct sock_filter`: u16 code, u8 jt, u8 jf, u32 k. */
export const INSTRUCTION_BYTES = 8;
/** The kernel's limit on the instructions of one program (BPF_MAXINSNS). */
export const MAX_INSTRUCTIONS = 4096;

/** Codes of the instructions used: class, size, mode and operation together (linux/bpf_common.h). */
export const BPF = {
  /** A = the 32-bit word at k of the call's data. */
  LOAD: 0x20,
  /** A &= k. */
  AND: 0x54,
  /** Go k further. */
  JUMP: 0x05,
  /** Go jt further if A == k, else jf. */
  IF_EQUAL: 0x15,
  /** Go jt further if A >= k, unsigned, else jf. */
  IF_AT_LEAST: 0x35,
  /** The filter's answer is k. */
  RETURN: 0x06,
} as const;

/** Where in `struct seccomp_data` the words are; the lower half of an argument comes first on both architectures. */
export const DATA = { number: 0, arch: 4, args: 16, argBytes: 8, bytes: 64 } as const;

/** A decision that is the same object when it is the same decision. */
export type Node =
  | { readonly kind: "return"; readonly value: number }
  | { readonly kind: "load"; readonly offset: number; readonly mask: number; readonly then: Node }
  | { readonly kind: "equal" | "atLeast"; readonly k: number; readonly yes: Node; readonly no: Node };

/** Makes nodes, equal ones only once. */
export class Graph {
  readonly #nodes = new Map<string, Node>();
  readonly #ids = new Map<Node, number>();

  #intern(key: string, node: Node): Node {
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    this.#nodes.set(key, node);
    this.#ids.set(node, this.#ids.size);
    return node;
  }

  /** Ends with an answer. */
  answer(value: number): Node {
    return this.#intern(`return ${value}`, { kind: "return", value });
  }

  /** Loads a word, keeps the bits of `mask`, goes on. */
  load(offset: number, then: Node, mask = 0xffffffff): Node {
    return this.#intern(`load ${offset} ${mask} ${this.#ids.get(then)}`, {
      kind: "load",
      offset,
      mask,
      then,
    });
  }

  #test(kind: "equal" | "atLeast", k: number, yes: Node, no: Node): Node {
    if (yes === no) return yes;
    return this.#intern(`${kind} ${k} ${this.#ids.get(yes)} ${this.#ids.get(no)}`, { kind, k, yes, no });
  }

  /** Goes on by whether the loaded word is `k`. */
  equal(k: number, yes: Node, no: Node): Node {
    return this.#test("equal", k, yes, no);
  }

  /**
   * Goes on by the loaded word: with the node of the number it is, or else with `otherwise`. Numbers are gathered into
   * stretches that have one outcome but for a few single numbers, and a balanced tree finds the stretch: hundreds of
   * numbers take about ten comparisons, and the program stays short, which is what loading it costs.
   */
  select(outcomes: ReadonlyMap<number, Node>, otherwise: Node): Node {
    const runs: Run[] = [{ start: 0, size: 0, node: otherwise }];
    const put = (start: number, node: Node) => {
      let last = runs[runs.length - 1];
      last.size = start - last.start;
      if (last.size === 0) runs.pop();
      last = runs[runs.length - 1];
      if (last?.node !== node) runs.push({ start, size: 0, node });
    };
    for (const [number, node] of [...outcomes].sort(([a], [b]) => a - b)) {
      put(number, node);
      if (number < LAST_NUMBER) put(number + 1, otherwise);
    }
    const last = runs[runs.length - 1];
    last.size = LAST_NUMBER + 1 - last.start;
    const stretches = stretchesOf(runs);
    return this.#tree(stretches, 0, stretches.length);
  }

  #tree(stretches: readonly Stretch[], from: number, to: number): Node {
    if (to - from === 1) {
      const { base, exceptions } = stretches[from];
      return exceptions.reduceRight((next, { start, node }) => this.equal(start, node, next), base);
    }
    const middle = (from + to) >> 1;
    const [low, high] = [this.#tree(stretches, from, middle), this.#tree(stretches, middle, to)];
    return this.#test("atLeast", stretches[middle].start, high, low);
  }
}

const LAST_NUMBER = 0xffffffff;
/** How many single numbers a stretch may have: as many comparisons as halving it would take. */
const MAX_EXCEPTIONS = 3;

/** Numbers that follow each other and have the same outcome. */
interface Run {
  readonly start: number;
  size: number;
  readonly node: Node;
}

/** Runs that follow each other, all with the outcome `base` but for single numbers. */
interface Stretch {
  readonly start: number;
  readonly base: Node;
  readonly exceptions: readonly Run[];
}

/** The runs as one stretch, or undefined if they are none. */
function asStretch(runs: readonly Run[]): Stretch | undefined {
  const bases = new Set(runs.map(({ node }) => node));
  let best: Stretch | undefined;
  for (const base of bases) {
    const exceptions = runs.filter(({ node }) => node !== base);
    if (exceptions.length > MAX_EXCEPTIONS || exceptions.some(({ size }) => size !== 1)) continue;
    if (best === undefined || exceptions.length < best.exceptions.length) {
      best = { start: runs[0].start, base, exceptions };
    }
  }
  return best;
}

/** The runs as stretches that take the fewest instructions: one for each exception, and one between two stretches. */
function stretchesOf(runs: readonly Run[]): readonly Stretch[] {
  interface Plan {
    readonly cost: number;
    readonly stretch?: Stretch;
    readonly next: number;
  }
  const plans: Plan[] = new Array<Plan>(runs.length + 1).fill({ cost: -1, next: 0 });
  for (let from = runs.length - 1; from >= 0; from--) {
    let best: Plan = { cost: Infinity, next: 0 };
    for (let to = from + 1; to <= Math.min(runs.length, from + 2 * MAX_EXCEPTIONS + 1); to++) {
      const stretch = asStretch(runs.slice(from, to));
      if (stretch === undefined) continue;
      const cost = stretch.exceptions.length + 1 + plans[to].cost;
      if (cost < best.cost) best = { cost, stretch, next: to };
    }
    plans[from] = best;
  }
  const stretches: Stretch[] = [];
  for (let at = 0; at < runs.length;) {
    const { stretch, next } = plans[at];
    if (stretch === undefined) throw new Error(`No stretch starts at ${runs[at].start}`);
    stretches.push(stretch);
    at = next;
  }
  return stretches;
}

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** Lays the program out, from its end. */
class Layout {
  /** The last instruction first. */
  readonly code: Instruction[] = [];
  readonly #places = new Map<Node, number>();

  #push(code: number, k: number, jt = 0, jf = 0): number {
    this.code.push({ code, jt, jf, k });
    return this.code.length - 1;
  }

  /** How far it is to `place` from an instruction that comes `ahead` instructions before what is there. */
  #distance(place: number, ahead = 0): number {
    return this.code.length + ahead - place - 1;
  }

  /** Puts a node's code somewhere, unless it is there already. */
  place(node: Node): number {
    const known = this.#places.get(node);
    if (known !== undefined) return known;
    const place = this.#placeNew(node);
    this.#places.set(node, place);
    return place;
  }

  #placeNew(node: Node): number {
    if (node.kind === "return") return this.#push(BPF.RETURN, node.value);
    if (node.kind === "load") {
      const then = this.place(node.then);
      if (this.#distance(then) > 0) this.#push(BPF.JUMP, this.#distance(then));
      if (node.mask !== 0xffffffff) this.#push(BPF.AND, node.mask);
      return this.#push(BPF.LOAD, node.offset);
    }
    this.place(node.yes);
    this.place(node.no);
    // Bringing one nearer moves the other away by one instruction.
    const yes = this.#near(node.yes, 1);
    const no = this.#near(node.no, 0);
    const code = node.kind === "equal" ? BPF.IF_EQUAL : BPF.IF_AT_LEAST;
    return this.#push(code, node.k, this.#distance(yes), this.#distance(no));
  }

  /** A place with the node's code or a way to it that a conditional jump reaches. */
  #near(node: Node, ahead: number): number {
    const place = this.place(node);
    if (this.#distance(place, ahead) <= 255) return place;
    const near = node.kind === "return"
      ? this.#push(BPF.RETURN, node.value)
      : this.#push(BPF.JUMP, this.#distance(place));
    // Later jumps take the nearer one too.
    this.#places.set(node, near);
    return near;
  }
}

/**
 * The program that decides as `root` does.
 *
 * @throws {RangeError} when it has more instructions than the kernel takes.
 */
export function assemble(root: Node): Uint8Array<ArrayBuffer> {
  const layout = new Layout();
  layout.place(root);
  const { code } = layout;
  if (code.length > MAX_INSTRUCTIONS) {
    throw new RangeError(
      `A filter of ${code.length} instructions is longer than the ${MAX_INSTRUCTIONS} allowed`,
    );
  }
  const program = new Uint8Array(code.length * INSTRUCTION_BYTES);
  const view = new DataView(program.buffer);
  code.reverse().forEach((instruction, index) => {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, instruction.code, true);
    view.setUint8(at + 2, instruction.jt);
    view.setUint8(at + 3, instruction.jf);
    view.setUint32(at + 4, instruction.k, true);
  });
  return program;
}
