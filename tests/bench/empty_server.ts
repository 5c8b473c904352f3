/**
 * The yardstick of the RPC benchmarks: bare grpc-js with handlers that do nothing. A unary GetActionResult that answers
 * with no bytes; a ByteStream that streams constant bytes, or drops what comes. Run as a process of its own: prints its
 * port, ends when standard input closes.
 *
 * @module
 */

// Ahead of grpc-js for the mend that it brings: see docs/adr/0002.
import "@brokkr/proto/rpc/server";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import { encodeReadResponse, encodeWriteResponse } from "@brokkr/proto";

/** Bytes that Read streams. */
const STREAM_BYTES = 64 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

const same = (bytes: Buffer) => bytes;

function define(
  path: string,
  requestStream: boolean,
  responseStream: boolean,
): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function serve(): grpc.Server {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": 8 << 20,
    "grpc-node.flow_control_window": 1 << 24,
  });
  const empty = Buffer.alloc(0);
  const cache = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult";
  server.addService({ get: define(cache, false, false) }, {
    get: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, empty),
  });
  const chunk = Buffer.from(encodeReadResponse({ data: new Uint8Array(CHUNK_BYTES) }));
  const written = Buffer.from(encodeWriteResponse({ committedSize: STREAM_BYTES }));
  server.addService({
    read: define("/google.bytestream.ByteStream/Read", false, true),
    write: define("/google.bytestream.ByteStream/Write", true, false),
  }, {
    read: async (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let sent = 0; sent < STREAM_BYTES; sent += CHUNK_BYTES) {
        if (!call.write(chunk)) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    },
    write: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      call.on("data", () => {});
      call.on("end", () => done(null, written));
    },
  });
  return server;
}

/** The server in a process of its own. */
export async function startEmptyServer(): Promise<
  { readonly port: number; readonly pid: number } & AsyncDisposable
> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value).trim());
  return {
    port,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

if (import.meta.main) {
  const server = serve();
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    console.log(port);
  });
  for await (const _ of Deno.stdin.readable);
  server.forceShutdown();
}
