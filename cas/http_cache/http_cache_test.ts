import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { BrokkrError, ByteBudget, Code, noLog, resourceExhausted, unavailable } from "@brokkr/common";
import { ActionResultCodec } from "@brokkr/proto";
import { defaultPolicy } from "@brokkr/proto/rpc/server";
import type { BlobStore } from "../blob_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { serveHttpCache } from "./http_cache.ts";
import { blob, head, MIB, named, onEachStore, RawClient, request, SCOPE, startCache } from "./_testing.ts";

/** A key of an action that nobody has. */
const KEY = "0123456789abcdef".repeat(4);

onEachStore("blobs go in and come out, whole, by range, and as what is known of them", async (cache) => {
  const empty = new Uint8Array(0);
  for (const data of [empty, blob(1), blob(4096, 2), blob(MIB, 3), blob(MIB + 1, 4), blob(3 * MIB + 5, 5)]) {
    const { hash } = named(data);
    const path = `/main/cas/${hash}`;
    if (data.length > 0) {
      for (const method of ["GET", "HEAD"]) assertEquals((await request(cache, method, path)).status, 404);
    }
    const put = await request(cache, "PUT", path, { body: data });
    assertEquals([put.status, put.text], [200, ""]);
    const got = await request(cache, "GET", path);
    assertEquals(got.status, 200);
    assertEquals(got.body, data);
    assertEquals(got.headers["content-length"], `${data.length}`);
    assertEquals(got.headers["etag"], `"${hash}"`);
    assertEquals(got.headers["accept-ranges"], "bytes");
    const looked = await request(cache, "HEAD", path);
    assertEquals([looked.status, looked.headers["content-length"]], [200, `${data.length}`]);
    // Blobs are shared by all instances.
    assertEquals((await request(cache, "GET", `/cas/${hash}`)).body, data);
  }
});

onEachStore("a range is answered with that range, and with 416 where there is none", async (cache) => {
  const data = blob(2 * MIB + 77, 6);
  const { hash, sizeBytes } = named(data);
  await cache.store.put(SCOPE, named(data), data);
  const get = (headers: Record<string, string>) => request(cache, "GET", `/cas/${hash}`, { headers });
  for (
    const [range, start, end] of [["0-0", 0, 1], [`${MIB - 1}-${MIB}`, MIB - 1, MIB + 1], [
      "-77",
      2 * MIB,
      sizeBytes,
    ], [
      "5-",
      5,
      sizeBytes,
    ]] as const
  ) {
    const got = await get({ range: `bytes=${range}` });
    assertEquals(got.status, 206, range);
    assertEquals(got.headers["content-range"], `bytes ${start}-${end - 1}/${sizeBytes}`);
    assertEquals(got.body, data.subarray(start, end));
  }
  const beyond = await get({ range: `bytes=${sizeBytes}-` });
  assertEquals([beyond.status, beyond.headers["content-range"]], [416, `bytes */${sizeBytes}`]);
  for (
    const headers of [{ range: "bytes=0-1,5-6" }, { range: "bytes=x" }, {
      range: "bytes=1-2",
      "if-range": '"other"',
    }]
  ) {
    const got = await get(headers as Record<string, string>);
    assertEquals([got.status, got.body.length], [200, sizeBytes]);
  }
  assertEquals((await get({ range: "bytes=1-2", "if-range": `"${hash}"` })).status, 206);
  assertEquals((await get({ "if-none-match": `"${hash}"` })).status, 304);
  assertEquals((await get({ "if-none-match": '"other"' })).status, 200);
  const looked = await request(cache, "HEAD", `/cas/${hash}`, { headers: { range: "bytes=0-1" } });
  assertEquals([looked.status, looked.headers["content-length"]], [200, `${sizeBytes}`]);
});

onEachStore("a blob with another hash is refused and not stored", async (cache) => {
  for (const size of [100, 2 * MIB]) {
    const data = blob(size, 7);
    const { hash } = named(blob(size, 8));
    const put = await request(cache, "PUT", `/cas/${hash}`, { body: data });
    assertEquals(put.status, 400);
    assertMatch(put.text, /^Data sent as blob .* has SHA256 hash .*\n$/);
    for (const one of [hash, named(data).hash]) {
      assertEquals((await request(cache, "GET", `/cas/${one}`)).status, 404);
    }
  }
  assertEquals((await cache.store.stat()).blobs, 0);
});

