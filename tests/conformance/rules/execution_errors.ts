/**
 * Rules of executions that cannot begin, or do not end well.
 *
 * @module
 */

import * as a from "../actions.ts";
import { type Context, type Digest, digestMsg, digestName, digestOf, METHOD } from "../context.ts";
import { msg } from "../protobuf.ts";
import { check, CLIENT_FAULTS, equal, type Rule, rulesThatNeed, SOURCE, status } from "../rule.ts";

const { must, should } = rulesThatNeed("exec");
const EXECUTE = SOURCE.reapi("Execution.Execute");
const TIMEOUT = SOURCE.reapi("Action.timeout");
const RESPONSE = SOURCE.reapi("ExecuteResponse.status");

function getResult(ctx: Context, action: Digest) {
  return ctx.call(METHOD.getResult, { 1: ctx.instance, 2: digestMsg(action) });
}

/** A blob in the place of an Action. */
async function executeBlob(ctx: Context, blob: Uint8Array): Promise<a.Execution> {
  return await a.execute(ctx, await ctx.put(blob));
}

const ERROR_RULES: readonly Rule[] = [
  must("EXEC-20", "A missing Action is FAILED_PRECONDITION", EXECUTE, async (ctx) => {
    a.ended(await a.execute(ctx, ctx.absent(100)), ["FAILED_PRECONDITION"], "Execute of a missing Action");
  }),
  should("EXEC-21", "A missing Action is named by a violation of type MISSING", EXECUTE, async (ctx) => {
    const action = ctx.absent(100);
    const { rich } = await a.execute(ctx, action);
    equal(a.missingSubjects(rich), [`blobs/${digestName(action)}`], "Subjects of type MISSING");
  }),
  must("EXEC-22", "A missing Command is FAILED_PRECONDITION", EXECUTE, async (ctx) => {
    const execution = await executeBlob(ctx, a.actionMsg(ctx.absent(50)));
    a.ended(execution, ["FAILED_PRECONDITION"], "Execute with a missing Command");
  }),
  should("EXEC-23", "A missing Command is named by a violation of type MISSING", EXECUTE, async (ctx) => {
    const command = ctx.absent(50);
    const { rich } = await executeBlob(ctx, a.actionMsg(command));
    equal(a.missingSubjects(rich), [`blobs/${digestName(command)}`], "Subjects of type MISSING");
  }),
  must("EXEC-24", "Missing inputs are FAILED_PRECONDITION", EXECUTE, async (ctx) => {
    const root = msg({ 1: [msg({ 1: "f", 2: digestMsg(ctx.absent()) })] });
    const [inputRoot] = await ctx.putAll([root]);
    a.ended(
      await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot }),
      ["FAILED_PRECONDITION"],
      "A missing file",
    );
    const noRoot = await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot: ctx.absent(80) });
    a.ended(noRoot, ["FAILED_PRECONDITION"], "A missing root");
  }),
  should("EXEC-25", "Every missing input is named by a violation of type MISSING", EXECUTE, async (ctx) => {
    const absent = Array.from({ length: 5 }, (_, i) => ctx.absent(10 + i));
    const inner = msg({
      1: [msg({ 1: "deep", 2: digestMsg(absent[0]) }), msg({ 1: "deeper", 2: digestMsg(absent[1]) })],
    });
    const root = msg({
      1: [msg({ 1: "f", 2: digestMsg(absent[2]) }), msg({ 1: "g", 2: digestMsg(absent[3]) })],
      2: [msg({ 1: "gone", 2: digestMsg(absent[4]) }), msg({ 1: "here", 2: digestMsg(digestOf(inner)) })],
    });
    await ctx.putAll([inner, root]);
    const { rich } = await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot: digestOf(root) });
    equal(
      a.missingSubjects(rich),
      absent.map((d) => `blobs/${digestName(d)}`).sort(),
      "Subjects of type MISSING",
    );
  }),
  must("EXEC-26", "After the missing inputs were stored, the same action runs", EXECUTE, async (ctx) => {
    const blob = ctx.fresh();
    const root = msg({ 1: [msg({ 1: "f", 2: digestMsg(digestOf(blob)) })] });
    const [inputRoot] = await ctx.putAll([root]);
    const action = await a.store(ctx, a.sh(ctx, "test -s f"), { inputRoot });
    a.ended(await a.execute(ctx, action), ["FAILED_PRECONDITION"], "Without the file");
    await ctx.putAll([blob]);
    equal(a.resultOf(await a.execute(ctx, action)).int(4), 0, "exit_code");
  }),
  must("EXEC-27", "What is no Action, or no Command, is a client's mistake", EXECUTE, async (ctx) => {
    const garbage = new Uint8Array([0x0a, 0xff, 0xff, ...ctx.fresh(20)]);
    a.ended(await executeBlob(ctx, garbage), CLIENT_FAULTS, "Random bytes as an Action");
    const command = await ctx.put(new Uint8Array([0x0a, 0xff, 0xff, ...ctx.fresh(20)]));
    a.ended(await executeBlob(ctx, a.actionMsg(command)), CLIENT_FAULTS, "Random bytes as a Command");
    a.ended(
      await executeBlob(ctx, msg({ 9: ctx.fresh() })),
      CLIENT_FAULTS,
      "An Action without a command_digest",
    );
  }),
  must(
    "EXEC-28",
    "A Command without arguments is a client's mistake",
    SOURCE.reapi("Command.arguments"),
    async (ctx) => {
      a.ended(await a.attempt(ctx, { args: [], env: { X: ctx.nonce } }), CLIENT_FAULTS, "No arguments");
    },
  ),
  must(
    "EXEC-29",
    "An action_digest that is unset or malformed is a client's mistake",
    EXECUTE,
    async (ctx) => {
      const unset = await ctx.call(METHOD.execute, { 1: ctx.instance });
      a.ended(a.readExecution(unset), CLIENT_FAULTS, "No action_digest");
      a.ended(await a.execute(ctx, { hash: "abc", size: 3 }), CLIENT_FAULTS, "A hash of three digits");
    },
  ),
  must(
    "EXEC-30",
    "A digest function that does not exist is refused",
    SOURCE.reapi("ExecuteRequest.digest_function"),
    async (ctx) => {
      const action = await a.store(ctx, a.sh(ctx, "exit 0"));
      a.ended(await a.execute(ctx, action, { digestFunction: 99 }), CLIENT_FAULTS, "digest_function 99");
    },
  ),
  must(
    "EXEC-31",
    "A name in an input tree that leads out of its directory is refused",
    SOURCE.reapi("Directory"),
    async (ctx) => {
      const [file] = await ctx.putAll([ctx.fresh()]);
      for (const name of ["..", ".", "", "a/b", "/abs"]) {
        const [inputRoot] = await ctx.putAll([
          msg({ 1: [concatName(name, digestMsg(file)), concatName(`z${ctx.freshText()}`, digestMsg(file))] }),
        ]);
        const execution = await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot });
        a.ended(
          execution,
          ["INVALID_ARGUMENT", "FAILED_PRECONDITION"],
          `A file named ${JSON.stringify(name)}`,
        );
      }
    },
  ),
  must(
    "EXEC-32",
    "A directory with one name twice is refused, or run with one of the two",
    SOURCE.reapi("Directory"),
    async (ctx) => {
      const [one, two] = await ctx.putAll([ctx.fresh(), ctx.fresh()]);
      const root = msg({ 1: [concatName("x", digestMsg(one)), concatName("x", digestMsg(two))] });
      const [inputRoot] = await ctx.putAll([root]);
      const execution = await a.attempt(ctx, a.sh(ctx, "exit 0"), { inputRoot });
      a.ended(execution, ["OK", "INVALID_ARGUMENT", "FAILED_PRECONDITION"], "Two files named x");
    },
  ),
  must(
    "EXEC-33",
    "A program that does not exist is an error, or an exit code",
    SOURCE.reapi("Command.arguments"),
    async (ctx) => {
      const execution = await a.attempt(ctx, { args: [`/no/such/program-${ctx.nonce}`] });
      check(
        execution.code !== 0 || (execution.response?.message(1)?.int(4) ?? 0) !== 0,
        "It is passed off as a success",
      );
    },
  ),
];

