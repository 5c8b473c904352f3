import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code, resourceExhausted, seededRandom, unavailable } from "@brokkr/common";
import { connect } from "./client.ts";
import { connectionError, droppedError, foreignError, parseEndpoint } from "./_endpoint.ts";
import { retryDelayMs } from "./_retry.ts";
import { bidi, clientStream, unary } from "./server.ts";
import { startPair, until } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

/** A port where nothing listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

Deno.test("parseEndpoint reads grpc and grpcs endpoints and nothing else", () => {
  assertEquals(parseEndpoint("grpc://localhost"), {
    url: "grpc://localhost:8980",
    secure: false,
    host: "localhost",
    target: "localhost:8980",
  });
  assertEquals(parseEndpoint("grpcs://[::1]:1/").url, "grpcs://[::1]:1");
  for (
    const text of [
      "",
      "localhost:8980",
      "http://x",
      "grpc://",
      "grpc://x:0",
      "grpc://x:70000",
      "grpc://x/y",
      "grpc://u@x",
    ]
  ) {
    assertThrows(() => parseEndpoint(text), BrokkrError, "write grpc://host:port");
  }
});

Deno.test("connectionError says what to do", () => {
  const endpoint = parseEndpoint("grpc://a:1");
  const cases: [string, string][] = [
    ["Last error: connect ECONNREFUSED 127.0.0.1:1", "Start one with `brokk up`"],
    ["Name resolution failed for target dns:a:1", "no such host"],
    ["connect EHOSTUNREACH", "no route to the host"],
    ["invalid peer certificate: UnknownIssuer", "the TLS certificates do not fit"],
    ["No connection established. Last error: x", "does the server want TLS?"],
  ];
  for (const [details, words] of cases) {
    const error = connectionError(endpoint, details);
    assert(
      error?.message.startsWith("Cannot reach grpc://a:1: ") && error.message.includes(words),
      error?.message,
    );
  }
  assertEquals(connectionError(endpoint, "The server is shutting down"), undefined);
});

Deno.test("foreignError tells an answer that is no gRPC from a message that is too large", () => {
  const endpoint = parseEndpoint("grpc://a:1");
  const size = new DataView(new TextEncoder().encode("ot f").buffer).getUint32(0);
  const error = foreignError(endpoint, `Received message larger than max (${size} vs 4259840)`);
  assertEquals(error?.code, Code.UNIMPLEMENTED);
  assert(error?.message.startsWith("Cannot reach grpc://a:1: something answers there"), error?.message);
  for (const other of ["Received message larger than max (5000000 vs 4259840)", "The queue is full"]) {
    assertEquals(foreignError(endpoint, other), undefined);
  }
});

Deno.test("droppedError tells a connection that broke under a write from a server's own INTERNAL", () => {
  const endpoint = parseEndpoint("grpc://a:1");
  const reset = "Received RST_STREAM with code 2";
  const whys = ["EPIPE", "ECONNABORTED", "ENETDOWN", "EHOSTUNREACH"].map((errno) => `write ${errno}`);
  for (const why of [...whys, "This socket has been ended by the other party"]) {
    const error = droppedError(endpoint, `${reset} triggered by internal client error: ${why}`);
    assertEquals(error?.code, Code.UNAVAILABLE);
    assertEquals(error?.message, `The connection to grpc://a:1 dropped: ${why}`);
  }
  for (
    const other of [`${reset} (Internal server error)`, "write EPIPE", "internal client error: EXPONENT"]
  ) {
    assertEquals(droppedError(endpoint, other), undefined);
  }
});

Deno.test("A refused connection says that nothing runs there", async () => {
  const endpoint = `grpc://127.0.0.1:${freePort()}`;
  await using channel = connect(endpoint, { retry: { retries: 1, firstDelayMs: 1 } });
  const error = await assertRejects(() => channel.unary(Echo.unary, ""), BrokkrError);
  assertEquals([error.code, error.message], [
    Code.UNAVAILABLE,
    `Cannot reach ${endpoint}: connection refused; is a control plane running there? Start one with \`brokk up\``,
  ]);
});

Deno.test("A channel reaches a server that comes up later", async () => {
  const port = freePort();
  await using channel = connect(`grpc://127.0.0.1:${port}`, {
    retry: { retries: 50, firstDelayMs: 20, maxDelayMs: 50 },
  });
  const answer = channel.unary(Echo.unary, "hello");
  await assertRejects(() => channel.unary(Echo.unary, "", { retries: 0 }), BrokkrError, "connection refused");
  await using _pair = await startPair([unary(Echo.unary, "read", (text) => text)], {
    listen: [`127.0.0.1:${port}`],
  });
  assertEquals(await answer, "hello");
});

Deno.test("Unary calls are tried again when that may help, and only then", async () => {
  let calls = 0;
  const failures: Record<string, () => BrokkrError> = {
    unavailable: () => new BrokkrError(Code.UNAVAILABLE, "Not now"),
    hinted: () => resourceExhausted("Full", 1),
    exhausted: () => new BrokkrError(Code.RESOURCE_EXHAUSTED, "Quota"),
    internal: () => new BrokkrError(Code.INTERNAL, "Broken"),
  };
  const route = unary(Echo.unary, "read", (text) => {
    calls++;
    const [kind, times] = text.split(" ");
    if (calls <= Number(times)) throw failures[kind]();
    return `after ${calls}`;
  });
  await using pair = await startPair([route], {}, { retry: { retries: 3, firstDelayMs: 1 } });
  const cases: [string, string | Code, number][] = [
    ["unavailable 2", "after 3", 3],
    ["hinted 3", "after 4", 4],
    ["unavailable 9", Code.UNAVAILABLE, 4],
    ["exhausted 9", Code.RESOURCE_EXHAUSTED, 1],
    ["internal 9", Code.INTERNAL, 1],
  ];
  for (const [text, outcome, count] of cases) {
    calls = 0;
    const result = await pair.channel.unary(Echo.unary, text).catch((error: BrokkrError) => error.code);
    assertEquals([text, result, calls], [text, outcome, count]);
  }
  calls = 0;
  await assertRejects(() => pair.channel.unary(Echo.unary, "unavailable 9", { retries: 0 }), BrokkrError);
  assertEquals(calls, 1);
});

Deno.test("retryDelayMs grows, is capped, and keeps to the server's hint", () => {
  const options = { retries: 9, firstDelayMs: 100, maxDelayMs: 1000 };
  const random = seededRandom(1);
  const plain = new BrokkrError(Code.UNAVAILABLE, "x");
  for (let attempt = 1; attempt < 8; attempt++) {
    const delayMs = retryDelayMs(plain, attempt, options, random);
    const fullMs = Math.min(100 * 2 ** (attempt - 1), 1000);
    assert(delayMs !== undefined && delayMs >= fullMs / 2 && delayMs <= fullMs);
  }
  const hinted = retryDelayMs(unavailable("x", 700), 1, options, random);
  assert(hinted !== undefined && hinted >= 700 && hinted <= 875);
  assertEquals(retryDelayMs(new BrokkrError(Code.ABORTED, "x"), 1, options, random), undefined);
});

Deno.test("An aborted signal keeps a call from starting", async () => {
  await using pair = await startPair([unary(Echo.unary, "read", (text) => text)]);
  const signal = AbortSignal.abort(new BrokkrError(Code.ABORTED, "No longer wanted"));
  const error = await assertRejects(() => pair.channel.unary(Echo.unary, "", { signal }), BrokkrError);
  assertEquals(error.message, "No longer wanted");
});

Deno.test("Closing a channel cancels its calls and refuses new ones", async () => {
  const route = bidi(Echo.bidi, "read", (requests) => requests);
  await using pair = await startPair([route]);
  const call = pair.channel.bidi(Echo.bidi);
  await call.send("x");
  const reading = Array.fromAsync(call.responses);
  const failing = assertRejects(() => reading, BrokkrError, "The channel was closed");
  await until(() => pair.server.activeCalls === 1);
  await pair.channel.close();
  await failing;
  assertEquals(await call.send("y"), false);
  const error = await assertRejects(() => pair.channel.unary(Echo.unary, ""), BrokkrError, "was closed");
  assertEquals(error.code, Code.CANCELLED);
  await pair.channel.close();
});

Deno.test("A producer that fails ends its call", async () => {
  const seen = Promise.withResolvers<unknown>();
  const route = clientStream(Echo.clientStream, "read", async (requests) => {
    try {
      return (await Array.fromAsync(requests)).join();
    } catch (error) {
      seen.resolve(error);
      throw error;
    }
  });
  await using pair = await startPair([route]);
  const requests = (async function* () {
    yield "one";
    await until(() => pair.server.activeCalls === 1);
    throw new Error("disk on fire");
  })();
  await assertRejects(() => pair.channel.clientStream(Echo.clientStream, requests), Error, "disk on fire");
  assert(await seen.promise instanceof BrokkrError);
});

Deno.test("An upload lets go of what it has sent", async () => {
  const route = clientStream(Echo.bytesUp, "read", async (requests) => {
    for await (const _ of requests);
    return new Uint8Array();
  });
  await using pair = await startPair([route]);
  const sent: WeakRef<Uint8Array>[] = [];
  let alive = Infinity;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let i = 0; i < 200; i++) {
      const chunk = new Uint8Array(1 << 20);
      sent.push(new WeakRef(chunk));
      yield chunk;
    }
    await new Promise((resolve) => setTimeout(resolve)); // a WeakRef holds what it points to until the turn ends
    collectGarbage();
    alive = sent.slice(0, 100).filter((each) => each.deref() !== undefined).length;
  }
  await pair.channel.clientStream(Echo.bytesUp, chunks());
  // grpc-js keeps what it was given before it had a connection, and no more than that.
  assert(alive < 10, `${alive} chunks that were sent long ago are still in memory`);
});

/** A full collection, now. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

Deno.test("Messages keep their order, however fast they are sent", async () => {
  const route = bidi(Echo.bidi, "read", (requests) => requests);
  await using pair = await startPair([route]);
  const call = pair.channel.bidi(Echo.bidi);
  const all = Array.from({ length: 300 }, (_, i) => `${i}`);
  const sent = Promise.all(all.map((text) => call.send(text)));
  call.end();
  assertEquals(await Array.fromAsync(call.responses), all);
  assertEquals((await sent).length, 300);
  assertEquals(await call.send("late"), false);
});
