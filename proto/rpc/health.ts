/**
 * grpc.health.v1.Health by npm's `grpc-health-check`, fed from {@linkcode Health}. Its handlers are called through the
 * same door as every other call, so that they are counted, checked and drained like them.
 *
 * @module
 */

import { BrokkrError, Code, type Health, unavailable } from "@brokkr/common";
import { HealthImplementation } from "grpc-health-check";
import { HealthCheckResponse_ServingStatus as Status } from "../gen/messages.ts";
import { HealthService } from "../gen/services.ts";
import { serverStream, unary } from "./route.ts";
import type { Route } from "./types.ts";

type StatusName = keyof typeof Status;

interface StatusMessage {
  readonly status: StatusName;
}

/** The handlers that the library registers, as far as they are served here. */
interface Handlers {
  check(
    call: { readonly request: { readonly service: string } },
    done: (error: { readonly details: string } | null, response?: StatusMessage) => void,
  ): void;
  watch(call: {
    readonly request: { readonly service: string };
    write(message: StatusMessage): void;
    on(event: "cancelled", listener: () => void): void;
  }): void;
}

/** The library gives its handlers to a server only: this one does nothing but take them. */
function handlersOf(implementation: HealthImplementation): Handlers {
  let handlers: Handlers | undefined;
  implementation.addToServer({
    addService: (_service: unknown, given: unknown) => {
      handlers = given as Handlers;
    },
  });
  if (handlers === undefined) throw new BrokkrError(Code.INTERNAL, "grpc-health-check registered nothing");
  return handlers;
}

/** The health of a server as its clients see it. */
export class HealthState {
  readonly #health: Health | undefined;
  readonly #services: ReadonlySet<string>;
  readonly #implementation = new HealthImplementation();
  readonly #handlers = handlersOf(this.#implementation);
  readonly #draining = new AbortController();

  /** Answers for `""` and each of `services`, all with the readiness of `health`. */
  constructor(health: Health | undefined, services: Iterable<string>) {
    this.#health = health;
    this.#services = new Set(services).add("");
    this.#tell();
    health?.onChange(() => this.#tell());
  }

  /** Says NOT_SERVING from now on, whatever the parts say. */
  drain(): void {
    this.#draining.abort();
    this.#tell();
  }

  #tell(): void {
    const ready = !this.#draining.signal.aborted && (this.#health?.report().ready ?? true);
    for (const service of this.#services) {
      this.#implementation.setStatus(service, ready ? "SERVING" : "NOT_SERVING");
    }
  }

  #check(service: string): { readonly status: number } {
    let answer: { readonly status: number } | undefined;
    this.#handlers.check({ request: { service } }, (_error, response) => {
      if (response !== undefined) answer = { status: Status[response.status] };
    });
    if (answer !== undefined) return answer;
    throw new BrokkrError(Code.NOT_FOUND, `This server has no service "${service}"`);
  }

  async *#watch(service: string, signal: AbortSignal): AsyncGenerator<{ status: number }, void, undefined> {
    let wake = () => {};
    let latest: StatusName | undefined;
    const left = new AbortController();
    const over = AbortSignal.any([signal, this.#draining.signal]);
    over.addEventListener("abort", () => wake(), { once: true, signal: left.signal });
    this.#handlers.watch({
      request: { service },
      // A peer that is slow gets the newest status, not all of them.
      write: ({ status }) => {
        latest = status;
        wake();
      },
      on: (_event, listener) => left.signal.addEventListener("abort", listener, { once: true }),
    });
    try {
      let told: StatusName | undefined;
      while (!signal.aborted) {
        if (latest !== undefined && latest !== told) {
          told = latest;
          yield { status: Status[told] };
          continue; // what changed while the peer took this is looked at before sleeping
        }
        if (this.#draining.signal.aborted) throw unavailable("The server is shutting down");
        await new Promise<void>((resolve) => wake = resolve);
      }
    } finally {
      left.abort();
    }
  }

  /** The routes of the health service, open to everyone that has `public` access. */
  routes(): Route[] {
    return [
      unary(HealthService.check, "public", ({ service }) => this.#check(service)),
      serverStream(HealthService.watch, "public", ({ service }, { signal }) => this.#watch(service, signal)),
    ];
  }
}
