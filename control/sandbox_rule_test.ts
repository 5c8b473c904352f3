import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code, createLogger } from "@brokkr/common";
import { ActionCache as ActionCacheService, Admin, type Hello, type Init, Workers } from "@brokkr/proto";
import { INSTANCE, TestGrid, wire } from "./_test_grid.ts";

const OPEN: Init<Hello> = { workerId: "open", environment: "unsandboxed-1" };
const SANDBOXED: Init<Hello> = { workerId: "closed", environment: "sandbox-1" };

/** How the grid answers a worker's Hello: undefined when it is welcome. */
async function refusal(grid: TestGrid, hello: Init<Hello>): Promise<BrokkrError | undefined> {
  const call = grid.channel.bidi(Workers.connect);
  try {
    await call.send({ hello: { protocolVersion: 1, minProtocolVersion: 1, slots: 1, ...hello } });
    for await (const { welcome } of call.responses) {
      assert(welcome !== undefined);
      return undefined;
    }
  } catch (error) {
    assert(error instanceof BrokkrError, String(error));
    return error;
  } finally {
    call.cancel();
  }
}

async function warnings(grid: TestGrid): Promise<string> {
  return (await grid.channel.unary(Admin.getStatus, {})).warnings.join("\n");
}

for (
  const [name, options, refuses] of [
    ["on loopback", {}, false],
    ["on loopback that is always to", { requireSandbox: "always" }, true],
    ["that other machines reach", { listen: "0.0.0.0:0", allowInsecureRemote: true }, true],
    [
      "that other machines reach and that is never to",
      { listen: "0.0.0.0:0", allowInsecureRemote: true, requireSandbox: "never" },
      false,
    ],
  ] as const
) {
  Deno.test(`A control plane ${name} ${refuses ? "refuses" : "takes"} workers without a sandbox`, async () => {
    await using grid = await TestGrid.start(options);
    assertEquals(await refusal(grid, SANDBOXED), undefined);
    const error = await refusal(grid, OPEN);
    assertEquals(error?.code, refuses ? Code.FAILED_PRECONDITION : undefined);
    if (error === undefined) return;
    for (const part of ["open", "unsandboxed-1", "--no-sandbox", "control.require_sandbox"]) {
      assertStringIncludes(error.message, part);
    }
    // What it does not know it does not trust.
    assertEquals((await refusal(grid, { ...OPEN, environment: "jail-1" }))?.code, Code.FAILED_PRECONDITION);
  });
}

Deno.test("A refused worker is in the warnings, and in the log once, however often it comes", async () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  await using grid = await TestGrid.start({ requireSandbox: "always", log });
  for (let i = 0; i < 3; i++) await refusal(grid, OPEN);
  assertStringIncludes(await warnings(grid), "Refused, since nothing isolates the actions on them");
  assertStringIncludes(await warnings(grid), "open");
  assertEquals(lines.filter((line) => line.includes("was refused")).length, 1);
  // It mended its ways.
  await refusal(grid, { ...OPEN, environment: "sandbox-1" });
  assertEquals(await warnings(grid), "");
});

Deno.test("Results of no sandbox do not answer while a worker with one is connected", async () => {
  await using grid = await TestGrid.start();
  const action = await grid.action("true");
  const open = await grid.worker(OPEN);
  const first = grid.execute(action);
  await open.run();
  await first.end;
  assertEquals((await grid.execute(action).response()).cachedResult, true);
  await open.send({ goodbye: { reason: "The test has it so" } });
  const closed = await grid.worker(SANDBOXED);
  const second = grid.execute(action);
  await closed.run();
  assertEquals((await second.response()).cachedResult, false);
  const third = await grid.execute(action).response();
  assertEquals(third.cachedResult, true);
});

Deno.test("Results of no sandbox do not answer after control was told to require one", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "brokkr-rule-" });
  try {
    const run = async (requireSandbox: "always" | "never", use: (grid: TestGrid) => Promise<void>) => {
      await using grid = await TestGrid.start({ dataDir, requireSandbox });
      await use(grid);
    };
    await run("never", async (grid) => {
      const action = await grid.action("true");
      const open = await grid.worker(OPEN);
      const first = grid.execute(action);
      await open.run();
      await first.end;
      assertEquals((await grid.execute(action).response()).cachedResult, true);
    });
    for (const [requireSandbox, answers] of [["always", false], ["never", true]] as const) {
      await run(requireSandbox, async (grid) => {
        const actionDigest = wire(await grid.action("true"));
        const answer = await grid.channel.unary(ActionCacheService.getActionResult, {
          instanceName: INSTANCE,
          actionDigest,
        }).then(() => true, (error) => {
          assertEquals((error as BrokkrError).code, Code.NOT_FOUND);
          return false;
        });
        assertEquals(answer, answers);
      });
    }
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("Hello may grant what actions ask of a sandbox, if it is sound", async () => {
  await using grid = await TestGrid.start();
  const hello = (grant: NonNullable<Init<Hello>["sandboxGrants"]>[number]) =>
    refusal(grid, { ...SANDBOXED, sandboxGrants: [grant] });
  assertEquals(await hello({ name: "memory", most: 1 }), undefined);
  assertEquals(await hello({ name: "network", words: ["none"] }), undefined);
  assertEquals(await hello({ name: "of-a-newer-worker" }), undefined);
  for (
    const grant of [
      { name: "memory" },
      { name: "memory", most: -1 },
      { name: "network", words: ["none"], most: 1 },
      { name: "network", words: Array<string>(65).fill("x") },
    ]
  ) assertEquals((await hello(grant))?.code, Code.INVALID_ARGUMENT, JSON.stringify(grant));
});

Deno.test("An action that asks something of a sandbox goes to a worker that grants it", async () => {
  await using grid = await TestGrid.start();
  await grid.worker(OPEN);
  const small = await grid.worker({
    ...SANDBOXED,
    workerId: "small",
    sandboxGrants: [{ name: "memory", most: 2 ** 30 }],
  });
  const large = await grid.worker({
    ...SANDBOXED,
    workerId: "large",
    sandboxGrants: [{ name: "memory", most: 2 ** 32 }],
  });
  const ask = async (value: string) =>
    grid.execute(
      await grid.action(`true ${value}`, { platform: { properties: [{ name: "memory", value }] } }),
    );
  const first = await ask("2GiB");
  await large.run();
  assertEquals((await first.response()).status?.code ?? Code.OK, Code.OK);
  // None grants so much: one of those that know what it means refuses it.
  const second = await ask("1TiB");
  const refuse = async (worker: typeof small) =>
    await worker.finish(await worker.lease(), {}, {
      outcome: 2,
      status: { code: Code.FAILED_PRECONDITION, message: "Too much" },
      actionResult: new Uint8Array(),
    });
  await Promise.race([refuse(small), refuse(large)]);
  assertEquals((await second.response()).status?.message, "Too much");
});
