/**
 * A server and a channel to it, for tests.
 *
 * @module
 */

import type { Access } from "@brokkr/common";
import { connect, type ConnectOptions } from "./client.ts";
import { createRpcServer, defaultPolicy, type RpcServer, type RpcServerOptions } from "./server.ts";
import type { Channel, Route } from "./types.ts";

/** Everything that is granted in tests that are not about access. */
export const ALL: readonly Access[] = ["public", "read", "write", "execute", "admin", "worker"];

/** A server that listens, with a channel to it; both end with it. */
export interface TestPair extends AsyncDisposable {
  /** The server. */
  readonly server: RpcServer;
  /** Where it listens. */
  readonly address: string;
  /** A channel to it that never retries. */
  readonly channel: Channel;
}

/** Starts `routes` on a free port. */
export async function startPair(
  routes: readonly Route[],
  options: Partial<RpcServerOptions> = {},
  client: ConnectOptions = {},
): Promise<TestPair> {
  const server = createRpcServer({
    routes,
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ALL }),
    ...options,
  });
  const [{ address }] = await server.listen();
  const scheme = options.tls === undefined ? "grpc" : "grpcs";
  const channel = connect(`${scheme}://${address}`, { retry: { retries: 0 }, ...client });
  return {
    server,
    address,
    channel,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
    },
  };
}

/** Resolves when `condition` holds, looking again after every turn of the event loop; fails after `limitMs`. */
export async function until(condition: () => boolean, limitMs = 5000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error("The condition did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
