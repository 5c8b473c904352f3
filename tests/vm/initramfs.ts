/**
 * The first file system of a machine: busybox, the modules and a script, as a cpio archive.
 *
 * Format: `newc`, of Documentation/driver-api/early-userspace/buffer-format.rst in Linux.
 *
 * @module
 */

const DIRECTORY = 0o040_755;
const PROGRAM = 0o100_755;
const LINK = 0o120_777;

/** One member: a directory without bytes, a program, or a link whose bytes are its target. */
interface Member {
  readonly name: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function encode(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const push = (bytes: Uint8Array) => {
    const part = new Uint8Array(padded(size + bytes.length) - size);
    part.set(bytes);
    parts.push(part);
    size += part.length;
  };
  for (const [i, { name, mode, bytes }] of [...members, trailer()].entries()) {
    // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum
    const fields = [i + 1, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
    const header = "070701" + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    push(new TextEncoder().encode(`${header}${name}\0`));
    push(bytes);
  }
  const archive = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    archive.set(part, at);
    at += part.length;
  }
  return archive;
}

function trailer(): Member {
  return { name: "TRAILER!!!", mode: 0, bytes: new Uint8Array() };
}

/** What goes into an {@linkcode initramfs}. */
export interface InitramfsContent {
  /** A busybox linked statically. */
  readonly busybox: Uint8Array;
  /** The script that is started, for busybox' sh. */
  readonly init: Uint8Array;
  /** Kernel modules by file name, in the order in which they are loaded. */
  readonly modules: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/**
 * Packs an initramfs.
 *
 * @example
 * ```ts
 * import { initramfs } from "./initramfs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const archive = initramfs({ busybox: new Uint8Array(5), init: new Uint8Array(6), modules: [] });
 * assertEquals(new TextDecoder().decode(archive.subarray(0, 6)), "070701");
 * assertEquals(archive.length % 4, 0);
 * ```
 */
export function initramfs(content: InitramfsContent): Uint8Array<ArrayBuffer> {
  const none = new Uint8Array();
  const target = new TextEncoder().encode("busybox");
  const applets = ["sh", "mount", "mkdir", "insmod", "ifconfig", "switch_root"];
  return encode([
    { name: "bin", mode: DIRECTORY, bytes: none },
    { name: "dev", mode: DIRECTORY, bytes: none },
    { name: "modules", mode: DIRECTORY, bytes: none },
    { name: "bin/busybox", mode: PROGRAM, bytes: content.busybox },
    ...applets.map((name) => ({ name: `bin/${name}`, mode: LINK, bytes: target })),
    ...content.modules.map(({ name, bytes }) => ({ name: `modules/${name}`, mode: PROGRAM, bytes })),
    { name: "init", mode: PROGRAM, bytes: content.init },
  ]);
}
