// Writes that meet: of one blob, under one name, across a restart.

import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, yieldToEventLoop } from "@brokkr/common";
import { ByteStream, type Init, type WriteRequest } from "@brokkr/proto";
import { batchOf, type Digest, digestOf, formatUploadName, SHA256 } from "../mod.ts";
import { openDiskBlobStore } from "../store/disk_store.ts";
import { fails, noise, onEachStore, scope, startTestServer, type TestServer } from "./_test_server.ts";

type Message = Init<WriteRequest>;
const MIB = 1 << 20;

/** Messages that write `data` in pieces of `pieceBytes`, from `from` on. */
function messagesOf(name: string, data: Uint8Array, pieceBytes: number, from = 0): Message[] {
  const messages: Message[] = [];
  for (let at = from; at < data.length; at += pieceBytes) {
    const finishWrite = at + pieceBytes >= data.length;
    messages.push({
      resourceName: name,
      writeOffset: at,
      data: data.subarray(at, at + pieceBytes),
      finishWrite,
    });
  }
  return messages;
}

/** A write whose messages are let go one by one. */
class SteppedWrite {
  readonly answer: Promise<{ committedSize: number }>;
  ended = false;
  readonly #abort = new AbortController();
  readonly #steps: (() => void)[] = [];
  readonly #waits: Promise<void>[] = [];
  #next = 0;

  constructor(server: TestServer, messages: readonly Message[], end: "end" | "hang" = "end") {
    for (let i = 0; i <= messages.length; i++) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waits.push(promise);
      this.#steps.push(resolve);
    }
    const waits = this.#waits;
    async function* stepped() {
      for (const [i, message] of messages.entries()) {
        await waits[i];
        yield message;
      }
      if (end === "hang") await waits[messages.length];
    }
    this.answer = server.channel.clientStream(ByteStream.write, stepped(), { signal: this.#abort.signal });
    this.answer.then(() => this.ended = true, () => this.ended = true);
  }

  /** Whether there is a message to send. */
  get canStep(): boolean {
    return !this.ended && this.#next < this.#steps.length;
  }

  /** Lets the next message go. */
  step(count = 1): void {
    for (let i = 0; i < count && this.canStep; i++) this.#steps[this.#next++]();
  }

  /** Breaks the call off. */
  break(): void {
    this.#abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
  }

  /** Lets the generator end, so that nothing is left behind. */
  finish(): void {
    while (this.#next < this.#steps.length) this.#steps[this.#next++]();
  }
}

async function standing(server: TestServer, resourceName: string) {
  return await server.channel.unary(ByteStream.queryWriteStatus, { resourceName });
}

/** Waits until QueryWriteStatus says `bytes`. */
async function untilStanding(server: TestServer, name: string, bytes: number): Promise<void> {
  while ((await standing(server, name)).committedSize < bytes);
}

async function assertHolds(server: TestServer, digest: Digest): Promise<void> {
  assertEquals((await server.store.missing(scope, batchOf(SHA256, [digest]))).length, 0);
  assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
  assertEquals((await server.store.stat()).blobs, 1);
}

onEachStore("a Write succeeds as soon as another call has brought its blob", async (start) => {
  await using server = await start();
  for (const size of [300_000, 3 * MIB]) {
    const data = noise(size, size);
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("main", "slow", digest);
    const slow = new SteppedWrite(server, messagesOf(name, data, Math.ceil(size / 10)), "hang");
    slow.step(3);
    await untilStanding(server, name, 3 * Math.ceil(size / 10));
    await server.store.put(scope, digest, data);
    slow.step();
    // Six of its ten messages are never sent.
    assertEquals(await slow.answer, { committedSize: size });
    slow.finish();
    assertEquals(await standing(server, name), { committedSize: size, complete: true });
    await server.store.delete(scope, digest);
    assertEquals(await standing(server, name), { committedSize: 0, complete: false });
    assertEquals(server.store.uploads.stat(), { kept: 0, keptBytes: 0 });
  }
});

onEachStore(
  "Writes of one blob, also under one name, all succeed however they meet, and one copy is kept",
  async (start) => {
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const seed of seeds) {
      await using server = await start();
      let state = seed;
      const random = (below: number) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor(state / 2 ** 32 * below);
      };
      const size = [5000, MIB, 2 * MIB + 3][seed % 3];
      const data = noise(size, seed);
      const digest = digestOf(SHA256, data);
      const writes = Array.from({ length: 8 }, () => {
        const name = formatUploadName("main", `u${random(4)}`, digest);
        return {
          name,
          write: new SteppedWrite(server, messagesOf(name, data, Math.ceil(size / (1 + random(7))))),
        };
      });
      const broken = new Set([writes[random(8)]]);
      while (writes.some(({ write }) => write.canStep)) {
        const able = writes.filter(({ write }) => write.canStep);
        const one = able[random(able.length)];
        one.write.step(1 + random(2));
        if (broken.has(one) && random(3) === 0) {
          one.write.break();
          one.write.finish();
        }
        for (let turns = random(4); turns > 0; turns--) await yieldToEventLoop();
      }
      for (const one of writes) {
        one.write.finish();
        if (broken.has(one)) await one.write.answer.catch(() => undefined);
        else assertEquals(await one.write.answer, { committedSize: size }, `seed ${seed}, ${one.name}`);
      }
      await assertHolds(server, digest);
    }
  },
);

