/**
 * What a handler sees of its call. Everything that costs something is made when it is first asked for.
 *
 * @module
 */

import {
  type BrokkrError,
  idTracer,
  type Logger,
  parseTraceparent,
  type Principal,
  type Scope,
  scopeOf,
  type TraceContext,
  type Tracer,
} from "@brokkr/common";
import { asPlain } from "./_outbox.ts";
import { parseRequestMetadata, REQUEST_METADATA_KEY } from "./request_metadata.ts";
import type { CallContext, ClientMetadata } from "./types.ts";

/** What the context asks its call for. */
export interface ContextSource {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Who calls. */
  readonly principal: Principal;
  /** Address of the peer. */
  readonly peer: string;
  /** What ended the call before its handler did. */
  readonly aborted: BrokkrError | undefined;
  /** Parent of all loggers of calls. */
  readonly log: Logger;
  /** The span made at the call's start, if spans are recorded. */
  readonly spanContext: TraceContext | undefined;
  /** First value of a metadata key. */
  metadataValue(key: string): string | Uint8Array | undefined;
  /** Milliseconds left. */
  remainingMs(): number;
  /** Checks an instance name and the right to use it. */
  checkInstance(instance: string): void;
}

const ids: Tracer = idTracer();

/** The context of one call. */
export class ServerCallContext implements CallContext {
  readonly #source: ContextSource;
  #controller: AbortController | undefined;
  #trace: TraceContext | undefined;
  #log: Logger | undefined;
  #clientMetadata: ClientMetadata | undefined | null = null;

  /** The context of `source`. */
  constructor(source: ContextSource) {
    this.#source = source;
  }

  get path(): string {
    return this.#source.path;
  }

  get principal(): Principal {
    return this.#source.principal;
  }

  get peer(): string {
    return this.#source.peer;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#source.aborted !== undefined) this.#controller.abort(this.#source.aborted);
    }
    return this.#controller.signal;
  }

  /** Aborts the signal if anyone has asked for it. */
  abort(reason: BrokkrError): void {
    this.#controller?.abort(reason);
  }

  remainingMs(): number {
    return this.#source.remainingMs();
  }

  get trace(): TraceContext {
    if (this.#trace === undefined) {
      this.#trace = this.#source.spanContext ?? ids.start("", this.parentTrace()).context;
    }
    return this.#trace;
  }

  /** What the caller sent as `traceparent`. */
  parentTrace(): TraceContext | undefined {
    const header = this.#source.metadataValue("traceparent");
    return typeof header === "string" ? parseTraceparent(header) : undefined;
  }

  get log(): Logger {
    return this.#log ??= this.#source.log.with({
      trace: this.trace.traceId,
      method: this.path,
      invocation: this.clientMetadata?.toolInvocationId || undefined,
    });
  }

  get clientMetadataBytes(): Uint8Array | undefined {
    const bytes = this.#source.metadataValue(REQUEST_METADATA_KEY);
    return bytes instanceof Uint8Array ? asPlain(bytes) : undefined;
  }

  get clientMetadata(): ClientMetadata | undefined {
    if (this.#clientMetadata === null) {
      const bytes = this.clientMetadataBytes;
      this.#clientMetadata = bytes === undefined ? undefined : parseRequestMetadata(bytes);
    }
    return this.#clientMetadata;
  }

  scope(instance: string): Scope {
    this.#source.checkInstance(instance);
    return scopeOf(instance);
  }
}
