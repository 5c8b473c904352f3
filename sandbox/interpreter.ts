/**
 * The interpreter of system call programs: a loop of a hundred bytes that walks a table of operations.
 *
 * An operation is {@linkcode OP_BYTES} bytes: the call's number and six arguments go to registers, the kernel is
 * called, the result is kept in the operation and, if it says so, stored elsewhere. Then the next operation is the
 * one named for this outcome: equal to a given value, an error (-4095..-1), or anything else. An error also leaves
 * the operation's address and the result in the fault record, from where the program can report it.
 *
 * @module
 */

import type { Arch } from "./arch.ts";

/** Size of one operation. */
export const OP_BYTES = 104;

/** Where an operation's fields are. */
export const OP = {
  number: 0,
  args: 8,
  result: 56,
  onError: 64,
  equals: 72,
  onEqual: 80,
  store: 88,
  next: 96,
} as const;

/** A comparison value that no system call returns. */
export const NEVER_EQUAL = { low: 0, high: 0x80000000 } as const;

/** Size of the fault record: the failing operation's address, then its result. */
export const FAULT_BYTES = 16;

type Line = readonly [bytes: readonly number[], assembly: string];

/** x86_64, where `table` and `fault` are addresses below 4 GiB. */
function x86_64(table: number, fault: number): readonly Line[] {
  const le = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
  return [
    [[0xbb, ...le(table)], "      mov ebx, table"],
    [[0xbd, ...le(fault)], "      mov ebp, fault"],
    [[0x48, 0x8b, 0x03], "loop: mov rax, [rbx]"],
    [[0x48, 0x8b, 0x7b, 0x08], "      mov rdi, [rbx+8]"],
    [[0x48, 0x8b, 0x73, 0x10], "      mov rsi, [rbx+16]"],
    [[0x48, 0x8b, 0x53, 0x18], "      mov rdx, [rbx+24]"],
    [[0x4c, 0x8b, 0x53, 0x20], "      mov r10, [rbx+32]"],
    [[0x4c, 0x8b, 0x43, 0x28], "      mov r8, [rbx+40]"],
    [[0x4c, 0x8b, 0x4b, 0x30], "      mov r9, [rbx+48]"],
    [[0x0f, 0x05], "      syscall"],
    [[0x48, 0x89, 0x43, 0x38], "      mov [rbx+56], rax"],
    [[0x48, 0x8b, 0x4b, 0x58], "      mov rcx, [rbx+88]"],
    [[0x48, 0x85, 0xc9], "      test rcx, rcx"],
    [[0x74, 0x03], "      jz cmp"],
    [[0x48, 0x89, 0x01], "      mov [rcx], rax"],
    [[0x48, 0x3b, 0x43, 0x48], "cmp:  cmp rax, [rbx+72]"],
    [[0x75, 0x06], "      jne err"],
    [[0x48, 0x8b, 0x5b, 0x50], "      mov rbx, [rbx+80]"],
    [[0xeb, 0xc7], "      jmp loop"],
    [[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff], "err:  cmp rax, -4095"],
    [[0x72, 0x0e], "      jb next"],
    [[0x48, 0x89, 0x5d, 0x00], "      mov [rbp+0], rbx"],
    [[0x48, 0x89, 0x45, 0x08], "      mov [rbp+8], rax"],
    [[0x48, 0x8b, 0x5b, 0x40], "      mov rbx, [rbx+64]"],
    [[0xeb, 0xb1], "      jmp loop"],
    [[0x48, 0x8b, 0x5b, 0x60], "next: mov rbx, [rbx+96]"],
    [[0xeb, 0xab], "      jmp loop"],
  ];
}

/** aarch64, one little-endian word a line; both addresses below 4 GiB. */
function aarch64(table: number, fault: number): readonly Line[] {
  const word = (value: number): number[] => [
    value & 0xff,
    (value >>> 8) & 0xff,
    (value >>> 16) & 0xff,
    (value >>> 24) & 0xff,
  ];
  const movz = (register: number, value: number) =>
    word((0xd2800000 | ((value & 0xffff) << 5) | register) >>> 0);
  const movk16 = (register: number, value: number) =>
    word((0xf2a00000 | ((value >>> 16) << 5) | register) >>> 0);
  return [
    [movz(19, table), "      mov x19, table & 0xffff"],
    [movk16(19, table), "      movk x19, table >> 16, lsl #16"],
    [movz(20, fault), "      mov x20, fault & 0xffff"],
    [movk16(20, fault), "      movk x20, fault >> 16, lsl #16"],
    [word(0xa9400268), "loop: ldp x8, x0, [x19]"],
    [word(0xa9410a61), "      ldp x1, x2, [x19, #16]"],
    [word(0xa9421263), "      ldp x3, x4, [x19, #32]"],
    [word(0xf9401a65), "      ldr x5, [x19, #48]"],
    [word(0xd4000001), "      svc #0"],
    [word(0xf9001e60), "      str x0, [x19, #56]"],
    [word(0xf9402e69), "      ldr x9, [x19, #88]"],
    [word(0xb4000049), "      cbz x9, cmp"],
    [word(0xf9000120), "      str x0, [x9]"],
    [word(0xf9402669), "cmp:  ldr x9, [x19, #72]"],
    [word(0xeb09001f), "      cmp x0, x9"],
    [word(0x54000061), "      b.ne err"],
    [word(0xf9402a73), "      ldr x19, [x19, #80]"],
    [word(0x17fffff3), "      b loop"],
    [word(0xb13ffc1f), "err:  cmn x0, #4095"],
    [word(0x54000083), "      b.lo next"],
    [word(0xa9000293), "      stp x19, x0, [x20]"],
    [word(0xf9402273), "      ldr x19, [x19, #64]"],
    [word(0x17ffffee), "      b loop"],
    [word(0xf9403273), "next: ldr x19, [x19, #96]"],
    [word(0x17ffffec), "      b loop"],
  ];
}

function lines(arch: Arch, table: number, fault: number): readonly Line[] {
  return arch.name === "x86_64" ? x86_64(table, fault) : aarch64(table, fault);
}

/** The interpreter's machine code: starts at the operation at `table`, keeps faults at `fault`. */
export function interpreterCode(arch: Arch, table: number, fault: number): Uint8Array {
  return Uint8Array.from(lines(arch, table, fault).flatMap(([bytes]) => bytes));
}

/** The interpreter as assembly beside its bytes, for review. */
export function interpreterListing(arch: Arch, table: number, fault: number): string {
  const hex = (bytes: readonly number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return lines(arch, table, fault).map(([bytes, text]) => `${hex(bytes).padEnd(20)} ${text}\n`).join("");
}