onEachStore("an upload that breaks off leaves nothing", async (cache) => {
  const data = blob(2 * MIB, 9);
  for (const size of [1000, data.length]) {
    const part = data.subarray(0, size);
    using client = await RawClient.connect(cache.port);
    await client.write(head("PUT", `/cas/${named(part).hash}`, { "content-length": `${size}` }));
    await client.write(part.subarray(0, size - 1));
    client.close();
  }
  // The same connection would be served in order; here the next upload shows that nothing is in its way.
  assertEquals((await request(cache, "PUT", `/cas/${named(data).hash}`, { body: data })).status, 200);
  assertEquals((await cache.store.stat()).blobs, 1);
});

onEachStore("a blob that is there is not read again, and the connection goes on", async (cache) => {
  const data = blob(3 * MIB, 10);
  const path = `/cas/${named(data).hash}`;
  await cache.store.put(SCOPE, named(data), data);
  using client = await RawClient.connect(cache.port);
  for (let i = 0; i < 2; i++) {
    await client.write(head("PUT", path, { "content-length": `${data.length}` }));
    await client.write(new Uint8Array(data.length));
    assertEquals((await client.answer())?.status, 200);
  }
  // Who asks before it sends is spared the sending.
  await client.write(head("PUT", path, { "content-length": `${data.length}`, expect: "100-continue" }));
  assertEquals((await client.answer())?.status, 200);
  assert(await client.ends());
  assertEquals(cache.counts["brokkr_http_cache_requests_total PUT cas present"], 3);
  assertEquals((await request(cache, "GET", path)).body, data);
});

Deno.test("A client that asks whether it may send is told to", async () => {
  await using cache = await startCache();
  const data = blob(5000, 11);
  using client = await RawClient.connect(cache.port);
  await client.write(
    head("PUT", `/cas/${named(data).hash}`, { "content-length": "5000", expect: "100-continue" }),
  );
  assertEquals((await client.answer())?.status, 100);
  await client.write(data);
  assertEquals((await client.answer())?.status, 200);
});

Deno.test("A chunked body is taken when it is small, and refused with 411 when it is not", async () => {
  const budget = new ByteBudget(4 * MIB);
  await using cache = await startCache({ budget });
  const chunked = async (data: Uint8Array, piece: number) => {
    using client = await RawClient.connect(cache.port);
    await client.write(head("PUT", `/cas/${named(data).hash}`, { "transfer-encoding": "chunked" }));
    const sent = (async () => {
      for (let at = 0; at < data.length; at += piece) {
        const part = data.subarray(at, at + piece);
        await client.write(`${part.length.toString(16)}\r\n`);
        await client.write(part);
        if (!await client.write("\r\n")) return;
      }
      await client.write("0\r\n\r\n");
    })();
    const answer = await client.answer();
    client.close();
    await sent;
    return answer;
  };
  for (const [size, piece] of [[0, 1], [300, 1], [900_000, 70_000]]) {
    assertEquals((await chunked(blob(size, 12), piece))?.status, 200);
  }
  const refused = await chunked(blob(2 * MIB, 12), 100_000);
  assertEquals(refused?.status, 411);
  assertStringIncludes(refused?.text ?? "", "needs Content-Length");
  assertEquals(budget.usedBytes, 0);
});

Deno.test("What is larger than the limit is refused with 413 before it is read", async () => {
  await using cache = await startCache({ maxBlobBytes: 1000 });
  const { hash } = named(blob(1001));
  for (const size of [1001, 50 * MIB, Number.MAX_SAFE_INTEGER]) {
    using client = await RawClient.connect(cache.port);
    await client.write(head("PUT", `/cas/${hash}`, { "content-length": `${size}`, expect: "100-continue" }));
    const answer = await client.answer();
    assertEquals([answer?.status, answer?.text], [413, "A blob may have at most 1000 bytes\n"]);
  }
  // One that sends without asking gets its answer too.
  assertEquals((await request(cache, "PUT", `/cas/${hash}`, { body: blob(8 * MIB) })).status, 413);
  const ac = await request(cache, "PUT", `/ac/${KEY}`, { body: new Uint8Array(4_000_001) });
  assertEquals(ac.status, 413);
});

