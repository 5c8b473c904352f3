import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SLOTS, SUBTREE_BYTES } from "./_blake3_layout.ts";
import { SecondThread } from "./_blake3_second.ts";
import type { TestInput } from "./_blake3_test_worker.ts";
import { TestWorkers } from "./_test_workers.ts";
import { Blake3 } from "./blake3.ts";
import {
  Blake3Pair,
  helpfulThread,
  secondThread,
  stopHashThreads,
  TWO_THREADS_BYTES,
} from "./blake3_threads.ts";
import { hash, hashLarge } from "./mod.ts";

const MIB = 1024 * 1024;
const kernel = new Blake3();

const NOISE = new Uint8Array(6 * MIB + 12345);
for (let i = 0, state = 1; i < NOISE.length; i++) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  NOISE[i] = state >>> 24;
}

/** Threads do not keep a process alive, so something must while a test waits for one. */
async function running(thread: SecondThread | undefined): Promise<SecondThread> {
  const awake = setInterval(() => {}, 1000);
  try {
    assert(thread !== undefined);
    await thread.started();
  } finally {
    clearInterval(awake);
  }
  return thread;
}

/** A second thread that does something else: `body` has `words`, `states` and `task`. */
function misbehaving(body: string): SecondThread {
  const code = `import { parentPort, workerData as task } from "node:worker_threads";
    const words = new Int32Array(task.memory.buffer), states = task.layout.states >> 2;
    ${body}`;
  return new SecondThread(() => new URL(`data:text/javascript,${encodeURIComponent(code)}`));
}

const ANSWER = `Atomics.store(words, task.layout.alive >> 2, 1); parentPort.postMessage(null);`;
const TAKE =
  `for (let slot = 0; slot < task.slots; slot++) Atomics.compareExchange(words, states + slot, 1, 2);`;

function pairHex(thread: SecondThread | undefined, bytes: Uint8Array, step = 300_000): string {
  const pair = new Blake3Pair(() => thread, kernel);
  for (let at = 0; at < bytes.length; at += step) pair.update(bytes.subarray(at, at + step));
  return pair.digestHex();
}

Deno.test("two threads hash as one does, however the stream is cut", async () => {
  const thread = await running(new SecondThread());
  try {
    assertEquals(thread.running, true);
    const length = fc.oneof(
      fc.nat(NOISE.length),
      fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: -1, max: 1 }))
        .map(([times, off]) => times * SUBTREE_BYTES + off),
    );
    const cuts = fc.array(fc.oneof(fc.nat(100), fc.nat(200_000), fc.nat(3 * MIB)), { maxLength: 6 });
    const following = fc.boolean();
    await fc.assert(
      fc.asyncProperty(length, cuts, following, async (length, pieces, known) => {
        const pair = new Blake3Pair(() => thread, kernel);
        let at = 0;
        for (const piece of [...pieces, length]) {
          const part = NOISE.slice(at, Math.min(length, at + piece));
          at += part.length;
          pair.update(part, known ? length - at : undefined);
          part.fill(0);
          await Promise.resolve();
        }
        assertEquals(pair.digestHex(), kernel.hashHex(NOISE.subarray(0, length)));
      }),
      { numRuns: 40 },
    );
  } finally {
    await thread.stop();
  }
});

