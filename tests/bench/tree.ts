/**
 * A tree of 50,000 files: uploaded by the SDK, fetched and laid out by a worker, against `cp -r` and `tar` on one disk.
 *
 * @module
 */

import type { Timestamp } from "@brokkr/proto";
import { connectGrid, type RunResult } from "@brokkr/cli";
import { startGrid } from "@brokkr/cli/up";
import { type Bench, QUICK, rounds, type Row, summary, timeMs } from "./harness.ts";

const DIRECTORIES = QUICK ? 20 : 500;
const FILES = 100;
const COUNT = DIRECTORIES * FILES;

/** Files of about 1 KiB, no two alike. */
async function makeTree(path: string): Promise<void> {
  const filler = "x".repeat(1000);
  for (let d = 0; d < DIRECTORIES; d++) {
    const directory = `${path}/d${d % 10}/e${d}`;
    await Deno.mkdir(directory, { recursive: true });
    await Promise.all(
      Array.from(
        { length: FILES },
        (_, f) => Deno.writeTextFile(`${directory}/f${f}`, `${d} ${f} ${filler}`),
      ),
    );
  }
}

async function system(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" })
    .output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
}

function msOf(timestamp: Timestamp | undefined): number {
  if (timestamp === undefined) throw new Error("A phase of the action has no time");
  return timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}

/** From what the action's result says of itself. */
function inputMs({ metadata, cacheHit, exitCode, message }: RunResult): number {
  if (cacheHit || exitCode !== 0) throw new Error(`The action did not run well: ${message}`);
  return msOf(metadata?.inputFetchCompletedTimestamp) - msOf(metadata?.inputFetchStartTimestamp);
}

interface Round {
  readonly copy: number;
  readonly unpack: number;
  readonly coldUpload: number;
  readonly warmUpload: number;
  readonly coldInputs: number;
  readonly warmInputs: number;
}

async function measure(base: string, tree: string): Promise<Round> {
  const copy = await timeMs(() => system("cp", "-r", tree, `${base}/copy`));
  await system("tar", "-cf", `${base}/tree.tar`, "-C", tree, ".");
  await Deno.mkdir(`${base}/unpacked`);
  const unpack = await timeMs(() => system("tar", "-xf", `${base}/tree.tar`, "-C", `${base}/unpacked`));
  await system("rm", "-rf", `${base}/copy`, `${base}/unpacked`, `${base}/tree.tar`);
  // A new grid, whose store and whose worker's cache are empty; on the disk of the tree.
  await using grid = await startGrid({ slots: 1, dataDir: `${base}/grid` });
  const inputs = [{ from: tree, to: "tree" }];
  const upload = async () => {
    await using client = connectGrid(grid.endpoint);
    return await timeMs(() => client.upload(inputs));
  };
  const coldUpload = await upload();
  const warmUpload = await upload();
  await using client = connectGrid(grid.endpoint, { timeoutMs: 300_000 });
  const run = (tag: string) =>
    client.run({
      argv: ["/bin/sh", "-c", `test "$(find tree -type f | wc -l)" = ${COUNT} # ${tag}`],
      env: { PATH: "/usr/bin:/bin" },
      inputs,
      noCache: true,
    });
  const coldInputs = inputMs(await run("cold"));
  const warmInputs = inputMs(await run("warm"));
  return { copy, unpack, coldUpload, warmUpload, coldInputs, warmInputs };
}

async function inputTree(): Promise<Row[]> {
  const base = await Deno.makeTempDir({ prefix: "brokkr-bench-tree-" });
  const all: Round[] = [];
  try {
    await makeTree(`${base}/tree`);
    for (let round = 0; round < rounds(2); round++) {
      all.push(await measure(base, `${base}/tree`));
      await system("rm", "-rf", `${base}/grid`);
    }
  } finally {
    await system("chmod", "-R", "u+rwX", base);
    await system("rm", "-rf", base);
  }
  const of = (pick: (round: Round) => number) => summary(all.map(pick));
  const copy = { name: "`cp -r` of the tree", value: of((round) => round.copy).value };
  const unpack = { name: "`tar -x` of the tree", value: of((round) => round.unpack).value };
  const files = `${COUNT.toLocaleString("en-US")} files`;
  return [{
    name: `${files} of 1 KiB: uploaded to an empty store`,
    ...of(({ coldUpload }) => coldUpload),
    unit: "ms",
    yardstick: copy,
    bound: "reading and hashing in the client, receiving and verifying in control, on shared cores; synced",
  }, {
    name: `${files}: uploaded again, nothing missing`,
    ...of(({ warmUpload }) => warmUpload),
    unit: "ms",
    yardstick: copy,
    bound: "opening, reading and hashing each file",
  }, {
    name: `${files}: fetched and laid out by a worker without any`,
    ...of(({ coldInputs }) => coldInputs),
    unit: "ms",
    yardstick: unpack,
    bound: "control reads and sends them, the worker verifies, keeps and copies them, on shared cores",
  }, {
    name: `${files}: laid out by a worker that has them`,
    ...of(({ warmInputs }) => warmInputs),
    unit: "ms",
    yardstick: unpack,
    bound: "a copy for each file: several calls into the kernel, each by way of a thread",
  }];
}

/** The benchmarks of this file. */
export const TREE: readonly Bench[] = [{ name: "tree", run: inputTree }];