Deno.test("A client that sends all before it looks for the answer gets it, whatever it is", async () => {
  await using cache = await startCache({ maxBlobBytes: 67 * MIB });
  const there = new Uint8Array(66 * MIB);
  await cache.store.put(SCOPE, named(there), there);
  const cases: [path: string, size: number, status: number][] = [
    [`/cas/${named(there).hash}`, there.length, 200],
    [`/cas/${KEY}`, 68 * MIB, 413],
    [`/ac/${KEY}`, 20 * MIB, 413],
    ["/elsewhere", 20 * MIB, 404],
  ];
  for (const [path, size, status] of cases) {
    using client = await RawClient.connect(cache.port);
    await client.write(head("PUT", path, { "content-length": `${size}` }));
    for (let left = size; left > 0; left -= MIB) {
      // Each piece is taken: a connection that was closed would refuse one.
      assert(
        await client.write(there.subarray(0, Math.min(left, MIB))),
        `${path}: ${left} bytes were not taken`,
      );
    }
    assertEquals((await client.answer())?.status, status, path);
  }
});

Deno.test("A full store is 507, one that cannot be used 503, both with when to try again", async () => {
  const errors: Record<string, Error> = {
    507: resourceExhausted("The store is full", 5000),
    503: unavailable("The store is being opened again", 2500),
  };
  for (const [status, error] of Object.entries(errors)) {
    const store = new MemoryBlobStore(MIB * 8) as BlobStore;
    store.put = () => Promise.reject(error);
    store.writer = () => Promise.reject(error);
    await using cache = await startCache({ store });
    for (const size of [10, 2 * MIB]) {
      const data = blob(size);
      const put = await request(cache, "PUT", `/cas/${named(data).hash}`, { body: data });
      assertEquals([put.status, put.text], [Number(status), `${error.message}\n`]);
      assertEquals(put.headers["retry-after"], status === "507" ? "5" : "3");
    }
  }
});

Deno.test("A blob that the store loses counts as a miss, and in the middle of an answer ends it", async () => {
  const store = new MemoryBlobStore(MIB * 8) as BlobStore;
  const data = blob(2 * MIB);
  await store.put(SCOPE, named(data), data);
  const read = store.read.bind(store);
  let after = 0;
  store.read = async function* (...args) {
    let left = after;
    for await (const piece of read(...args)) {
      if (left-- === 0) throw new BrokkrError(Code.DATA_LOSS, "A blob is damaged");
      yield piece;
    }
  };
  await using cache = await startCache({ store });
  assertEquals((await request(cache, "GET", `/cas/${named(data).hash}`)).status, 404);
  after = 1;
  await assertRejects(() => request(cache, "GET", `/cas/${named(data).hash}`), Error, "No whole answer");
});

Deno.test("What goes wrong inside is told in the log, and to nobody else", async () => {
  const lines: unknown[] = [];
  const log = { ...noLog, warn: (...line: unknown[]) => lines.push(line) };
  const store = new MemoryBlobStore(MIB) as BlobStore;
  store.sizeOf = () => {
    throw new Error("A secret of the house");
  };
  await using cache = await startCache({ store, log });
  const got = await request(cache, "GET", `/cas/${KEY}`);
  assertEquals([got.status, got.text], [500, "Internal error; the server's log tells more\n"]);
  assertStringIncludes(JSON.stringify(lines), "Call failed");
  assertEquals(cache.counts["brokkr_http_cache_requests_total GET cas failed"], 1);
});

Deno.test("Compressed bodies are refused, as what is stored is what was sent", async () => {
  await using cache = await startCache();
  for (const path of [`/cas/${KEY}`, `/ac/${KEY}`]) {
    const put = await request(cache, "PUT", path, {
      body: blob(10),
      headers: { "content-encoding": "zstd" },
    });
    assertEquals(put.status, 415);
  }
});

Deno.test("Other methods and paths are told what there is", async () => {
  await using cache = await startCache();
  const root = await request(cache, "GET", "/");
  assertEquals(root.status, 200);
  assertStringIncludes(root.text, "/cas/<sha256>");
  assertEquals((await request(cache, "HEAD", "/")).status, 200);
  assertEquals((await request(cache, "PUT", "/", { body: blob(3) })).status, 405);
  for (const method of ["DELETE", "POST", "OPTIONS", "PATCH", "TRACE", "PROPFIND"]) {
    const got = await request(cache, method, `/cas/${KEY}`);
    assertEquals([got.status, got.headers.allow], [405, "GET, HEAD, PUT"], method);
  }
  for (const path of ["/metrics", "/cas", "/favicon.ico"]) {
    assertEquals((await request(cache, "GET", path)).status, 404);
  }
  assertEquals((await request(cache, "GET", "/a/../cas/" + KEY)).status, 400);
});

