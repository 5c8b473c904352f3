/**
 * Rules of Execute that are about operations, caching and metadata.
 *
 * @module
 */

import * as a from "../actions.ts";
import { type Context, type Digest, digestMsg, METHOD, readDigest } from "../context.ts";
import { Fields, msg } from "../protobuf.ts";
import { check, equal, one, type Rule, rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import { statusOf } from "../wire.ts";

const { must, should } = rulesThatNeed("exec");
const EXECUTE = SOURCE.reapi("Execution.Execute");
const STAGES = SOURCE.reapi("ExecutionStage");
const SKIP = SOURCE.reapi("ExecuteRequest.skip_cache_lookup");
const DO_NOT_CACHE = SOURCE.reapi("Action.do_not_cache");
const METADATA = SOURCE.reapi("ExecutedActionMetadata");
const PLATFORM = SOURCE.reapi("Platform.Property");
/** A line that differs each time it is made. */
const RANDOM = "cat /proc/sys/kernel/random/uuid";

function getResult(ctx: Context, action: Digest) {
  return ctx.call(METHOD.getResult, { 1: ctx.instance, 2: digestMsg(action) });
}

const OPERATION_RULES: readonly Rule[] = [
  {
    id: "EXEC-01",
    title: "A server with exec_enabled runs an action that does nothing",
    source: SOURCE.reapi("ExecutionCapabilities.exec_enabled"),
    level: "must",
    run: async (ctx) => {
      if (!ctx.caps.execEnabled) throw new Skip("exec_enabled is false");
      await a.run(ctx, a.sh(ctx, "exit 0"));
    },
  },
  must("EXEC-02", "The stream is of Operations with one name, and the last is done", EXECUTE, async (ctx) => {
    const execution = await a.attempt(ctx, a.sh(ctx, "exit 0"));
    status(execution.reply, "OK", "Execute");
    a.nameOf(execution);
    check(execution.operations.at(-1)?.done === true, "The last Operation is not done");
  }),
  must("EXEC-03", "Metadata and response have the types of the API", EXECUTE, async (ctx) => {
    const v2 = "/build.bazel.remote.execution.v2.";
    const { operations } = await a.attempt(ctx, a.sh(ctx, "exit 0"));
    for (const { metadataType, responseType, done } of operations) {
      check(metadataType.endsWith(`${v2}ExecuteOperationMetadata`), `metadata has the type ${metadataType}`);
      if (done) check(responseType.endsWith(`${v2}ExecuteResponse`), `response has the type ${responseType}`);
    }
  }),
  must(
    "EXEC-04",
    "An operation is done if and only if its stage is COMPLETED, and nothing comes after",
    STAGES,
    async (ctx) => {
      for (const script of ["exit 0", "exit 9"]) {
        const { operations } = await a.attempt(ctx, a.sh(ctx, script));
        for (const [i, { done, stage, response }] of operations.entries()) {
          equal(done, stage === a.STAGE.COMPLETED, `done at stage ${stage}`);
          equal(response !== undefined, done, "Whether response is set");
          equal(done, i === operations.length - 1, `done of message ${i + 1} of ${operations.length}`);
        }
      }
    },
  ),
  must("EXEC-05", "Operation.error is never set, however an execution ends", EXECUTE, async (ctx) => {
    const executions = [
      await a.attempt(ctx, a.sh(ctx, "exit 1")),
      await a.execute(ctx, ctx.absent(100)),
      await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot: ctx.absent() }),
      await a.attempt(ctx, { args: [`/no/such/${ctx.nonce}`] }),
    ];
    for (const { operations } of executions) {
      check(!operations.some(({ hasError }) => hasError), "error is set");
    }
  }),
  must("EXEC-06", "Stages are those of the API, and none is UNKNOWN", STAGES, async (ctx) => {
    const { operations } = await a.attempt(ctx, a.sh(ctx, "exit 0"));
    for (const { stage } of operations) check(stage >= 1 && stage <= 4, `The stage is ${stage}`);
  }),
  must(
    "EXEC-07",
    "Metadata names the action that is run",
    SOURCE.reapi("ExecuteOperationMetadata.action_digest"),
    async (ctx) => {
      const action = await a.store(ctx, a.sh(ctx, "exit 0"));
      const { operations } = await a.execute(ctx, action);
      for (const { actionDigest } of operations) equal(actionDigest, action, "action_digest");
    },
  ),
  must("EXEC-08", "The client learns of a long action before it ends", EXECUTE, async (ctx) => {
    const action = await a.store(ctx, a.sh(ctx, "sleep 2"), { doNotCache: true });
    const call = await a.begin(ctx, action);
    const first = a.readOperation(await call.next() ?? new Uint8Array());
    check(first.name !== "" && !first.done, "The first message is not a running Operation with a name");
    a.resultOf(a.readExecution(await call.reply));
  }),
  should("EXEC-09", "EXECUTING is reported for an action that runs", STAGES, async (ctx) => {
    const { operations } = await a.attempt(ctx, a.sh(ctx, "sleep 1"), { doNotCache: true });
    const stages = operations.map(({ stage }) => stage);
    check(stages.includes(a.STAGE.EXECUTING), `Stages reported: ${stages.join()}`);
  }),
  should(
    "EXEC-10",
    "A call whose deadline passes while its action runs ends then, and the action goes on",
    SOURCE.grpc("Requests, Timeout"),
    async (ctx) => {
      const action = await a.store(ctx, a.sh(ctx, "sleep 4; echo done"), { doNotCache: true });
      const headers = { "grpc-timeout": "2S" };
      const reply = await ctx.call(METHOD.execute, { 1: ctx.instance, 6: digestMsg(action) }, { headers });
      const deadline = reply.code === 4 ||
        (reply.code === undefined && reply.fault?.includes("reset") === true);
      check(deadline, () => `Execute: ${statusOf(reply)}`);
      const { name } = a.readOperation(reply.messages[0] ?? new Uint8Array());
      const execution = a.readExecution(await (await a.beginWait(ctx, name)).reply);
      equal(await a.stdout(ctx, a.resultOf(execution)), "done\n", "stdout");
    },
  ),
];

