/** That what the configuration says of the control plane is what the control plane does. */

import { assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { loadConfig } from "@brokkr/common/config";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import { ByteStream, Capabilities, HealthService, type WriteRequest } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { DEFAULT_LIMITS as SERVER } from "@brokkr/proto/rpc/server";
import { startControl } from "./control.ts";
import { DEFAULT_LIMITS as SCHEDULER } from "./scheduler/types.ts";
import { INSTANCE, TestGrid } from "./_test_grid.ts";

Deno.test("The configuration's defaults are those of the parts they set", async () => {
  const cwd = await Deno.makeTempDir({ prefix: "brokkr-settings-" });
  try {
    const { control } = await loadConfig({ env: {}, cwd });
    const { maxQueue, maxAttempts, unwatchedTtlMs, finishedTtlMs, maxConnections, stallTimeoutMs } = control;
    assertEquals({ maxQueue, maxAttempts, unwatchedTtlMs, finishedTtlMs, maxConnections, stallTimeoutMs }, {
      maxQueue: SCHEDULER.maxQueued,
      maxAttempts: SCHEDULER.maxLosses,
      unwatchedTtlMs: SCHEDULER.unwatchedMs,
      finishedTtlMs: SCHEDULER.finishedMs,
      maxConnections: SERVER.maxConnections,
      stallTimeoutMs: SERVER.stallTimeoutMs,
    });
    // As the JSDoc of UploadLimits has them.
    const { uploadKeepMs, maxKeptUploads, maxKeptUploadBytes } = control;
    assertEquals([uploadKeepMs, maxKeptUploads, maxKeptUploadBytes], [3_600_000, 256, 4 * 2 ** 30]);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

const CONTENT = new TextEncoder().encode("an upload that is broken off half-way");
const HALF = 20;
const { hash, sizeBytes } = digestOf(SHA256, CONTENT);

/** Sends half of a blob, and breaks off when the grid has it. */
async function breakOff({ channel }: TestGrid, resourceName: string): Promise<void> {
  const abort = new AbortController();
  const sent = Promise.withResolvers<void>();
  async function* half(): AsyncGenerator<Partial<WriteRequest>> {
    yield { resourceName, data: CONTENT.subarray(0, HALF) };
    sent.resolve();
    await new Promise((_, reject) =>
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason))
    );
  }
  const broken = channel.clientStream(ByteStream.write, half(), { signal: abort.signal });
  const end = assertRejects(() => broken);
  await sent.promise;
  await committed(channel, resourceName, HALF);
  abort.abort();
  await end;
}

/** Waits until the grid says that it has so much of an upload. */
async function committed(channel: Channel, resourceName: string, bytes: number): Promise<void> {
  const patienceMs = performance.now() + 60_000;
  for (;;) {
    const { committedSize } = await channel.unary(ByteStream.queryWriteStatus, { resourceName });
    if (committedSize === bytes) return;
    if (performance.now() > patienceMs) throw new Error(`The grid has ${committedSize} bytes, not ${bytes}`);
  }
}

/** What is missing after `kept` bytes. */
async function* rest(resourceName: string, kept: number): AsyncGenerator<Partial<WriteRequest>> {
  yield { resourceName, writeOffset: kept, data: CONTENT.subarray(kept), finishWrite: true };
}

for (const store of ["in memory", "on disk"]) {
  for (
    const [name, limits, kept] of [
      ["what they may", {}, HALF],
      ["nothing where none may be kept", { maxKeptUploads: 0 }, 0],
      ["nothing where they may take nothing", { maxKeptUploadBytes: HALF - 1 }, 0],
      ["nothing where they are kept for no time", { uploadKeepMs: 0 }, 0],
    ] as const
  ) {
    Deno.test(`Control with blobs ${store} keeps ${name}, of uploads that are broken off`, async () => {
      const path = await Deno.makeTempDir({ prefix: "brokkr-settings-" });
      try {
        await using grid = await TestGrid.start({
          dataDir: store === "on disk" ? path : undefined,
          ...limits,
        });
        const resourceName = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${hash}/${sizeBytes}`;
        await breakOff(grid, resourceName);
        await committed(grid.channel, resourceName, kept);
        assertEquals(
          (await grid.channel.clientStream(ByteStream.write, rest(resourceName, kept))).committedSize,
          sizeBytes,
        );
      } finally {
        await Deno.remove(path, { recursive: true });
      }
    });
  }
}

Deno.test("Control ends the call of a peer that stands still for stall_timeout", async () => {
  await using grid = await TestGrid.start({ stallTimeoutMs: 1000 });
  const resourceName = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${hash}/${sizeBytes}`;
  const still = Promise.withResolvers<never>();
  async function* half(): AsyncGenerator<Partial<WriteRequest>> {
    yield { resourceName, data: CONTENT.subarray(0, HALF) };
    await still.promise;
  }
  const call = () => grid.channel.clientStream(ByteStream.write, half());
  const error = await assertRejects(call, BrokkrError, "The peer sent nothing for 1");
  assertEquals(error.code, Code.DEADLINE_EXCEEDED);
});

Deno.test("Control closes connections without calls for those beyond max_connections", async () => {
  await using control = await startControl({ dataDir: undefined, listen: "127.0.0.1:0", maxConnections: 1 });
  const options = { retry: { retries: 0 } };
  const ask = (channel: Channel) => channel.unary(Capabilities.getCapabilities, { instanceName: "" });
  await using first = connect(control.grpcEndpoint, options);
  await ask(first);
  await using second = connect(control.grpcEndpoint, options);
  await ask(second);
  const watching = second.serverStream(HealthService.watch, { service: "" })[Symbol.asyncIterator]();
  await watching.next();
  await using third = connect(control.grpcEndpoint, options);
  await assertRejects(() => ask(third), BrokkrError);
  await ask(second);
  await watching.return?.();
});
