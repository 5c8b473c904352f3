/**
 * grpc.health.v1.Health over {@linkcode Health}: through the same door as every other call, so that it is counted,
 * checked and drained like them.
 *
 * @module
 */

import { BrokkrError, Code, type Health, unavailable } from "@brokkr/common";
import { HealthCheckResponse_ServingStatus as Status } from "../gen/messages.ts";
import { HealthService } from "../gen/services.ts";
import { serverStream, unary } from "./route.ts";
import type { Route } from "./types.ts";

/** The health of a server as its clients see it. */
export class HealthState {
  readonly #health: Health | undefined;
  readonly #services: ReadonlySet<string>;
  readonly #listeners = new Set<() => void>();
  #draining = false;

  /** Answers for `""` and each of `services`, all with the readiness of `health`. */
  constructor(health: Health | undefined, services: Iterable<string>) {
    this.#health = health;
    this.#services = new Set(services).add("");
    health?.onChange(() => this.#tell());
  }

  /** Says NOT_SERVING from now on, whatever the parts say. */
  drain(): void {
    this.#draining = true;
    this.#tell();
  }

  /** The status of a service, undefined if the server has none of that name. */
  status(service: string): number | undefined {
    if (!this.#services.has(service)) return undefined;
    const ready = !this.#draining && (this.#health?.report().ready ?? true);
    return ready ? Status.SERVING : Status.NOT_SERVING;
  }

  /** Calls `listener` after changes until the result is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async *#watch(service: string, signal: AbortSignal): AsyncGenerator<{ status: number }, void, undefined> {
    let wake = () => {};
    const stop = this.onChange(() => wake());
    const onAbort = () => wake();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      let told: number | undefined;
      while (!signal.aborted) {
        const status = this.status(service) ?? Status.SERVICE_UNKNOWN;
        if (status !== told) {
          told = status;
          yield { status };
          continue; // what changed while the peer took this is looked at before sleeping
        }
        if (this.#draining) throw unavailable("The server is shutting down");
        await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      stop();
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** The routes of the health service, open to everyone that has `public` access. */
  routes(): Route[] {
    return [
      unary(HealthService.check, "public", ({ service }) => {
        const status = this.status(service);
        if (status === undefined) {
          throw new BrokkrError(Code.NOT_FOUND, `This server has no service "${service}"`);
        }
        return { status };
      }),
      serverStream(
        HealthService.watch,
        "public",
        ({ service }, context) => this.#watch(service, context.signal),
      ),
    ];
  }
}