/** Runs one action, that prints something else each time, twice. */
async function twice(
  ctx: Context,
  action: a.Action,
  second: a.Request = {},
): Promise<
  { readonly digest: Digest; readonly first: string; readonly again: string; readonly cached: boolean }
> {
  const digest = await a.store(ctx, a.sh(ctx, RANDOM), action);
  const first = await a.stdout(ctx, a.resultOf(await a.execute(ctx, digest)));
  const execution = await a.execute(ctx, digest, second);
  const again = await a.stdout(ctx, a.resultOf(execution));
  return { digest, first, again, cached: execution.response?.bool(2) ?? false };
}

/** Runs one action twice at the same time. */
async function twins(ctx: Context, action: a.Action): Promise<string[]> {
  const digest = await a.store(ctx, a.sh(ctx, `sleep 1; ${RANDOM}`), action);
  const executions = await Promise.all([a.execute(ctx, digest), a.execute(ctx, digest)]);
  return await Promise.all(executions.map(async (execution) => await a.stdout(ctx, a.resultOf(execution))));
}

const CACHE_RULES: readonly Rule[] = [
  should(
    "EXEC-50",
    "The result of an action answers the next Execute, which says cached_result",
    SOURCE.reapi("Action"),
    async (ctx) => {
      const { first, again, cached } = await twice(ctx, {});
      equal([again, cached], [first, true], "stdout and cached_result of the second run");
    },
  ),
  must(
    "EXEC-51",
    "cached_result is false when the action was run",
    SOURCE.reapi("ExecuteResponse.cached_result"),
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "exit 0"));
      a.resultOf(execution);
      equal(execution.response?.bool(2), false, "cached_result");
    },
  ),
  must(
    "EXEC-52",
    "do_not_cache: the action runs each time, and its result is not in the cache",
    DO_NOT_CACHE,
    async (ctx) => {
      const { digest, first, again, cached } = await twice(ctx, { doNotCache: true });
      check(first !== again && !cached, "The second run was answered from the cache");
      status(await getResult(ctx, digest), "NOT_FOUND", "GetActionResult");
    },
  ),
  must("EXEC-53", "skip_cache_lookup: the action runs again", SKIP, async (ctx) => {
    const { first, again, cached } = await twice(ctx, {}, { skipCache: true });
    check(first !== again && !cached, "The second run was answered from the cache");
  }),
  should("EXEC-54", "skip_cache_lookup: the new result takes the place of the old one", SKIP, async (ctx) => {
    const { digest, again } = await twice(ctx, {}, { skipCache: true });
    const third = await a.stdout(ctx, a.resultOf(await a.execute(ctx, digest)));
    equal(third, again, "stdout of a third run, from the cache");
  }),
  should(
    "EXEC-55",
    "The result of an execution is in the action cache",
    SOURCE.reapi("Action"),
    async (ctx) => {
      const digest = await a.store(ctx, a.sh(ctx, "echo x > out", { outputPaths: ["out"] }));
      const result = a.resultOf(await a.execute(ctx, digest));
      const cached = Fields.parse(one(await getResult(ctx, digest), "GetActionResult"));
      const hash = (fields: Fields) => readDigest(a.files(fields).get("out")?.message(2)).hash;
      equal(hash(cached), hash(result), "Hash of the output file");
    },
  ),
  must("EXEC-56", "do_not_cache: two at the same time are not merged", DO_NOT_CACHE, async (ctx) => {
    const [one, two] = await twins(ctx, { doNotCache: true });
    check(one !== two, "Both got the output of one run");
  }),
  should(
    "EXEC-57",
    "Two of the same action at the same time are run once",
    SOURCE.reapi("Action.do_not_cache (merging)"),
    async (ctx) => {
      const [one, two] = await twins(ctx, {});
      equal(two, one, "stdout of the twin");
    },
  ),
  must("EXEC-58", "Another salt is another action", SOURCE.reapi("Action.salt"), async (ctx) => {
    const command = a.sh(ctx, RANDOM);
    const outputs: string[] = [];
    for (const salt of [ctx.fresh(8), ctx.fresh(8)]) {
      outputs.push(await a.stdout(ctx, await a.run(ctx, command, { salt })));
    }
    check(outputs[0] !== outputs[1], "The second was answered with the result of the first");
  }),
  must(
    "EXEC-59",
    "All outputs of a result that is given out are stored, those inside of trees too",
    SOURCE.reapi("ActionCache.GetActionResult"),
    async (ctx) => {
      const command = a.sh(ctx, "mkdir d; cat /proc/sys/kernel/random/uuid > d/f; cp d/f g", {
        outputPaths: ["d", "g"],
      });
      const result = await a.run(ctx, command);
      const tree = a.directory(result, "d");
      const { root } = await a.treeOf(ctx, tree);
      const inner = Fields.parse(root).messages(1).map((file) => readDigest(file.message(2)));
      const outer = [...a.files(result).values()].map((file) => readDigest(file.message(2)));
      await ctx.stored(
        [...inner, ...outer, readDigest(tree.message(3))],
        "they are outputs of a result just given out",
      );
    },
  ),
];

