/**
 * BLAKE3 of large blobs with two threads.
 *
 * @module
 */

import { CHUNK_BYTES, SUBTREE_BYTES, SUBTREE_CHUNKS } from "./_blake3_layout.ts";
import { SecondThread, type Task } from "./_blake3_second.ts";
import { SubtreeStack, Tail } from "./_blake3_stack.ts";
import { type Blake3, blake3 } from "./blake3.ts";

/** Bytes of a blob from which on a second thread is worth it: below, it would hardly have woken up before the end. */
export const TWO_THREADS_BYTES: number = 2 * 1024 * 1024;

/** Subtrees that may be ahead of one that the second thread has not finished; 8 MiB. */
const MOST_AHEAD = 128;

let second: SecondThread | undefined;

/**
 * The second thread, which is started now if it was not. It is started once: when it fails, hashing goes on with one.
 *
 * @internal
 */
export function secondThread(): SecondThread | undefined {
  if (navigator.hardwareConcurrency < 2) return undefined;
  return second ??= new SecondThread();
}

/**
 * The second thread if it has a core to run on. Where all are busy it would take turns with the first, and a blob would take
 * up to half as long again as without it.
 *
 * @internal
 */
export function helpfulThread(load: number = currentLoad()): SecondThread | undefined {
  return load < navigator.hardwareConcurrency ? secondThread() : undefined;
}

/** How many threads of the machine have run or waited to run in the last minute; 0 when that may not be asked. */
function currentLoad(): number {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "loadavg" });
  return state === "granted" ? Deno.loadavg()[0] : 0;
}

/**
 * Ends the thread that hashes large blobs, if there is one; the next large blob starts another. It keeps no process alive,
 * so only tests that look for leaks need this.
 */
export async function stopHashThreads(): Promise<void> {
  const stopped = second;
  second = undefined;
  await stopped?.stop();
}

/**
 * Hashes a stream, with the help of a second thread if it is long and while that runs. Its calls are synchronous and wait for
 * nothing.
 */
export class Blake3Pair {
  readonly #kernel: Blake3;
  readonly #start: () => SecondThread | undefined;
  /** Whether the second thread was asked for. */
  #long = false;
  #thread: SecondThread | undefined;
  readonly #stack: SubtreeStack;
  /** From left to right what is not on the stack yet. */
  #tasks: Task[] = [];
  #chunks = 0;
  readonly #tail = new Tail(SUBTREE_BYTES);
  #ended = false;

  /** A hasher that has seen nothing. It calls `start` for the second thread when the stream turns out to be long. */
  constructor(start: () => SecondThread | undefined = secondThread, kernel: Blake3 = blake3()) {
    this.#kernel = kernel;
    this.#start = start;
    this.#stack = new SubtreeStack(kernel);
  }

  /**
   * Adds bytes; they may be reused afterwards.
   *
   * @param following how many more bytes will follow, if that is known
   * @throws {TypeError} after the digest was taken.
   */
  update(bytes: Uint8Array, following?: number): void {
    this.#requireOpen();
    let at = 0;
    const tail = this.#tail;
    let available = tail.length + bytes.length;
    if (!this.#long && this.#chunks * CHUNK_BYTES + available + (following ?? 0) >= TWO_THREADS_BYTES) {
      this.#long = true;
      this.#thread = this.#start();
    }
    while (available > SUBTREE_BYTES) {
      const upTo = at + SUBTREE_BYTES - tail.length;
      // Towards the end less is handed over: what the second thread has not begun then was copied in vain.
      const depth = Math.max(2, Math.floor((available + (following ?? Infinity)) / SUBTREE_BYTES / 4));
      this.#subtree(bytes.subarray(at, upTo), depth);
      tail.clear();
      at = upTo;
      available -= SUBTREE_BYTES;
    }
    tail.keep(bytes.subarray(at));
  }

  /**
   * The hash of all bytes; ends the hasher.
   *
   * @throws {TypeError} when it was taken before.
   */
  digest(): Uint8Array<ArrayBuffer> {
    return this.#finish().take();
  }

  /**
   * The same in hex.
   *
   * @throws {TypeError} when the digest was taken before.
   */
  digestHex(): string {
    return this.#finish().takeHex();
  }

  #finish(): Blake3 {
    this.#requireOpen();
    this.#ended = true;
    // From the right, as the second thread goes on from the left.
    for (const task of this.#tasks.toReversed()) this.#thread?.takeBack(task, this.#kernel);
    while (this.#settle(true));
    return this.#stack.finish(this.#tail);
  }

  /** A subtree of the tail and then `rest`. */
  #subtree(rest: Uint8Array, depth: number): void {
    const counter = this.#chunks;
    const { buffer, length } = this.#tail;
    this.#chunks += SUBTREE_CHUNKS;
    const task = this.#thread?.offer(buffer, length, rest, counter, depth);
    if (task !== undefined) {
      this.#tasks.push(task);
    } else {
      const value = this.#kernel.subtree(buffer, length, rest, counter, false).take();
      this.#tasks.push({ counter, slot: -1, value });
    }
    while (this.#settle(this.#tasks.length > MOST_AHEAD));
  }

  /** Moves the leftmost value to the stack; `false` if there is none, or none yet. */
  #settle(now: boolean): boolean {
    const task = this.#tasks.at(0);
    if (task === undefined) return false;
    const value = task.value ?? (now ? this.#thread?.finish(task, this.#kernel) : this.#thread?.poll(task));
    if (value === undefined) return false;
    this.#tasks.shift();
    this.#stack.push(value, SUBTREE_CHUNKS);
    return true;
  }

  #requireOpen(): void {
    if (this.#ended) throw new TypeError("The hasher has given its hash already; create another one");
  }
}
