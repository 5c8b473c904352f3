/**
 * Rules of WaitExecution and of Operations.
 *
 * @module
 */

import * as a from "../actions.ts";
import { type Context, METHOD } from "../context.ts";
import { Fields } from "../protobuf.ts";
import { check, equal, one, type Rule, rulesThatNeed, Skip, SOURCE, status } from "../rule.ts";
import type { Call, Reply } from "../wire.ts";

const wait = rulesThatNeed("exec");
const ops = rulesThatNeed("exec", "operations");
const WAIT = SOURCE.reapi("Execution.WaitExecution");
const GET = SOURCE.operations("Operations.GetOperation");
const LIST = SOURCE.operations("Operations.ListOperations");
const CANCEL = SOURCE.operations("Operations.CancelOperation");

interface Running {
  readonly call: Call;
  readonly name: string;
}

/** Begins a script, and waits until the operation has a name. */
async function start(
  ctx: Context,
  script: string,
  action: a.Action = { doNotCache: true },
): Promise<Running> {
  const call = await a.begin(ctx, await a.store(ctx, a.sh(ctx, script), action));
  const first = await call.next();
  if (first === undefined) a.resultOf(a.readExecution(await call.reply));
  const { name } = a.readOperation(first ?? new Uint8Array());
  check(name !== "", "The operation has no name");
  return { call, name };
}

/** Reads operations until one of a stage at least, and gives it. */
async function until(call: Call, stage: number): Promise<a.Operation> {
  for (;;) {
    const bytes = await call.next();
    check(bytes !== undefined, `The stream ended before stage ${stage}`);
    const operation = a.readOperation(bytes);
    if (operation.stage >= stage) return operation;
  }
}

async function waitFor(ctx: Context, name: string): Promise<a.Execution> {
  return a.readExecution(await (await a.beginWait(ctx, name)).reply);
}

const WAIT_RULES: readonly Rule[] = [
  wait.must(
    "WAIT-01",
    "WaitExecution of a running operation answers at once, and follows it to its end",
    WAIT,
    async (ctx) => {
      const { call, name } = await start(ctx, "sleep 5; echo done");
      const waiting = await a.beginWait(ctx, name);
      const first = a.readOperation(await waiting.next() ?? new Uint8Array());
      equal([first.name, first.done], [name, false], "Name and done of the first message");
      const result = a.resultOf(a.readExecution(await waiting.reply));
      equal(await a.stdout(ctx, result), "done\n", "stdout");
      a.resultOf(a.readExecution(await call.reply));
    },
  ),
  wait.must(
    "WAIT-02",
    "An execution whose stream broke off goes on, and can be waited for",
    WAIT,
    async (ctx) => {
      const { call, name } = await start(ctx, "sleep 2; cat /proc/sys/kernel/random/uuid", {});
      call.cancel();
      await call.reply;
      const execution = await waitFor(ctx, name);
      equal(a.nameOf(execution), name, "Name of the operation");
      equal((await a.stdout(ctx, a.resultOf(execution))).length, 37, "Length of stdout");
    },
  ),
  wait.must("WAIT-03", "WaitExecution of a name that nobody knows is NOT_FOUND", WAIT, async (ctx) => {
    for (const name of [`operations/${ctx.nonce}`, ctx.nonce]) {
      status((await waitFor(ctx, name)).reply, "NOT_FOUND", `WaitExecution of ${name}`);
    }
  }),
  wait.must(
    "WAIT-04",
    "WaitExecution of a finished operation gives its result, or is NOT_FOUND",
    WAIT,
    async (ctx) => {
      const execution = await a.attempt(ctx, a.sh(ctx, "echo x"), { doNotCache: true });
      const again = await waitFor(ctx, a.nameOf(execution));
      if (again.reply.code === 5) return;
      equal(await a.stdout(ctx, a.resultOf(again)), "x\n", "stdout");
      equal(again.operations.at(-1)?.done, true, "done");
    },
  ),
  wait.should("WAIT-05", "An operation that has just finished can be waited for", WAIT, async (ctx) => {
    const execution = await a.attempt(ctx, a.sh(ctx, "echo x"), { doNotCache: true });
    a.resultOf(await waitFor(ctx, a.nameOf(execution)));
  }),
  wait.must("WAIT-06", "Any number of clients can wait for one operation", WAIT, async (ctx) => {
    const { call, name } = await start(ctx, "sleep 2; cat /proc/sys/kernel/random/uuid");
    const executions = await Promise.all(Array.from({ length: 5 }, () => waitFor(ctx, name)));
    const outputs = [a.readExecution(await call.reply), ...executions].map(async (one) =>
      await a.stdout(ctx, a.resultOf(one))
    );
    equal(new Set(await Promise.all(outputs)).size, 1, "Number of different outputs");
  }),
  wait.must(
    "WAIT-07",
    "WaitExecution keeps to the rules of Execute: done iff COMPLETED, no error",
    WAIT,
    async (ctx) => {
      const { name } = await start(ctx, "sleep 1; exit 5");
      const { operations } = await waitFor(ctx, name);
      for (const { done, stage, hasError } of operations) {
        equal([done, hasError], [stage === a.STAGE.COMPLETED, false], `done and error at stage ${stage}`);
      }
    },
  ),
  wait.must("WAIT-08", "WaitExecution without a name is a client's mistake", WAIT, async (ctx) => {
    status((await waitFor(ctx, "")).reply, ["NOT_FOUND", "INVALID_ARGUMENT"], "WaitExecution");
  }),
];