Deno.test("the second thread really hashes", async () => {
  const thread = await running(new SecondThread());
  try {
    const task = thread.offer(NOISE, 0, NOISE.subarray(0, SUBTREE_BYTES), 0, SLOTS);
    assert(task !== undefined);
    let value = thread.poll(task);
    for (; value === undefined; value = thread.poll(task)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(value, kernel.subtree(NOISE, 0, NOISE.subarray(0, SUBTREE_BYTES), 0, false).take());
    assertEquals(thread.takeBack(task, kernel), false);
  } finally {
    await thread.stop();
  }
});

Deno.test("hashers that are given up take no room from others", async () => {
  const thread = await running(new SecondThread());
  try {
    for (let i = 0; i < 5; i++) new Blake3Pair(() => thread, kernel).update(NOISE.subarray(0, 3 * MIB));
    let handedOver = 0;
    while (handedOver < 3 * SLOTS) {
      if (thread.offer(NOISE, 0, NOISE.subarray(0, SUBTREE_BYTES), 0, SLOTS) !== undefined) {
        handedOver++;
      } else await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(pairHex(thread, NOISE), kernel.hashHex(NOISE));
  } finally {
    await thread.stop();
  }
});

const BODIES = {
  "does nothing": ANSWER,
  "takes everything and finishes nothing":
    `${ANSWER} for (const untilMs = Date.now() + 200; Date.now() < untilMs;) { ${TAKE} } parentPort.on("message", () => {});`,
  "takes something and dies":
    `${ANSWER} parentPort.on("message", () => { ${TAKE} throw new Error("dies"); });`,
  "takes something and leaves": `${ANSWER} parentPort.on("message", () => { ${TAKE} process.exit(3); });`,
};

for (const [what, body] of Object.entries(BODIES)) {
  Deno.test(`the hash is right when the second thread ${what}`, async () => {
    const thread = await running(misbehaving(body));
    try {
      for (let round = 0; round < 3; round++) {
        assertEquals(pairHex(thread, NOISE), kernel.hashHex(NOISE));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } finally {
      await thread.stop();
    }
  });
}

for (
  const [what, code] of Object.entries({
    "is not a program": "(",
    "fails at once": "throw new Error('fails');",
  })
) {
  Deno.test(`one thread hashes when the other ${what}`, async () => {
    const thread = await running(misbehaving(code));
    assertEquals([thread.running, thread.failed], [false, true]);
    assertEquals(pairHex(thread, NOISE), kernel.hashHex(NOISE));
    await thread.stop();
  });
}

Deno.test("a thread that is stopped while blobs are with it leaves them to the first", async () => {
  const thread = await running(new SecondThread());
  const pair = new Blake3Pair(() => thread, kernel);
  pair.update(NOISE.subarray(0, 4 * MIB));
  await thread.stop();
  assertEquals(thread.running, false);
  pair.update(NOISE.subarray(4 * MIB));
  assertEquals(pair.digestHex(), kernel.hashHex(NOISE));
});

Deno.test("no thread is started for what is short", () => {
  const pair = new Blake3Pair(() => {
    throw new Error("started");
  }, kernel);
  pair.update(NOISE.subarray(0, TWO_THREADS_BYTES - 1));
  assertEquals(pair.digestHex(), kernel.hashHex(NOISE.subarray(0, TWO_THREADS_BYTES - 1)));
});

Deno.test("no thread is asked where all cores are busy", async () => {
  const cores = navigator.hardwareConcurrency;
  assertEquals(helpfulThread(cores), undefined);
  assertEquals(helpfulThread(cores / 2), cores > 1 ? secondThread() : undefined);
  await stopHashThreads();
});

Deno.test("a pair that has ended takes nothing more", () => {
  const pair = new Blake3Pair(() => undefined);
  pair.digest();
  assertThrows(() => pair.update(new Uint8Array(1)), TypeError, "has given its hash");
  assertThrows(() => pair.digest(), TypeError, "has given its hash");
});

async function* pieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) {
    const piece = bytes.slice(at, at + step);
    yield await Promise.resolve(piece);
    piece.fill(0); // a reader uses its buffer again
  }
}

for (const name of ["blake3", "sha256", "sha256tree", "sha1"] as const) {
  Deno.test(`hashLarge computes ${name} of bytes and of streams, several at once`, async () => {
    const lengths = [0, 1, 100_000, TWO_THREADS_BYTES - 1, TWO_THREADS_BYTES, NOISE.length];
    const parts = lengths.map((length) => NOISE.subarray(NOISE.length - length));
    const right = parts.map((part) => hash(name, part));
    assertEquals(await Promise.all(parts.map((part) => hashLarge(name, part))), right);
    assertEquals(await Promise.all(parts.map((part) => hashLarge(name, part, { threads: 1 }))), right);
    assertEquals(await Promise.all(parts.map((part) => hashLarge(name, pieces(part, 70_001)))), right);
    // The first calls hardly had a second thread; these have it where there is a second core.
    if (name === "blake3" && secondThread() !== undefined) await running(secondThread());
    assertEquals(await Promise.all(parts.map((part) => hashLarge(name, part, { threads: 2 }))), right);
    await stopHashThreads();
  });
}

Deno.test("hashLarge lets others have their turns", async () => {
  const large = new Uint8Array(48 * MIB);
  for (const threads of [1, 2] as const) {
    let turns = 0;
    let over = false;
    const count = () => {
      turns++;
      if (!over) setImmediate(count);
    };
    const hashing = hashLarge("blake3", large, { threads });
    setImmediate(count);
    await hashing;
    over = true;
    await new Promise<void>((resolve) => void setImmediate(resolve));
    assert(turns > 0, `no turn with ${threads} threads`);
  }
  await stopHashThreads();
});

Deno.test("hashLarge ends when its signal or its source says so", async () => {
  const stop = new AbortController();
  const hashing = hashLarge("blake3", new Uint8Array(64 * MIB), { signal: stop.signal, threads: 1 });
  stop.abort(new RangeError("enough"));
  await assertRejects(() => hashing, RangeError, "enough");
  await assertRejects(() => hashLarge("blake3", NOISE, { signal: stop.signal }), RangeError, "enough");
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield* pieces(NOISE.subarray(0, 1000), 100);
    throw new TypeError("the source is gone");
  }
  await assertRejects(() => hashLarge("blake3", failing()), TypeError, "the source is gone");
});

Deno.test("threads hash at the same time, each with a second thread of its own", async () => {
  const bytes = NOISE.subarray(0, 3 * MIB);
  const input: TestInput = { bytes, hex: kernel.hashHex(bytes) };
  using workers = await TestWorkers.start(new URL("./_blake3_test_worker.ts", import.meta.url), 2);
  try {
    const answers = workers.ask(() => input);
    for (let round = 0; round < 3; round++) {
      assertEquals((await hashLarge("blake3", bytes, { threads: 2 })).toHex(), input.hex);
    }
    assertEquals(await answers, [0, 0]);
  } finally {
    await stopHashThreads();
  }
});

Deno.test("a process ends by itself while it has a second thread", async () => {
  const script = `
    import { hashLarge } from ${JSON.stringify(new URL("./mod.ts", import.meta.url).href)};
    const bytes = new Uint8Array(${4 * MIB});
    const first = (await hashLarge("blake3", bytes, { threads: 2 })).toHex();
    if (Deno.args[0] === "late") {
      await new Promise((resolve) => setTimeout(resolve, 300));
      await hashLarge("blake3", bytes, { threads: 2 });
    }
    console.log(first);`;
  for (const when of ["early", "late"]) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", script, when],
      cwd: import.meta.dirname,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(new TextDecoder().decode(stdout).trim(), kernel.hashHex(new Uint8Array(4 * MIB)));
  }
});
