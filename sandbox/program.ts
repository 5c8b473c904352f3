/**
 * Programs of system calls: a table of operations with labels for control flow, a data segment, and parameters that
 * are filled in for each run. A program is data: it can be listed, compared and tested without being run.
 *
 * A program is built once and turned into a {@linkcode Program} with its image laid out; each run copies that image
 * and patches the parameters in, which is why starting one is cheap.
 *
 * @module
 */

import { BrokkrError, Code, invalidArgument } from "@brokkr/common";
import type { Arch, SyscallName } from "./arch.ts";
import { CODE_OFFSET, DATA_ADDRESS, DATA_OFFSET, setDataSegmentBytes, setUint64, writeElf } from "./elf.ts";
import { FAULT_BYTES, interpreterCode, NEVER_EQUAL, OP, OP_BYTES } from "./interpreter.ts";

/** A number with the name a listing shows for it. */
export interface Named {
  readonly kind: "named";
  /** The value passed. */
  readonly value: number;
  /** What a listing shows. */
  readonly text: string;
}

/** The address of something in the program's data segment. */
export interface DataRef {
  readonly kind: "data";
  /** Offset within the data that follows the table. */
  readonly offset: number;
  /** What a listing shows. */
  readonly text: string;
}

/** A value filled in for each run: a number, or the address of a string, a list of strings, or bytes. */
export interface Parameter {
  readonly kind: "parameter";
  /** Its name, without the `$` of listings. */
  readonly name: string;
}

/** An argument of a system call. */
export type Operand = number | Named | DataRef | Parameter;

/** A field of another operation, as the target of a store: this is how a result becomes a later argument. */
export interface FieldRef {
  readonly kind: "field";
  /** Label of the operation. */
  readonly label: string;
  /** Which argument, or the value it compares its result with. */
  readonly field: 0 | 1 | 2 | 3 | 4 | 5 | "equals";
}

/** What an operation does beside its call. Labels name operations; `"next"` is the one that follows. */
export interface OpOptions {
  /** What error messages call it; the call's name by default. `$parameter` is replaced by the value. */
  readonly name?: string;
  /** Where to go when the call fails; the builder's current handler by default. */
  readonly onError?: string;
  /** Where to go when the result is exactly this. Checked before errors, so it can pick one error out. */
  readonly onEqual?: { readonly value: number; readonly goto: string };
  /** Where to go otherwise; the following operation by default. */
  readonly next?: string;
  /** Where to keep the result as 64 bits. */
  readonly store?: Named | DataRef | FieldRef;
}

/** One operation. */
export interface Op extends Required<Pick<OpOptions, "name" | "onError" | "next">> {
  /** The call, by name or by number. */
  readonly syscall: SyscallName | number;
  readonly args: readonly Operand[];
  readonly onEqual?: OpOptions["onEqual"];
  readonly store?: OpOptions["store"];
  /** Which process runs it. */
  readonly role: string;
}

/** A value for a {@linkcode Parameter}. */
export type ParameterValue = number | string | readonly string[] | Uint8Array;

/** A number shown by name. */
export function named(value: number, text: string): Named {
  return { kind: "named", value, text };
}

/** A parameter. */
export function param(name: string): Parameter {
  return { kind: "parameter", name };
}

/** The argument or comparison value of the operation at `label`. */
export function fieldOf(label: string, field: FieldRef["field"]): FieldRef {
  return { kind: "field", label, field };
}

/** Most bytes the parameters of one run may take: more than the kernel lets an execve have. */
export const MAX_PARAMETER_BYTES = 32 * 1024 * 1024;

const ARG_COUNT = 6;
const TABLE_OFFSET = FAULT_BYTES;
const encoder = new TextEncoder();

/** Where the fault record is, for the operations that report it. */
export const FAULT = named(DATA_ADDRESS, "fault");

