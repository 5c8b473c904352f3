/**
 * A server that takes chunks, clients whose messages are counted, and versions of an archive, for tests.
 *
 * @module
 */

import { type Clock, seededRandom, systemClock } from "@brokkr/common";
import { Capabilities, type Init, type ServerCapabilities, type WriteRequest } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy, unary } from "@brokkr/proto/rpc/server";
import type { BlobStore } from "../blob_store.ts";
import { type Digest, type DigestFunction, digestOf, SHA256 } from "../digest.ts";
import { byteStreamRoutes, casCapabilities, casRoutes } from "../services/mod.ts";
import { noise } from "../services/_test_server.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { CasClient, type CasClientOptions, type ChunkSource, type UploadBlob } from "./mod.ts";

/** Average size of chunks that the test servers advertise, so that a megabyte has many. */
export const AVG_BYTES = 16 * 1024;

/** Waits between attempts take no time. */
const hasty: Clock = { ...systemClock, setTimer: (_delayMs, fn) => systemClock.setTimer(0, fn) };

/** What passes between client and server. */
export class Traffic {
  /** Bytes of blobs that were sent. */
  sentBytes = 0;
  /** Bytes of blobs that came. */
  receivedBytes = 0;
  /** How often each method was called. */
  readonly calls = new Map<string, number>();
  /** Called before a call is passed on, with its number among those of its method; may answer it or throw. */
  onCall: (method: string, number: number, request: unknown) => unknown = () => undefined;

  /** How often a method was called. */
  count(method: string): number {
    return this.calls.get(method) ?? 0;
  }

  /** Counts from nothing again. */
  reset(): void {
    this.sentBytes = 0;
    this.receivedBytes = 0;
    this.calls.clear();
  }

  /** Notes a call; what answers it, if anything does. */
  async begin(method: string, request: unknown): Promise<unknown> {
    const number = this.count(method) + 1;
    this.calls.set(method, number);
    return await this.onCall(method, number, request);
  }
}

/** What a test works with. */
export interface ChunkServer extends AsyncDisposable {
  readonly store: BlobStore;
  readonly traffic: Traffic;
  client(options?: Partial<CasClientOptions>): CasClient;
}

/** Capabilities of a server that cuts with other parameters than the store's own. */
export function capabilitiesWith(
  store: BlobStore,
  params: { readonly avgChunkSizeBytes: number; readonly seed: number } | undefined,
): Init<ServerCapabilities> {
  return { cacheCapabilities: { ...casCapabilities({ store }), fastCdc2020Params: params } };
}

