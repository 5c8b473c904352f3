import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, ManualClock } from "@brokkr/common";
import { ByteStream, type Init, type WriteRequest } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { batchOf, type Digest, digestOf, formatReadName, formatUploadName, SHA256 } from "../mod.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { blob, fails, noise, onEachStore, scope, startTestServer, type TestServer } from "./_test_server.ts";

const hello = blob("hello");
const empty = blob("");
const MIB = 1 << 20;

type Message = Init<WriteRequest>;

async function* list(messages: readonly Message[]): AsyncGenerator<Message, void, undefined> {
  yield* messages;
}

function write(channel: Channel, messages: readonly Message[]): Promise<{ committedSize: number }> {
  return channel.clientStream(ByteStream.write, list(messages));
}

/** Messages that write `data` in pieces of `pieceBytes`. */
function messagesOf(name: string, data: Uint8Array, pieceBytes: number, from = 0): Message[] {
  const messages: Message[] = [];
  for (let at = from; at < data.length; at += pieceBytes) {
    const piece = data.subarray(at, at + pieceBytes);
    messages.push({
      resourceName: at === from ? name : "",
      writeOffset: at,
      data: piece,
      finishWrite: at + pieceBytes >= data.length,
    });
  }
  return messages;
}

async function has(server: TestServer, digest: Digest): Promise<boolean> {
  return (await server.store.missing(scope, batchOf(SHA256, [digest]))).length === 0;
}

async function readAll(
  channel: Channel,
  request: Init<{ resourceName: string; readOffset: number; readLimit: number }>,
) {
  const chunks = [];
  for await (const { data } of channel.serverStream(ByteStream.read, request)) chunks.push(data.slice());
  return { chunks, data: new Uint8Array(await new Blob(chunks).arrayBuffer()) };
}

onEachStore("Write and Read carry blobs of all sizes around the edges of pieces", async (start) => {
  await using server = await start();
  const { channel } = server;
  let uuid = 0;
  for (const length of [0, 1, 5, 65_535, MIB - 1, MIB, MIB + 1, 3 * MIB + 17]) {
    const data = noise(length, length + 1);
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("main", `u${uuid++}`, digest);
    const messages = length === 0
      ? [{ resourceName: name, finishWrite: true }]
      : messagesOf(name, data, Math.max(1, Math.ceil(length / 3)));
    assertEquals(await write(channel, messages), { committedSize: length });
    const read = await readAll(channel, { resourceName: formatReadName("main", digest) });
    assertEquals(digestOf(SHA256, read.data), digest);
    assert(read.chunks.every((chunk) => chunk.length > 0 && chunk.length <= MIB));
  }
  assertEquals(server.counts["cas_read_bytes Read"], server.counts["cas_written_bytes Write"]);
});

onEachStore("Read keeps to offset and limit, at their edges too", async (start) => {
  await using server = await start();
  const data = noise(2 * MIB + 10);
  const digest = digestOf(SHA256, data);
  await server.store.put(scope, digest, data);
  const resourceName = formatReadName("main", digest);
  const end = data.length;
  const cases: readonly (readonly [number, number, number, number])[] = [
    [0, 0, 0, end],
    [0, 1, 0, 1],
    [1, 0, 1, end],
    [end - 1, 0, end - 1, end],
    [end, 0, end, end],
    [end, 5, end, end],
    [MIB, MIB, MIB, 2 * MIB],
    [MIB - 1, 2, MIB - 1, MIB + 1],
    [5, end, 5, end],
    [0, end + 1000, 0, end],
  ];
  for (const [readOffset, readLimit, from, to] of cases) {
    const read = await readAll(server.channel, { resourceName, readOffset, readLimit });
    assertEquals(
      digestOf(SHA256, read.data),
      digestOf(SHA256, data.subarray(from, to)),
      `${readOffset} ${readLimit}`,
    );
  }
  for (const [readOffset, readLimit, code] of [[end + 1, 0, 11], [-1, 0, 11], [0, -1, 3]] as const) {
    await fails(
      readAll(server.channel, { resourceName, readOffset, readLimit }),
      code,
      `${readOffset} ${readLimit}`,
    );
  }
});

