// What strangers on the port may try: nothing of it may end the process, hold memory, or be taken for a request.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ByteBudget } from "@brokkr/common";
import fc from "fast-check";
import { MemoryBlobStore } from "../store/memory_store.ts";
import {
  blob,
  head,
  MIB,
  named,
  RawClient,
  request,
  SCOPE,
  startCache,
  type TestCache,
  until,
} from "./_testing.ts";

const KEY = "0123456789abcdef".repeat(4);

/** Sends `bytes`; the status of the first answer, and whether the server closes afterwards by itself. */
async function send(cache: TestCache, bytes: string | Uint8Array): Promise<number | undefined> {
  using client = await RawClient.connect(cache.port);
  await client.write(bytes);
  const answer = await client.answer();
  if (answer === undefined || answer.headers.connection === "close") await client.ends();
  return answer?.status;
}

async function serves(cache: TestCache): Promise<void> {
  assertEquals((await request(cache, "GET", "/")).status, 200);
}

const put = (headers: string) => `PUT /cas/${KEY} HTTP/1.1\r\nhost: test\r\n${headers}\r\n`;

const MALFORMED: readonly [what: string, bytes: string | Uint8Array, status: number | undefined][] = [
  ["a negative length", put("content-length: -5\r\n"), 400],
  ["a length that is no number", put("content-length: 0x10\r\n"), 400],
  ["a length beyond all numbers", put("content-length: 99999999999999999999999\r\n"), 400],
  ["two lengths", put("content-length: 5\r\ncontent-length: 6\r\n"), 400],
  ["a length and chunks", put("content-length: 5\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n", 400],
  ["an unknown transfer encoding", put("transfer-encoding: gzip\r\n"), 400],
  ["a chunk whose size is none", put("transfer-encoding: chunked\r\n") + "zz\r\n", 400],
  ["a space before a colon", put("content-length : 5\r\n"), 400],
  ["a folded header", put("x: a\r\n b\r\n"), 400],
  ["a bare line feed", `GET / HTTP/1.1\nhost: test\n\n`, 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["NUL in the path", "GET /\0 HTTP/1.1\r\nhost: test\r\n\r\n", 400],
  ["an unknown method", "BREW / HTTP/1.1\r\nhost: test\r\n\r\n", 400],
  ["another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["HTTP/0.9", "GET /\r\n\r\n", undefined],
  ["a tunnel", "CONNECT example.com:443 HTTP/1.1\r\nhost: test\r\n\r\n", undefined],
  ["a long header", `GET / HTTP/1.1\r\nhost: test\r\nx: ${"a".repeat(200_000)}\r\n\r\n`, 431],
  ["a long path", `GET /${"a".repeat(200_000)} HTTP/1.1\r\nhost: test\r\n\r\n`, 431],
  ["many headers", `GET / HTTP/1.1\r\nhost: test\r\n${"x: y\r\n".repeat(50_000)}\r\n`, 431],
  ["a protocol to change to", head("GET", "/", { connection: "upgrade", upgrade: "websocket" }), 200],
  ["an expectation that nobody knows", head("GET", "/", { expect: "wonders" }), 417],
];

for (const [what, bytes, status] of MALFORMED) {
  Deno.test(`A request with ${what} is answered with ${status ?? "a closed connection"}`, async () => {
    await using cache = await startCache();
    assertEquals(await send(cache, bytes), status);
    await serves(cache);
    assertEquals((await cache.store.stat()).blobs, 0);
  });
}

Deno.test("What is hidden behind a body is not taken for a request", async () => {
  await using cache = await startCache();
  const data = blob(100);
  const hidden = head("PUT", `/cas/${named(data).hash}`, { "content-length": "100" });
  for (
    const headers of [
      "content-length: 0\r\ntransfer-encoding: chunked\r\n",
      "content-length: 0\r\ncontent-length: 3\r\n",
    ]
  ) {
    using client = await RawClient.connect(cache.port);
    await client.write(put(headers) + "0\r\n\r\n" + hidden);
    await client.write(data);
    assertEquals((await client.answer())?.status, 400);
    assert(await client.ends());
  }
  // The body of a GET is nobody's, and what follows it is not read.
  using client = await RawClient.connect(cache.port);
  await client.write(head("GET", "/", { "content-length": "3000000" }) + hidden);
  await client.write(data);
  const answer = await client.answer();
  assertEquals([answer?.status, answer?.headers.connection], [200, "close"]);
  client.close();
  assertEquals((await cache.store.stat()).blobs, 0);
});

Deno.test("A connection with too many requests waiting is closed", async () => {
  const store = new MemoryBlobStore(MIB);
  const { promise: never } = Promise.withResolvers<undefined>();
  Object.assign(store, { sizeOf: () => never });
  await using cache = await startCache({ store });
  using client = await RawClient.connect(cache.port);
  await client.write(head("GET", `/cas/${KEY}`).repeat(1000));
  assert(await client.ends());
  await serves(cache);
});

Deno.test("Who does not come to the end of a request's head is cut off, before the first byte and after", async () => {
  await using cache = await startCache({ limits: { handshakeMs: 200 } });
  const statuses = await Promise.all(
    ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: test\r\nx: "].map((bytes) => send(cache, bytes)),
  );
  assertEquals(statuses, [408, 408, 408]);
  await serves(cache);
});

Deno.test("Who stands still in the middle of an upload gets 408, who drips bytes as well", async () => {
  const budget = new ByteBudget(16 * MIB);
  await using cache = await startCache({ budget, limits: { stallTimeoutMs: 300 } });
  for (const size of [5000, 3 * MIB]) {
    const data = blob(size);
    for (const drips of [false, true]) {
      using client = await RawClient.connect(cache.port);
      await client.write(head("PUT", `/cas/${named(data).hash}`, { "content-length": `${size}` }));
      await client.write(data.subarray(0, 1000));
      const timer = drips ? setInterval(() => void client.write("x"), 20) : undefined;
      const answer = await client.answer();
      clearInterval(timer);
      assertEquals([answer?.status, answer?.headers.connection], [408, "close"]);
      assertMatch(answer?.text ?? "", /neither sent nor took anything to speak of for/);
    }
  }
  await until("all memory is given back", () => budget.usedBytes === 0);
  assertEquals((await cache.store.stat()).blobs, 0);
});

Deno.test("Who takes nothing of an answer is cut off", async () => {
  await using cache = await startCache({ limits: { stallTimeoutMs: 300 } });
  const data = blob(40 * MIB);
  await cache.store.put(SCOPE, named(data), data);
  using client = await RawClient.connect(cache.port);
  await client.write(head("GET", `/cas/${named(data).hash}`));
  await until(
    "the answer ends",
    () => cache.counts["brokkr_http_cache_requests_total GET cas gone"] === 1,
  );
  let taken = 0;
  for (let bytes = await client.read(); bytes !== undefined; bytes = await client.read()) {
    taken += bytes.length;
  }
  assert(taken < data.length, `${taken}`);
  await serves(cache);
});

Deno.test("Who holds memory that others wait for is cut off sooner", async () => {
  // Room for one upload at a time.
  const budget = new ByteBudget(MIB);
  await using cache = await startCache({ budget, limits: { budgetWaitMs: 60_000 } });
  const data = blob(MIB, 2);
  const path = `/cas/${named(data).hash}`;
  using client = await RawClient.connect(cache.port);
  await client.write(head("PUT", path, { "content-length": `${data.length}` }));
  await client.write(data.subarray(1));
  await until("the memory is taken", () => budget.usedBytes > 0);
  const [own, other] = await Promise.all([client.answer(), request(cache, "PUT", path, { body: data })]);
  assertEquals([own?.status, other.status], [503, 200]);
  assertEquals(own?.headers["retry-after"], "1");
});

Deno.test("For want of memory requests are sent away with 503", async () => {
  const budget = new ByteBudget(MIB);
  await using cache = await startCache({ budget, limits: { budgetWaitMs: 50 } });
  using _all = await budget.acquire(MIB);
  for (const size of [100_000, 3 * MIB]) {
    const data = blob(size);
    const put = await request(cache, "PUT", `/cas/${named(data).hash}`, { body: data });
    assertEquals([put.status, put.headers["retry-after"]], [503, "1"]);
  }
  using client = await RawClient.connect(cache.port);
  await client.write(
    head("PUT", `/cas/${KEY}`, { "transfer-encoding": "chunked" }) + "3\r\nabc\r\n0\r\n\r\n",
  );
  assertEquals((await client.answer())?.status, 503);
});

Deno.test("Beyond the limit of connections the oldest idle one is closed, or else the newest", async () => {
  await using cache = await startCache({ limits: { maxConnections: 2 } });
  const busy = async () => {
    const client = await RawClient.connect(cache.port);
    await client.write(head("PUT", `/cas/${KEY}`, { "content-length": "10", expect: "100-continue" }));
    assertEquals((await client.answer())?.status, 100);
    return client;
  };
  using first = await busy();
  using idle = await RawClient.connect(cache.port);
  await idle.write(head("GET", "/"));
  assertEquals((await idle.answer())?.status, 200);
  using second = await busy();
  assert(await idle.ends());
  using third = await RawClient.connect(cache.port);
  assert(await third.ends());
  for (const client of [first, second]) {
    await client.write(blob(10));
    assertEquals((await client.answer())?.status, 400);
  }
});

Deno.test("Whatever is sent, the cache goes on", async () => {
  await using cache = await startCache({ limits: { handshakeMs: 1000, stallTimeoutMs: 1000 } });
  const word = fc.constantFrom(
    "GET ",
    "PUT ",
    "HEAD ",
    `/cas/${KEY}`,
    `/ac/${KEY}`,
    "/../",
    "..%2f",
    " HTTP/1.1\r\n",
    "host: a\r\n",
    "content-length: 5\r\n",
    "content-length: 9007199254740993\r\n",
    "transfer-encoding: chunked\r\n",
    "expect: 100-continue\r\n",
    "range: bytes=0-18446744073709551616\r\n",
    "connection: close\r\n",
    "\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "\0",
  );
  const bytes = fc.array(fc.oneof({ weight: 5, arbitrary: word }, fc.string()), { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(bytes, async (words) => {
      using client = await RawClient.connect(cache.port);
      await client.write(words.join(""));
      if (words.length % 2 === 0) {
        await Promise.race([
          client.answer(),
          new Promise((go) => setTimeout(go, 5)),
        ]);
      }
    }),
    { numRuns: 300, verbose: 1 },
  );
  await serves(cache);
  assertEquals((await cache.store.stat()).blobs, 0);
});
