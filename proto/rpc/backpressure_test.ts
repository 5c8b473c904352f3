import { assert, assertEquals } from "@std/assert";
import { bidi, clientStream, serverStream } from "./server.ts";
import { startPair, until } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

const CHUNK = new Uint8Array(256 << 10);
const WINDOW = 1 << 20;

/** Lets everything run that can without outside help: the network and both event loops come to rest. */
async function settle(count: () => number): Promise<number> {
  let seen = count(), same = 0;
  while (same < 40) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (count() === seen) same++;
    else seen = count(), same = 0;
  }
  return seen;
}

Deno.test("A slow reader holds the producer of a server stream", async () => {
  let produced = 0;
  const route = serverStream(Echo.bytesDown, "read", async function* () {
    for (; produced < 2000; produced++) yield CHUNK;
  });
  await using pair = await startPair([route], { limits: { sendAheadBytes: 512 << 10 } }, {
    windowBytes: WINDOW,
  });
  const responses = pair.channel.serverStream(Echo.bytesDown, new Uint8Array())[Symbol.asyncIterator]();
  await responses.next();
  const ahead = await settle(() => produced);
  // One window at the client, half a MiB at the server, and a few chunks between: far from 2000 chunks.
  assert(ahead * CHUNK.length < 8 * WINDOW, `produced ${ahead} chunks for a reader that took one`);
  let rest = 0;
  for (let step = await responses.next(); !step.done; step = await responses.next()) rest++;
  assertEquals(rest, 1999);
});

Deno.test("A slow handler holds a client that streams", async () => {
  let sent = 0;
  const go = Promise.withResolvers<void>();
  const route = clientStream(Echo.bytesUp, "write", async (requests) => {
    let count = 0;
    for await (const _ of requests) {
      if (count++ === 0) await go.promise;
    }
    return new Uint8Array([count & 255]);
  });
  await using pair = await startPair([route], { limits: { streamWindowBytes: WINDOW } });
  const answer = pair.channel.clientStream(
    Echo.bytesUp,
    (async function* () {
      for (; sent < 1000; sent++) yield CHUNK;
    })(),
  );
  await until(() => sent > 0);
  const ahead = await settle(() => sent);
  assert(ahead * CHUNK.length < 8 * WINDOW, `sent ${ahead} chunks to a handler that took one`);
  go.resolve();
  assertEquals((await answer)[0], 1000 & 255);
});

Deno.test("A bidirectional call holds both sides", async () => {
  let received = 0, sent = 0;
  const route = bidi(Echo.bytesBoth, "write", async function* (requests) {
    for await (const chunk of requests) {
      received++;
      yield chunk;
    }
  });
  await using pair = await startPair([route], { limits: { streamWindowBytes: WINDOW } }, {
    windowBytes: WINDOW,
  });
  const call = pair.channel.bidi(Echo.bytesBoth);
  const sending = (async () => {
    for (; sent < 400; sent++) if (!await call.send(CHUNK)) break;
    call.end();
  })();
  await until(() => received > 0);
  const ahead = await settle(() => sent);
  assert(ahead * CHUNK.length < 16 * WINDOW, `sent ${ahead} chunks though nobody reads what comes back`);
  let back = 0;
  for await (const chunk of call.responses) {
    assertEquals(chunk.length, CHUNK.length);
    back++;
  }
  await sending;
  assertEquals([received, back], [400, 400]);
});
