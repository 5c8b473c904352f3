/** `brokk cache` looking after the store of a real grid. */

import { connectGrid } from "@brokkr/cli";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { brokk, brokkCommand, inTempDir, type Printed, until } from "./_testing.ts";

type GridStartOptions = NonNullable<Parameters<typeof startGrid>[0]>;

interface Place {
  readonly grid: Grid;
  readonly run: (...args: string[]) => Promise<Printed>;
}

async function place(
  cwd: string,
  flags: readonly string[],
  use: (place: Place) => Promise<void>,
  options: GridStartOptions = {},
): Promise<void> {
  await using grid = await startGrid({ slots: 1, controlFlags: flags, ...options });
  // Whole, so that the large blob is one file, and noise, so that it stays one.
  const env = { BROKKR_CLIENT_ENDPOINT: grid.endpoint, BROKKR_CLIENT_CHUNKING: "off" };
  await use({ grid, run: (...args) => brokk(args, { cwd, env }) });
}

const COMMAND = [
  "run",
  "--json",
  "-i",
  "src",
  "-o",
  "out",
  "-o",
  "dir",
  "-e",
  "PATH",
  "--",
  "/bin/sh",
  "-c",
  "cat src/a > out; mkdir -p dir/x; cp src/sub/big dir/x/copy; echo said",
] as const;

const NONE = `${"0".repeat(64)}/3`;

/** Inputs, one of them large enough to be streamed. */
async function writeInputs(cwd: string): Promise<void> {
  await Deno.mkdir(`${cwd}/src/sub`, { recursive: true });
  await Deno.writeTextFile(`${cwd}/src/a`, "an input");
  let state = 7;
  const noise = () => (state = Math.imul(state, 1_664_525) + 1_013_904_223) >>> 24;
  await Deno.writeFile(`${cwd}/src/sub/big`, Uint8Array.from({ length: 3_000_000 }, noise));
}

async function digestOfRun({ run }: Place): Promise<string> {
  const { stdout } = await run(...COMMAND);
  return JSON.parse(stdout).actionDigest;
}

Deno.test("An action goes from one grid to another as an archive", async (t) => {
  await inTempDir(async (cwd) => {
    await writeInputs(cwd);
    let action = "";
    await place(cwd, [], async (from) => {
      action = await digestOfRun(from);
      await t.step("export writes the same bytes to a file and to standard output", async () => {
        const file = await from.run("cache", "export", action, "action.tar");
        assertEquals([file.code, file.stdout], [0, ""]);
        assertMatch(
          file.stderr,
          /^brokk: exported \d+ blobs, 2\.9 MiB \(3 directories, 2 inputs, 2 outputs\), /,
        );
        const out = await from.run("cache", "export", action, "-");
        assertEquals(out.stdoutBytes, await Deno.readFile(`${cwd}/action.tar`));
        await from.run("cache", "export", "--no-inputs", action, "result.tar");
        assert((await Deno.stat(`${cwd}/result.tar`)).size > 3_000_000);
      });
      await t.step("export of what is not there says so and leaves no file", async () => {
        const { code, stderr } = await from.run("cache", "export", NONE, "none.tar");
        assertEquals(code, 1);
        assertStringIncludes(stderr, `Neither action ${NONE} nor a complete result of it is there`);
        assertEquals([...Deno.readDirSync(cwd)].some(({ name }) => /none|tmp/.test(name)), false);
      });
    });
    const tar = await Deno.readFile(`${cwd}/action.tar`);
    await place(cwd, [], async (to) => {
      await t.step("import refuses what is damaged or cut off, and stores no result", async () => {
        const flipped = tar.slice();
        flipped[tar.length - 2000] ^= 1;
        for (
          const [bytes, why] of [[flipped, "is damaged"], [tar.subarray(0, -1500), "it ends early"]] as const
        ) {
          await Deno.writeFile(`${cwd}/bad.tar`, bytes);
          const { code, stderr } = await to.run("cache", "import", "bad.tar");
          assertEquals(code, 1);
          assertStringIncludes(stderr, why);
          assertEquals((await to.run("action", "show", action)).code, 1);
        }
        const { code, stderr } = await to.run("cache", "import", "src/a");
        assertEquals([code, stderr], [
          1,
          "brokk: The archive is damaged, or none of an action: it ends early\n",
        ]);
      });
      await t.step("import brings what is missing, and the result", async () => {
        const { code, stdout, stderr } = await to.run("cache", "import", "action.tar");
        assertEquals([code, stdout], [0, `${action}\n`], stderr);
        assertStringIncludes(stderr, "; its result is in the action cache\n");
        const ran = JSON.parse((await to.run(...COMMAND)).stdout);
        assertEquals([ran.actionDigest, ran.cacheHit, ran.exitCode], [action, true, 0]);
        const again = brokkCommand(["cache", "import", "--json", "-"], {
          cwd,
          env: { BROKKR_CLIENT_ENDPOINT: to.grid.endpoint },
          stdin: "piped",
        }).spawn();
        const writer = again.stdin.getWriter();
        await writer.write(tar);
        await writer.close();
        const told = JSON.parse(new TextDecoder().decode((await again.output()).stdout));
        assertEquals([told.action, told.result, told.uploadedBlobs], [action, true, 0]);
        assertEquals((await to.run("cache", "export", action, "-")).stdoutBytes, tar);
      });
    });
    await place(cwd, [], async (to) => {
      await t.step("import of a result without inputs is enough for a hit", async () => {
        assertEquals((await to.run("cache", "import", "result.tar")).code, 0);
        assertEquals(JSON.parse((await to.run(...COMMAND)).stdout).cacheHit, true);
      });
    });
  });
});