onEachStore("Read refuses bad names and names what is not there", async (start) => {
  await using server = await start();
  const hash = hello.digest.hash;
  const cases: readonly (readonly [string, Code])[] = [
    [`main/blobs/${hash}/5`, Code.NOT_FOUND],
    [`main/blobs/${empty.digest.hash}/0`, Code.OK],
    ["", Code.INVALID_ARGUMENT],
    [`main/${hash}/5`, Code.INVALID_ARGUMENT],
    [`main/blobs/${hash}`, Code.INVALID_ARGUMENT],
    [`main/blobs/${hash}/x`, Code.INVALID_ARGUMENT],
    [`main/blobs/blake3/${hash}/5`, Code.NOT_FOUND],
    [`main/blobs/sha256tree/${hash}/5`, Code.NOT_FOUND],
    [`main/blobs/sha512/${hash}/5`, Code.INVALID_ARGUMENT],
    [`main/blobs/murmur3/${hash}/5`, Code.INVALID_ARGUMENT],
    [`main/compressed-blobs/zstd/${hash}/5`, Code.NOT_FOUND],
    [`main/compressed-blobs/rot13/${hash}/5`, Code.INVALID_ARGUMENT],
    [`main/uploads/u/blobs/${hash}/5`, Code.INVALID_ARGUMENT],
  ];
  for (const [resourceName, code] of cases) {
    const read = readAll(server.channel, { resourceName });
    if (code === Code.OK) assertEquals((await read).data.length, 0);
    else await fails(read, code, resourceName);
  }
});

onEachStore("Write refuses what is wrong and then stores nothing", async (start) => {
  await using server = await start({ maxBlobBytes: 100 });
  const { digest, data } = blob("the right bytes");
  const name = (uuid: string) => formatUploadName("main", uuid, digest);
  const big = noise(101);
  const half = data.subarray(0, 7), rest = data.subarray(7);
  const other = formatUploadName("main", "u", hello.digest);
  const cases: Record<string, Message[]> = {
    "no message": [],
    "no name": [{ data, finishWrite: true }],
    "a bad name": [{ resourceName: "main/blobs/x", data, finishWrite: true }],
    "wrong bytes": [{ resourceName: name("a"), data: blob("the wrong bytes").data, finishWrite: true }],
    "too few": [{ resourceName: name("b"), data: half, finishWrite: true }],
    "too many": [{ resourceName: name("c"), data: new Uint8Array([...data, 1]), finishWrite: true }],
    "wrong bytes in pieces": messagesOf(name("d"), blob("the wrong bytes").data, 4),
    "too few in pieces": messagesOf(name("e"), half, 4),
    "too many in pieces": messagesOf(name("f"), new Uint8Array([...data, 1, 2, 3]), 4),
    "a gap": [{ resourceName: name("h"), data: half }, { writeOffset: 8, data: rest, finishWrite: true }],
    "an overlap": [{ resourceName: name("i"), data: half }, {
      writeOffset: 6,
      data: rest,
      finishWrite: true,
    }],
    "an offset at the start": [{ resourceName: name("j"), writeOffset: 7, data: rest, finishWrite: true }],
    "a negative offset": [{ resourceName: name("j"), writeOffset: -1, data, finishWrite: true }],
    "another name": [{ resourceName: name("k"), data: half }, {
      resourceName: other,
      writeOffset: 7,
      data: rest,
      finishWrite: true,
    }],
    "a message after the last": [{ resourceName: name("l"), data, finishWrite: true }, {
      writeOffset: 15,
      data: half,
    }],
    "a message after the last piece": [...messagesOf(name("m"), data, 8), { writeOffset: 15 }],
    "too large a blob": [{
      resourceName: formatUploadName("main", "n", digestOf(SHA256, big)),
      data: big,
      finishWrite: true,
    }],
    "an instance with a reserved word": [{
      resourceName: `a/operations/uploads/u/blobs/${digest.hash}/15`,
      data,
      finishWrite: true,
    }],
  };
  for (const [what, messages] of Object.entries(cases)) {
    await fails(write(server.channel, messages), Code.INVALID_ARGUMENT, what);
    assertEquals((await server.store.stat()).blobs, 0, what);
  }
  assertEquals(await write(server.channel, messagesOf(name("z"), data, 4)), { committedSize: 15 });
});

onEachStore(
  "Write that ends without finish_write stores nothing, and tells where to go on",
  async (start) => {
    await using server = await start();
    const data = noise(300_000);
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("main", crypto.randomUUID(), digest);
    const [half, rest] = [data.subarray(0, 150_000), data.subarray(150_000)];
    assertEquals(await write(server.channel, [{ resourceName: name, data: half }]), {
      committedSize: 150_000,
    });
    assertEquals(await has(server, digest), false);
    const status = await server.channel.unary(ByteStream.queryWriteStatus, { resourceName: name });
    assertEquals(status, { committedSize: 150_000, complete: false });
    // All bytes, and still not finished.
    const all = [{ resourceName: name, writeOffset: 150_000, data: rest }];
    assertEquals(await write(server.channel, all), { committedSize: 300_000 });
    assertEquals(await has(server, digest), false);
    const finish = [{ resourceName: name, writeOffset: 300_000, finishWrite: true }];
    assertEquals(await write(server.channel, finish), { committedSize: 300_000 });
    assertEquals(await server.store.get(scope, digest), data);
  },
);

