import { SHA256, TreeBuilder } from "@brokkr/cas/client";
import { BrokkrError, type Clock, Code, resourceExhausted, seededRandom, unavailable } from "@brokkr/common";
import {
  ExecuteOperationMetadataCodec,
  ExecuteResponseCodec,
  ExecutionStage,
  type Init,
  type Operation,
  PreconditionFailureCodec,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc/client";
import { assertEquals, assertRejects } from "@std/assert";
import { awakeClock } from "./_clock.ts";
import { runToEnd, type Stage, statusOf } from "./_execution.ts";

const ACTION = new TreeBuilder().build(SHA256).rootDigest;
const PREFIX = "type.googleapis.com/build.bazel.remote.execution.v2.";

function at(stage: number, name = "operations/1"): Init<Operation> {
  const value = ExecuteOperationMetadataCodec.encode({ stage });
  return { name, metadata: { typeUrl: `${PREFIX}ExecuteOperationMetadata`, value } };
}

function done(exitCode: number, name = "operations/1"): Init<Operation> {
  const value = ExecuteResponseCodec.encode({ result: { exitCode } });
  return {
    ...at(ExecutionStage.COMPLETED, name),
    done: true,
    response: { typeUrl: `${PREFIX}ExecuteResponse`, value },
  };
}

function failed(code: number, subjects: readonly string[]): Init<Operation> {
  const violations = subjects.map((subject) => ({ type: "MISSING", subject }));
  const detail = PreconditionFailureCodec.encode({ violations });
  const value = ExecuteResponseCodec.encode({
    status: {
      code,
      message: "why",
      details: [{ typeUrl: "type.googleapis.com/google.rpc.PreconditionFailure", value: detail }],
    },
  });
  return {
    ...at(ExecutionStage.COMPLETED),
    done: true,
    response: { typeUrl: `${PREFIX}ExecuteResponse`, value },
  };
}

/** What each call of the grid does: the operations it streams, then an error or the end. */
type Script = readonly { readonly stream: readonly Init<Operation>[]; readonly error?: BrokkrError }[];

interface Outcome {
  readonly calls: string[];
  readonly stages: Stage[];
  readonly uploads: (readonly string[])[];
  readonly resumed: number;
  readonly run: Promise<
    { readonly operationName: string; readonly exitCode: number | undefined; readonly code: number }
  >;
}

/** A clock whose timers fire at once. */
const hasty: Clock = { ...awakeClock, setTimer: (_delayMs, fn) => awakeClock.setTimer(0, fn) };

function play(script: Script, canUpload = true): Outcome {
  const calls: string[] = [];
  const stages: Stage[] = [];
  const uploads: (readonly string[])[] = [];
  const counts = { resumed: 0 };
  async function* serverStream(method: { readonly name: string }, request: { readonly name?: string }) {
    const step = script[calls.length];
    calls.push(request.name === undefined ? method.name : `${method.name} ${request.name}`);
    await Promise.resolve();
    if (step === undefined) throw new Error("The script has no more calls");
    yield* step.stream;
    if (step.error !== undefined) throw step.error;
  }
  const channel = { serverStream } as unknown as Channel;
  const run = runToEnd({ channel, instance: "", clock: hasty, random: seededRandom(1) }, {
    actionDigest: ACTION,
    skipCacheLookup: false,
    call: {},
    onStage: (stage) => stages.push(stage),
    onResume: () => counts.resumed++,
    uploadMissing: (subjects) => Promise.resolve(uploads.push(subjects) > 0 && canUpload),
  }).then(({ operationName, response }) => ({
    operationName,
    exitCode: response.result?.exitCode,
    code: statusOf(response)?.code ?? 0,
  }));
  return {
    calls,
    stages,
    uploads,
    run,
    get resumed() {
      return counts.resumed;
    },
  };
}

const broken = unavailable("The connection broke", 0);
const forgotten = new BrokkrError(Code.NOT_FOUND, "No such operation");

Deno.test("runToEnd tells each stage once and gives the result", async () => {
  const played = play([{
    stream: [
      at(ExecutionStage.CACHE_CHECK),
      at(ExecutionStage.QUEUED),
      at(ExecutionStage.QUEUED),
      at(ExecutionStage.EXECUTING),
      done(3),
    ],
  }]);
  assertEquals(await played.run, { operationName: "operations/1", exitCode: 3, code: 0 });
  assertEquals(played.stages, ["cache-check", "queued", "executing", "completed"]);
  assertEquals(played.calls, ["Execute"]);
});

Deno.test("runToEnd joins the operation again when the stream breaks", async () => {
  const played = play([
    { stream: [at(ExecutionStage.QUEUED)], error: broken },
    { stream: [], error: broken },
    { stream: [at(ExecutionStage.EXECUTING)] }, // an end without an error, before the operation is done
    { stream: [done(0)] },
  ]);
  assertEquals((await played.run).exitCode, 0);
  const wait = "WaitExecution operations/1";
  assertEquals(played.calls, ["Execute", wait, wait, wait]);
  assertEquals(played.resumed, 3);
});

Deno.test("runToEnd executes again what the grid has forgotten", async () => {
  const played = play([
    { stream: [at(ExecutionStage.QUEUED)], error: broken },
    { stream: [], error: forgotten },
    { stream: [done(7, "operations/2")] },
  ]);
  assertEquals(await played.run, { operationName: "operations/2", exitCode: 7, code: 0 });
  assertEquals(played.calls, ["Execute", "WaitExecution operations/1", "Execute"]);
});

Deno.test("runToEnd uploads again what the grid lost, from an error and from a response", async () => {
  const missing = new BrokkrError(Code.FAILED_PRECONDITION, "Missing", {
    details: [{
      kind: "preconditionFailure",
      violations: [{ type: "MISSING", subject: "blobs/a/1", description: "" }],
    }],
  });
  const played = play([
    { stream: [], error: missing },
    { stream: [failed(Code.FAILED_PRECONDITION, ["blobs/b/2", "blobs/c/3"])] },
    { stream: [done(0)] },
  ]);
  assertEquals((await played.run).exitCode, 0);
  assertEquals(played.uploads, [["blobs/a/1"], ["blobs/b/2", "blobs/c/3"]]);
  assertEquals(played.calls, ["Execute", "Execute", "Execute"]);
});

Deno.test("runToEnd gives up when inputs stay missing or cannot be uploaded", async () => {
  const step = { stream: [failed(Code.FAILED_PRECONDITION, ["blobs/b/2"])] };
  const again = play([step, step, step, step]);
  const error = await assertRejects(() => again.run, BrokkrError);
  assertEquals([error.code, again.uploads.length], [Code.FAILED_PRECONDITION, 3]);
  const never = play([step], false);
  await assertRejects(() => never.run, BrokkrError);
  assertEquals(never.calls.length, 1);
});

Deno.test("runToEnd gives up after many broken streams in a row, not before a word in between", async () => {
  const breaks = (count: number) => Array.from({ length: count }, () => ({ stream: [], error: broken }));
  await assertRejects(() => play(breaks(20)).run, BrokkrError, "The connection broke");
  const word = { stream: [at(ExecutionStage.EXECUTING)], error: broken };
  assertEquals((await play([word, ...breaks(7), word, ...breaks(7), { stream: [done(0)] }]).run).exitCode, 0);
});

Deno.test("runToEnd hands on failures that trying again would not mend", async () => {
  const denied = new BrokkrError(Code.PERMISSION_DENIED, "No");
  const played = play([{ stream: [], error: denied }]);
  assertEquals((await assertRejects(() => played.run, BrokkrError)).code, Code.PERMISSION_DENIED);
  assertEquals(played.calls.length, 1);
  assertEquals(
    (await play([{ stream: [failed(Code.DEADLINE_EXCEEDED, [])] }]).run).code,
    Code.DEADLINE_EXCEEDED,
  );
});

Deno.test("runToEnd executes anew what a full grid sent away, and gives up with the grid's words", async () => {
  const full = resourceExhausted("The queue is full", 1);
  const refused = { stream: [at(ExecutionStage.CACHE_CHECK)], error: full };
  const patient = play([refused, refused, { stream: [at(ExecutionStage.QUEUED, "operations/2"), done(0)] }]);
  assertEquals((await patient.run).exitCode, 0);
  assertEquals([patient.calls, patient.resumed], [["Execute", "Execute", "Execute"], 2]);
  const hopeless = play(Array.from({ length: 20 }, () => refused));
  assertEquals(await assertRejects(() => hopeless.run, BrokkrError), full);
  assertEquals(hopeless.calls, Array.from({ length: 9 }, () => "Execute"));
  // A stream that joined is only broken: the operation it followed may live.
  const joined = play([
    { stream: [at(ExecutionStage.QUEUED)], error: broken },
    { stream: [], error: full },
    { stream: [done(0)] },
  ]);
  await joined.run;
  assertEquals(joined.calls.slice(1), ["WaitExecution operations/1", "WaitExecution operations/1"]);
});
