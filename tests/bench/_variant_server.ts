/**
 * The RPC layer with its settings as told, as a process of its own: a cache's unary call that answers a constant, reads
 * of constant bytes in chunks as large as told, writes that are dropped. Prints its port; ends with standard input.
 *
 * @module
 */

import { ActionCache, type ActionResult, type Init, RawByteStream } from "@brokkr/proto";
import { clientStream, createRpcServer, defaultPolicy, serverStream, unary } from "@brokkr/proto/rpc/server";

/** What varies. */
export interface Variant {
  /** Joins small writes to a connection. */
  readonly coalesceWrites: boolean;
  /** Bytes of each message of a read. */
  readonly chunkBytes: number;
  /** Directory of `cert.pem` and `key.pem`; plain text without. */
  readonly certificates?: string;
}

const RESULT: Init<ActionResult> = {
  outputFiles: [0, 1].map((i) => ({ path: `out/${i}`, digest: { hash: "a".repeat(64), sizeBytes: i } })),
};

async function serve({ coalesceWrites, chunkBytes, certificates }: Variant): Promise<void> {
  const sizeOf = (name: string) => Number(name.slice(name.lastIndexOf("/") + 1));
  const pem = (name: string) => Deno.readTextFile(`${certificates}/${name}.pem`);
  const server = createRpcServer({
    routes: [
      unary(ActionCache.getActionResult, "read", () => RESULT),
      serverStream(RawByteStream.read, "read", async function* ({ resourceName }) {
        const data = new Uint8Array(chunkBytes);
        for (let left = sizeOf(resourceName); left > 0; left -= chunkBytes) {
          yield { data: left < chunkBytes ? data.subarray(0, left) : data };
          await Promise.resolve();
        }
      }),
      clientStream(RawByteStream.write, "write", async (messages) => {
        let committedSize = 0;
        for await (const { data } of messages) committedSize += data.length;
        return { committedSize };
      }),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
    coalesceWrites,
    ...(certificates === undefined ? {} : { tls: { cert: await pem("cert"), key: await pem("key") } }),
  });
  const [{ port }] = await server.listen();
  console.log(port);
  for await (const _ of Deno.stdin.readable);
  await server.shutdown({ graceMs: 0 });
}

/** Starts it. */
export async function startVariant(variant: Variant): Promise<{ readonly port: number } & AsyncDisposable> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", new URL(import.meta.url).pathname, JSON.stringify(variant)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    port: Number(new TextDecoder().decode(value).trim()),
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await reader.cancel();
      await child.status;
    },
  };
}

if (import.meta.main) await serve(JSON.parse(Deno.args[0]) as Variant);
