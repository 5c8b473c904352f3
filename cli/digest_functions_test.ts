/** Builds in every digest function: a real control plane, a real worker, `brokk` as a process and the SDK. */

import { BLAKE3, DIGEST_FUNCTIONS, type DigestFunction, digestOf, formatDigest } from "@brokkr/cas/client";
import { connectGrid } from "@brokkr/cli";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { BrokkrError } from "@brokkr/common";
import { ActionCodec, Capabilities, ExecuteResponseCodec, Execution } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy, unary } from "@brokkr/proto/rpc/server";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { brokk, inTempDir, type Printed } from "./_testing.ts";

interface Place {
  readonly grid: Grid;
  readonly cwd: string;
  readonly run: (fn: DigestFunction, ...args: string[]) => Promise<Printed>;
}

/** Makes a file that is no record of the segment log, a tree, and more output than fits into a result. */
const SCRIPT = "cat in/words big > both; mkdir -p tree/a/b; cp big tree/a/b/c; ln -s a tree/l; seq 1 100000";

const DIGEST = /^(?:blake3:|sha256tree:)?[0-9a-f]{32,128}\/\d+$/;

function bytesOf(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 2654435761 + seed) >>> 13);
}

/** One build by `brokk run`, the whole way, then the same again. */
async function checkBuild({ run, cwd }: Place, fn: DigestFunction): Promise<void> {
  for (const hit of [false, true]) {
    const to = `out-${hit}`;
    const inputs = ["--input", "words=in/words", "--input", "big"];
    const outputs = ["-o", "both", "-o", "tree", "--output-dir", to];
    const command = ["-e", "PATH", "--", "/bin/sh", "-c", SCRIPT];
    const { code, stdout, stderr } = await run(fn, "run", ...inputs, ...outputs, ...command);
    assertEquals([code, stderr], [0, `[brokk] exit=0 cache_hit=${hit}\n`]);
    assertEquals(stdout.length, 588_895);
    const big = await Deno.readFile(`${cwd}/big`);
    assertEquals(await Deno.readFile(`${cwd}/${to}/tree/l/b/c`), big);
    assertEquals((await Deno.stat(`${cwd}/${to}/both`)).size, big.length + 6);
  }
}

/** The same by the SDK. */
async function checkRun({ grid, cwd }: Place, fn: DigestFunction): Promise<void> {
  const big = await Deno.readFile(`${cwd}/big`);
  for (const hit of [false, true]) {
    await using client = connectGrid(grid.endpoint, { digest: fn.segment });
    const { cacheHit, exitCode, stdout, outputs, actionDigest } = await client.run({
      argv: ["/bin/sh", "-c", SCRIPT],
      inputs: [{ path: "in/words", content: "words\n" }, { from: `${cwd}/big`, to: "big" }],
      outputs: ["both", "tree"],
      env: { PATH: "/usr/bin:/bin" },
    });
    assertEquals([cacheHit, exitCode, stdout.length, actionDigest.fn], [hit, 0, 588_895, fn]);
    const to = `${cwd}/sdk-${fn.segment}-${hit}`;
    await client.download(outputs, to);
    assertEquals(await Deno.readFile(`${to}/tree/l/b/c`), big);
    assertEquals((await Deno.stat(`${to}/both`)).size, big.length + 6);
  }
}

