/** What the grid tells of its actions afterwards, and of those under way: `brokk action show` and `brokk operations`. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Client, connectGrid } from "@brokkr/cli";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { asBrokkrError, type BrokkrError } from "@brokkr/common";
import { ActionCache, Execution, ExecutionStage } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { brokk, until } from "./_testing.ts";

interface Told {
  readonly client: {
    readonly tool: string;
    readonly invocationId: string;
  };
  readonly status: { readonly code: number; readonly message: string };
  readonly exitCode: number;
  readonly cached: boolean;
  readonly attempts: number;
  readonly stage: string;
  readonly phases: readonly {
    readonly name: string;
    readonly startMs: number;
    readonly durationMs: number;
  }[];
}

async function json(grid: Grid, ...args: string[]) {
  const { code, stdout, stderr } = await brokk(args, { env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint } });
  assertEquals([code, stderr], [0, ""], args.join(" "));
  return JSON.parse(stdout);
}

/** What is told of an operation; its phases must follow one another and add up. */
async function story(grid: Grid, name: string): Promise<Told> {
  const told: Told = (await json(grid, "action", "show", "--json", name)).records[0];
  const phases = [...told.phases];
  const total = phases.pop();
  assertEquals(total?.name, "total");
  let sumMs = 0;
  for (const { startMs, durationMs, name: phase } of phases) {
    assert(Math.abs(startMs - sumMs) < 0.002, `${phase} begins at ${startMs} ms, not at ${sumMs} ms`);
    sumMs += durationMs;
  }
  assert(
    Math.abs(sumMs - (total?.durationMs ?? 0)) < 0.002,
    `${sumMs} ms are told of ${total?.durationMs} ms`,
  );
  return told;
}

function names({ phases }: Told): string[] {
  return phases.map(({ name }) => name);
}

/** Begins a run that will not end well; gives the operation's name once it is on a worker. */
async function begin(
  client: Client,
  script: string,
): Promise<{ readonly name: string; readonly end: Promise<BrokkrError | undefined> }> {
  const on = Promise.withResolvers<void>();
  const end = client.run({
    argv: ["/bin/sh", "-c", script],
    onStage: (stage) => stage === "executing" && on.resolve(),
  }).then(({ error }) => error, (error) => asBrokkrError(error));
  await Promise.race([on.promise, end]);
  const [{ name }] = await client.operations({ filter: "done=false", limit: 1 });
  return { name, end };
}

/** Kills the process of the grid's only worker and all that it started. */
async function killWorker(grid: Grid): Promise<void> {
  const [worker] = grid.workers;
  const before = worker.pid;
  if (before !== undefined) Deno.kill(before, "SIGKILL");
  await until(
    "the worker is another process",
    () => worker.pid !== undefined && worker.pid !== before,
    60_000,
  );
}

