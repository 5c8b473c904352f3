/**
 * The kernel's filter machine in TypeScript, for tests and for `explain`: it takes what the kernel takes and refuses
 * what the kernel refuses (`bpf_check_classic` and `seccomp_check_filter`), as far as this project's filters go.
 *
 * @module
 */

import { BPF, DATA, INSTRUCTION_BYTES, MAX_INSTRUCTIONS } from "./bpf.ts";
import type { Call } from "./policy.ts";

function checkAt(view: DataView, index: number, count: number): void {
  const at = index * INSTRUCTION_BYTES;
  const refuse = (what: string): never => {
    throw new RangeError(`Instruction ${index} of the filter ${what}`);
  };
  const code = view.getUint16(at, true);
  const k = view.getUint32(at + 4, true);
  switch (code) {
    case BPF.LOAD:
      if (k % 4 !== 0 || k >= DATA.bytes) refuse(`loads from ${k}`);
      return;
    case BPF.AND:
    case BPF.RETURN:
      return;
    case BPF.JUMP:
      if (index + 1 + k >= count) refuse(`jumps ${k} further, past the end`);
      return;
    case BPF.IF_EQUAL:
    case BPF.IF_AT_LEAST:
      if (index + 1 + Math.max(view.getUint8(at + 2), view.getUint8(at + 3)) >= count) {
        refuse("jumps past the end");
      }
      return;
    default:
      refuse(`has the unknown code 0x${code.toString(16)}`);
  }
}

/** A filter that has been found sound. */
export class FilterMachine {
  readonly #view: DataView;
  /** How many instructions it has. */
  readonly length: number;

  /**
   * Looks at every instruction.
   *
   * @throws {RangeError} when the kernel would refuse it.
   */
  constructor(program: Uint8Array) {
    this.length = program.length / INSTRUCTION_BYTES;
    if (!Number.isInteger(this.length) || this.length === 0 || this.length > MAX_INSTRUCTIONS) {
      throw new RangeError(`A filter has 1 to ${MAX_INSTRUCTIONS} whole instructions, not ${this.length}`);
    }
    this.#view = new DataView(program.buffer, program.byteOffset, program.byteLength);
    for (let index = 0; index < this.length; index++) checkAt(this.#view, index, this.length);
    if (this.#view.getUint16((this.length - 1) * INSTRUCTION_BYTES, true) !== BPF.RETURN) {
      throw new RangeError("The last instruction of the filter is no return");
    }
  }

  /** Its answer to a call, and how many instructions that took. */
  run(call: Call): { readonly answer: number; readonly steps: number } {
    const data = new DataView(new ArrayBuffer(DATA.bytes));
    data.setUint32(DATA.number, call.number, true);
    data.setUint32(DATA.arch, call.auditArch, true);
    call.args.forEach((arg, index) => data.setBigUint64(DATA.args + index * DATA.argBytes, arg, true));
    let accumulator = 0;
    for (let index = 0, steps = 1;; index++, steps++) {
      const at = index * INSTRUCTION_BYTES;
      const code = this.#view.getUint16(at, true);
      const k = this.#view.getUint32(at + 4, true);
      const branch = (holds: boolean) => this.#view.getUint8(at + (holds ? 2 : 3));
      if (code === BPF.RETURN) return { answer: k, steps };
      else if (code === BPF.LOAD) accumulator = data.getUint32(k, true);
      else if (code === BPF.AND) accumulator = (accumulator & k) >>> 0;
      else if (code === BPF.JUMP) index += k;
      else if (code === BPF.IF_EQUAL) index += branch(accumulator === k);
      else index += branch(accumulator >= k);
    }
  }
}
