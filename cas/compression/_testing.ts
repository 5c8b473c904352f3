/**
 * Data and frames for the tests of compression.
 *
 * @module
 */

import { noise } from "../services/_test_server.ts";

/** Bytes in pieces that end at `cuts`, which need no order. */
export function* cutAt(data: Uint8Array, cuts: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const to = Math.min(cut, data.length);
    if (to > from) yield data.slice(from, to);
    from = Math.max(from, to);
  }
  if (from < data.length) yield data.slice(from);
}

/** All of `parts` in one. */
export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** `length` bytes of the kind that blobs are: words that repeat, with numbers that do not. */
export function prose(length: number, seed = 1): Uint8Array {
  const words = "int main return static const struct void char include define anvil hammer".split(" ");
  const random = noise(Math.max(16, length >> 2), seed);
  let text = "";
  for (let i = 0; text.length < length; i++) {
    const value = random[i % random.length];
    text += value < 40 ? `${value * 7919 % 1013} ` : `${words[value % words.length]} `;
  }
  return new TextEncoder().encode(text.slice(0, length));
}

/** A frame made by hand; by default one with a window of 1 KiB, a raw block of nothing and no checksum. */
export function frame(
  options: { descriptor?: number; header?: readonly number[]; body?: readonly number[] } = {},
): Uint8Array {
  const { descriptor = 0, header = [0], body = [1, 0, 0] } = options;
  return Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...header, ...body]);
}

/** A skippable frame that holds `bytes`. */
export function skippable(bytes: number, kind = 0): Uint8Array {
  const made = new Uint8Array(8 + bytes).fill(7);
  new DataView(made.buffer).setUint32(0, 0x184d2a50 + kind, true);
  new DataView(made.buffer).setUint32(4, bytes, true);
  return made;
}

/** The header of a block. */
export function block(size: number, type: number, last: boolean): number[] {
  const value = size << 3 | type << 1 | (last ? 1 : 0);
  return [value & 255, value >> 8 & 255, value >> 16];
}

/** What the program `zstd` makes of `data`; undefined where it is not installed. */
export async function zstdCli(data: Uint8Array, ...args: string[]): Promise<Uint8Array | undefined> {
  return await piped("zstd", ["-q", "-c", ...args], data);
}

/** What `program` makes of `data`; undefined where it is not installed. */
export async function piped(
  program: string,
  args: readonly string[],
  data: Uint8Array,
): Promise<Uint8Array | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, { args: [...args], stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const [{ success, stdout }] = await Promise.all([
    child.output(),
    new Blob([new Uint8Array(data)]).stream().pipeTo(child.stdin),
  ]);
  if (!success) throw new Error(`${program} ${args.join(" ")} failed`);
  return stdout;
}
