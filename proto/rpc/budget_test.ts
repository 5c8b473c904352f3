import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import * as fc from "fast-check";
import { BrokkrError, ByteBudget, Code } from "@brokkr/common";
import { bidi, clientStream, type RpcServerOptions, serverStream, unary } from "./server.ts";
import { headers, message, PREFACE, settings } from "./_test_frames.ts";
import { authority, hasOpenssl } from "./_test_certs.ts";
import { startPair, until } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

const PATIENT_MS = 60_000;

const routes = [
  unary(Echo.bytes, "write", async (bytes) => {
    await Promise.resolve();
    return bytes;
  }),
  clientStream(Echo.bytesUp, "write", async (requests) => {
    for await (const bytes of requests) if (bytes[0] === 7) break; // an early answer
    return new Uint8Array(10);
  }),
  bidi(Echo.bytesBoth, "write", async function* (requests) {
    for await (const bytes of requests) {
      yield bytes;
      if (bytes[0] === 7) return;
      if (bytes[0] === 8) throw new BrokkrError(Code.ABORTED, "Enough");
    }
  }),
  serverStream(Echo.bytesDown, "read", async function* (bytes) {
    for (let i = 0; i < 5; i++) yield await Promise.resolve(bytes);
  }),
];

const paths = [Echo.bytes.path, Echo.bytesUp.path, Echo.bytesBoth.path, Echo.bytesDown.path];

const callPlan = fc.record({
  path: fc.constantFrom(...paths),
  sizes: fc.array(fc.oneof(fc.nat(10), fc.integer({ min: 8000, max: 70_000 })), {
    minLength: 1,
    maxLength: 5,
  }),
  first: fc.constantFrom(0, 7, 8),
  packed: fc.boolean(),
  cancelMs: fc.option(fc.nat(15), { nil: undefined }),
  end: fc.boolean(),
});

/** Runs calls of a client that compresses, cancels, and leaves streams open, and comes to rest. */
async function randomCalls(
  plans: readonly (typeof callPlan extends fc.Arbitrary<infer T> ? T : never)[],
  client: Client,
): Promise<void> {
  const same = (bytes: Buffer) => bytes;
  await Promise.all(plans.map(({ path, sizes, first, packed, cancelMs, end }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(path, same, same, new Metadata(), {});
    call.on("data", () => {});
    call.on("error", () => {});
    call.on("status", () => resolve());
    for (const size of sizes) {
      const bytes = Buffer.alloc(size);
      if (size > 0) bytes[0] = size === sizes.at(-1) ? first : 1;
      // 2 is WriteFlags.NoCompress.
      call.write(bytes, packed ? undefined as never : 2 as never);
    }
    if (end) call.end();
    if (cancelMs !== undefined) setTimeout(() => call.cancel(), cancelMs);
    else if (!end) setTimeout(() => call.cancel(), 30);
    return promise;
  }));
}

async function giveBack(
  options: Partial<RpcServerOptions>,
  ca: string | undefined,
  numRuns: number,
): Promise<void> {
  const trust = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca));
  await fc.assert(
    fc.asyncProperty(
      fc.array(callPlan, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 60_000, max: 400_000 }),
      fc.constantFrom(5, 2000),
      fc.constantFrom(0, 2),
      async (plans, budgetBytes, budgetWaitMs, algorithm) => {
        const byteBudget = new ByteBudget(budgetBytes);
        await using pair = await startPair(routes, { ...options, byteBudget, limits: { budgetWaitMs } });
        const client = new Client(pair.address, trust, {
          "grpc.default_compression_algorithm": algorithm,
          "grpc.ssl_target_name_override": "localhost",
        });
        await randomCalls(plans, client);
        await until(() => pair.server.activeCalls === 0, PATIENT_MS);
        await until(() => byteBudget.usedBytes === 0 && byteBudget.waiters === 0, PATIENT_MS);
        client.close();
      },
    ),
    { numRuns, endOnFailure: true },
  );
}

Deno.test("Whatever calls do and however they end, the budget gets all back", async () => {
  await giveBack({}, undefined, 40);
});

Deno.test({ name: "Over TLS, too, the budget gets all back", ignore: !hasOpenssl }, async () => {
  const dir = await Deno.makeTempDir();
  try {
    const own = await authority(dir, "own");
    const { cert, key } = await own.issue("localhost");
    await giveBack({ tls: { cert, key }, coalesceWrites: true }, own.cert, 10);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("An answered call waits for no room, so that others get it", async () => {
  const byteBudget = new ByteBudget(1 << 20);
  using _all = await byteBudget.acquire(1 << 20);
  const route = clientStream(Echo.bytesUp, "write", async (requests) => {
    void requests[Symbol.asyncIterator]().next();
    await until(() => byteBudget.waiters === 1, PATIENT_MS);
    return new Uint8Array();
  });
  await using pair = await startPair([route], { byteBudget, limits: { budgetWaitMs: PATIENT_MS } });
  await pair.channel.clientStream(
    Echo.bytesUp,
    (async function* () {
      yield await Promise.resolve(new Uint8Array(100_000));
      await new Promise(() => {});
    })(),
  );
  assertEquals(byteBudget.waiters, 0);
});

Deno.test("A peer that does not take its answer is let go soon when others are refused for it", async () => {
  const byteBudget = new ByteBudget(1 << 20);
  const big = unary(
    { ...Echo.bytes, path: "/test.Echo/Big", name: "Big" },
    "read",
    () => new Uint8Array(600_000),
  );
  const limits = { stallTimeoutMs: 600_000, budgetWaitMs: 20 };
  await using pair = await startPair([big, unary(Echo.bytes, "write", (bytes) => bytes)], {
    byteBudget,
    limits,
  });
  const port = Number(pair.address.split(":").at(-1));
  const peer = await Deno.connect({ hostname: "127.0.0.1", port });
  for (const part of [PREFACE, settings(), headers(1, "/test.Echo/Big"), message(1, new Uint8Array(1))]) {
    await peer.write(part);
  }
  await until(() => byteBudget.usedBytes === 600_000, PATIENT_MS);
  const startMs = performance.now();
  for (;;) {
    try {
      await pair.channel.unary(Echo.bytes, new Uint8Array(500_000));
      break;
    } catch (error) {
      assert(error instanceof BrokkrError && error.code === Code.RESOURCE_EXHAUSTED, String(error));
      assert(performance.now() - startMs < PATIENT_MS, "nobody else is served as long as it stands still");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  peer.close();
});
