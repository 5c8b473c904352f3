/**
 * A server (`plain` or `coalesced`) or a client (`call <address>`) in a process of its own, for tests of what it survives.
 *
 * @module
 */

import { createLogger } from "@brokkr/common";
import { connect } from "./client.ts";
import {
  bidi,
  clientStream,
  createRpcServer,
  defaultPolicy,
  onTermination,
  serverStream,
  unary,
} from "./server.ts";
import { Echo } from "./_test_service.ts";

async function serve(coalesceWrites: boolean): Promise<void> {
  const log = createLogger({ level: "info" });
  const server = createRpcServer({
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read"] }),
    log,
    coalesceWrites,
    routes: [
      unary(Echo.unary, "read", (text) => text),
      serverStream(Echo.serverStream, "read", async function* (text, context) {
        while (!context.signal.aborted) {
          yield text.repeat(1000);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }),
      clientStream(Echo.clientStream, "read", async (requests) => (await Array.fromAsync(requests)).join("")),
      bidi(Echo.bidi, "read", (requests) => requests),
    ],
  });
  const [{ address }] = await server.listen();
  onTermination(() => server.shutdown({ graceMs: 1000 }), { log });
  console.log(address);
}

/** Calls again and again, whatever becomes of the connection, until it is told how often it failed. */
async function call(address: string): Promise<void> {
  await using channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
  let failed = 0;
  for (let i = 0; i < 20; i++) {
    const all = Array.from({ length: 8 }, () => channel.unary(Echo.unary, "x", { timeoutMs: 2000 }));
    for (const result of await Promise.allSettled(all)) if (result.status === "rejected") failed++;
  }
  console.log(`failed ${failed}`);
}

if (import.meta.main) {
  const [role, address] = Deno.args;
  await (role === "call" ? call(address) : serve(role === "coalesced"));
}
