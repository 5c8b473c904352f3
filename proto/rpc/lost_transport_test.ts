import { assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { connect } from "./client.ts";
import { unary } from "./server.ts";
import { goaway, join, settings } from "./_test_frames.ts";
import { startPair } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

/** Copies one way until the end. */
async function pipe(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  await from.readable.pipeTo(to.writable).catch(() => {});
}

/** Listens, does `first` to the first connections and hands the others to `port`. */
function crossing(port: number, firstCount: number, first: (conn: Deno.TcpConn) => Promise<void>) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const going = new Set<Promise<unknown>>();
  let count = 0;
  const serving = (async () => {
    for await (const conn of listener) {
      if (count++ < firstCount) {
        going.add(first(conn).catch(() => {}));
        continue;
      }
      const other = await Deno.connect({ hostname: "127.0.0.1", port });
      going.add(Promise.all([pipe(conn, other), pipe(other, conn)]));
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      await Promise.all(going);
    },
  };
}

Deno.test("A channel recovers from a server that says goodbye in the moment it is reached", async () => {
  const route = unary(Echo.unary, "read", (text) => `${text}!`);
  await using pair = await startPair([route]);
  const port = Number(pair.channel.endpoint.split(":").at(-1));
  const asked = new Uint8Array(4096);
  await using between = crossing(port, 3, async (conn) => {
    await conn.read(asked);
    await conn.write(join(settings(), goaway(0, 0)));
    while (await conn.read(asked) !== null);
    conn.close();
  });
  await using channel = connect(`grpc://127.0.0.1:${between.port}`, {
    retry: { retries: 0, firstDelayMs: 1, maxDelayMs: 1 },
  });
  const failures: BrokkrError[] = [];
  let answer = "";
  for (let tries = 0; tries < 200 && answer === ""; tries++) {
    try {
      answer = await channel.unary(Echo.unary, "there", { timeoutMs: 10_000 });
    } catch (error) {
      if (!(error instanceof BrokkrError)) throw error;
      failures.push(error);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  assertEquals(answer, "there!", failures.map(({ message }) => message).slice(0, 5).join("\n"));
  assertEquals([...new Set(failures.map(({ code }) => code))], [Code.UNAVAILABLE]);
});

Deno.test("A call that was refused before it began is tried again by itself", async () => {
  const route = unary(Echo.unary, "read", (text) => `${text}!`);
  await using pair = await startPair([route]);
  const port = Number(pair.channel.endpoint.split(":").at(-1));
  const asked = new Uint8Array(4096);
  await using between = crossing(port, 1, async (conn) => {
    await conn.read(asked);
    await conn.write(join(settings(), goaway(0, 0)));
    while (await conn.read(asked) !== null);
    conn.close();
  });
  const endpoint = `grpc://127.0.0.1:${between.port}`;
  {
    await using channel = connect(endpoint, { retry: { retries: 0, firstDelayMs: 1, maxDelayMs: 1 } });
    const error = await assertRejects(() => channel.unary(Echo.unary, "there"), BrokkrError);
    assertEquals(error.code, Code.UNAVAILABLE);
  }
  await using channel = connect(endpoint);
  assertEquals(await channel.unary(Echo.unary, "there"), "there!");
});