Deno.test("A grid tells the story of every action, however it ended", async (t) => {
  await using grid = await startGrid({ slots: 2 });
  await using client = connectGrid(grid.endpoint, { toolName: "teller" });
  let listed = 0;

  await t.step("executed, with what the client said of itself", async () => {
    const { operationName } = await client.run({ argv: ["/bin/sh", "-c", "echo > out"], outputs: ["out"] });
    const told = await story(grid, operationName);
    assertEquals([told.stage, told.exitCode, told.cached], ["completed", 0, false]);
    const phases = names(told);
    for (const name of ["cache check", "queued", "fetch inputs", "execute", "upload outputs"]) {
      assert(phases.includes(name), `${name} is not among ${phases.join(", ")}`);
    }
    assertEquals(told.client.tool, "teller");
    assertMatch(told.client.invocationId, /^[0-9a-f]{32}$/);
    const { stdout } = await brokk(["action", "show", operationName], {
      env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint },
    });
    assertStringIncludes(stdout, "teller");
    assertStringIncludes(stdout, told.client.invocationId);
    const same = await json(grid, "operations", "list", "--invocation", told.client.invocationId, "--json");
    assertEquals(same.map(({ name }: { name: string }) => name), [operationName]);
    listed++;
  });

  await t.step("cached", async () => {
    const { actionDigest } = await client.run({ argv: ["/bin/true"] });
    await using channel = connect(grid.endpoint);
    let name = "";
    for await (
      const operation of channel.serverStream(Execution.execute, {
        actionDigest: { hash: actionDigest.hash, sizeBytes: actionDigest.sizeBytes },
      })
    ) name = operation.name;
    const told = await story(grid, name);
    assertEquals([told.cached, names(told)], [true, ["cache check", "total"]]);
    listed += 2;
  });

  await t.step("failed", async () => {
    const { operationName } = await client.run({ argv: ["/bin/sh", "-c", "exit 3"] });
    const told = await story(grid, operationName);
    assertEquals([told.exitCode, told.status.code], [3, 0]);
    assert(names(told).includes("execute"));
    listed++;
  });

  await t.step("run, although a client brought a failure of it", async () => {
    const options = { argv: ["/bin/sh", "-c", "exit 5"] };
    const { actionDigest: { hash, sizeBytes } } = await client.run(options);
    await using channel = connect(grid.endpoint);
    const actionDigest = { hash, sizeBytes };
    await channel.unary(ActionCache.updateActionResult, { actionDigest, actionResult: { exitCode: 9 } });
    const { exitCode, cacheHit } = await client.run(options);
    assertEquals([exitCode, cacheHit], [5, false]);
    listed += 2;
  });

  await t.step("timed out", async () => {
    const { operationName, error } = await client.run({ argv: ["/bin/sleep", "60"], timeoutMs: 1000 });
    assertEquals(error?.codeName, "DEADLINE_EXCEEDED");
    const told = await story(grid, operationName);
    assertEquals(told.status.code, 4);
    const execute = told.phases.find(({ name }) => name === "execute");
    assert((execute?.durationMs ?? 0) >= 1000);
    listed++;
  });

  await t.step("cancelled while it ran", async () => {
    const { name, end } = await begin(client, "sleep 100 # cancelled");
    const [told] = await json(grid, "operations", "cancel", "--json", name);
    assertEquals([told.name, told.status, told.done], [name, "CANCELLED", true]);
    assertEquals((await end)?.codeName, "CANCELLED");
    assertEquals(names(await story(grid, name)), ["cache check", "queued", "on worker", "total"]);
    await until("the slot is free again", async () => (await client.workers())[0].slotsUsed === 0);
    const again = await brokk(["operations", "cancel", name], {
      env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint },
    });
    assertEquals([again.code, again.stdout], [0, `${name}: cancelled\n`]);
    listed++;
  });

  await t.step("lost with its worker, and run again", async () => {
    const { name, end } = await begin(client, "test -e /proc/1/nothing || sleep 2 # lost once");
    await killWorker(grid);
    assertEquals(await end, undefined);
    const told = await story(grid, name);
    assertEquals([told.exitCode, told.attempts], [0, 2]);
    assertEquals(names(told).slice(0, 4).map((name) => name.replace(/ on .*/, "")), [
      "cache check",
      "queued",
      "in vain",
      "queued again",
    ]);
    listed++;
  });

  await t.step("lost for good", async () => {
    const { name, end } = await begin(client, "sleep 100 # lost for good");
    let killed = 0;
    await until("it is given up", async () => {
      const [{ attempts, stage }] = (await client.actionShow(name)).records;
      if (stage === ExecutionStage.EXECUTING && attempts > killed) {
        killed = attempts;
        await killWorker(grid);
      }
      return stage === ExecutionStage.COMPLETED;
    }, 60_000);
    assertEquals((await end)?.codeName, "FAILED_PRECONDITION");
    const told = await story(grid, name);
    assertMatch(told.status.message, /3 workers were lost/);
    assertEquals(names(told).filter((name) => name.startsWith("in vain")).length, 2);
    listed++;
  });

  await t.step("operations list and show tell of all of them", async () => {
    const all = await json(grid, "operations", "list", "--json");
    assertEquals(all.length, listed);
    const statuses = all.map(({ status }: { status: string }) => status).reverse();
    assertEquals(statuses, [
      ...["OK", "OK", "OK", "OK", "OK", "OK", "DEADLINE_EXCEEDED", "CANCELLED", "OK", "FAILED_PRECONDITION"],
    ]);
    const two = await brokk(["operations", "list", "--limit", "2"], {
      env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint },
    });
    assertMatch(
      two.stdout,
      /^OPERATION .*\noperations\/\S+ +FAILED_PRECONDITION .*\noperations\/\S+ +exit 0 .*\n$/,
    );
    assertStringIncludes(two.stderr, "--limit");
    const shown = await json(grid, "operations", "show", "--json", all[0].name);
    assertEquals(shown, all[0]);
    const bad = await brokk(["operations", "list", "--filter", "color=red"], {
      env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint },
    });
    assertEquals([bad.code, bad.stdout], [2, ""]);
    assertMatch(bad.stderr, /color.*fields are action,/);
    const none = await brokk(["operations", "show", "operations/none"], {
      env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint },
    });
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, "operations/none");
  });
});
