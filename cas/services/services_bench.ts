/**
 * How fast the services are, each with a yardstick from the same run: `deno run -A cas/services/services_bench.ts`.
 * Servers run as processes of their own; the load comes from bare HTTP/2, so that the server is what is measured. The
 * store answers membership as the disk store does and keeps bytes in memory, but for the last line.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as http2 from "node:http2";
import { scopeOf, systemRandom } from "@brokkr/common";
import {
  ActionResultCodec,
  encodeFindMissing,
  GetActionResultRequestCodec,
  RawByteStream,
} from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import {
  ActionCache,
  type Digest,
  type DigestBatch,
  digestOf,
  formatReadName,
  formatUploadName,
  MemoryBlobStore,
  MemoryMetadataStore,
  SHA256,
  TreeBuilder,
} from "../mod.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { MembershipTable } from "../store/membership_table.ts";
import { actionCacheRoutes } from "./action_cache_service.ts";
import { byteStreamRoutes } from "./byte_stream_service.ts";
import { casRoutes } from "./cas_service.ts";

const scope = scopeOf("");
const GET_ACTION_RESULT = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult";
const FIND_MISSING = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs";
const BLOBS = 1_000_000;
const STREAM_BYTES = 64 << 20;
const action = digestOf(SHA256, new Uint8Array([1]));

/** Membership as the disk store has it, bytes in memory. */
class TableStore extends MemoryBlobStore {
  readonly table = new MembershipTable(32, systemRandom.bytes(16));

  add(digest: Digest): void {
    this.table.set(Uint8Array.fromHex(digest.hash), 0, 0, digest.sizeBytes);
  }

  override pin(_scope: unknown, batch: DigestBatch, durationMs: number): Promise<void> {
    this.table.pin(batch, { usedS: 0, untilMs: Date.now() + durationMs });
    return Promise.resolve();
  }

  override missing(_scope: unknown, batch: DigestBatch): Uint32Array {
    return batch.length === 1 ? super.missing(scope, batch) : this.table.missing(batch);
  }
}

function number(i: number): Uint8Array {
  return new Uint8Array(new Uint32Array([i, 7]).buffer);
}

/** Three output files and a directory of twenty. */
async function storeResult(store: TableStore): Promise<Uint8Array> {
  const add = async (data: Uint8Array) => {
    const digest = digestOf(SHA256, data);
    await store.put(scope, digest, data);
    store.add(digest);
    return { hash: digest.hash, sizeBytes: digest.sizeBytes, digest };
  };
  const tree = new TreeBuilder();
  for (let i = 0; i < 20; i++) tree.addFile(`d${i % 4}/f${i}`, (await add(number(2 * BLOBS + i))).digest);
  const outputFiles = [];
  for (let i = 0; i < 3; i++) {
    outputFiles.push({ path: `out${i}`, digest: await add(number(3 * BLOBS + i)) });
  }
  const treeDigest = await add(tree.buildTree(SHA256).data);
  return ActionResultCodec.encode({ outputFiles, outputDirectories: [{ path: "dir", treeDigest }] });
}

/** Streams to and from a disk. */
async function serveDisk(dir: string): Promise<void> {
  const store = await openDiskBlobStore(`${dir}/cas`);
  const server = createRpcServer({
    routes: byteStreamRoutes({ store }).routes,
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ port }] = await server.listen();
  console.log(port);
}

async function serve(): Promise<void> {
  const store = new TableStore(1 << 30);
  for (let i = 0; i < BLOBS; i++) store.add(digestOf(SHA256, number(i)));
  const cache = new ActionCache({ metadata: new MemoryMetadataStore(), blobs: store });
  await cache.update(scope, action, await storeResult(store), "client");
  const server = createRpcServer({
    routes: [
      ...casRoutes({ store }),
      ...byteStreamRoutes({ store }).routes,
      ...actionCacheRoutes({ cache, store }),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ port }] = await server.listen();
  console.log(port);
}

/** grpc-js alone, with handlers that do nothing. */
function serveEmpty(): void {
  const server = new Server();
  const raw = {
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const empty = Buffer.alloc(0);
  for (const path of [GET_ACTION_RESULT, FIND_MISSING]) {
    const definition = { [path.split("/")[2]]: { ...raw, path } };
    server.addService(definition, {
      [path.split("/")[2]]: (_call: unknown, callback: (error: null, value: Buffer) => void) =>
        callback(null, empty),
    });
  }
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_error, port) => console.log(port));
}

async function start(...mode: string[]): Promise<{ port: number; stop: () => Promise<void> }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename ?? "", ...mode],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  return {
    port: Number(value),
    async stop() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

/** Calls a second of one unary method with `inFlight` calls under way. */
async function load(
  port: number,
  path: string,
  message: Uint8Array,
  inFlight: number,
  ms: number,
): Promise<number> {
  const body = Buffer.alloc(message.length + 5);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", "te": "trailers" };
  let ok = 0;
  const call = () =>
    new Promise<void>((resolve, reject) => {
      const stream = session.request(headers);
      stream.on("trailers", (trailers) => {
        if (trailers["grpc-status"] === "0") ok++;
        else reject(new Error(`status ${trailers["grpc-status"]}: ${trailers["grpc-message"]}`));
      });
      stream.on("error", reject);
      stream.on("close", resolve);
      stream.resume();
      stream.end(body);
    });
  const startMs = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (performance.now() - startMs < ms) await call();
  }));
  session.destroy();
  return ok / (performance.now() - startMs) * 1000;
}