function get(ctx: Context, name: string): Promise<Reply> {
  return ctx.call(METHOD.getOperation, { 1: name });
}

/** One page of ListOperations; skips when the server has no such method. */
async function list(ctx: Context, more: { readonly size?: number; readonly token?: string } = {}) {
  const parent = ctx.instance;
  const reply = await ctx.call(METHOD.listOperations, { 2: more.size ?? 0, 3: more.token ?? "", 4: parent });
  if (reply.code === 12) throw new Skip("ListOperations is UNIMPLEMENTED");
  const page = Fields.parse(one(reply, "ListOperations"));
  return { operations: page.bytesAll(1).map(a.readOperation), token: page.str(2) };
}

/** Names of all operations, page by page. */
async function listAll(ctx: Context, size = 0): Promise<{ names: string[]; largest: number }> {
  const names: string[] = [];
  let largest = 0;
  let token = "";
  for (let page = 0; page < 2000; page++) {
    const got = await list(ctx, { size, token });
    names.push(...got.operations.map(({ name }) => name));
    largest = Math.max(largest, got.operations.length);
    token = got.token;
    if (token === "") return { names, largest };
  }
  check(false, "After 2,000 pages there is still a next_page_token");
}

async function cancel(ctx: Context, name: string): Promise<Reply> {
  const reply = await ctx.call(METHOD.cancelOperation, { 1: name });
  if (reply.code === 12) throw new Skip("CancelOperation is UNIMPLEMENTED");
  return reply;
}

