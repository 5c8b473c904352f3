/**
 * What this layer costs: an empty unary call through it against an empty handler of bare grpc-js, each server in a
 * process of its own. `deno run -A proto/rpc/rpc_bench.ts [seconds]`; with `--serve bare`, `layer` or `coalesced` it only
 * serves, for load generators such as h2load.
 *
 * @module
 */

import "./h2_mend.ts";
import { Buffer } from "node:buffer";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ByteBudget } from "@brokkr/common";
import { connect } from "./client.ts";
import { createRpcServer, defaultPolicy, unary } from "./server.ts";
import { Echo } from "./_test_service.ts";

const ANSWER = new Uint8Array(180);

async function serveLayer(coalesceWrites: boolean): Promise<string> {
  const server = createRpcServer({
    routes: [unary(Echo.bytes, "read", () => ANSWER)],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read"] }),
    coalesceWrites,
    byteBudget: new ByteBudget(1 << 28),
  });
  return (await server.listen())[0].address;
}

function serveBare(): Promise<string> {
  const server = new Server();
  const same = (bytes: Buffer) => bytes;
  const answer = Buffer.from(ANSWER);
  server.register<Buffer, Buffer>(
    Echo.bytes.path,
    ((_call: unknown, done: (error: null, value: Buffer) => void) => done(null, answer)) as never,
    same,
    same,
    "unary",
  );
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

async function measure(address: string, width: number, seconds: number): Promise<number> {
  await using channel = connect(`grpc://${address}`);
  const request = new Uint8Array(90);
  const run = async (forMs: number) => {
    const endMs = performance.now() + forMs;
    let count = 0;
    const lane = async () => {
      for (; performance.now() < endMs; count++) await channel.unary(Echo.bytes, request);
    };
    await Promise.all(Array.from({ length: width }, lane));
    return count / (forMs / 1000);
  };
  await run(500);
  return await run(seconds * 1000);
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) break;
  }
  return text.trim();
}

async function compare(seconds: number): Promise<void> {
  for (const width of [1, 16, 64]) {
    const rates: Record<string, number> = {};
    for (const kind of ["bare", "layer", "coalesced"]) {
      const args = ["run", "-A", "--no-check", import.meta.url, "--serve", kind];
      const server = new Deno.Command(Deno.execPath(), { args, stdout: "piped" }).spawn();
      rates[kind] = await measure(await firstLine(server.stdout), width, seconds);
      server.kill("SIGKILL");
      await server.status;
    }
    const ratio = (rates.layer / rates.bare).toFixed(2);
    console.log(
      `c=${width}: bare ${rates.bare.toFixed(0)}/s, layer ${rates.layer.toFixed(0)}/s, ratio ${ratio}`,
    );
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "--serve") {
    console.log(await (Deno.args[1] === "bare" ? serveBare() : serveLayer(Deno.args[1] === "coalesced")));
  } else {
    await compare(Number(Deno.args[0] ?? 3));
  }
}
