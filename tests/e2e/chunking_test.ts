/** Large files between a client, a real grid and its worker: of a changed one only what changed travels. */

import { type Client, connectGrid, type RunResult } from "@brokkr/cli";
import { assert, assertEquals } from "@std/assert";
import { TestGrid } from "./_grid.ts";

const MIB = 1 << 20;
const SIZE = 16 * MIB;
/** An edit costs a few chunks, of 256 KiB on average and 1 MiB at most. */
const EDIT_BYTES = 3 * MIB;
/** Where actions put something in. */
const EDIT_AT = 5_000_000;

/** Bytes of blobs that a grid took and gave. */
interface Moved {
  readonly taken: number;
  readonly given: number;
  /** Of blobs that it made of chunks. */
  readonly spliced: number;
}

async function movedSoFar(url: string): Promise<Moved> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const sum = (name: string, method: RegExp) => {
    let total = 0;
    for (const [, labels, value] of page.matchAll(new RegExp(`^${name}\\{([^}]*)\\} (\\S+)$`, "gm"))) {
      if (method.test(labels)) total += Number(value);
    }
    return total;
  };
  return {
    taken: sum("brokkr_cas_written_bytes_total", /BatchUpdateBlobs|Write"/),
    given: sum("brokkr_cas_read_bytes_total", /BatchReadBlobs|Read"/),
    spliced: sum("brokkr_cas_written_bytes_total", /SpliceBlob/),
  };
}

/** Does something and tells what moved meanwhile. */
async function moving<T>(grid: TestGrid, work: () => Promise<T>): Promise<Moved & { readonly result: T }> {
  const { httpUrl } = grid.grid;
  const before = await movedSoFar(httpUrl);
  const result = await work();
  const after = await movedSoFar(httpUrl);
  return {
    result,
    taken: after.taken - before.taken,
    given: after.given - before.given,
    spliced: after.spliced - before.spliced,
  };
}

function noise(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Runs an action that puts a line into the file `from`. */
async function edit(client: Client, from: string, line: string): Promise<RunResult> {
  const script = `head -c ${EDIT_AT} in > out; echo ${line} >> out; tail -c +${EDIT_AT + 1} in >> out`;
  const result = await client.run({
    argv: ["/bin/sh", "-c", script],
    inputs: [{ from, to: "in" }],
    outputs: ["out"],
  });
  assertEquals(result.exitCode, 0, new TextDecoder().decode(result.stderr));
  return result;
}

/** What comes of `content` by it. */
function edited(content: Uint8Array, line: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${line}\n`);
  const whole = new Uint8Array(content.length + bytes.length);
  whole.set(content.subarray(0, EDIT_AT));
  whole.set(bytes, EDIT_AT);
  whole.set(content.subarray(EDIT_AT), EDIT_AT + bytes.length);
  return whole;
}

for (const digest of ["sha256", "blake3"]) {
  Deno.test(`A large file that changes a little moves in chunks: up, through actions, and down (${digest})`, async (t) => {
    await using grid = await TestGrid.start();
    await using client = connectGrid(grid.grid.endpoint, { digest });
    const directory = await Deno.makeTempDir({ prefix: "brokkr-chunking-" });
    const [base, changed] = [`${directory}/base`, `${directory}/changed`];
    const content = noise(SIZE);
    try {
      await t.step("up", async () => {
        await Deno.writeFile(base, content);
        const first = await moving(grid, () => client.upload([{ from: base, to: "in" }]));
        assert(first.taken >= SIZE, `${first.taken} bytes were taken`);
        content.set(noise(100), 9 * MIB);
        await Deno.writeFile(changed, content);
        const second = await moving(grid, () => client.upload([{ from: changed, to: "in" }]));
        assert(second.taken < EDIT_BYTES, `${second.taken} bytes were taken`);
        assert(
          second.result.sharedBytes > SIZE - EDIT_BYTES,
          `${second.result.sharedBytes} bytes were shared`,
        );
        assert(second.spliced >= SIZE, `${second.spliced} bytes were made of chunks`);
      });
      const runs: RunResult[] = [];
      await t.step("through actions", async () => {
        const first = await moving(grid, () => edit(client, base, "edit 1"));
        const second = await moving(grid, () => edit(client, changed, "edit 2"));
        for (const { taken } of [first, second]) assert(taken < EDIT_BYTES, `The worker sent ${taken} bytes`);
        assert(first.given >= SIZE, `The worker fetched ${first.given} bytes`);
        assert(second.given < EDIT_BYTES, `The worker fetched ${second.given} bytes`);
        runs.push(first.result, second.result);
      });
      await t.step("down", async () => {
        const [older, newer] = runs;
        const whole = await client.download(older.outputs, directory);
        assertEquals(whole.sharedBytes, 0);
        const { result, given } = await moving(grid, () => client.download(newer.outputs, directory));
        assert(given < EDIT_BYTES, `${given} bytes were given`);
        assert(result.sharedBytes > SIZE - EDIT_BYTES, `${result.sharedBytes} bytes were shared`);
        const expected = edited(content, "edit 2");
        const out = await Deno.readFile(`${directory}/out`);
        assertEquals(out.length, expected.length);
        assert(out.every((byte, i) => byte === expected[i]), "The output is wrong");
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
