import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect as connectSocket, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { BrokkrError } from "@brokkr/common";
import { coalesceWrites } from "./_coalesce.ts";
import { bidi, type RpcServerOptions, serverStream, unary } from "./server.ts";
import { authority, hasOpenssl } from "./_test_certs.ts";
import { startPair } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

interface Op {
  readonly size: number;
  readonly how: "plain" | "callback" | "turn";
}

/** Does `ops` to a coalescing socket, ends it, and returns what arrives at the other end. */
async function through(ops: readonly Op[], last: "end" | "destroySoon"): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("data", (bytes: Uint8Array) => parts.push(Uint8Array.from(bytes)));
    socket.on("close", () => resolve());
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  const socket: Socket = connectSocket(port, "127.0.0.1");
  await new Promise<void>((ready) => socket.once("connect", ready));
  coalesceWrites(socket);
  let at = 0;
  for (const { size, how } of ops) {
    if (how === "turn") {
      await new Promise((turn) => setTimeout(turn, 0));
      continue;
    }
    const bytes = Uint8Array.from({ length: size }, () => at++ & 255);
    if (how === "callback") socket.write(bytes, () => {});
    else socket.write(bytes);
    // A small write is copied, so that the caller's buffer is its own again.
    if (how === "plain" && size <= 64 << 10) bytes.fill(0xee);
  }
  socket[last]();
  await promise;
  await new Promise((closed) => server.close(closed));
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

Deno.test("Coalesced writes arrive complete and in order", async () => {
  const size = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
  );
  const how = fc.constantFrom<Op["how"]>("plain", "plain", "plain", "callback", "turn");
  const last = fc.constantFrom<"end" | "destroySoon">("end", "destroySoon");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ size, how }), { maxLength: 40 }), last, async (ops, ending) => {
      const bytes = await through(ops, ending);
      assertEquals(bytes.length, ops.reduce((sum, op) => op.how === "turn" ? sum : sum + op.size, 0));
      assert(bytes.every((byte, index) => byte === (index & 255)));
    }),
    { numRuns: 40 },
  );
});

Deno.test("Coalesced writes are held back when the peer reads nothing, and go on when it does", async () => {
  const server = createServer({ pauseOnConnect: true });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  const socket: Socket = connectSocket(port, "127.0.0.1");
  await new Promise<void>((ready) => socket.once("connect", ready));
  coalesceWrites(socket);
  const chunk = new Uint8Array(16 << 10);
  let sent = 0;
  // Each in its own turn, so that no write fills the queue by itself.
  while (socket.write(chunk) && ++sent < 10_000) await new Promise((turn) => setTimeout(turn, 0));
  assert(sent < 10_000, "a socket that nobody reads took everything");
  const drained = new Promise<void>((resolve) => socket.once("drain", resolve));
  const peer = await accepted;
  let got = 0;
  peer.on("data", (bytes: Uint8Array) => got += bytes.length);
  const closed = new Promise<void>((resolve) => peer.once("close", () => resolve()));
  peer.resume();
  await drained;
  socket.end();
  await closed;
  assertEquals(got, (sent + 1) * chunk.length); // the write that was answered with false counts too
  await new Promise((done) => server.close(done));
});

async function exercise(
  options: Partial<RpcServerOptions>,
  client: Parameters<typeof startPair>[2],
): Promise<void> {
  const sizes = [1, 20, 300_000, 5, 65_536, 65_531, 3, 1_000_000, 0, 64];
  const body = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) & 255);
  await using pair = await startPair(
    [
      unary(Echo.unary, "read", (text) => {
        if (text === "fail") throw new BrokkrError(5, "Nothing here");
        return text;
      }),
      serverStream(Echo.bytesDown, "read", async function* () {
        for (let round = 0; round < 5; round++) {
          for (const size of sizes) yield await Promise.resolve(body(size));
        }
      }),
      bidi(Echo.bytesBoth, "read", (requests) => requests),
    ],
    { ...options, coalesceWrites: true },
    client,
  );
  const download = async () => {
    const got = await Array.fromAsync(pair.channel.serverStream(Echo.bytesDown, new Uint8Array()));
    assertEquals(got.length, 50);
    for (const [index, bytes] of got.entries()) assertEquals(bytes, body(sizes[index % sizes.length]));
  };
  const texts = Array.from({ length: 200 }, (_, i) => `${i}`);
  const [, , answers] = await Promise.all([
    download(),
    download(),
    Promise.all(texts.map((text) => pair.channel.unary(Echo.unary, text))),
  ]);
  assertEquals(answers, texts);
  await assertRejects(() => pair.channel.unary(Echo.unary, "fail"), BrokkrError, "Nothing here");
  const call = pair.channel.bidi(Echo.bytesBoth);
  const responses = call.responses[Symbol.asyncIterator]();
  for (const size of sizes) {
    await call.send(body(size));
    assertEquals((await responses.next()).value, body(size));
  }
  call.end();
  assertEquals((await responses.next()).done, true);
}

Deno.test("A server that coalesces its writes answers as any other", () => exercise({}, {}));

Deno.test({
  name: "A server that coalesces its writes answers as any other over TLS",
  ignore: !hasOpenssl,
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      const ca = await authority(dir, "ca");
      const tls = { ...await ca.issue("server"), clientCa: ca.cert };
      await exercise({ tls }, { tls: { ca: ca.cert, ...await ca.issue("client") } });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
