/**
 * Brings ended spans to a receiver, in the background. A receiver that is down, slow or broken costs spans and nothing
 * else: what waits is bounded, one request is under way at a time, and each has its time.
 *
 * @module
 */

import type { Clock, TimerHandle } from "./clock.ts";
import { encodeJson, encodeProtobuf, type EndedSpan, type SpanSource } from "./_otlp_encode.ts";
import type { OtlpSettings } from "./_otlp_settings.ts";

/** Told what became of spans, for logs and metrics. */
export interface ExportEvents {
  /** The receiver took this many. */
  readonly exported?: (spans: number) => void;
  /** This many were given up: there were too many, or the receiver did not take them. */
  readonly dropped?: (spans: number) => void;
  /** Exports begin to fail, and why; then, with undefined, that they succeed again. */
  readonly trouble?: (why: string | undefined) => void;
}

/** Tries of one batch while its receiver says that it will pass. */
const MAX_TRIES = 3;
const RETRY_MS = 1000;
/** What the specification says may be tried again. */
const PASSING: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Gathers spans and sends them. */
export class SpanExporter {
  readonly #settings: OtlpSettings;
  readonly #source: SpanSource;
  readonly #clock: Clock;
  readonly #events: ExportEvents;
  readonly #client: Deno.HttpClient | undefined;
  #queue: EndedSpan[] = [];
  #timer: TimerHandle | undefined;
  #sending: Promise<void> | undefined;
  #failing = false;
  #closed = false;
  #ending: Promise<void> | undefined;
  /** Ends the request, or the pause between two, that is under way. */
  #interrupt = () => {};
  #hurry = false;

  /** @throws {Deno.errors.NotFound} and others when the certificates cannot be read. */
  constructor(settings: OtlpSettings, source: SpanSource, clock: Clock, events: ExportEvents) {
    this.#settings = settings;
    this.#source = source;
    this.#clock = clock;
    this.#events = events;
    const { caPath } = settings;
    if (caPath !== undefined) {
      this.#client = Deno.createHttpClient({ caCerts: [Deno.readTextFileSync(caPath)] });
    }
  }

  /** Takes an ended span. Never fails, never waits. */
  add(span: EndedSpan): void {
    const { queueLimit, batchSize, delayMs } = this.#settings;
    if (this.#closed || this.#queue.length >= queueLimit) return this.#events.dropped?.(1);
    this.#queue.push(span);
    if (this.#queue.length >= batchSize) this.#begin();
    else this.#timer ??= this.#clock.setTimer(delayMs, () => this.#begin());
  }

  /** Sends what waits, for at most `limitMs`, and takes no more. */
  close(limitMs: number): Promise<void> {
    return this.#ending ??= this.#end(limitMs);
  }

  async #end(limitMs: number): Promise<void> {
    this.#closed = true;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    // Not a timer of the clock: those do not keep the process alive, and there may be nothing else that does.
    const timer = setTimeout(resolve, limitMs);
    this.#begin();
    await Promise.race([this.#sending, late]);
    clearTimeout(timer);
    this.#hurry = true;
    this.#interrupt();
    await this.#sending;
    this.#timer?.cancel();
    if (this.#queue.length > 0) this.#events.dropped?.(this.#queue.length);
    this.#queue = [];
    this.#client?.close();
  }

  #begin(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#queue.length > 0 && !this.#closed) {
        this.#timer ??= this.#clock.setTimer(this.#settings.delayMs, () => this.#begin());
      }
    });
  }

  async #sendAll(): Promise<void> {
    const { batchSize } = this.#settings;
    // What is less than a batch waits for more, unless its time came: that began this.
    do {
      const batch = this.#queue.splice(0, batchSize);
      if (batch.length === 0) return;
      const why = await this.#send(batch);
      if (why === undefined) this.#events.exported?.(batch.length);
      else this.#events.dropped?.(batch.length);
      if ((why !== undefined) !== this.#failing) {
        this.#failing = why !== undefined;
        this.#events.trouble?.(why);
      }
    } while (this.#queue.length >= (this.#closed ? 1 : batchSize) && !this.#hurry);
  }

  /** Sends a batch; why it was not taken, or undefined. */
  async #send(batch: readonly EndedSpan[]): Promise<string | undefined> {
    const json = this.#settings.protocol === "http/json";
    const body = (json ? encodeJson : encodeProtobuf)(this.#source, batch);
    const type = json ? "application/json" : "application/x-protobuf";
    for (let attempt = 1;; attempt++) {
      const { why, passing } = await this.#post(body, type);
      if (why === undefined || !passing || attempt >= MAX_TRIES || this.#closed) return why;
      const { promise: pause, resolve } = Promise.withResolvers<void>();
      using _timer = this.#clock.setTimer(RETRY_MS * attempt, resolve);
      this.#interrupt = resolve;
      await pause;
    }
  }

  async #post(
    body: Uint8Array<ArrayBuffer>,
    type: string,
  ): Promise<{ readonly why?: string; readonly passing?: boolean }> {
    const { url, headers, timeoutMs } = this.#settings;
    const controller = new AbortController();
    this.#interrupt = () => controller.abort();
    if (this.#hurry) this.#interrupt();
    using _timer = this.#clock.setTimer(timeoutMs, this.#interrupt);
    try {
      const response = await fetch(url, {
        method: "POST",
        redirect: "error",
        headers: { ...headers, "content-type": type, "user-agent": "brokkr-otlp" },
        body,
        signal: controller.signal,
        ...(this.#client === undefined ? {} : { client: this.#client }),
      });
      // What it says of partial success is of no use to anybody here.
      await response.body?.cancel();
      if (response.ok) return {};
      return { why: `The receiver answered ${response.status}`, passing: PASSING.has(response.status) };
    } catch (error) {
      if (controller.signal.aborted) return { why: `The receiver did not answer within ${timeoutMs} ms` };
      return { why: error instanceof Error ? error.message : String(error) };
    }
  }
}