/** The same command again, to be looked at. */
async function checkAction({ run }: Place, fn: DigestFunction): Promise<void> {
  const script = `echo made by ${fn.name} > one`;
  const ran = await run(
    fn,
    "run",
    "--json",
    "-o",
    "one",
    "--output-dir",
    "look",
    "--",
    "/bin/sh",
    "-c",
    script,
  );
  const { actionDigest, outputs } = JSON.parse(ran.stdout);
  const made = digestOf(fn, new TextEncoder().encode(`made by ${fn.name}\n`));
  assertEquals(outputs[0].digest, formatDigest(made));
  assertMatch(actionDigest, DIGEST);
  assertEquals(actionDigest.includes(":"), fn.named);
  // Whoever has the text needs no flag.
  const shown = await run(DIGEST_FUNCTIONS[0], "action", "show", "--json", actionDigest);
  const { records, cachedResult } = JSON.parse(shown.stdout);
  assertEquals([records[0].actionDigest, records[0].exitCode], [actionDigest, 0]);
  assertEquals(cachedResult.outputFiles[0].digest, formatDigest(made));
  assertStringIncludes(
    (await run(fn, "action", "show", actionDigest.replace(/^.*:/, ""))).stdout,
    actionDigest,
  );
}

async function checkCache({ run, cwd }: Place, fn: DigestFunction): Promise<void> {
  const put = await run(fn, "cache", "put", "words");
  const digest = put.stdout.split(" ")[0];
  assertEquals(digest, formatDigest(digestOf(fn, await Deno.readFile(`${cwd}/words`))));
  assertEquals((await run(DIGEST_FUNCTIONS[0], "cache", "get", digest)).stdout, "words\n");
  const plain = digest.replace(/^.*:/, "");
  assertEquals((await run(fn, "cache", "get", plain)).stdout, "words\n");
  assertEquals((await run(fn, "cache", "stat", plain)).stdout, `present  ${digest}\n`);
  assertStringIncludes(
    (await run(fn, "cache", "pin", "--blob", "--name", `p-${fn.segment}`, plain)).stdout,
    "1 blob",
  );
  assertStringIncludes((await run(fn, "cache", "why-gone", digest)).stdout, "It is there");
  assertStringIncludes((await run(fn, "cache", "stat")).stdout, fn.name);
}

/** An action goes out of one grid and into another, by its own function whatever the client's. */
async function checkArchive(place: Place, other: Place["run"], fn: DigestFunction): Promise<void> {
  const argv = ["--", "/bin/sh", "-c", `echo ${fn.name} goes > a; mkdir -p d; cp a d/b`];
  const args = ["run", "--json", "-e", "PATH", "-o", "a", "-o", "d", "--output-dir", "gone", ...argv];
  const { actionDigest } = JSON.parse((await place.run(fn, ...args)).stdout);
  const file = `${fn.segment}.tar`;
  const [first] = DIGEST_FUNCTIONS;
  assertEquals((await place.run(first, "cache", "export", actionDigest, file)).code, 0);
  const imported = await other(first, "cache", "import", file);
  assertEquals([imported.code, imported.stdout], [0, `${actionDigest}\n`], imported.stderr);
  assertStringIncludes((await other(fn, ...args)).stdout, '"cacheHit":true');
}

