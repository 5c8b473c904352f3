/**
 * Cases that are run as actions of a real worker.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SHA256, treeSource, walkTree } from "@brokkr/cas/client";
import { type Command, type Init, LeaseResult_Outcome as Outcome } from "@brokkr/proto";
import {
  type Files,
  type Finished,
  startTestWorker,
  TestGrid,
  type TestWorker,
  whyNoSandbox,
} from "./_test_grid.ts";

export const COMPLETED = Outcome.COMPLETED as number;
export const FAILED = Outcome.FAILED as number;

export interface Case {
  readonly name: string;
  readonly command: Init<Command>;
  readonly files?: Files;
  readonly timeoutMs?: number;
  /** The only way of running that it is about; both by default. */
  readonly only?: "none" | "sandbox";
  readonly check: (finished: Finished, grid: TestGrid, worker: TestWorker) => void | Promise<void>;
}

/** Arguments that no other process on the machine has. */
export const TIMEOUT_MARK = `1000.${Deno.pid}1`;
export const DAEMON_MARK = `1000.${Deno.pid}2`;
export const PATH = [{ name: "PATH", value: "/usr/bin:/bin" }];

export function failsWith(code: number, ...words: string[]): Case["check"] {
  return ({ result }) => {
    assertEquals([result.outcome, result.status?.code], [FAILED, code], result.status?.message);
    for (const word of words) assertStringIncludes(result.status?.message ?? "", word);
  };
}

export function printsAndExits(text: string, exitCode = 0): Case["check"] {
  return async ({ result, action }, grid) => {
    assertEquals(result.outcome, COMPLETED, result.status?.message);
    assertEquals(await grid.text(action.stdoutDigest) + await grid.text(action.stderrDigest), text);
    assertEquals(action.exitCode, exitCode);
  };
}

/** Paths in a Tree with what they are. */
export async function listTree(
  grid: TestGrid,
  digest: { hash: string; sizeBytes: number } | undefined,
): Promise<string[]> {
  assert(digest !== undefined, "A tree digest");
  const source = treeSource(await grid.bytes(digest), SHA256);
  const found: string[] = [];
  for await (const { path, content } of walkTree(source.rootDigest, source.fetch)) {
    const at = path === "" ? "" : `${path}/`;
    for (const file of content?.files ?? []) {
      found.push(`${at}${file.name}${file.executable ? "*" : ""}=${await grid.text(file.digest)}`);
    }
    for (const link of content?.symlinks ?? []) found.push(`${at}${link.name}->${link.target}`);
    for (const directory of content?.directories ?? []) found.push(`${at}${directory.name}/`);
  }
  return found.sort();
}

/** Registers a test that runs the cases, one after the other, on one worker: with a sandbox, and without. */
export function testCases(name: string, cases: readonly Case[]): void {
  Deno.test(`${name}, without a sandbox`, (t) => runCases(t, cases, "none"));
  Deno.test(`${name}, in a sandbox`, async (t) => {
    const reason = await whyNoSandbox();
    if (reason === undefined) await runCases(t, cases, "sandbox");
    else await t.step({ name: `not on this machine: ${reason}`, ignore: true, fn: () => {} });
  });
}

async function runCases(
  t: Deno.TestContext,
  cases: readonly Case[],
  isolation: "none" | "sandbox",
): Promise<void> {
  await using grid = await TestGrid.start();
  const sandbox = isolation === "none" ? false : {};
  await using worker = await startTestWorker(grid, { outputLimitBytes: 65536, sandbox });
  for (const { name, command, files, timeoutMs, only, check } of cases) {
    if (only !== undefined && only !== isolation) continue;
    await t.step(name, async () => {
      const finished = await grid.run(command, files ?? {}, timeoutMs === undefined ? {} : { timeoutMs });
      await check(finished, grid, worker);
    });
  }
  await worker.handle.shutdown({ graceMs: 1000 });
  assertEquals(
    [...Deno.readDirSync(worker.dataDir)].some(({ name }) => name === "work"),
    false,
    "Nothing is left",
  );
}
