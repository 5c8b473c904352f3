import { assert, assertEquals } from "@std/assert";
import { unary } from "./server.ts";
import { authority, hasOpenssl } from "./_test_certs.ts";
import { join, PREFACE, settings } from "./_test_frames.ts";
import { startPair } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

const echo = unary(Echo.unary, "worker", (text) => text);

/** Reads to the end, which comes when the server closes the connection. */
async function untilClosed(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1024);
  try {
    while (await connection.read(buffer) !== null);
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionReset, `${error}`);
  }
}

Deno.test("A server closes connections whose peers never say that they speak HTTP/2, and keeps others", async () => {
  await using pair = await startPair([echo], { limits: { handshakeMs: 200 } });
  const port = Number(pair.address.split(":")[1]);
  await pair.channel.unary(Echo.unary, "");
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(join(PREFACE, settings()));
  using silent = await Deno.connect({ hostname: "127.0.0.1", port });
  using slow = await Deno.connect({ hostname: "127.0.0.1", port });
  await slow.write(PREFACE.subarray(0, 10));
  let clientClosed = false;
  const ended = untilClosed(client).then(() => clientClosed = true);
  await Promise.all([untilClosed(silent), untilClosed(slow)]);
  assertEquals(clientClosed, false);
  await pair.server.shutdown({ graceMs: 0 });
  await ended;
});

Deno.test(
  { name: "A server closes connections that never begin with TLS", ignore: !hasOpenssl },
  async () => {
    const dir = await Deno.makeTempDir();
    try {
      const own = await authority(dir, "own");
      const tls = await own.issue("brokkr-control");
      const options = { tls, limits: { handshakeMs: 200 } };
      await using pair = await startPair([echo], options, { tls: { ca: own.cert } });
      using silent = await Deno.connect({ hostname: "127.0.0.1", port: Number(pair.address.split(":")[1]) });
      await untilClosed(silent);
      assertEquals(await pair.channel.unary(Echo.unary, "still there"), "still there");
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);