Deno.test("The store is looked at, cleaned and kept from being cleaned", async (t) => {
  await inTempDir(async (cwd) => {
    await writeInputs(cwd);
    await place(cwd, ["--cas-max-size=64MiB"], async (here) => {
      const { run, grid } = here;
      const action = await digestOfRun(here);
      await Deno.writeTextFile(`${cwd}/loose`, "nobody needs it");
      const loose = (await run("cache", "put", "loose")).stdout.split(" ")[0];
      await t.step("stat tells by size, age, function and instance", async () => {
        const { code, stdout } = await run("cache", "stat");
        assertEquals(code, 0);
        assertMatch(stdout, /^on disk +\S+ MiB of 64\.0 MiB \(\d+ %\), /m);
        for (const title of ["SIZE", "LAST USED", "FUNCTION", "INSTANCE"]) {
          assertMatch(stdout, new RegExp(`^${title} +`, "m"));
        }
        const json = JSON.parse((await run("cache", "stat", "--json")).stdout);
        const total = (classes: readonly { readonly blobs: number }[]) =>
          classes.reduce((sum, { blobs }) => sum + blobs, 0);
        assertEquals([total(json.sizes), total(json.ages), total(json.functions)], Array(3).fill(json.blobs));
        assertEquals(json.functions[0].function, "SHA256");
        assertEquals(
          json.instances.map(({ instance, results }: { instance: string; results: number }) => [
            instance,
            results,
          ]),
          [["", 1]],
        );
        assertStringIncludes((await run("status")).stdout, " of 64.0 MiB (");
      });
      await t.step("a pin outlives the process", async () => {
        const pin = await run("cache", "pin", "--name", "kept", action);
        assertMatch(
          pin.stdout,
          /^Pinned kept: \d+ blobs, 2\.9 MiB, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n$/,
        );
        const pins = async () => JSON.parse((await run("cache", "pins", "--json")).stdout);
        const before = await pins();
        const pinned = async () => JSON.parse((await run("cache", "stat", "--json")).stdout).pinned;
        assertEquals(await pinned(), { blobs: before[0].blobs, bytes: before[0].bytes });
        grid.control.kill("SIGKILL");
        await using client = connectGrid(grid.endpoint);
        await until(
          "it is back",
          async () => (await client.status().catch(() => undefined))?.bootEpoch === 2,
        );
        await until("the store was told of the pin", async () => (await pins())[0].problem === undefined);
        assertEquals(await pins(), before);
        assertEquals(await pinned(), { blobs: before[0].blobs, bytes: before[0].bytes });
        assertMatch(
          (await run("cache", "pins")).stdout,
          /^PIN .*\nkept +\(default\) +action +\d+ +2\.9 MiB /,
        );
      });
      await t.step("gc tells what it would do, does it, and leaves what is pinned", async () => {
        // What was uploaded and never asked for again is promised to nobody.
        const dry = JSON.parse((await run("cache", "gc", "--to", "1MiB", "--dry-run", "--json")).stdout);
        assert(dry.blobs > 0);
        assertEquals((await run("cache", "why-gone", loose)).stdout, "It is there\n");
        const { code, stdout } = await run("cache", "gc", "--to", "1MiB");
        assertEquals(code, 1);
        assertMatch(stdout, /^\d+ blobs?, .* evicted; .* freed.*; 2\.9 MiB are left on disk\nNot less: /);
        assertEquals((await run("cache", "stat", loose)).stdout, `missing  ${loose}\n`);
        const why = await run("cache", "why-gone", loose);
        assertEquals(why.code, 0);
        assertMatch(
          why.stdout,
          /^Evicted \d{4}-.*Z \(.* ago\)(, unused for \S+ before)?; an operator made room/,
        );
        assertEquals((await run("cache", "export", action, "-")).code, 0);
        const never = await run("cache", "why-gone", NONE);
        assertEquals(never.code, 1);
        assertStringIncludes(never.stdout, "not in the log of what went");
      });
      await t.step("what is not pinned any more goes at last", async () => {
        assertStringIncludes((await run("cache", "unpin", "kept")).stderr, "kept is not pinned any more");
        assertEquals((await run("cache", "unpin", "kept")).code, 1);
        assertEquals((await run("cache", "pins")).stdout.split("\n").length, 2);
      });
    });
  });
});