Deno.test("Builds in every digest function run, are answered from the cache, and stay apart", async (t) => {
  await using grid = await startGrid({ slots: 2 });
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/words`, "words\n");
    await Deno.writeFile(`${cwd}/big`, bytesOf(3_300_000, 7));
    const runOn = (endpoint: string): Place["run"] => (fn, command, ...args) => {
      const [first, ...rest] = command === "run" ? [command, ...args] : [command, args[0], ...args.slice(1)];
      const sub = command === "run" ? [] : [rest.shift() ?? ""];
      const env = { BROKKR_CLIENT_ENDPOINT: endpoint };
      return brokk([first, ...sub, "--digest", fn.segment, ...rest], { cwd, env });
    };
    const place = { grid, cwd, run: runOn(grid.endpoint) };
    await using twin = await startGrid({ slots: 1 });
    for (const fn of DIGEST_FUNCTIONS) {
      await t.step(`${fn.name}: a build with files, trees and streams, twice`, () => checkRun(place, fn));
    }
    await t.step("brokk run --digest blake3, twice", () => checkBuild(place, BLAKE3));
    await t.step("brokk action show", () => checkAction(place, BLAKE3));
    await t.step("brokk cache", () => checkCache(place, BLAKE3));
    await t.step("brokk cache export and import", () => checkArchive(place, runOn(twin.endpoint), BLAKE3));
  });
});

Deno.test("Whatever a client of one function uploads is not there for those of another", async () => {
  await using grid = await startGrid();
  const data = new TextEncoder().encode("one blob, seven names");
  for (const fn of DIGEST_FUNCTIONS) {
    await using client = connectGrid(grid.endpoint, { digest: fn.segment });
    const [before] = await client.cache.stat([digestOf(fn, data)]);
    assertEquals(before.present, false, fn.name);
    const ran = await client.run({
      argv: ["/bin/cat", "file"],
      inputs: [{ path: "file", content: data }],
    });
    assertEquals([ran.cacheHit, ran.actionDigest.fn, ran.stdout], [false, fn, data]);
    const [after] = await client.cache.stat([digestOf(fn, data)]);
    assertEquals(after.present, true, fn.name);
  }
  await using client = connectGrid(grid.endpoint);
  const all = DIGEST_FUNCTIONS.map((fn) => formatDigest(digestOf(fn, data)));
  assert((await client.cache.stat(all)).every(({ present }) => present));
});

Deno.test("An action that mixes digest functions is refused, and told what would be right", async () => {
  await using grid = await startGrid();
  const [sha256, blake3] = DIGEST_FUNCTIONS;
  const sha1 = DIGEST_FUNCTIONS.find(({ name }) => name === "SHA1") ?? sha256;
  await using client = connectGrid(grid.endpoint, { digest: "blake3" });
  const mixed = [{ path: "file", digest: digestOf(sha256, new Uint8Array(3)) }];
  await assertRejects(
    () => client.run({ argv: ["/bin/true"], inputs: mixed }),
    BrokkrError,
    "SHA256 digest in a tree of BLAKE3",
  );
  await using channel = connect(grid.endpoint);
  const wire = (fn: DigestFunction) => ({ hash: fn.hash(new Uint8Array(1)), sizeBytes: 1 });
  const action = ActionCodec.encode({ commandDigest: wire(sha1), inputRootDigest: wire(blake3) });
  await inTempDir(async (directory) => {
    await Deno.writeFile(`${directory}/action`, action);
    const { digest } = await client.cache.put(`${directory}/action`);
    const request = { instanceName: "", actionDigest: digest, digestFunction: blake3.value };
    let message = "";
    for await (const { done, response } of channel.serverStream(Execution.execute, request)) {
      if (done) {
        message = ExecuteResponseCodec.decode(response?.value ?? new Uint8Array()).status?.message ?? "";
      }
    }
    assertStringIncludes(message, "is not a BLAKE3 hash");
    assertStringIncludes(message, "command_digest");
  });
});

Deno.test("A grid that does not offer the function is told apart at once, with what it offers", async () => {
  const server = createRpcServer({
    routes: [
      unary(
        Capabilities.getCapabilities,
        "public",
        () => ({ cacheCapabilities: { digestFunctions: [1, 2, 10] } }),
      ),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public"] }),
  });
  const [{ address }] = await server.listen();
  try {
    await inTempDir(async (cwd) => {
      await Deno.writeTextFile(`${cwd}/file`, "x");
      for (
        const args of [["run", "--digest", "blake3", "--", "/bin/true"], [
          "cache",
          "put",
          "--digest",
          "blake3",
          "file",
        ]]
      ) {
        const { code, stderr } = await brokk(args, {
          cwd,
          env: { BROKKR_CLIENT_ENDPOINT: `grpc://${address}` },
        });
        assertEquals(code === 0, false);
        assertStringIncludes(
          stderr,
          "The grid does not offer the digest function BLAKE3; it offers SHA256, SHA1, GITSHA1",
        );
      }
    });
  } finally {
    await server.shutdown({ graceMs: 0 });
  }
});