const OPERATIONS: readonly Rule[] = [
  ops.must("OPS-01", "GetOperation of a running operation tells its stage", GET, async (ctx) => {
    const { call, name } = await start(ctx, "sleep 10");
    await until(call, a.STAGE.EXECUTING);
    const operation = a.readOperation(one(await get(ctx, name), "GetOperation"));
    equal([operation.name, operation.done, operation.hasError], [name, false, false], "Name, done and error");
    equal(operation.stage, a.STAGE.EXECUTING, "stage");
  }),
  ops.must("OPS-02", "GetOperation of a finished operation gives its response", GET, async (ctx) => {
    const execution = await a.attempt(ctx, a.sh(ctx, "exit 6"), { doNotCache: true });
    const reply = await get(ctx, a.nameOf(execution));
    if (reply.code === 5) throw new Skip("the operation is not kept once it finished");
    const operation = a.readOperation(one(reply, "GetOperation"));
    equal([operation.done, operation.stage], [true, a.STAGE.COMPLETED], "done and stage");
    equal(operation.response?.message(1)?.int(4), 6, "exit_code");
  }),
  ops.must("OPS-03", "GetOperation of a name that nobody knows is NOT_FOUND", GET, async (ctx) => {
    status(await get(ctx, `operations/${ctx.nonce}`), "NOT_FOUND", "GetOperation");
  }),
  ops.must("OPS-04", "ListOperations has a running operation", LIST, async (ctx) => {
    const { name } = await start(ctx, "sleep 10");
    check((await listAll(ctx)).names.includes(name), "It is not listed");
  }),
  ops.must(
    "OPS-05",
    "ListOperations in pages gives each operation once, and no page too long",
    LIST,
    async (ctx) => {
      const running = [
        await start(ctx, "sleep 10"),
        await start(ctx, "sleep 10"),
        await start(ctx, "sleep 10"),
      ];
      const { names, largest } = await listAll(ctx, 2);
      check(largest <= 2, `A page has ${largest} operations where page_size is 2`);
      equal(new Set(names).size, names.length, "Number of different names");
      for (const { name } of running) check(names.includes(name), "A running operation is not listed");
    },
  ),
  ops.must(
    "OPS-06",
    "CancelOperation ends an operation with CANCELLED in its response, not in Operation.error",
    CANCEL,
    async (ctx) => {
      const { call, name } = await start(ctx, "sleep 600");
      await until(call, a.STAGE.EXECUTING);
      status(await cancel(ctx, name), "OK", "CancelOperation");
      const execution = a.readExecution(await call.reply);
      a.ended(execution, ["CANCELLED"], "The execution");
      check(!execution.operations.some(({ hasError }) => hasError), "Operation.error is set");
    },
  ),
  ops.must(
    "OPS-07",
    "A cancelled operation, where it is still known, is done and CANCELLED",
    CANCEL,
    async (ctx) => {
      const { call, name } = await start(ctx, "sleep 600");
      status(await cancel(ctx, name), "OK", "CancelOperation");
      await call.reply;
      const reply = await get(ctx, name);
      if (reply.code !== 0) return status(reply, "NOT_FOUND", "GetOperation");
      const operation = a.readOperation(one(reply, "GetOperation"));
      equal([operation.done, operation.response?.message(3)?.int(1)], [true, 1], "done and status");
    },
  ),
  ops.must("OPS-08", "CancelOperation of a name that nobody knows is NOT_FOUND", CANCEL, async (ctx) => {
    status(await cancel(ctx, `operations/${ctx.nonce}`), "NOT_FOUND", "CancelOperation");
  }),
  ops.must("OPS-09", "CancelOperation of a finished operation changes nothing", CANCEL, async (ctx) => {
    const execution = await a.attempt(ctx, a.sh(ctx, "exit 6"), { doNotCache: true });
    const name = a.nameOf(execution);
    status(await cancel(ctx, name), ["OK", "NOT_FOUND", "FAILED_PRECONDITION"], "CancelOperation");
    const reply = await get(ctx, name);
    if (reply.code !== 0) return status(reply, "NOT_FOUND", "GetOperation");
    equal(a.readOperation(reply.messages[0]).response?.message(1)?.int(4), 6, "exit_code");
  }),
  ops.must(
    "OPS-10",
    "A cancelled action leaves no result in the cache, and can be run again",
    CANCEL,
    async (ctx) => {
      const digest = await a.store(ctx, a.sh(ctx, "sleep 5; echo again"));
      const call = await a.begin(ctx, digest);
      const operation = await until(call, a.STAGE.EXECUTING);
      status(await cancel(ctx, operation.name), "OK", "CancelOperation");
      a.ended(a.readExecution(await call.reply), ["CANCELLED"], "The execution");
      equal(
        await a.stdout(ctx, a.resultOf(await a.execute(ctx, digest))),
        "again\n",
        "stdout of the next run",
      );
    },
  ),
  ops.should(
    "OPS-11",
    "page_size below 0 and tokens that the server never gave are INVALID_ARGUMENT",
    LIST,
    async (ctx) => {
      await list(ctx);
      const bad = [{ 2: -1, 4: ctx.instance }, { 3: "no such token", 4: ctx.instance }];
      for (const fields of bad) {
        status(
          await ctx.call(METHOD.listOperations, fields),
          "INVALID_ARGUMENT",
          "ListOperations",
        );
      }
    },
  ),
];

/** Rules of WaitExecution and of Operations. */
export const OPERATIONS_RULES: readonly Rule[] = [...WAIT_RULES, ...OPERATIONS];