/** Starts a server over `store`, in memory by default. */
export async function startChunkServer(
  store: BlobStore = new MemoryBlobStore(256 << 20),
  capabilities: Init<ServerCapabilities> = capabilitiesWith(store, { avgChunkSizeBytes: AVG_BYTES, seed: 0 }),
): Promise<ChunkServer> {
  const byteStream = byteStreamRoutes({ store });
  const server = createRpcServer({
    routes: [
      ...casRoutes({ store }),
      ...byteStream.routes,
      unary(Capabilities.getCapabilities, "public", () => capabilities),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ address }] = await server.listen();
  const channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
  const traffic = new Traffic();
  return {
    store,
    traffic,
    client: (options = {}) =>
      new CasClient({
        channel: counted(channel, traffic),
        instance: "main",
        fn: SHA256,
        random: seededRandom(1),
        clock: hasty,
        maxBatchBytes: 8 * AVG_BYTES,
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
      await byteStream[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

function dataBytes(messages: readonly { readonly data?: Uint8Array }[] | undefined): number {
  return (messages ?? []).reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
}

interface Batched {
  readonly requests?: readonly { readonly data?: Uint8Array }[];
  readonly responses?: readonly { readonly data?: Uint8Array }[];
}

/** A channel whose traffic is counted. */
function counted(channel: Channel, traffic: Traffic): Channel {
  return new Proxy(channel, {
    get(target, key) {
      if (key === "unary") {
        return async (method: { readonly name: string }, request: Batched, options: never) => {
          const answer = await traffic.begin(method.name, request);
          if (answer !== undefined) return answer;
          traffic.sentBytes += dataBytes(request.requests);
          const response: Batched = await target.unary(method as never, request as never, options);
          traffic.receivedBytes += dataBytes(response.responses);
          return response;
        };
      }
      if (key === "serverStream") {
        return async function* (method: { readonly name: string }, request: unknown, options: never) {
          await traffic.begin(method.name, request);
          const messages: AsyncIterable<{ readonly data: Uint8Array }> = target.serverStream(
            method as never,
            request as never,
            options,
          );
          for await (const message of messages) {
            traffic.receivedBytes += message.data.length;
            yield message;
          }
        };
      }
      if (key === "clientStream") {
        return async (
          method: { readonly name: string },
          messages: AsyncIterable<Init<WriteRequest>>,
          options: never,
        ) => {
          await traffic.begin(method.name, undefined);
          async function* passed() {
            for await (const message of messages) {
              traffic.sentBytes += message.data?.length ?? 0;
              yield message;
            }
          }
          return await target.clientStream(method as never, passed() as never, options);
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Versions of an archive of `sizeBytes`: each has other bytes in one place, and some more or fewer of them. */
export function versionsOf(count: number, sizeBytes: number, seed = 1): Uint8Array[] {
  const versions = [noise(sizeBytes, seed)];
  while (versions.length < count) {
    const before = versions[versions.length - 1];
    const at = Math.floor(before.length * ((versions.length * 0.37) % 1));
    const edit = noise(100 + versions.length, seed + versions.length);
    const after = new Uint8Array(before.length + edit.length - 50);
    after.set(before.subarray(0, at));
    after.set(edit, at);
    after.set(before.subarray(at + 50), at + edit.length);
    versions.push(after);
  }
  return versions;
}

/** Bytes with their digest. */
export function blobOf(data: Uint8Array, fn: DigestFunction = SHA256): { digest: Digest; data: Uint8Array } {
  return { digest: digestOf(fn, data), data };
}

/** The same blob, read in pieces of odd sizes; tells each time that it is read. */
export function streamedBlob(
  { digest, data }: { readonly digest: Digest; readonly data: Uint8Array },
  onRead: () => void = () => {},
): UploadBlob {
  return {
    digest,
    data: async function* () {
      onRead();
      for (let at = 0, size = 1; at < data.length; at += size, size = (size * 7 + 3) % 100_003) {
        yield await Promise.resolve(data.subarray(at, at + size));
      }
    },
  };
}

/** Chunks in memory. */
export class MemoryChunks implements ChunkSource {
  readonly chunks = new Map<string, Uint8Array>();
  readonly learned: { readonly blob: Digest; readonly chunks: readonly Digest[] }[] = [];
  readonly #blobs = new Map<string, Uint8Array>();
  found = 0;

  /** Says that a blob is at hand, should its chunks be learned. */
  hold({ digest, data }: { readonly digest: Digest; readonly data: Uint8Array }): void {
    this.#blobs.set(digest.hash, data);
  }

  mayHelp(): boolean {
    return this.chunks.size > 0;
  }

  has(chunk: Digest): boolean {
    return this.chunks.has(chunk.hash);
  }

  find(chunk: Digest): Promise<Uint8Array | undefined> {
    this.found++;
    return Promise.resolve(this.chunks.get(chunk.hash));
  }

  learn(blob: Digest, chunks: readonly Digest[]): void {
    this.learned.push({ blob, chunks });
    const data = this.#blobs.get(blob.hash);
    if (data === undefined) return;
    let at = 0;
    for (const { hash, sizeBytes } of chunks) this.chunks.set(hash, data.subarray(at, at += sizeBytes));
  }
}
