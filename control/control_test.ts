import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "@brokkr/proto/rpc/client";
import { BrokkrError, Code } from "@brokkr/common";
import { digestOf, SHA256 } from "@brokkr/cas";
import {
  ActionCache,
  ActionResultCodec,
  Admin,
  Capabilities,
  ContentAddressableStorage,
  ExecuteOperationMetadataCodec,
  Execution,
  HealthService,
} from "@brokkr/proto";
import { startControl } from "./control.ts";
import { TestGrid, wire } from "./_test_grid.ts";

/** A directory of its own for `run`. */
async function withDirectory(run: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-control-" });
  try {
    await run(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/** SHA256, BLAKE3, SHA384, SHA512, SHA1, MD5 and SHA256TREE. */
const FUNCTIONS = [1, 9, 5, 6, 2, 3, 8];

Deno.test("GetCapabilities lists what works and nothing else", async () => {
  await using grid = await TestGrid.start();
  const got = await grid.channel.unary(Capabilities.getCapabilities, { instanceName: "main" });
  assertEquals([got.lowApiVersion?.major, got.lowApiVersion?.minor], [2, 0]);
  assertEquals([got.highApiVersion?.major, got.highApiVersion?.minor], [2, 11]);
  const { executionCapabilities: execution, cacheCapabilities: cache } = got;
  assertEquals([execution?.digestFunction, execution?.digestFunctions, execution?.execEnabled], [
    1,
    FUNCTIONS,
    true,
  ]);
  assertEquals(cache?.digestFunctions, FUNCTIONS);
  assertEquals(cache?.maxBatchTotalSizeBytes, 4_000_000);
  assertEquals(cache?.supportedCompressors, [1, 3, 2]);
  const error = await assertRejects(
    () => grid.channel.unary(Capabilities.getCapabilities, { instanceName: "a//b" }),
    BrokkrError,
  );
  assertEquals(error.code, Code.INVALID_ARGUMENT);
});

Deno.test("A restarted control answers from its cache before the first worker is back, under a new epoch", async () => {
  await withDirectory(async (dataDir) => {
    let digest;
    let oldName = "";
    {
      await using grid = await TestGrid.start({ dataDir });
      const worker = await grid.worker();
      digest = await grid.action("true");
      const followed = grid.execute(digest);
      await worker.run();
      await followed.end;
      oldName = followed.name;
    }
    await using grid = await TestGrid.start({ dataDir });
    const followed = grid.execute(digest);
    assertEquals((await followed.response()).cachedResult, true);
    assertMatch(followed.name, /^operations\/2-1-/);
    assertEquals((await grid.wait(oldName).response()).status?.code, Code.UNAVAILABLE);
    const { records, cachedResult } = await grid.channel.unary(Admin.getAction, {
      instanceName: "main",
      actionDigest: wire(digest),
    });
    assertEquals(records.length, 1);
    assert(cachedResult !== undefined);
  });
});

Deno.test("A data directory has one control, and a port too", async () => {
  await withDirectory(async (dataDir) => {
    await using first = await startControl({ dataDir, listen: "127.0.0.1:0", httpListen: "127.0.0.1:0" });
    const locked = await assertRejects(() => startControl({ dataDir, listen: "127.0.0.1:0" }), BrokkrError);
    assertEquals(locked.code, Code.FAILED_PRECONDITION);
    assertMatch(locked.message, /in use by control with process id/);
    const listen = first.grpcEndpoint.replace("grpc://", "");
    const taken = await assertRejects(() => startControl({ dataDir: undefined, listen }), BrokkrError);
    assertEquals(taken.code, Code.FAILED_PRECONDITION);
    const httpListen = first.httpEndpoint?.replace("http://", "") ?? "";
    const http = await assertRejects(
      () => startControl({ dataDir: undefined, listen: "127.0.0.1:0", httpListen }),
      BrokkrError,
    );
    assertEquals(http.code, Code.FAILED_PRECONDITION);
  });
});

Deno.test("Control refuses to be open to others without authentication unless told so", async () => {
  const error = await assertRejects(
    () => startControl({ dataDir: undefined, listen: "0.0.0.0:0" }),
    BrokkrError,
  );
  assertEquals(error.code, Code.FAILED_PRECONDITION);
  const pages = { dataDir: undefined, listen: "127.0.0.1:0", httpListen: "0.0.0.0:0" };
  await assertRejects(() => startControl(pages), BrokkrError, "Refusing to listen on 0.0.0.0:0");
  await using open = await startControl({
    dataDir: undefined,
    listen: "0.0.0.0:0",
    allowInsecureRemote: true,
  });
  assertMatch(open.grpcEndpoint, /^grpc:\/\/0\.0\.0\.0:\d+$/);
});

Deno.test("The HTTP port tells life, readiness and metrics", async () => {
  await using grid = await TestGrid.start({ httpListen: "127.0.0.1:0" });
  const worker = await grid.worker({ slots: 4 });
  const action = await grid.action("true");
  const first = grid.execute(action);
  await worker.run();
  await first.end;
  await grid.execute(action).end;
  const running = grid.execute(action, { skipCacheLookup: true });
  await worker.lease();
  const get = async (path: string) => {
    const response = await fetch(`${grid.control.httpEndpoint}${path}`);
    return { status: response.status, text: await response.text() };
  };
  assertEquals(await get("/livez"), { status: 200, text: "ok\n" });
  assertEquals(await get("/readyz"), { status: 200, text: '{"ready":true,"waiting":{}}\n' });
  assertEquals((await get("/nothing")).status, 404);
  const { text } = await get("/metrics");
  for (
    const line of [
      "brokkr_jobs_running 1",
      "brokkr_jobs_queued 0",
      "brokkr_worker_capacity_utilization 0.25",
      "brokkr_action_cache_hit_ratio 0.5",
      'brokkr_operations_total{code="OK",cached="true"} 1',
    ]
  ) assert(text.split("\n").includes(line), `${line} is not in\n${text}`);
  running.break();
});

Deno.test("Shutdown lets running work end and sends away what waits", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const running = grid.execute(await grid.action("one"));
  const lease = await worker.lease();
  const waiting = grid.execute(await grid.action("two"));
  await waiting.until("QUEUED");
  const late = await grid.action("three");
  const shutdown = grid.control.shutdown({ graceMs: 10_000 });
  assertEquals((await waiting.response()).status?.code, Code.UNAVAILABLE);
  const refused = await assertRejects(() => grid.execute(late).end, BrokkrError);
  assertEquals(refused.code, Code.UNAVAILABLE);
  await worker.finish(lease);
  assertEquals((await running.response()).status, undefined);
  await shutdown;
  await grid.control.done;
});

Deno.test("Shutdown ends what does not end by itself", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const running = grid.execute(await grid.action("one"));
  const lease = await worker.lease();
  const shutdown = grid.control.shutdown({ graceMs: 50 });
  assertEquals((await worker.next()).cancel?.leaseId, lease.leaseId);
  assertEquals((await running.response()).status?.code, Code.UNAVAILABLE);
  await shutdown;
});

async function lineOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}