/** Collects operations and data, then lays them out. */
export class ProgramBuilder {
  readonly #arch: Arch;
  readonly #ops: Op[] = [];
  readonly #labels = new Map<string, number>();
  readonly #data: number[] = [];
  readonly #words: Word[] = [];
  readonly #externals = new Map<string, number>();
  /** Which process the following operations run in, for messages. */
  role = "main";
  /** Label of the handler of errors for the operations that name none. */
  errorHandler = "failed";

  /** A program for `arch`. */
  constructor(arch: Arch) {
    this.#arch = arch;
  }

  /** Names the next operation. */
  label(name: string): void {
    if (name === "next" || this.#labels.has(name)) throw new Error(`Label ${name} is taken`);
    this.#labels.set(name, this.#ops.length);
  }

  /** Adds an operation: a call by name, or by number where a program is about calls that wrappers have no use for. */
  call(syscall: SyscallName | number, args: readonly Operand[], options: OpOptions = {}): void {
    if (args.length > ARG_COUNT) throw new Error(`${syscall} has ${args.length} arguments`);
    this.#ops.push({
      syscall,
      args,
      name: options.name ?? String(syscall),
      onError: options.onError ?? this.errorHandler,
      next: options.next ?? "next",
      onEqual: options.onEqual,
      store: options.store,
      role: this.role,
    });
  }

  /** Adds bytes to the data segment, aligned to 8. */
  bytes(content: Uint8Array, text = `<${content.length} bytes>`): DataRef {
    while (this.#data.length % 8 !== 0) this.#data.push(0);
    const offset = this.#data.length;
    this.#data.push(...content);
    return { kind: "data", offset, text };
  }

  /** Adds a string and the NUL that ends it. */
  string(content: string): DataRef {
    return this.bytes(encoder.encode(content + "\0"), JSON.stringify(content));
  }

  /** Adds 64-bit words: numbers, addresses of what is in the data segment already, and parameters. */
  words(content: readonly (number | DataRef | Parameter)[], text: string): DataRef {
    const ref = this.bytes(new Uint8Array(content.length * 8), text);
    content.forEach((value, index) => this.#words.push({ at: ref.offset + index * 8, value }));
    return ref;
  }

  /** Adds room for a result. */
  room(sizeBytes: number, text: string): DataRef {
    return this.bytes(new Uint8Array(sizeBytes), text);
  }

  /** Names an operation of another program, which is in the same memory when this one runs. */
  external(name: string, address: number): void {
    if (this.#externals.has(name)) throw new Error(`External label ${name} is taken`);
    this.#externals.set(name, address);
  }

  /** Lays the program out as an executable. */
  build(): Program {
    return this.#program(EXECUTABLE);
  }

  /**
   * Lays the program out without headers and code, to be mapped at `address` by a program that runs already and goes on
   * at its first operation, {@linkcode firstOperation}. Faults are recorded where that program records its own.
   */
  buildMapped(address: number): Program {
    return this.#program({ fileStart: 0, address });
  }

  #program(place: Place): Program {
    const data = Uint8Array.from(this.#data);
    return new Program(this.#arch, this.#ops, this.#labels, data, this.#words, place, this.#externals);
  }
}

/** Where a program's data, which begins with its table, is in its file and in memory. */
interface Place {
  readonly fileStart: number;
  readonly address: number;
}

/** A 64-bit word of the data segment. */
interface Word {
  readonly at: number;
  readonly value: number | DataRef | Parameter;
}

const EXECUTABLE: Place = { fileStart: DATA_OFFSET, address: DATA_ADDRESS };

/** Address of the first operation of a program whose data is mapped at `address`. */
export function firstOperation(address: number): number {
  return address + TABLE_OFFSET;
}

interface Patch {
  /** Offset in the image. */
  readonly at: number;
  readonly name: string;
}

/** A program laid out; see {@linkcode ProgramBuilder}. */
export class Program {
  /** What it was built for. */
  readonly arch: Arch;
  /** The operations, in order. */
  readonly ops: readonly Op[];
  /** Index of the operation each label names. */
  readonly labels: ReadonlyMap<string, number>;
  readonly #template: Uint8Array<ArrayBuffer>;
  readonly #patches: readonly Patch[];
  readonly #place: Place;
  readonly #externals: ReadonlyMap<string, number>;

  /** Lays out; use {@linkcode ProgramBuilder.build} or {@linkcode ProgramBuilder.buildMapped}. */
  constructor(
    arch: Arch,
    ops: readonly Op[],
    labels: ReadonlyMap<string, number>,
    data: Uint8Array,
    words: readonly Word[],
    place: Place,
    externals: ReadonlyMap<string, number>,
  ) {
    this.arch = arch;
    this.ops = ops;
    this.labels = labels;
    this.#place = place;
    this.#externals = externals;
    const dataAt = TABLE_OFFSET + ops.length * OP_BYTES;
    const template = new Uint8Array(place.fileStart + dataAt + data.length);
    if (place === EXECUTABLE) {
      writeElf(template, arch, interpreterCode(arch, firstOperation(DATA_ADDRESS), DATA_ADDRESS));
    }
    template.set(data, place.fileStart + dataAt);
    this.#template = template;
    const view = new DataView(template.buffer);
    this.#patches = [...this.#layOut(view, dataAt), ...this.#putWords(view, dataAt, words)];
  }

  /** Offset in the image of something in the data segment. */
  fileOffset(ref: DataRef): number {
    return this.#place.fileStart + TABLE_OFFSET + this.ops.length * OP_BYTES + ref.offset;
  }

  /** The machine code alone; none if it is to be mapped. */
  get code(): Uint8Array {
    return this.#place === EXECUTABLE ? this.#template.subarray(CODE_OFFSET, DATA_OFFSET) : new Uint8Array();
  }

  /** The operation at an address of the fault record, or undefined. */
  opAt(address: number): Op | undefined {
    const offset = address - firstOperation(this.#place.address);
    return offset % OP_BYTES === 0 ? this.ops[offset / OP_BYTES] : undefined;
  }

  #address(label: string, index: number): number {
    const external = this.#externals.get(label);
    if (external !== undefined) return external;
    const target = label === "next" ? index + 1 : this.labels.get(label);
    if (target === undefined || target >= this.ops.length) {
      throw new Error(`Operation ${index} (${this.ops[index].name}) goes to ${label}, which is not there`);
    }
    return firstOperation(this.#place.address) + target * OP_BYTES;
  }

  #storeAddress(store: NonNullable<Op["store"]>, index: number, dataAt: number): number {
    if (store.kind === "named") return store.value;
    if (store.kind === "data") return this.#place.address + dataAt + store.offset;
    const field = store.field === "equals" ? OP.equals : OP.args + store.field * 8;
    return this.#address(store.label, index) + field;
  }

  #putWords(view: DataView, dataAt: number, words: readonly Word[]): Patch[] {
    const patches: Patch[] = [];
    for (const { at, value } of words) {
      const wordAt = this.#place.fileStart + dataAt + at;
      if (typeof value === "number") setInt64(view, wordAt, value);
      else if (value.kind === "data") setUint64(view, wordAt, this.#place.address + dataAt + value.offset);
      else patches.push({ at: wordAt, name: value.name });
    }
    return patches;
  }

  #layOut(view: DataView, dataAt: number): readonly Patch[] {
    const patches: Patch[] = [];
    this.ops.forEach((op, index) => {
      const at = this.#place.fileStart + TABLE_OFFSET + index * OP_BYTES;
      const number = typeof op.syscall === "number" ? op.syscall : this.arch.syscalls[op.syscall];
      setUint64(view, at + OP.number, number);
      op.args.forEach((arg, position) => {
        const argAt = at + OP.args + position * 8;
        if (typeof arg === "number") setInt64(view, argAt, arg);
        else if (arg.kind === "named") setInt64(view, argAt, arg.value);
        else if (arg.kind === "data") setUint64(view, argAt, this.#place.address + dataAt + arg.offset);
        else patches.push({ at: argAt, name: arg.name });
      });
      // A terminal operation (exit_group) goes back to itself: there is no way to run off the end of the table.
      const terminal = op.syscall === "exit_group";
      const self = firstOperation(this.#place.address) + index * OP_BYTES;
      setUint64(view, at + OP.onError, terminal ? self : this.#address(op.onError, index));
      setUint64(view, at + OP.next, terminal ? self : this.#address(op.next, index));
      if (op.onEqual === undefined) {
        view.setUint32(at + OP.equals, NEVER_EQUAL.low, true);
        view.setUint32(at + OP.equals + 4, NEVER_EQUAL.high, true);
      } else {
        setInt64(view, at + OP.equals, op.onEqual.value);
        setUint64(view, at + OP.onEqual, this.#address(op.onEqual.goto, index));
      }
      if (op.store !== undefined) setUint64(view, at + OP.store, this.#storeAddress(op.store, index, dataAt));
    });
    return patches;
  }

  /**
   * The image with `values` for the parameters.
   *
   * @throws {BrokkrError} INVALID_ARGUMENT when they take more than {@linkcode MAX_PARAMETER_BYTES}.
   */
  image(values: Readonly<Record<string, ParameterValue>>): Uint8Array<ArrayBuffer> {
    const start = this.#template.length;
    const most = maxBytes(values);
    const image = new Uint8Array(start + most);
    image.set(this.#template);
    const view = new DataView(image.buffer);
    const toAddress = this.#place.address - this.#place.fileStart;
    const writer = new ParameterWriter(image, view, (start + 7) & ~7, toAddress);
    const resolved = new Map<string, number>();
    for (const { at, name } of this.#patches) {
      let value = resolved.get(name);
      if (value === undefined) {
        const given = values[name];
        if (given === undefined) throw new BrokkrError(Code.INTERNAL, `Parameter $${name} has no value`);
        value = writer.write(given);
        resolved.set(name, value);
      }
      setInt64(view, at, value);
    }
    if (this.#place === EXECUTABLE) setDataSegmentBytes(view, writer.end - DATA_OFFSET);
    return image.subarray(0, writer.end);
  }
}

/** Writes a signed 64-bit number of magnitude below 2^53. */
function setInt64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setInt32(offset + 4, Math.floor(value / 0x100000000), true);
}

function maxBytes(values: Readonly<Record<string, ParameterValue>>): number {
  let total = 8;
  for (const value of Object.values(values)) {
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    if (typeof value === "number") continue;
    if (typeof value === "string") total += value.length * 3 + 16;
    else if (value instanceof Uint8Array) total += value.length + 16;
    else for (const item of value) total += item.length * 3 + 16;
    total += 16;
  }
  if (total > MAX_PARAMETER_BYTES) {
    throw invalidArgument(
      "argv",
      `Arguments and environment take up to ${total} bytes, more than the ${MAX_PARAMETER_BYTES} allowed`,
    );
  }
  return total;
}

/** Appends parameter values behind the template and gives their addresses. */
class ParameterWriter {
  readonly #image: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  /** What turns an offset in the image into its address. */
  readonly #toAddress: number;
  /** Where the next value goes. */
  end: number;

  constructor(image: Uint8Array<ArrayBuffer>, view: DataView, start: number, toAddress: number) {
    this.#image = image;
    this.#view = view;
    this.end = start;
    this.#toAddress = toAddress;
  }

  write(value: ParameterValue): number {
    if (typeof value === "number") return value;
    if (typeof value === "string") return this.#string(value);
    if (value instanceof Uint8Array) {
      this.end = (this.end + 7) & ~7;
      const at = this.end;
      this.#image.set(value, at);
      this.end += value.length;
      return at + this.#toAddress;
    }
    const strings = value.map((item) => this.#string(item));
    this.end = (this.end + 7) & ~7;
    const at = this.end;
    for (const pointer of strings) {
      setUint64(this.#view, this.end, pointer);
      this.end += 8;
    }
    this.end += 8; // the null pointer that ends the list
    return at + this.#toAddress;
  }

  #string(value: string): number {
    const at = this.end;
    this.end += encoder.encodeInto(value, this.#image.subarray(at)).written + 1;
    return at + this.#toAddress;
  }
}
