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
   * Goes on by the loaded word: with the node of the number it is, or else with `otherwise`. A balanced tree over
   * ranges of numbers with the same outcome, so that hundreds of numbers take under ten comparisons.
   */
  select(outcomes: ReadonlyMap<number, Node>, otherwise: Node): Node {
    const ranges: { start: number; node: Node }[] = [{ start: 0, node: otherwise }];
    const put = (start: number, node: Node) => {
      const last = ranges[ranges.length - 1];
      if (last.start === start) ranges.pop();
      if (ranges[ranges.length - 1]?.node !== node) ranges.push({ start, node });
    };
    for (const [number, node] of [...outcomes].sort(([a], [b]) => a - b)) {
      put(number, node);
      if (number < 0xffffffff) put(number + 1, otherwise);
    }
    return this.#tree(ranges, 0, ranges.length);
  }

  #tree(ranges: readonly { start: number; node: Node }[], from: number, to: number): Node {
    if (to - from === 1) return ranges[from].node;
    // One number amid a range of others is one comparison, not two.
    if (to - from === 3 && ranges[from].node === ranges[from + 2].node) {
      const { start, node } = ranges[from + 1];
      if (ranges[from + 2].start === start + 1) return this.equal(start, node, ranges[from].node);
    }
    const middle = (from + to) >> 1;
    return this.#test(
      "atLeast",
      ranges[middle].start,
      this.#tree(ranges, middle, to),
      this.#tree(ranges, from, middle),
    );
  }
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
