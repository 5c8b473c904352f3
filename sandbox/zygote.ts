/**
 * The worker's side of the zygote: hands programs over, hears when they ended.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { descendants, processState } from "./_process_tree.ts";
import { close, kill } from "./libc.ts";
import { SIGKILL } from "./linux.ts";
import { DescriptorMessages, socketPair, TOKEN_BYTES } from "./passing.ts";
import { spawnImage } from "./_spawn.ts";
import { zygoteProgram } from "./zygote_program.ts";

/** Who waits for the end of a child. */
export interface ZygoteClient {
  /** The child told that it ended, or the zygote could not make it. */
  ended(): void;
  /** The zygote went, and with it the child. */
  lost(): void;
  /** A descriptor came from the child; it is the client's. */
  received(fd: number): void;
}

/**
 * Asked for in each direction: 4096 messages. A privileged process gets it; others get as much as the system allows, on
 * most 500 messages.
 */
const BUFFER_BYTES = 2 << 20;

/** One zygote process. */
export class Zygote implements Disposable {
  readonly #child: Deno.ChildProcess;
  readonly #socket: number;
  readonly #messages = new DescriptorMessages();
  readonly #clients = new Map<bigint, ZygoteClient>();
  #lastToken = 0n;
  #gone = false;
  #broken = false;
  #ending = false;
  #closed = false;

  /** Starts it. Call it on the main thread: what it is tied to is the thread that started it. */
  constructor() {
    const [mine, its] = socketPair(BUFFER_BYTES);
    this.#socket = mine;
    try {
      const { program, headerOffset } = zygoteProgram(currentArch());
      const image = program.image({ socket: its, header: headerOffset });
      this.#child = spawnImage(image, [its], { stdin: "null", stdout: "piped", stderr: "null" });
    } catch (error) {
      close(mine);
      throw error;
    } finally {
      close(its);
    }
    this.ended = this.#listen();
  }

  /** Resolves when it and all its children are gone. */
  readonly ended: Promise<void>;

  /** Its process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it still runs. */
  get alive(): boolean {
    return !this.#gone && !this.#broken && !this.#ending;
  }

  /**
   * Has a child made that goes on in the program whose descriptor is `fds[0]`, with all of `fds`. They stay open here.
   *
   * @returns the token that the program must write when it ends.
   * @throws {BrokkrError} UNAVAILABLE when the zygote is gone or does not keep up.
   */
  fork(client: ZygoteClient, prepare: (token: bigint) => readonly number[]): bigint {
    if (!this.alive) throw gone();
    this.drain();
    const token = ++this.#lastToken;
    if (!this.#messages.send(this.#socket, token, prepare(token))) {
      // Its end will be heard of in a moment.
      this.#broken = true;
      throw gone();
    }
    this.#clients.set(token, client);
    return token;
  }

  /** Takes what children have sent. */
  drain(): void {
    if (this.#closed) return;
    for (let message; (message = this.#messages.receive(this.#socket)) !== undefined;) {
      const client = this.#clients.get(message.token);
      for (const fd of message.fds) {
        if (client === undefined) close(fd);
        else client.received(fd);
      }
    }
  }

  async #listen(): Promise<void> {
    let rest = new Uint8Array();
    try {
      for await (const chunk of this.#child.stdout) {
        const bytes = rest.length === 0 ? chunk : concatenate(rest, chunk);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        let at = 0;
        for (; at + TOKEN_BYTES <= bytes.length; at += TOKEN_BYTES) this.#tell(view.getBigUint64(at, true));
        rest = bytes.slice(at);
      }
    } catch {
      // Whoever waits is told that it is lost, which only holds of what does not run on.
      this.kill();
    } finally {
      await this.#child.status;
      this.#gone = true;
      this.drain();
      for (const client of this.#clients.values()) client.lost();
      this.#clients.clear();
      this[Symbol.dispose]();
    }
  }

  #tell(token: bigint): void {
    this.drain();
    const client = this.#clients.get(token);
    this.#clients.delete(token);
    client?.ended();
  }

  /**
   * Whether it has something to do, or a child that is none of `known`: then a child may still begin that has told
   * nothing of itself yet.
   */
  mayBegin(known: ReadonlySet<number>): boolean {
    if (this.#gone) return false;
    if (processState(this.pid)?.state !== "S") return true;
    return descendants(this.pid).some((pid) => !known.has(pid) && processState(pid)?.parent === this.pid);
  }

  /** Forgets a child: what it sends is closed. */
  forget(token: bigint): void {
    this.#clients.delete(token);
  }

  /** Ends it at once, whatever it is at, and with it all its children. */
  kill(): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    // Deno's own throws when it has ended by itself and is heard of in a moment.
    kill(this.#child.pid, SIGKILL);
  }

  /** Ends it, and with it all its children. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    close(this.#socket);
    // It ends by itself when nobody is left to send anything; not while it is stopped.
    this.kill();
  }
}

function gone(): BrokkrError {
  return new BrokkrError(Code.UNAVAILABLE, "The process that starts actions has ended");
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