async function streamRates(port: number): Promise<{ read: number; write: number }> {
  await using channel = connect(`grpc://127.0.0.1:${port}`);
  const data = new Uint8Array(STREAM_BYTES).fill(7);
  let read = 0;
  let write = 0;
  for (let round = 1; round <= 5; round++) {
    data[0] = round;
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("", `u${round}`, digest);
    const messages = async function* () {
      for (let at = 0; at < STREAM_BYTES; at += 1 << 20) {
        const finishWrite = at + (1 << 20) >= STREAM_BYTES;
        yield await Promise.resolve({
          resourceName: at === 0 ? name : "",
          writeOffset: at,
          finishWrite,
          data: data.subarray(at, at + (1 << 20)),
        });
      }
    };
    write = Math.max(write, await rate(() => channel.clientStream(RawByteStream.write, messages())));
    const resourceName = formatReadName("", digest);
    read = Math.max(
      read,
      await rate(async () => {
        for await (const _ of channel.serverStream(RawByteStream.read, { resourceName })) {
          /* only received */
        }
      }),
    );
  }
  return { read, write };
}

/** MB/s of moving STREAM_BYTES once. */
async function rate(move: () => unknown): Promise<number> {
  const startMs = performance.now();
  await move();
  return STREAM_BYTES / 1e3 / (performance.now() - startMs);
}

/** What a stream to disk cannot beat when its steps follow one another: the wire, the hash, the disk. */
async function serialBound(dir: string, wireRate: number): Promise<{ read: number; write: number }> {
  const data = new Uint8Array(STREAM_BYTES).fill(7);
  let hash = 0;
  let disk = 0;
  for (let round = 0; round < 3; round++) {
    hash = Math.max(hash, await rate(() => SHA256.hash(data)));
    const args = ["if=/dev/zero", `of=${dir}/dd`, "bs=1M", `count=${STREAM_BYTES >> 20}`, "conv=fsync"];
    disk = Math.max(disk, await rate(() => new Deno.Command("dd", { args, stderr: "null" }).output()));
  }
  console.log(
    `  wire ${wireRate.toFixed(0)} MB/s, hash ${hash.toFixed(0)} MB/s, dd conv=fsync ${disk.toFixed(0)} MB/s`,
  );
  return { read: wireRate, write: 1 / (1 / wireRate + 1 / hash + 1 / disk) };
}

async function benchDisk(wireRate: number): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-bench-" });
  const server = await start("disk", dir);
  try {
    const { read, write } = await streamRates(server.port);
    const bound = await serialBound(dir, wireRate);
    console.log(
      `ByteStream of 64 MiB, disk: read ${read.toFixed(0)} MB/s (${(read / bound.read).toFixed(2)}x), ` +
        `durable write ${write.toFixed(0)} MB/s (${(write / bound.write).toFixed(2)}x of the serial bound)`,
    );
  } finally {
    await server.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

async function main(): Promise<void> {
  const [server, empty] = [await start("serve"), await start("empty")];
  try {
    const lookup = GetActionResultRequestCodec.encode({ actionDigest: action });
    for (const inFlight of [1, 16, 64]) {
      let ours = 0, theirs = 0;
      // Turn and turn about, so that both meet the same weather.
      for (let round = 0; round < 4; round++) {
        ours = Math.max(ours, await load(server.port, GET_ACTION_RESULT, lookup, inFlight, 1500));
        theirs = Math.max(theirs, await load(empty.port, GET_ACTION_RESULT, lookup, inFlight, 1500));
      }
      const ratio = (ours / theirs).toFixed(2);
      console.log(
        `GetActionResult, ${inFlight} in flight: ${ours.toFixed(0)}/s; grpc-js, empty: ${
          theirs.toFixed(0)
        }/s; ${ratio}x`,
      );
    }
    const digests = Array.from({ length: 10_000 }, (_, i) => digestOf(SHA256, number(i * 97)));
    const request = encodeFindMissing({ digests });
    const [finds, none] = [
      await load(server.port, FIND_MISSING, request, 4, 4000),
      await load(empty.port, FIND_MISSING, request, 4, 4000),
    ];
    console.log(
      `FindMissing of 10,000 at a million: ${(finds / 100).toFixed(2)} M/s; grpc-js, empty: ${
        (none / 100).toFixed(2)
      } M/s`,
    );
    const memory = await streamRates(server.port);
    console.log(
      `ByteStream of 64 MiB, memory: read ${memory.read.toFixed(0)} MB/s, write ${
        memory.write.toFixed(0)
      } MB/s`,
    );
    await benchDisk(memory.read);
  } finally {
    await Promise.all([server.stop(), empty.stop()]);
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "serve") await serve();
  else if (Deno.args[0] === "disk") await serveDisk(Deno.args[1]);
  else if (Deno.args[0] === "empty") serveEmpty();
  else await main();
}