onEachStore("Write takes a name that is repeated, and ignores what follows the size", async (start) => {
  await using server = await start();
  const name = formatUploadName("main", "u", hello.digest) + "/some/file.txt";
  const messages = messagesOf(name, hello.data, 2).map((message) => ({ ...message, resourceName: name }));
  assertEquals(await write(server.channel, messages), { committedSize: 5 });
  assertEquals(await has(server, hello.digest), true);
});

onEachStore(
  "Write of a blob that is there succeeds early, whatever the client still wants to send",
  async (start) => {
    await using server = await start();
    const data = noise(8 * MIB);
    const digest = digestOf(SHA256, data);
    await server.store.put(scope, digest, data);
    const name = formatUploadName("main", "u", digest);
    let pulled = 0;
    async function* endless() {
      for (let offset = 0;; offset += MIB) {
        pulled++;
        yield { resourceName: name, writeOffset: offset, data: data.subarray(offset % data.length, MIB) };
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    }
    assertEquals(await server.channel.clientStream(ByteStream.write, endless()), {
      committedSize: data.length,
    });
    assert(pulled < 1000);
  },
);

onEachStore(
  "one blob written by many streams at once is stored once and every writer succeeds",
  async (start) => {
    await using server = await start();
    const data = noise(300_000);
    const digest = digestOf(SHA256, data);
    const answers = await Promise.all(
      Array.from(
        { length: 16 },
        (_, i) => write(server.channel, messagesOf(formatUploadName("main", `u${i}`, digest), data, 50_000)),
      ),
    );
    assertEquals(answers.every(({ committedSize }) => committedSize === data.length), true);
    assertEquals((await server.store.stat()).blobs, 1);
  },
);

/** Sends `messages`, then cancels once the server has taken `untilBytes` of them. */
async function interrupt(server: TestServer, name: string, messages: readonly Message[], untilBytes: number) {
  const abort = new AbortController();
  async function* thenHang() {
    yield* messages;
    while (!abort.signal.aborted) {
      const { committedSize } = await server.channel.unary(ByteStream.queryWriteStatus, {
        resourceName: name,
      });
      if (committedSize >= untilBytes) abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    }
  }
  const call = server.channel.clientStream(ByteStream.write, thenHang(), { signal: abort.signal });
  await fails(call, Code.CANCELLED, "interrupted");
}

/** Waits until no call writes `name` any more: a write at a wrong offset is then told so. */
async function untilFree(server: TestServer, name: string): Promise<void> {
  for (;;) {
    try {
      await write(server.channel, [{ resourceName: name, writeOffset: 1, data: hello.data }]);
    } catch (error) {
      if (error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT) return;
      if (!(error instanceof BrokkrError) || error.code !== Code.UNAVAILABLE) throw error;
    }
  }
}

onEachStore("a cancelled Write stores nothing, and goes on where QueryWriteStatus says", async (start) => {
  await using server = await start();
  const data = noise(300_000);
  const digest = digestOf(SHA256, data);
  const name = formatUploadName("main", "u", digest);
  const status = () => server.channel.unary(ByteStream.queryWriteStatus, { resourceName: name });
  assertEquals(await status(), { committedSize: 0, complete: false });
  await interrupt(server, name, messagesOf(name, data, 100_000).slice(0, 2), 200_000);
  await untilFree(server, name);
  assertEquals(await status(), { committedSize: 200_000, complete: false });
  assertEquals(await has(server, digest), false);
  const elsewhere = formatUploadName("other", "u", digest);
  assertEquals(
    (await server.channel.unary(ByteStream.queryWriteStatus, { resourceName: elsewhere })).committedSize,
    0,
    "instances are apart",
  );
  for (const offset of [1, 199_999, 200_001]) {
    const messages = [{
      resourceName: name,
      writeOffset: offset,
      data: data.subarray(offset),
      finishWrite: true,
    }];
    await fails(write(server.channel, messages), Code.INVALID_ARGUMENT, `${offset}`);
  }
  assertEquals(await write(server.channel, messagesOf(name, data, 60_000, 200_000)), {
    committedSize: 300_000,
  });
  assertEquals(await status(), { committedSize: 300_000, complete: true });
  assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
});

onEachStore(
  "an interrupted Write may begin again, is verified as a whole, and is dropped when wrong",
  async (start) => {
    await using server = await start();
    const data = noise(3000);
    const digest = digestOf(SHA256, data);
    for (const uuid of ["again", "wrong"]) {
      const name = formatUploadName("main", uuid, digest);
      const messages = messagesOf(name, uuid === "wrong" ? noise(3000, 2) : data, 1000).slice(0, 2);
      await interrupt(server, name, messages, 2000);
      await untilFree(server, name);
    }
    const wrong = formatUploadName("main", "wrong", digest);
    await fails(write(server.channel, messagesOf(wrong, data, 1000, 2000)), Code.INVALID_ARGUMENT);
    assertEquals(
      (await server.channel.unary(ByteStream.queryWriteStatus, { resourceName: wrong })).committedSize,
      0,
    );
    assertEquals(await has(server, digest), false);
    const again = formatUploadName("main", "again", digest);
    assertEquals(await write(server.channel, messagesOf(again, data, 1000)), { committedSize: 3000 });
  },
);

onEachStore(
  "interrupted Writes are forgotten after a while, and the oldest when there are too many",
  async (start) => {
    const clock = new ManualClock();
    await using server = await start({
      clock,
      uploads: { keepMs: 60_000, maxKept: 2, maxKeptBytes: 5000 },
    });
    const standing = async (name: string) =>
      (await server.channel.unary(ByteStream.queryWriteStatus, { resourceName: name })).committedSize;
    const names: string[] = [];
    for (let i = 0; i < 3; i++) {
      const data = noise(3000, i + 1);
      const name = formatUploadName("main", `u${i}`, digestOf(SHA256, data));
      names.push(name);
      await interrupt(server, name, messagesOf(name, data, 1000).slice(0, 2), 2000);
      await untilFree(server, name);
    }
    assertEquals(await Promise.all(names.map(standing)), [0, 2000, 2000]);
    clock.advance(60_000);
    assertEquals(await Promise.all(names.map(standing)), [0, 0, 0]);
  },
);

onEachStore(
  "Write is not held up by a client that leaves its stream open after the last message",
  async (start) => {
    const clock = new ManualClock();
    await using server = await start({ clock });
    const name = formatUploadName("main", "u", hello.digest);
    const { promise: end, resolve } = Promise.withResolvers<void>();
    async function* open() {
      yield { resourceName: name, data: hello.data, finishWrite: true };
      await end;
    }
    // The store may have timers of its own.
    const timers = clock.pendingTimers;
    const call = server.channel.clientStream(ByteStream.write, open());
    while (clock.pendingTimers === timers) {
      await server.channel.unary(ByteStream.queryWriteStatus, { resourceName: name });
    }
    clock.advance(1000);
    assertEquals(await call, { committedSize: 5 });
    resolve();
  },
);

onEachStore("QueryWriteStatus says complete only of what is there", async (start) => {
  await using server = await start();
  const status = (resourceName: string) =>
    server.channel.unary(ByteStream.queryWriteStatus, { resourceName });
  const name = formatUploadName("main", "any", hello.digest);
  assertEquals(await status(name), { committedSize: 0, complete: false });
  await server.store.put(scope, hello.digest, hello.data);
  assertEquals(await status(name), { committedSize: 5, complete: true });
  assertEquals(await status(formatUploadName("main", "any", empty.digest)), {
    committedSize: 0,
    complete: true,
  });
  await server.store.delete(scope, hello.digest);
  assertEquals(await status(name), { committedSize: 0, complete: false });
  await fails(status("main/blobs/x/1"), Code.INVALID_ARGUMENT);
});

Deno.test("a Write that is found wrong after its client has left is not kept to go on", async () => {
  const committing = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const store = new MemoryBlobStore(1 << 20);
  const { uploads } = store;
  const begin = uploads.begin.bind(uploads);
  uploads.begin = async (id) => {
    const writer = await begin(id);
    const commit = writer.commit.bind(writer);
    writer.commit = async () => {
      committing.resolve();
      await left.promise;
      await commit();
    };
    return writer;
  };
  await using server = await startTestServer({ store });
  const digest = digestOf(SHA256, noise(3000));
  const name = formatUploadName("main", "u", digest);
  const abort = new AbortController();
  const messages = messagesOf(name, noise(3000, 2), 1000);
  const call = server.channel.clientStream(ByteStream.write, list(messages), { signal: abort.signal });
  await committing.promise;
  abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
  await fails(call, Code.CANCELLED, "left");
  const status = () => server.channel.unary(ByteStream.queryWriteStatus, { resourceName: name });
  // An answer on the same connection: the server has heard of the cancellation before.
  assertEquals(await status(), { committedSize: 3000, complete: false });
  left.resolve();
  await untilFree(server, name);
  assertEquals(await status(), { committedSize: 0, complete: false });
});
