/**
 * The yardstick of the RPC benchmarks: bare grpc-js with handlers that do nothing. Unary calls that answer with no
 * bytes (a batch read: with constant ones); a ByteStream that streams constant bytes, or drops what comes; an Execute
 * that says that it waits, and does. Run as a process of its own: prints its port, ends when standard input closes.
 *
 * @module
 */

// Ahead of grpc-js for the mend that it brings: see docs/adr/0002.
import "@brokkr/proto/rpc/server";
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import {
  decodeReadRequest,
  decodeWriteRequest,
  encodeReadResponse,
  encodeWriteResponse,
  ExecuteOperationMetadataCodec,
  ExecutionStage,
  OperationCodec,
} from "@brokkr/proto";

const CHUNK_BYTES = 2 ** 20;
/** What a batch read answers: about as much as twenty blobs of 1 KiB. */
const BATCH_BYTES = 20 * 1100;
const REAPI = "/build.bazel.remote.execution.v2";

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
  const operation = Buffer.from(OperationCodec.encode({
    name: "operations/waits",
    metadata: {
      typeUrl: "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata",
      value: ExecuteOperationMetadataCodec.encode({ stage: ExecutionStage.QUEUED }),
    },
  }));
  const answer =
    (bytes: Buffer) => (_call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) =>
      done(null, bytes);
  server.addService({
    get: define(`${REAPI}.ActionCache/GetActionResult`, false, false),
    find: define(`${REAPI}.ContentAddressableStorage/FindMissingBlobs`, false, false),
    update: define(`${REAPI}.ContentAddressableStorage/BatchUpdateBlobs`, false, false),
    readBatch: define(`${REAPI}.ContentAddressableStorage/BatchReadBlobs`, false, false),
    execute: define(`${REAPI}.Execution/Execute`, false, true),
  }, {
    get: answer(empty),
    find: answer(empty),
    update: answer(empty),
    readBatch: answer(Buffer.alloc(BATCH_BYTES)),
    execute: (call: grpc.ServerWritableStream<Buffer, Buffer>) => call.write(operation),
  });
  const chunk = Buffer.from(encodeReadResponse({ data: new Uint8Array(CHUNK_BYTES) }));
  server.addService({
    read: define("/google.bytestream.ByteStream/Read", false, true),
    write: define("/google.bytestream.ByteStream/Write", true, false),
  }, {
    read: async (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      const { resourceName } = decodeReadRequest(call.request);
      const sizeBytes = Number(resourceName.slice(resourceName.lastIndexOf("/") + 1));
      for (let sent = 0; sent < sizeBytes; sent += CHUNK_BYTES) {
        if (!call.write(chunk)) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    },
    write: (call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
      let sizeBytes = 0;
      call.on("data", (message: Buffer) => {
        if (sizeBytes > 0) return;
        const { resourceName } = decodeWriteRequest(message);
        sizeBytes = Number(resourceName.slice(resourceName.lastIndexOf("/") + 1));
      });
      call.on("end", () => done(null, Buffer.from(encodeWriteResponse({ committedSize: sizeBytes }))));
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
