/**
 * A real server over stores in memory, and a channel to it, for tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { BrokkrError, type ByteBudget, type Clock, type Metrics, scopeOf } from "@brokkr/common";
import { type Channel, connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { ActionCache } from "../action_cache/action_cache.ts";
import type { BlobStore, UploadLimits } from "../blob_store.ts";
import { type Digest, digestOf, SHA256 } from "../digest.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { actionCacheRoutes } from "./action_cache_service.ts";
import { byteStreamRoutes } from "./byte_stream_service.ts";
import { casRoutes } from "./cas_service.ts";

/** What a test works with. */
export interface TestServer extends AsyncDisposable {
  readonly channel: Channel;
  readonly store: BlobStore;
  readonly cache: ActionCache;
  readonly metadata: MemoryMetadataStore;
  /** Sums of counters, by name and labels. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Options of {@linkcode startTestServer}. */
export interface TestServerOptions {
  readonly store?: BlobStore;
  readonly maxBlobBytes?: number;
  readonly uploads?: UploadLimits;
  readonly clock?: Clock;
  readonly budget?: ByteBudget;
  readonly environments?: readonly string[];
}

/** The scope in which tests work. */
export const scope = scopeOf("main");

/** Starts a server on a free port and connects to it. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const store = options.store ?? new MemoryBlobStore(256 << 20, options);
  const metadata = new MemoryMetadataStore();
  const { counts, metrics } = countingMetrics();
  const cache = new ActionCache({ metadata, blobs: store, metrics });
  const { maxBlobBytes, clock, budget } = options;
  const byteStream = byteStreamRoutes({ store, budget, metrics, maxBlobBytes, clock });
  const server = createRpcServer({
    routes: [
      ...casRoutes({ store, budget, metrics, maxBlobBytes }),
      ...byteStream.routes,
      ...actionCacheRoutes({ cache, store, environments: () => options.environments ?? ["grid", "client"] }),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ address }] = await server.listen();
  const channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
  return {
    channel,
    store,
    cache,
    metadata,
    counts,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
      await byteStream[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

/** Registers a test for each kind of store: in memory and on disk. */
export function onEachStore(
  name: string,
  body: (start: (options?: TestServerOptions) => Promise<TestServer>) => Promise<void>,
): void {
  Deno.test(`${name} (memory)`, () => body(startTestServer));
  Deno.test(`${name} (disk)`, async () => {
    const dirs: string[] = [];
    try {
      await body(async (options) => {
        const dir = await Deno.makeTempDir({ prefix: "brokkr-services-" });
        dirs.push(dir);
        const { uploads, clock } = options ?? {};
        const store = await openDiskBlobStore(`${dir}/cas`, { uploads, clock });
        return await startTestServer({ ...options, store });
      });
    } finally {
      for (const dir of dirs) await Deno.remove(dir, { recursive: true });
    }
  });
}

function countingMetrics(): { counts: Record<string, number>; metrics: Metrics } {
  const counts: Record<string, number> = {};
  const metrics: Metrics = {
    counter: (name) => ({
      add: (labels = {}, value = 1) => {
        const key = [name.replace(/^brokkr_|_total$/g, ""), ...Object.values(labels)].join(" ");
        counts[key] = (counts[key] ?? 0) + value;
      },
    }),
    gauge: () => ({ set: () => {}, add: () => {} }),
    histogram: () => ({ observe: () => {} }),
  };
  return { counts, metrics };
}

/** Bytes and digest of a text. */
export function blob(text: string): { data: Uint8Array; digest: Digest } {
  const data = new TextEncoder().encode(text);
  return { data, digest: digestOf(SHA256, data) };
}

/** `length` bytes that look like nothing, the same for each seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed * 2654435761 >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  return data;
}

/** The wire form of a digest. */
export function wire(digest: Digest): { hash: string; sizeBytes: number } {
  return { hash: digest.hash, sizeBytes: digest.sizeBytes };
}

/** Waits for `promise` to fail with `code`; gives the error. */
export async function fails(promise: Promise<unknown>, code: number, about = ""): Promise<BrokkrError> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof BrokkrError)) throw error;
    assertEquals(error.code, code, `${about}: ${error.message}`);
    return error;
  }
  throw new Error(`${about}: did not fail`);
}
