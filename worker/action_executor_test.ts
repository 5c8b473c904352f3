import { assert, assertEquals } from "@std/assert";
import { Code, idTracer, noLog, systemClock } from "@brokkr/common";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import {
  ActionCodec,
  ActionResultCodec,
  CommandCodec,
  type Lease,
  LeaseResult_Outcome as Outcome,
} from "@brokkr/proto";
import { ActionExecutor, type ActionExecutorOptions } from "./action_executor.ts";
import { BlobCache } from "./blob_cache.ts";
import type { OutputFields } from "./collector.ts";
import { InputFetcher } from "./input_fetcher.ts";
import { InputResolver } from "./input_tree.ts";
import type { RunOutcome } from "./runner.ts";

const ENDED: RunOutcome = {
  exitCode: 0,
  timedOut: false,
  outputOverflow: false,
  stdoutDroppedBytes: 0,
  stderrDroppedBytes: 0,
  userMs: 0,
  systemMs: 0,
  maxRssBytes: 0,
  durationMs: 1,
  rootPath: "/nowhere",
  outOfMemory: false,
  [Symbol.dispose]: () => {},
};

function lease(): Lease {
  const command = CommandCodec.encode({ arguments: ["true"], outputPaths: ["o"] });
  const action = ActionCodec.encode({
    commandDigest: digestOf(SHA256, command),
    inputRootDigest: digestOf(SHA256, new Uint8Array()),
  });
  return {
    leaseId: "1.1",
    instanceName: "main",
    digestFunction: 1,
    actionDigest: digestOf(SHA256, action),
    action,
    command,
    timeout: { seconds: 7, nanos: 0 },
    attempt: 1,
    traceparent: "",
    operation: "operations/1-1-x",
    requestMetadata: new Uint8Array(),
    queuedFor: { seconds: 0, nanos: 0 },
  };
}

/** Executes a lease in `dir` where nothing but the result is real. */
async function execute(dir: string, outcome: RunOutcome, fields: OutputFields) {
  const cache = await BlobCache.open({ path: `${dir}/cache`, limitBytes: 1, memoryLimitBytes: 1 });
  await Deno.mkdir(`${dir}/scratch`);
  const store: ReturnType<ActionExecutorOptions["store"]> = {
    getMany: () => Promise.resolve([]),
    read: () => {
      throw new Error("Nothing is read");
    },
    upload: () => Promise.resolve(),
  };
  const executor = new ActionExecutor({
    workerId: "w",
    resolver: new InputResolver(new InputFetcher(cache)),
    materializer: {
      materialize: () =>
        Promise.resolve({
          inputs: { rootPath: `${dir}/scratch/root` },
          scratchPath: `${dir}/scratch`,
          [Symbol.asyncDispose]: () => Promise.resolve(),
        }),
    },
    runner: { isolation: "none", prepare: () => ({ run: () => Promise.resolve(outcome) }) },
    collector: { collect: () => Promise.resolve({ fields, blobs: [], [Symbol.dispose]: () => {} }) },
    store: () => store,
    outputLimitBytes: 1000,
    clock: systemClock,
    tracer: idTracer(),
    log: noLog,
  });
  const { result, cleanup } = await executor.execute(lease(), new AbortController().signal, () => {});
  await cleanup;
  return result;
}

const OUTPUTS: OutputFields = {
  outputFiles: Array.from({ length: 50_000 }, (_, i) => ({
    path: `o${i}`,
    digest: { hash: "0".repeat(64), sizeBytes: 1 },
  })),
  outputDirectories: [],
  outputSymlinks: [],
  outputFileSymlinks: [],
  outputDirectorySymlinks: [],
};

Deno.test("ActionExecutor never makes a result that no message could carry", async () => {
  for (const timedOut of [false, true]) {
    const dir = await Deno.makeTempDir();
    const result = await execute(dir, { ...ENDED, timedOut, exitCode: timedOut ? 137 : 0 }, OUTPUTS);
    const actionResult = result.actionResult ?? new Uint8Array();
    assertEquals(result.outcome, Outcome.FAILED as number);
    assertEquals(result.status?.code, timedOut ? Code.DEADLINE_EXCEEDED : Code.FAILED_PRECONDITION);
    assert(actionResult.length < 1_000_000, `${actionResult.length} bytes`);
    if (timedOut) assertEquals(ActionResultCodec.decode(actionResult).exitCode, 137);
    await Deno.remove(dir, { recursive: true });
  }
});