function concatName(name: string, digest: Uint8Array): Uint8Array {
  // Written also when empty, so that it is the server that finds it.
  return name === "" ? msg({ 1: new Uint8Array(), 2: digest }) : msg({ 1: name, 2: digest });
}

const TIMEOUT_RULES: readonly Rule[] = [
  must("EXEC-40", "An action that runs into its timeout is DEADLINE_EXCEEDED", RESPONSE, async (ctx) => {
    const execution = await a.attempt(ctx, a.sh(ctx, "echo begun; sleep 600"), { timeoutMs: 1000 });
    status(execution.reply, "OK", "Execute (the status belongs into the response)");
    a.ended(execution, ["DEADLINE_EXCEEDED"], "A timeout of one second");
  }),
  should(
    "EXEC-41",
    "What a timed-out action had written so far comes with the error",
    RESPONSE,
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "echo begun; sleep 600"), { timeoutMs: 2000 });
      const result = execution.response?.message(1);
      check(result !== undefined, "ExecuteResponse.result is not set");
      equal(await a.stdout(ctx, result), "begun\n", "stdout");
    },
  ),
  must("EXEC-42", "A timeout is not cached", RESPONSE, async (ctx) => {
    const action = await a.store(ctx, a.sh(ctx, "sleep 600"), { timeoutMs: 500 });
    a.ended(await a.execute(ctx, action), ["DEADLINE_EXCEEDED"], "A timeout of half a second");
    status(await getResult(ctx, action), "NOT_FOUND", "GetActionResult");
  }),
  must("EXEC-43", "An action that ends before its timeout is not disturbed", TIMEOUT, async (ctx) => {
    await a.run(ctx, a.sh(ctx, "exit 0"), { timeoutMs: 30_000 });
  }),
  should("EXEC-44", "A timeout above the server's maximum is INVALID_ARGUMENT", TIMEOUT, async (ctx) => {
    const century = 100 * 365 * 24 * 3600 * 1000;
    const execution = await a.attempt(ctx, a.sh(ctx, "exit 0"), { timeoutMs: century });
    a.ended(execution, ["INVALID_ARGUMENT"], "A timeout of a hundred years");
  }),
  should("EXEC-45", "A negative timeout is INVALID_ARGUMENT", TIMEOUT, async (ctx) => {
    a.ended(await a.attempt(ctx, a.sh(ctx, "exit 0"), { timeoutMs: -5000 }), ["INVALID_ARGUMENT"], "-5 s");
  }),
];

/** Rules of executions that cannot begin, or do not end well. */
export const EXECUTION_ERROR_RULES: readonly Rule[] = [...ERROR_RULES, ...TIMEOUT_RULES];