function controlProcess(
  dataDir: string,
  stdin: "null" | "piped",
  ...flags: readonly string[]
): Deno.ChildProcess {
  const main = new URL("./main.ts", import.meta.url).pathname;
  const listen = ["--data-dir", dataDir, "--listen", "127.0.0.1:0", "--http-listen", ""];
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...listen, ...flags],
    cwd: dataDir,
    env: { BROKKR_PARENT_PIPE: stdin === "piped" ? "1" : "", NO_COLOR: "1" },
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

for (const how of ["SIGTERM", "its parent's pipe"] as const) {
  Deno.test(`The process says where it listens and ends with 0 by ${how}`, async () => {
    await withDirectory(async (dataDir) => {
      const child = controlProcess(dataDir, how === "SIGTERM" ? "null" : "piped");
      const stderr = new Response(child.stderr).text();
      const line = await lineOf(child.stdout);
      const ready: unknown = JSON.parse(line.replace(/^READY /, ""));
      assert(typeof ready === "object" && ready !== null && "grpc" in ready && "http" in ready);
      assertEquals(ready.http, "");
      {
        await using channel = connect(`grpc://${ready.grpc}`);
        assertEquals((await channel.unary(HealthService.check, { service: "" })).status, 1);
      }
      if (how === "SIGTERM") child.kill("SIGTERM");
      else await child.stdin.close();
      assertEquals((await child.status).code, 0, await stderr);
    });
  });
}