Deno.test("Access is asked for by method and instance", async () => {
  const asked: string[] = [];
  await using cache = await startCache({
    authorize: (principal, access, path, instance) => {
      asked.push(`${principal.name} ${access} ${path} ${instance}`);
      return instance !== "closed" && access !== "write";
    },
  });
  assertEquals((await request(cache, "GET", `/open/cas/${KEY}`)).status, 404);
  assertEquals((await request(cache, "GET", `/closed/cas/${KEY}`)).status, 403);
  assertEquals((await request(cache, "PUT", `/open/cas/${KEY}`, { body: blob(1) })).status, 403);
  assertEquals(asked, [
    "anonymous read /HttpCache/GET undefined",
    "anonymous read /HttpCache/GET open",
    "anonymous read /HttpCache/GET undefined",
    "anonymous read /HttpCache/GET closed",
    "anonymous write /HttpCache/PUT undefined",
  ]);
});

onEachStore("a result is taken and given only with all that it names", async (cache) => {
  const output = blob(70_000, 13);
  const { hash, sizeBytes } = named(output);
  const result = ActionResultCodec.encode({
    outputFiles: [{ path: "out", digest: { hash, sizeBytes } }],
    stdoutRaw: new TextEncoder().encode("hello"),
  });
  const path = `/main/ac/${KEY}`;
  const early = await request(cache, "PUT", path, { body: result });
  assertEquals(early.status, 409);
  assertMatch(early.text, /1 of the blobs it names are missing/);
  await cache.store.put(SCOPE, named(output), output);
  assertEquals((await request(cache, "PUT", path, { body: result })).status, 200);
  const got = await request(cache, "GET", path);
  assertEquals([got.status, got.headers["content-length"]], [200, `${result.length}`]);
  assertEquals(got.body, result);
  const looked = await request(cache, "HEAD", path);
  assertEquals([looked.status, looked.headers["content-length"]], [200, `${result.length}`]);
  // Results are those of one instance.
  assertEquals((await request(cache, "GET", `/ac/${KEY}`)).status, 404);
  await cache.store.delete(SCOPE, named(output));
  for (const method of ["GET", "HEAD"]) assertEquals((await request(cache, method, path)).status, 404);
  const bad = await request(cache, "PUT", path, { body: new Uint8Array([0xff, 0xff]) });
  assertEquals(bad.status, 400);
});

onEachStore("HTTP and gRPC clients see each other's results where the action is there", async (cache) => {
  const action = blob(142, 14);
  const result = ActionResultCodec.encode({ exitCode: 0, stdoutRaw: new Uint8Array([1]) });
  const path = `/ac/${named(action).hash}`;
  await cache.store.put(SCOPE, named(action), action);
  // From gRPC, by the grid itself, and under an environment that clients do not see.
  await cache.cache.update(SCOPE, named(action), result, "no-sandbox");
  assertEquals((await request(cache, "GET", path)).status, 404);
  await cache.cache.update(SCOPE, named(action), result, "grid");
  assertEquals((await request(cache, "GET", path)).body, result);
  await cache.cache.delete(SCOPE, named(action), "grid");
  assertEquals((await request(cache, "GET", path)).status, 404);
  // To gRPC.
  assertEquals((await request(cache, "PUT", path, { body: result })).status, 200);
  assertEquals((await cache.cache.get(SCOPE, named(action), "client")).hit, true);
  assertEquals((await cache.cache.get(SCOPE, named(action), "grid")).hit, false);
  // One that was stored before its action came is found afterwards as well.
  const late = blob(99, 15);
  assertEquals((await request(cache, "PUT", `/ac/${named(late).hash}`, { body: result })).status, 200);
  await cache.store.put(SCOPE, named(late), late);
  assertEquals((await request(cache, "GET", `/ac/${named(late).hash}`)).body, result);
});

onEachStore("values of other tools are kept as they come where they are not checked", async (cache) => {
  const path = `/tool/ac/${KEY}`;
  for (const value of [blob(3 * MIB, 16), new Uint8Array(0), blob(10, 17)]) {
    assertEquals((await request(cache, "PUT", path, { body: value })).status, 200);
    const got = await request(cache, "GET", path);
    assertEquals([got.status, got.headers["content-length"]], [200, `${value.length}`]);
    assertEquals(got.body, value);
    assertEquals((await request(cache, "HEAD", path)).headers["content-length"], `${value.length}`);
  }
  assertEquals((await request(cache, "GET", `/ac/${KEY}`)).status, 404);
  // It is a blob like any other: without it there is no value.
  await cache.store.delete(SCOPE, named(blob(10, 17)));
  assertEquals((await request(cache, "GET", path)).status, 404);
  // Nobody takes it for a result.
  assertEquals(
    (await cache.cache.get(SCOPE, { ...named(blob(1)), hash: named(blob(1)).hash }, "client")).hit,
    false,
  );
}, { validateAc: false });

