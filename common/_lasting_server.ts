/**
 * An HTTP server that outlives its listener. Deno's own ends, and takes the process along, when no connection can be
 * accepted any more, which is what a lack of file descriptors looks like.
 *
 * @module
 */

import { systemClock, type TimerHandle } from "./clock.ts";
import type { Logger } from "./log.ts";

/** How long after a failure it listens again. */
const AGAIN_MS = 1000;

/** What a {@linkcode LastingServer} is given. */
export interface LastingOptions {
  readonly hostname: string;
  readonly port: number;
  readonly handler: (request: Request) => Response | Promise<Response>;
  readonly onError: (error: unknown) => Response;
  readonly log: Logger;
}

/** Listens until it is shut down. */
export class LastingServer {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  readonly #options: LastingOptions;
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #timer: TimerHandle | undefined;
  #ending = false;

  /** Listens, or throws what the system says. */
  constructor(options: LastingOptions) {
    this.#options = options;
    this.#server = this.#listen(options.port);
    this.addr = this.#server.addr;
  }

  /** Stops listening; running requests end first. */
  async shutdown(): Promise<void> {
    this.#ending = true;
    this.#timer?.cancel();
    await this.#server?.shutdown();
  }

  #listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    const { hostname, handler, onError } = this.#options;
    const server = Deno.serve({ hostname, port, onListen: () => {}, onError }, (request) => handler(request));
    server.finished.catch((error) => this.#failed(error));
    return server;
  }

  #failed(error: unknown): void {
    this.#server = undefined;
    if (this.#ending) return;
    this.#options.log.error("The HTTP port takes no connections; it is opened again in a second", {
      listen: `${this.addr.hostname}:${this.addr.port}`,
      error,
    });
    this.#again();
  }

  #again(): void {
    this.#timer = systemClock.setTimer(AGAIN_MS, () => {
      try {
        this.#server = this.#listen(this.addr.port);
        this.#options.log.info("The HTTP port is open again");
      } catch {
        this.#again(); // what it lacks is still lacking, and was told
      }
    });
  }
}