Deno.test("A verification finds what is damaged, and ends when it is interrupted", async (t) => {
  await inTempDir(async (cwd) => {
    await writeInputs(cwd);
    const dataDir = `${cwd}/grid`;
    const lines: string[] = [];
    await place(cwd, [], async ({ run, grid }) => {
      assertEquals((await run("cache", "put", "src")).code, 0);
      const big = (await run("cache", "put", "src/sub/big")).stdout.split(" ")[0];
      await t.step("a sound store", async () => {
        const { code, stdout } = await run("cache", "verify");
        assertEquals(code, 0, stdout);
        assertMatch(stdout, /^Read \d+ blobs, 2\.9 MiB in .*: all as it should be\n$/);
      });
      await t.step("an interrupted one", async () => {
        const env = { BROKKR_CLIENT_ENDPOINT: grid.endpoint };
        const slow = brokkCommand(["cache", "verify", "--rate", "1B"], { cwd, env }).spawn();
        await until(
          "it is under way",
          () => lines.filter((line) => line.includes("has the store verified")).length > 1,
        );
        const refused = await run("cache", "verify");
        assertEquals(refused.code, 1);
        assertStringIncludes(refused.stderr, "Another verification of the store is under way");
        slow.kill("SIGINT");
        const { code, stderr } = await slow.output();
        assertEquals([code, new TextDecoder().decode(stderr)], [130, "brokk: interrupted\n"]);
        await until("the grid has ended it", async () => (await run("cache", "verify")).code === 0);
      });
      await t.step("a damaged one", async () => {
        const [hash] = big.split("/");
        const path = `${dataDir}/control/cas/blobs/sha256/${hash.slice(0, 2)}/${hash}`;
        {
          await Deno.chmod(path, 0o600);
          using file = await Deno.open(path, { read: true, write: true });
          await file.seek(1_000_000, Deno.SeekMode.Start);
          await file.write(new TextEncoder().encode("rot"));
        }
        const { code, stdout } = await run("cache", "verify", "--json");
        assertEquals(code, 1);
        const told = JSON.parse(stdout);
        assertEquals([told.damagedBlobs, told.damaged[0].digest, told.damaged[0].outcome], [
          1,
          big,
          "quarantined",
        ]);
        assertEquals((await run("cache", "stat", big)).code, 1);
        assertMatch((await run("cache", "why-gone", big)).stdout, /^Set aside .*; it was damaged\n$/);
        assertEquals((await run("cache", "verify")).code, 0);
      });
    }, { dataDir, onLog: (_process, line) => lines.push(line) });
  });
});
