/**
 * A network that a test can hold up and cut: a TCP proxy.
 *
 * @module
 */

/** Forwards connections to one address, as long as it is allowed to. */
export class TcpProxy implements AsyncDisposable {
  readonly #target: Deno.ConnectOptions;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #serving: Promise<void>;
  #cut = false;
  #flow = Promise.resolve();
  #resume: (() => void) | undefined;

  /** `target` is `host:port`. */
  constructor(target: string) {
    const at = target.lastIndexOf(":");
    this.#target = { hostname: target.slice(0, at), port: Number(target.slice(at + 1)) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#serving = this.#serve();
  }

  /** Where it listens, as `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Holds up what is sent, either way; connections stay open. */
  pause(): void {
    if (this.#resume !== undefined) return;
    this.#flow = new Promise((resolve) => this.#resume = resolve);
  }

  /** Breaks every connection, and each new one at once. */
  cut(): void {
    this.#cut = true;
    for (const connection of [...this.#connections]) this.#close(connection);
  }

  /** Forwards again. */
  restore(): void {
    this.#cut = false;
    this.#resume?.();
    this.#resume = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    this.#resume?.();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    const pipes: Promise<void>[] = [];
    for await (const near of this.#listener) {
      if (this.#cut) {
        near.close();
        continue;
      }
      this.#connections.add(near);
      try {
        const far = await Deno.connect(this.#target);
        this.#connections.add(far);
        pipes.push(this.#pipe(near, far), this.#pipe(far, near));
      } catch {
        this.#close(near); // nobody is there, which is what the other end is to see
      }
    }
    await Promise.all(pipes);
  }

  async #pipe(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (let size = await from.read(buffer); size !== null; size = await from.read(buffer)) {
        await this.#flow;
        for (let at = 0; at < size;) at += await to.write(buffer.subarray(at, size));
      }
    } catch {
      // one end broke: so does the other
    }
    this.#close(from);
    this.#close(to);
  }

  #close(connection: Deno.TcpConn): void {
    if (!this.#connections.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // it is closed already
    }
  }
}
