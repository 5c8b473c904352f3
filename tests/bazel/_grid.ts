/**
 * What tests with real Bazel share: a grid of real processes, and the ways to build on it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Admin, type GetStatusResponse, type WorkerInfo } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { type Grid, startGrid, type StartGridOptions } from "@brokkr/cli/up";
import { type BazelClient, debianBazel, npmBazel } from "./clients.ts";
import type { Workspace } from "./workspace.ts";
import { testUnless } from "../_skip.ts";

/** A grid of real processes. */
export interface TestGrid extends AsyncDisposable {
  readonly grid: Grid;
  readonly endpoint: string;
  status(): Promise<GetStatusResponse>;
  workers(): Promise<readonly WorkerInfo[]>;
  /** Waits until no worker has anything to do; throws when that does not come. */
  idle(): Promise<void>;
}

/** Starts a grid; disposing of it checks that all of its processes lived to the end and exit with 0. */
export async function openGrid(options: StartGridOptions = {}): Promise<TestGrid> {
  const deaths: string[] = [];
  const log: string[] = [];
  const grid = await startGrid({
    slots: 4,
    onDeath: (message) => deaths.push(message),
    onLog: (process, line) => log.push(`${process}: ${line}`),
    ...options,
  });
  const channel = connect(grid.endpoint);
  const status = () => channel.unary(Admin.getStatus, {});
  const workers = async () => (await channel.unary(Admin.listWorkers, {})).workers;
  return {
    grid,
    endpoint: grid.endpoint,
    status,
    workers,
    async idle() {
      for (const until = performance.now() + 60_000;;) {
        const { queued, running } = await status();
        const leases = (await workers()).flatMap((worker) => worker.leases);
        if (queued + running + leases.length === 0) return;
        if (performance.now() > until) {
          throw new Error(
            `${queued} queued, ${running} running, leases ${leases}\n${log.slice(-50).join("\n")}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async [Symbol.asyncDispose]() {
      await channel.close();
      const ends = await grid.stop();
      assertEquals(deaths, [], log.join("\n"));
      assertEquals(ends.filter(({ code }) => code !== 0), [], log.join("\n"));
    },
  };
}

/** Flags that make Bazel run everything on the grid. */
export function remote(grid: Pick<TestGrid, "endpoint">): string[] {
  return ["--config=grid", `--remote_executor=${grid.endpoint}`, "--remote_instance_name=main"];
}

/** Hashes of files below bazel-bin. */
export async function outputs(
  workspace: Workspace,
  names: readonly string[],
): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const name of names) {
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(await workspace.output(name)));
    all[name] = new Uint8Array(digest).toHex();
  }
  return all;
}

/** Builds, which must succeed; gives what Bazel says. */
export async function build(workspace: Workspace, ...args: string[]): Promise<string> {
  const { code, text } = await workspace.bazel("build", ...args);
  assertEquals(code, 0, text);
  return text;
}

/** Makes Bazel forget what it built. */
export async function clean(workspace: Workspace): Promise<void> {
  assertEquals((await workspace.bazel("clean")).code, 0);
}

/** Actions that Bazel says came from the remote cache. */
export function cacheHits(text: string): number {
  return Number(/(\d+) remote cache hit/.exec(text)?.[1] ?? 0);
}

/**
 * How many of a thing to build with a client: all of them where the client is the one that is to show it, or where
 * `BROKKR_BAZEL_ALL` is set as in `deno task soak`; a fifth with the other, which shows that it works there too. Without the
 * one the other shows it.
 */
export function countFor(client: BazelClient, shown: BazelClient["version"], all: number): number {
  const there = FOUND.some(([, found]) => "client" in found && found.client.version === shown);
  return client.version === shown || !there || Deno.env.has("BROKKR_BAZEL_ALL") ? all : all / 5;
}

const noCompiler = await new Deno.Command("gcc", { args: ["--version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success ? undefined : "gcc does not work", () => "there is no gcc");

const FOUND = [["Bazel 2.1.0", await npmBazel()], ["Bazel 4.2.3", await debianBazel()]] as const;

/** Registers a test for each Bazel, skipped with a reason where there is none. */
export function testEachBazel(
  what: string,
  fn: (client: BazelClient, t: Deno.TestContext) => Promise<void>,
): void {
  for (const [name, found] of FOUND) {
    testUnless("reason" in found ? found.reason : noCompiler, `${name} ${what}`, (t) => {
      if (!("client" in found)) throw new Error("Unreachable: it was skipped");
      return fn(found.client, t);
    });
  }
}

/** Registers a test with all Bazels that are there at once, skipped with a reason where there is none. */
export function testWithBazels(
  what: string,
  fn: (clients: readonly BazelClient[], t: Deno.TestContext) => Promise<void>,
): void {
  const clients = FOUND.flatMap(([, found]) => "client" in found ? [found.client] : []);
  const reasons = FOUND.flatMap(([, found]) => "reason" in found ? [found.reason] : []);
  testUnless(
    clients.length === 0 ? reasons.join("; ") : noCompiler,
    `${clients.map(({ version }) => `Bazel ${version}`).join(" and ") || "Bazel"} ${what}`,
    (t) => fn(clients, t),
  );
}
