/**
 * Passing descriptors between processes over a socket (unix(7), SCM_RIGHTS).
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { check, EINTR, libc } from "./_libc.ts";
import { errnoOf } from "./errno.ts";
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from "./linux.ts";

const EAGAIN = errnoOf("EAGAIN");
const EPIPE = errnoOf("EPIPE");
/** The other side went before it had read everything; what it sent can still be read. */
const ECONNRESET = errnoOf("ECONNRESET");
/** Bytes of payload in a message: it tells whose the descriptors are. */
export const TOKEN_BYTES = 8;
/** Most descriptors of a message: the kernel's SCM_MAX_FD. */
const MAX_DESCRIPTORS = 253;
/** struct cmsghdr */
const CMSG_HEADER_BYTES = 16;
const CONTROL_BYTES = CMSG_HEADER_BYTES + MAX_DESCRIPTORS * 4 + 4;
/** struct msghdr */
const MSGHDR = { iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48, bytes: 56 } as const;

/**
 * Two connected sockets that keep messages apart (SOCK_SEQPACKET), close-on-exec.
 *
 * @param bufferBytes how much may be on its way in each direction, if the system allows it; a message takes 768 at least.
 */
export function socketPair(bufferBytes?: number): readonly [number, number] {
  const pair = new Int32Array(2);
  // SAFETY: the kernel writes two ints, and `pair` holds two.
  const result = libc().c.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, new Uint8Array(pair.buffer));
  check(result, "socketpair");
  if (bufferBytes !== undefined) { for (const fd of pair) growBuffer(fd, bufferBytes); }
  return [pair[0], pair[1]];
}

/** Asks for a larger buffer; how large it is then is for the system's limit to say, unless one is privileged. */
function growBuffer(fd: number, bytes: number): void {
  const value = new Uint8Array(new Int32Array([bytes]).buffer);
  const size = value.length;
  // SAFETY: the kernel reads an int, which `value` holds through the call.
  if (libc().c.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, size) === 0) return;
  // SAFETY: as above.
  check(libc().c.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, size), "setsockopt");
}

/** Sends and receives such messages; its buffers are kept, since a sandbox sends one for each action. */
export class DescriptorMessages {
  readonly #token = new Uint8Array(TOKEN_BYTES);
  readonly #control = new Uint8Array(CONTROL_BYTES);
  readonly #controlView = new DataView(this.#control.buffer);
  readonly #header = new Uint8Array(MSGHDR.bytes);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #iov = new BigUint64Array(2);

  /** Points the header at its buffers. */
  constructor() {
    // SAFETY: the four buffers live as long as this object, which every call goes through; array buffers do not move.
    const address = (buffer: ArrayBufferView<ArrayBuffer>) =>
      BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
    this.#iov[0] = address(this.#token);
    this.#iov[1] = BigInt(TOKEN_BYTES);
    this.#headerView.setBigUint64(MSGHDR.iov, address(this.#iov), true);
    this.#headerView.setBigUint64(MSGHDR.iovlen, 1n, true);
    this.#headerView.setBigUint64(MSGHDR.control, address(this.#control), true);
  }

  /**
   * Sends a token with descriptors; they stay open here. False when the other side is gone.
   *
   * @throws {BrokkrError} UNAVAILABLE when the other side does not take any more.
   */
  send(socket: number, token: bigint, fds: readonly number[]): boolean {
    if (fds.length > MAX_DESCRIPTORS) {
      throw new BrokkrError(Code.INTERNAL, `${fds.length} descriptors do not fit a message`);
    }
    new DataView(this.#token.buffer).setBigUint64(0, token, true);
    const length = CMSG_HEADER_BYTES + fds.length * 4;
    this.#controlView.setBigUint64(0, BigInt(length), true);
    this.#controlView.setInt32(8, SOL_SOCKET, true);
    this.#controlView.setInt32(12, SCM_RIGHTS, true);
    fds.forEach((fd, index) => this.#controlView.setInt32(CMSG_HEADER_BYTES + index * 4, fd, true));
    this.#headerView.setBigUint64(MSGHDR.controllen, BigInt(length), true);
    for (;;) {
      // SAFETY: the header and what it points at live as long as this object; the kernel reads them only.
      const sent = libc().c.sendmsg(socket, this.#header, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && libc().errno() === EINTR) continue;
      if (sent < 0 && libc().errno() === EAGAIN) {
        throw new BrokkrError(Code.UNAVAILABLE, "The process that starts actions is not keeping up");
      }
      if (sent < 0 && (libc().errno() === EPIPE || libc().errno() === ECONNRESET)) return false;
      check(sent, "sendmsg");
      return true;
    }
  }

  /** The next message that is there, or undefined. Its descriptors are the caller's, close-on-exec. */
  receive(socket: number): { readonly token: bigint; readonly fds: readonly number[] } | undefined {
    this.#headerView.setBigUint64(MSGHDR.controllen, BigInt(CONTROL_BYTES), true);
    // SAFETY: the kernel writes at most what the header says fits into its buffers, which live as long as this object.
    const receive = () => libc().c.recvmsg(socket, this.#header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    let received = receive();
    if (received < 0 && libc().errno() === ECONNRESET) received = receive();
    if (received < 0) {
      const errno = libc().errno();
      if (errno === EAGAIN || errno === EINTR) return undefined;
      check(received, "recvmsg");
    }
    if (received === 0) return undefined;
    const controlBytes = Number(this.#headerView.getBigUint64(MSGHDR.controllen, true));
    const fds: number[] = [];
    if (controlBytes >= CMSG_HEADER_BYTES && this.#controlView.getInt32(12, true) === SCM_RIGHTS) {
      const end = Number(this.#controlView.getBigUint64(0, true));
      for (let at = CMSG_HEADER_BYTES; at + 4 <= end; at += 4) fds.push(this.#controlView.getInt32(at, true));
    }
    return { token: new DataView(this.#token.buffer).getBigUint64(0, true), fds };
  }
}