/** Nanoseconds of a Timestamp; undefined when unset. */
function timeOf(metadata: Fields, number: number): number | undefined {
  const time = metadata.message(number);
  return time === undefined ? undefined : time.int(1) * 1e3 + time.int(2) / 1e6;
}

/** Fields of ExecutedActionMetadata in the order in which they happen. */
const MOMENTS = [2, 3, 5, 6, 7, 8, 9, 10, 4];

const METADATA_RULES: readonly Rule[] = [
  must("EXEC-70", "The timestamps of a run are in the order of its steps", METADATA, async (ctx) => {
    const [file] = await ctx.putAll([ctx.fresh()]);
    const [inputRoot] = await ctx.putAll([msg({ 1: [msg({ 1: "f", 2: digestMsg(file) })] })]);
    const result = await a.run(ctx, a.sh(ctx, "cp f out", { outputPaths: ["out"] }), { inputRoot });
    const metadata = result.message(9);
    check(metadata !== undefined, "execution_metadata is not set");
    const times = MOMENTS.map((number) => timeOf(metadata, number)).filter((time) => time !== undefined);
    const sorted = [...times].sort((x, y) => x - y);
    equal(times, sorted, "Timestamps in milliseconds");
  }),
  should("EXEC-71", "All timestamps of a run, and its worker, are set", METADATA, async (ctx) => {
    const metadata = (await a.run(ctx, a.sh(ctx, "exit 0"))).message(9);
    check(metadata !== undefined, "execution_metadata is not set");
    check(metadata.str(1) !== "", "worker is not set");
    const unset = MOMENTS.filter((number) => !metadata.has(number));
    equal(unset, [], "Fields of ExecutedActionMetadata that are not set");
  }),
  should("EXEC-72", "virtual_execution_duration is the time that the command took", METADATA, async (ctx) => {
    const metadata = (await a.run(ctx, a.sh(ctx, "sleep 1"))).message(9);
    const duration = metadata?.message(12);
    check(duration !== undefined, "virtual_execution_duration is not set");
    const ms = duration.int(1) * 1000 + duration.int(2) / 1e6;
    check(ms >= 900 && ms < 60_000, `It is ${ms} ms for a sleep of one second`);
  }),
  should(
    "EXEC-73",
    "An action with a platform property that nobody has is not run",
    PLATFORM,
    async (ctx) => {
      const platform = [...ctx.options.platform, [`conformance-${ctx.nonce}`, "x"]] as const;
      const action = await a.store(ctx, a.sh(ctx, "exit 0"), { platform });
      const call = await a.begin(ctx, action);
      const refusedOrWaiting = new Promise<void>((resolve) => setTimeout(resolve, 1500));
      await Promise.race([call.reply, refusedOrWaiting]);
      call.cancel();
      const operations = (await call.reply).messages.map(a.readOperation);
      const ran = operations.some(({ stage, response }) =>
        stage === a.STAGE.EXECUTING || response?.message(1)?.message(9)?.has(7) === true
      );
      check(!ran, "It was run");
    },
  ),
  should(
    "EXEC-74",
    "The platform of the Action goes before that of the Command",
    SOURCE.reapi("Action.platform"),
    async (ctx) => {
      const { platform } = ctx.options;
      const wrong = [[`conformance-${ctx.nonce}`, "x"]] as const;
      // A platform without properties cannot be told from none.
      const right = platform.length > 0 ? platform : [["OSFamily", "linux"]] as const;
      const known = a.readExecution(
        await (await a.begin(ctx, await a.store(ctx, a.sh(ctx, "exit 0"), { platform: right }))).reply,
      );
      if (known.code !== 0) throw new Skip("the server knows no property OSFamily; name one by --platform");
      await a.run(ctx, { ...a.sh(ctx, "exit 0"), platform: wrong }, { platform: right });
    },
  ),
  must(
    "EXEC-75",
    "RequestMetadata and an execution policy are accepted",
    SOURCE.reapi("RequestMetadata"),
    async (ctx) => {
      const action = await a.store(ctx, a.sh(ctx, "exit 0"));
      const metadata = btoa(
        String.fromCharCode(...msg({ 1: msg({ 1: "conformance" }), 2: action.hash, 3: ctx.nonce })),
      );
      const headers = { "build.bazel.remote.execution.v2.requestmetadata-bin": metadata };
      const fields = { 1: ctx.instance, 6: digestMsg(action), 7: msg({ 1: 0 }), 8: msg({ 1: 0 }) };
      a.resultOf(a.readExecution(await ctx.call(METHOD.execute, fields, { headers })));
    },
  ),
];

/** Rules of Execute that are about operations, caching and metadata. */
export const EXECUTION_RULES: readonly Rule[] = [
  ...OPERATION_RULES,
  ...CACHE_RULES,
  ...METADATA_RULES,
];
