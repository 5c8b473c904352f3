/**
 * A real HTTP cache for tests, and clients of it that say exactly what they are told to.
 *
 * @module
 */

import { type ByteBudget, type Clock, type Metrics, scopeOf } from "@brokkr/common";
import { defaultPolicy } from "@brokkr/proto/rpc/server";
import { ActionCache } from "../action_cache/action_cache.ts";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { type HttpCacheServer, serveHttpCache } from "./http_cache.ts";
import type { HttpCacheOptions } from "./http_cache_options.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** The scope of the default instance. */
export const SCOPE = scopeOf("");
/** One MiB. */
export const MIB = 1 << 20;

/** Bytes that differ for each seed and do not repeat. */
export function blob(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(size);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < size; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    data[i] = state >>> 24;
  }
  return data;
}

/** Its digest. */
export function named(data: Uint8Array): Digest {
  return digestOf(SHA256, data);
}

/** What a test works with. */
export interface TestCache extends AsyncDisposable {
  readonly http: HttpCacheServer;
  readonly endpoint: string;
  readonly port: number;
  readonly store: BlobStore;
  readonly cache: ActionCache;
  /** Sums of counters, by name and labels. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Options of {@linkcode startCache}. */
export interface TestCacheOptions extends Partial<HttpCacheOptions> {
  readonly budget?: ByteBudget;
  readonly clock?: Clock;
}

function countingMetrics(): { readonly counts: Record<string, number>; readonly metrics: Metrics } {
  const counts: Record<string, number> = {};
  const none = { add: () => {}, set: () => {}, observe: () => {} };
  const metrics: Metrics = {
    counter: (name) => ({
      add(labels = {}, value = 1) {
        const key = [name, ...Object.values(labels)].join(" ");
        counts[key] = (counts[key] ?? 0) + value;
      },
    }),
    gauge: () => none,
    histogram: () => none,
  };
  return { counts, metrics };
}

/** Starts a cache on a free port, over a store in memory unless another is given. */
export async function startCache(options: TestCacheOptions = {}): Promise<TestCache> {
  const store = options.store ?? new MemoryBlobStore(256 * MIB);
  const metadata = new MemoryMetadataStore();
  const { counts, metrics } = countingMetrics();
  const cache = new ActionCache({ metadata, blobs: store, metrics });
  const http = await serveHttpCache({
    listen: "127.0.0.1:0",
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
    cache,
    environments: () => ["grid", "client"],
    metrics,
    ...options,
    store,
  });
  return {
    http,
    endpoint: http.endpoint,
    port: Number(/\d+$/.exec(http.endpoint)?.[0]),
    store,
    cache,
    counts,
    async [Symbol.asyncDispose]() {
      await http.shutdown({ graceMs: 0 });
      const closing: { [Symbol.asyncDispose]?: () => Promise<void> } = cache;
      await closing[Symbol.asyncDispose]?.();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** Registers a test for each kind of store. */
export function onEachStore(
  name: string,
  run: (cache: TestCache) => Promise<void>,
  options: Omit<TestCacheOptions, "store"> = {},
): void {
  Deno.test(`In memory, ${name}`, async () => {
    await using cache = await startCache(options);
    await run(cache);
  });
  Deno.test(`On disk, ${name}`, async () => {
    const dir = await Deno.makeTempDir({ prefix: "brokkr-http-" });
    try {
      await using cache = await startCache({ ...options, store: await openDiskBlobStore(dir) });
      await run(cache);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly text: string;
}

/** A connection on which requests are written as they are given, and answers read one by one. */
export class RawClient implements Disposable {
  readonly #connection: Deno.TcpConn;
  #rest: Uint8Array = new Uint8Array(0);
  #closed = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connects. */
  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Writes all of `data`; false when the server has closed. */
  async write(data: string | Uint8Array): Promise<boolean> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
      return true;
    } catch {
      return false;
    }
  }

  /** Reads some bytes; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(65536);
    try {
      const count = await this.#connection.read(buffer);
      return count === null ? undefined : buffer.subarray(0, count);
    } catch {
      return undefined;
    }
  }

  /** The next answer; undefined when the connection ends before it is whole. */
  async answer(method = "GET"): Promise<Answer | undefined> {
    let end = -1;
    while ((end = decoder.decode(this.#rest).indexOf("\r\n\r\n")) < 0) {
      if (!await this.#more()) return undefined;
    }
    const [statusLine, ...lines] = decoder.decode(this.#rest.subarray(0, end)).split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }));
    const status = Number(statusLine.split(" ")[1]);
    const bodyless = method === "HEAD" || status === 304 || status < 200;
    const length = bodyless ? 0 : Number(headers["content-length"] ?? 0);
    const from = end + 4;
    while (this.#rest.length < from + length) if (!await this.#more()) return undefined;
    const body = this.#rest.slice(from, from + length);
    this.#rest = this.#rest.slice(from + length);
    return { status, headers, body, text: new TextDecoder().decode(body) };
  }

  /** Whether the server closes, after whatever it still sends. */
  async ends(): Promise<boolean> {
    while (await this.#more());
    return true;
  }

  /** Closes. */
  close(): void {
    if (!this.#closed) this.#connection.close();
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #more(): Promise<boolean> {
    const bytes = await this.read();
    if (bytes === undefined) return false;
    const joined = new Uint8Array(this.#rest.length + bytes.length);
    joined.set(this.#rest);
    joined.set(bytes, this.#rest.length);
    this.#rest = joined;
    return true;
  }
}

/** One request on a connection of its own. */
export async function request(
  cache: { readonly port: number },
  method: string,
  path: string,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly body?: Uint8Array } = {},
): Promise<Answer> {
  using client = await RawClient.connect(cache.port);
  await client.write(head(method, path, { ...lengthOf(options.body), ...options.headers }));
  // Beside the answer, which may come before the end of the request.
  const written = options.body === undefined ? undefined : client.write(options.body);
  const answer = await client.answer(method);
  if (answer === undefined) throw new Error(`No whole answer to ${method} ${path}`);
  client.close();
  await written;
  return answer;
}

function lengthOf(body: Uint8Array | undefined): Record<string, string> {
  return body === undefined ? {} : { "content-length": `${body.length}` };
}

/** The head of a request. */
export function head(method: string, path: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ host: "test", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Resolves when `condition` holds. */
export async function until(what: string, condition: () => boolean, limitMs = 60_000): Promise<void> {
  for (const end = performance.now() + limitMs; !condition();) {
    if (performance.now() > end) throw new Error(`It never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
