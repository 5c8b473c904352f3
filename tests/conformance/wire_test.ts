import { assertEquals, assertStringIncludes } from "@std/assert";
import { framed, percentDecode, statusOf, Wire } from "./wire.ts";

const PATH = "/any.Service/Method";

/** A TCP server that does `serve` with each connection. */
async function withServer(
  serve: (connection: Deno.TcpConn) => Promise<void>,
  test: (wire: Wire) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await serve(connection).catch(() => {});
    }
  })();
  {
    await using wire = new Wire({ host: "127.0.0.1", port: listener.addr.port, timeoutMs: 1000 });
    await test(wire);
  }
  for (const connection of connections) {
    try {
      connection.close();
    } catch {
      // It was closed by what is tested.
    }
  }
  listener.close();
  await accepting.catch(() => {});
}

Deno.test("percentDecode reads what is well-formed, and nothing else", () => {
  assertEquals(percentDecode("a%20b"), "a b");
  assertEquals(percentDecode("gr%C3%B6%C3%9Fe"), "größe");
  assertEquals(percentDecode(""), "");
  for (const wrong of ["100%", "%zz", "%C3", "%f"]) assertEquals(percentDecode(wrong), undefined, wrong);
});

Deno.test("framed puts flag and length before a message", () => {
  assertEquals(framed(new Uint8Array([1, 2, 3]), 1).toHex(), "0100000003010203");
  assertEquals(framed(new Uint8Array([1]), 0, 0xffff_ffff).toHex(), "00ffffffff01");
});

Deno.test("A server that accepts and says nothing is told as one that did not answer", async () => {
  await withServer(() => Promise.resolve(), async (wire) => {
    assertStringIncludes(statusOf(await wire.unary(PATH, new Uint8Array())), "did not answer within 1 s");
    assertEquals(await wire.ping(200), undefined);
  });
});

Deno.test("A server that closes at once, or speaks something else, is told as a fault, not as a hang", async () => {
  await withServer((connection) => Promise.resolve(connection.close()), async (wire) => {
    const reply = await wire.unary(PATH, new Uint8Array());
    assertEquals([reply.code, reply.fault === undefined], [undefined, false]);
  });
  await withServer(async (connection) => {
    await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
  }, async (wire) => {
    const reply = await wire.unary(PATH, new Uint8Array());
    assertEquals([reply.code, reply.fault === undefined], [undefined, false]);
  });
});

Deno.test("Nobody listening is told as a fault", async () => {
  const { port } = (() => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return listener.addr;
  })();
  await using wire = new Wire({ host: "127.0.0.1", port, timeoutMs: 5000 });
  const reply = await wire.unary(PATH, new Uint8Array());
  assertStringIncludes(statusOf(reply), "ECONNREFUSED");
});