onEachStore("a Write that goes on where one under way stands takes it over", async (start) => {
  await using server = await start();
  for (const size of [4000, 4 * MIB]) {
    const data = noise(size, size);
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("main", "u", digest);
    const quarter = size / 4;
    const first = new SteppedWrite(server, messagesOf(name, data, quarter), "hang");
    first.step(2);
    await untilStanding(server, name, 2 * quarter);
    for (const offset of [1, quarter, 2 * quarter + 1]) {
      const beside = new SteppedWrite(server, messagesOf(name, data, quarter, offset));
      beside.step();
      await fails(beside.answer, Code.UNAVAILABLE, `${offset}`);
      beside.finish();
    }
    const second = new SteppedWrite(server, messagesOf(name, data, quarter, 2 * quarter));
    second.step();
    await fails(first.answer, Code.ABORTED);
    first.finish();
    await untilStanding(server, name, 3 * quarter);
    second.step(2);
    assertEquals(await second.answer, { committedSize: size });
    assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
  }
});

onEachStore("a Write from the start beside one of its name leaves that one alone", async (start) => {
  await using server = await start();
  const data = noise(2 * MIB);
  const digest = digestOf(SHA256, data);
  const name = formatUploadName("main", "u", digest);
  const first = new SteppedWrite(server, messagesOf(name, data, MIB / 2), "hang");
  first.step(3);
  await untilStanding(server, name, 1.5 * MIB);
  const beside = new SteppedWrite(server, messagesOf(name, data, MIB / 4), "hang");
  beside.step(2);
  for (let i = 0; i < 20; i++) assertEquals((await standing(server, name)).committedSize, 1.5 * MIB);
  beside.break();
  await fails(beside.answer, Code.CANCELLED);
  beside.finish();
  assertEquals((await standing(server, name)).committedSize, 1.5 * MIB);
  first.step(2);
  assertEquals(await first.answer, { committedSize: data.length });
  await assertHolds(server, digest);
});

Deno.test("a Write that was interrupted goes on after the server was stopped and started", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-services-" });
  try {
    const open = async () => await startTestServer({ store: await openDiskBlobStore(`${dir}/cas`) });
    for (const size of [300_000, 5 * MIB]) {
      const data = noise(size, size);
      const digest = digestOf(SHA256, data);
      const name = formatUploadName("main", "u", digest);
      const piece = Math.ceil(size / 10);
      {
        await using server = await open();
        const write = new SteppedWrite(server, messagesOf(name, data, piece), "hang");
        write.step(4);
        await untilStanding(server, name, 4 * piece);
        write.answer.catch(() => undefined);
        queueMicrotask(() => write.finish());
        write.break();
        await write.answer.catch(() => undefined);
        while (server.store.uploads.stat().kept === 0) await yieldToEventLoop();
      }
      await using server = await open();
      const { committedSize } = await standing(server, name);
      assert(committedSize >= 4 * piece && committedSize < size, `${committedSize}`);
      const rest = new SteppedWrite(server, messagesOf(name, data, piece, committedSize));
      rest.finish();
      assertEquals(await rest.answer, { committedSize: size });
      assertEquals(await standing(server, name), { committedSize: size, complete: true });
      assertEquals(digestOf(SHA256, await server.store.get(scope, digest)), digest);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a Write under way when the server is shut down is kept for the next", async () => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-services-" });
  try {
    const data = noise(400_000);
    const digest = digestOf(SHA256, data);
    const name = formatUploadName("main", "u", digest);
    {
      await using server = await startTestServer({ store: await openDiskBlobStore(`${dir}/cas`) });
      const write = new SteppedWrite(server, messagesOf(name, data, 100_000), "hang");
      write.answer.catch(() => undefined);
      write.step(3);
      await untilStanding(server, name, 300_000);
      setTimeout(() => write.finish(), 0);
    }
    await using server = await startTestServer({ store: await openDiskBlobStore(`${dir}/cas`) });
    assertEquals(await standing(server, name), { committedSize: 300_000, complete: false });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