Deno.test("Requests on one connection are answered in their order", async () => {
  await using cache = await startCache();
  const blobs = Array.from({ length: 20 }, (_, i) => blob(i % 3 === 0 ? 300_000 : 100, 20 + i));
  for (const data of blobs) await cache.store.put(SCOPE, named(data), data);
  using client = await RawClient.connect(cache.port);
  const written = client.write(blobs.map((data) => head("GET", `/cas/${named(data).hash}`)).join(""));
  for (const data of blobs) assertEquals((await client.answer())?.body, data);
  await written;
});

Deno.test("A request that waits for its turn is dropped with its connection", async () => {
  await using cache = await startCache();
  const data = blob(30 * MIB, 50);
  await cache.store.put(SCOPE, named(data), data);
  using client = await RawClient.connect(cache.port);
  await client.write(head("GET", `/cas/${named(data).hash}`).repeat(10));
  await client.read();
  client.close();
  assertEquals((await request(cache, "HEAD", `/cas/${named(data).hash}`)).status, 200);
  await cache.http.shutdown({ graceMs: 60_000 });
});

Deno.test("Shutting down waits for what runs and refuses what comes", async () => {
  await using cache = await startCache();
  const data = blob(100_000, 51);
  using client = await RawClient.connect(cache.port);
  using idle = await RawClient.connect(cache.port);
  await idle.write(head("GET", "/"));
  assertEquals((await idle.answer())?.status, 200);
  await client.write(
    head("PUT", `/cas/${named(data).hash}`, { "content-length": "100000", expect: "100-continue" }),
  );
  assertEquals((await client.answer())?.status, 100);
  const down = cache.http.shutdown({ graceMs: 60_000 });
  assert(await idle.ends());
  await assertRejects(() => request(cache, "GET", "/"));
  await client.write(data);
  const answer = await client.answer();
  assertEquals([answer?.status, answer?.headers.connection], [200, "close"]);
  await down;
  assertEquals((await cache.store.stat()).blobs, 1);
});

Deno.test("serveHttpCache refuses what would be open to others, a port in use, and stores that know no sizes", async () => {
  await using cache = await startCache();
  const options = {
    authorize: defaultPolicy({ anonymousAccess: [] }),
    store: cache.store,
    cache: cache.cache,
  };
  const refused: [Partial<Parameters<typeof serveHttpCache>[0]>, RegExp][] = [
    [{ listen: "0.0.0.0:0" }, /Refusing to listen on 0.0.0.0:0/],
    [{ listen: `127.0.0.1:${cache.port}` }, /the port is in use/],
    [{ listen: "127.0.0.1" }, /is no address to listen on/],
    [{ store: { ...cache.store, sizeOf: undefined } as BlobStore }, /cannot tell the size/],
  ];
  for (const [more, says] of refused) {
    const error = await assertRejects(
      () => serveHttpCache({ listen: "127.0.0.1:0", ...options, ...more }),
      BrokkrError,
    );
    assertMatch(error.message, says);
  }
});

Deno.test("Requests are counted by method, cache and outcome", async () => {
  await using cache = await startCache();
  const data = blob(1000, 60);
  const path = `/cas/${named(data).hash}`;
  await request(cache, "GET", path);
  await request(cache, "PUT", path, { body: data });
  await request(cache, "PUT", path, { body: data });
  await request(cache, "GET", path);
  await request(cache, "HEAD", path);
  await request(cache, "PUT", `/cas/${KEY}`, { body: data });
  await request(cache, "GET", `/ac/${KEY}`);
  await request(cache, "BREW".replace("BREW", "DELETE"), path);
  const own = Object.entries(cache.counts).filter(([name]) =>
    name.startsWith("brokkr_http_cache_requests_total ")
  )
    .map(([name, count]) => `${name.split(" ").slice(1).join(" ")} ${count}`);
  assertEquals(own.sort(), [
    "GET ac miss 1",
    "GET cas hit 1",
    "GET cas miss 1",
    "HEAD cas hit 1",
    "PUT cas present 1",
    "PUT cas refused 1",
    "PUT cas stored 1",
    "other other refused 1",
  ]);
  assertEquals(cache.counts["brokkr_cas_read_bytes_total HttpGet"], 1000);
  assertEquals(cache.counts["brokkr_cas_written_bytes_total HttpPut"], 1000);
  assertEquals(cache.counts["brokkr_cas_hits_total HttpGet"], 1);
  assertEquals(cache.counts["brokkr_cas_misses_total HttpGet"], 1);
});