Deno.test("The process survives clients and workers that send rubbish or break off", async () => {
  await withDirectory(async (dataDir) => {
    const child = controlProcess(dataDir, "null");
    const stderr = new Response(child.stderr).text();
    const { grpc } = JSON.parse((await lineOf(child.stdout)).replace(/^READY /, "")) as { grpc: string };
    const rubbish = { encode: () => crypto.getRandomValues(new Uint8Array(300)), decode: () => ({}) };
    await using channel = connect(`grpc://${grpc}`, { retry: { retries: 0 } });
    const { Workers } = await import("@brokkr/proto");
    const raw = { ...Workers.connect, request: rubbish };
    for (let i = 0; i < 20; i++) {
      const call = channel.bidi(raw);
      await call.send({});
      const answer = call.responses[Symbol.asyncIterator]().next();
      if (i % 2 === 0) call.cancel();
      const error = await assertRejects(() => answer, BrokkrError);
      assert([Code.INVALID_ARGUMENT, Code.CANCELLED].some((code) => code === error.code), error.codeName);
    }
    await assertRejects(async () => {
      for await (const _ of channel.serverStream({ ...Execution.execute, request: rubbish }, {}));
    }, BrokkrError);
    assertEquals((await channel.unary(HealthService.check, { service: "" })).status, 1);
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0, await stderr);
  });
});

Deno.test("The process says what is wrong with its flags", async () => {
  await withDirectory(async (dataDir) => {
    const child = controlProcess(dataDir, "null", "--lease-ttl", "soon");
    const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
    await child.stdout.cancel();
    assertEquals(code, 2);
    assertMatch(stderr, /brokkr-control: .*lease.ttl/);
  });
});

Deno.test("ExecuteOperationMetadata is what it was when a client joins late", async () => {
  await using grid = await TestGrid.start();
  const worker = await grid.worker();
  const followed = grid.execute(await grid.action("true"));
  await worker.run();
  await followed.end;
  const { operation } = await grid.wait(followed.name).end;
  const metadata = ExecuteOperationMetadataCodec.decode(operation.metadata?.value ?? new Uint8Array());
  assertEquals(metadata.stage, 4);
  assertEquals(metadata.partialExecutionMetadata?.worker, "w1");
});

Deno.test("The HTTP cache shares blobs and results with gRPC, with the same limits", async () => {
  await using control = await startControl({
    dataDir: undefined,
    listen: "127.0.0.1:0",
    httpCacheListen: "127.0.0.1:0",
    maxBlobSizeBytes: 1000,
  });
  const url = control.httpCacheEndpoint;
  assertMatch(url ?? "", /^http:\/\/127\.0\.0\.1:\d+$/);
  await using channel = connect(control.grpcEndpoint);
  const data = new TextEncoder().encode("an action");
  const { hash, sizeBytes } = digestOf(SHA256, data);
  const put = async (path: string, body: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(`${url}/main/${path}`, { method: "PUT", body });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await put(`cas/${hash}`, data), 200);
  assertEquals(await put(`cas/${hash}`, new Uint8Array(1001)), 413);
  const instanceName = "main";
  const missing = await channel.unary(ContentAddressableStorage.findMissingBlobs, {
    instanceName,
    blobDigests: [{ hash, sizeBytes }],
  });
  assertEquals(missing.missingBlobDigests, []);
  assertEquals(await put(`ac/${hash}`, new Uint8Array(ActionResultCodec.encode({ exitCode: 7 }))), 200);
  const actionDigest = { hash, sizeBytes };
  const result = await channel.unary(ActionCache.getActionResult, { instanceName, actionDigest });
  assertEquals(result.exitCode, 7);
  const status = await channel.unary(Admin.getStatus, {});
  assertEquals(status.httpCache, url);
});

Deno.test("The HTTP cache is not opened to others where nothing would check who they are", async () => {
  const error = await assertRejects(
    () => startControl({ dataDir: undefined, listen: "127.0.0.1:0", httpCacheListen: "0.0.0.0:0" }),
    BrokkrError,
    "Refusing to listen on 0.0.0.0:0",
  );
  assertEquals(error.code, Code.FAILED_PRECONDITION);
  await using control = await startControl({ dataDir: undefined, listen: "127.0.0.1:0" });
  assertEquals(control.httpCacheEndpoint, undefined);
});
