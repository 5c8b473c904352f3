/** `brokk` and the SDK against a real grid: a control plane and a worker as processes. */

import { connectGrid } from "@brokkr/cli";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { brokk, brokkCommand, inTempDir, type Printed, until } from "./_testing.ts";

interface Place {
  readonly grid: Grid;
  readonly cwd: string;
  readonly run: (...args: string[]) => Promise<Printed>;
}

const MAIN = decodeURIComponent(new URL("./main.ts", import.meta.url).pathname);

async function hasScript(): Promise<boolean> {
  try {
    return (await new Deno.Command("script", { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
}

async function place<T>(use: (place: Place) => Promise<T>): Promise<T> {
  await using grid = await startGrid({ slots: 2, controlFlags: ["--unwatched-ttl=1s"] });
  return await inTempDir((cwd) =>
    use({
      grid,
      cwd,
      run: (command, ...args) =>
        brokk([command, ...args], { cwd, env: { BROKKR_CLIENT_ENDPOINT: grid.endpoint } }),
    })
  );
}

Deno.test("brokk run against a grid", async (t) => {
  await place(async ({ grid, cwd, run }) => {
    await t.step("prints what the command printed and says whether it was cached", async () => {
      for (const hit of [false, true]) {
        const { code, stdout, stderr } = await run("run", "--", "/bin/echo", "hello world");
        assertEquals([code, stdout, stderr], [0, "hello world\n", `[brokk] exit=0 cache_hit=${hit}\n`]);
      }
    });
    await t.step("ends with the command's exit code and leaves failures out of the cache", async () => {
      for (let i = 0; i < 2; i++) {
        const { code, stderr } = await run("run", "--", "/bin/sh", "-c", "echo bad >&2; exit 7");
        assertEquals([code, stderr], [7, "bad\n[brokk] exit=7 cache_hit=false\n"]);
      }
    });
    await t.step("shows death by a signal as 128 + n", async () => {
      assertEquals((await run("run", "--quiet", "--", "/bin/sh", "-c", "kill -9 $$")).code, 137);
    });
    await t.step("passes bytes on as they are, many of them too", async () => {
      const script = "printf '\\000\\377\\r\\n'; head -c 3000000 /dev/zero";
      const { stdoutBytes } = await run("run", "-q", "-e", "PATH", "--", "/bin/sh", "-c", script);
      assertEquals(stdoutBytes.length, 3_000_004);
      assertEquals([...stdoutBytes.subarray(0, 5)], [0, 255, 13, 10, 0]);
    });
    await t.step("gives inputs and fetches outputs, with links and executable bits", async () => {
      await Deno.mkdir(`${cwd}/src/sub`, { recursive: true });
      await Deno.writeTextFile(`${cwd}/src/sub/tool`, "#!/bin/sh\necho tool ran\n", { mode: 0o755 });
      await Deno.symlink("sub/tool", `${cwd}/src/link`);
      const script =
        "./src/link; cat renamed; mkdir -p out/deep; cp src/sub/tool out/deep/t; ln -s deep/t out/l; echo x > one";
      const args = [
        "--input",
        "src",
        "--input",
        "src/sub/tool=renamed",
        "--output",
        "out",
        "--output",
        "one",
        "--output",
        "none",
      ];
      const { code, stdout, stderr } = await run("run", ...args, "-e", "PATH", "--", "/bin/sh", "-c", script);
      assertEquals([code, stdout], [0, "tool ran\n#!/bin/sh\necho tool ran\n"]);
      assertEquals(stderr, "brokk: the command did not make none\n[brokk] exit=0 cache_hit=false\n");
      assertEquals(await Deno.readTextFile(`${cwd}/one`), "x\n");
      assertEquals(await Deno.readLink(`${cwd}/out/l`), "deep/t");
      assertEquals((((await Deno.stat(`${cwd}/out/deep/t`)).mode ?? 0) & 0o111) !== 0, true);
      await Deno.remove(`${cwd}/one`);
      assertStringIncludes(
        (await run("run", ...args, "-e", "PATH", "--", "/bin/sh", "-c", script)).stderr,
        "cache_hit=true",
      );
      assertEquals(await Deno.readTextFile(`${cwd}/one`), "x\n");
    });
    await t.step("starts in --chdir, with --env and nothing else", async () => {
      const script = "pwd; echo $GREETING $HOME";
      const { stdout } = await run(
        "run",
        "-i",
        "src",
        "-C",
        "src/sub",
        "-e",
        "GREETING=a=b",
        "--",
        "/bin/sh",
        "-c",
        script,
      );
      assertMatch(stdout, /\/src\/sub\na=b\n$/);
    });
    await t.step("looks a program up in the PATH it is given, and says when there is none", async () => {
      assertEquals((await run("run", "-q", "-e", "PATH=/usr/bin:/bin", "--", "true")).code, 0);
      const missing = await run("run", "--", "/no/such/program");
      assertEquals([missing.code, missing.stdout], [125, ""]);
      assertStringIncludes(missing.stderr, "/no/such/program");
    });
    await t.step("takes --no-cache to mean it", async () => {
      for (let i = 0; i < 2; i++) {
        assertStringIncludes((await run("run", "--no-cache", "--", "/bin/date")).stderr, "cache_hit=false");
      }
    });
    await t.step("stops at --timeout and shows what came until then", async () => {
      const script = "echo before; sleep 60; echo after";
      const { code, stdout, stderr } = await run(
        "run",
        "-t",
        "500ms",
        "-e",
        "PATH",
        "--",
        "/bin/sh",
        "-c",
        script,
      );
      assertEquals([code, stdout], [124, "before\n"]);
      assertMatch(stderr, /^brokk: .+\n\[brokk\] exit=124 cache_hit=false\n$/);
    });
    await t.step("prints one JSON value for scripts", async () => {
      const { code, stdout, stderr } = await run(
        "run",
        "--json",
        "--",
        "/bin/sh",
        "-c",
        "echo out; printf '\\377' >&2; exit 3",
      );
      const result = JSON.parse(stdout);
      assertEquals([code, stderr], [3, ""]);
      assertEquals([result.exitCode, result.cacheHit, result.stdout, result.stderrBase64], [
        3,
        false,
        "out\n",
        "/w==",
      ]);
      assertMatch(result.actionDigest, /^[0-9a-f]{64}\/\d+$/);
      assertEquals(typeof result.timings.executeMs, "number");
    });
    await t.step("names inputs that are not there", async () => {
      const { code, stderr } = await run("run", "-i", "nowhere", "--", "/bin/true");
      assertEquals([code, stderr], [125, "brokk: Input nowhere does not exist\n"]);
    });
    await t.step({
      name: "draws its progress on a terminal",
      ignore: !await hasScript(), // script(1) makes the terminal
      fn: async () => {
        await Deno.writeFile(`${cwd}/big`, crypto.getRandomValues(new Uint8Array(65536)));
        const args = [
          "run",
          "-A",
          MAIN,
          "run",
          "--endpoint",
          grid.endpoint,
          "-i",
          "big",
          "--",
          "/bin/echo",
          "seen",
        ];
        const line = [Deno.execPath(), ...args].join(" ");
        const { stdout } = await new Deno.Command("script", {
          args: ["-qec", line, "/dev/null"],
          cwd,
          stdin: "null",
        }).output();
        const drawn = new TextDecoder().decode(stdout).split("\r\x1b[2K");
        assertEquals(
          drawn.some((text) => /^brokk: uploading [█░]+ .+ of 64\.\d KiB$/.test(text)),
          true,
          drawn.join("\n"),
        );
        assertEquals(drawn.at(-1), "seen\r\n[brokk] exit=0 cache_hit=false\r\n");
      },
    });
    await t.step("ends quietly when nobody reads its output", async () => {
      const child = brokkCommand([
        "run",
        "--endpoint",
        grid.endpoint,
        "-e",
        "PATH",
        "--",
        "head",
        "-c",
        "2000000",
        "/dev/zero",
      ], { cwd })
        .spawn();
      await child.stdout.cancel();
      const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
      assertEquals([code, stderr], [141, ""]);
    });
    await t.step("ends with 130 on SIGINT, says so, and the grid stops the action", async () => {
      const args = ["run", "--endpoint", grid.endpoint, "-e", "PATH", "--", "/bin/sh", "-c", "sleep 300"];
      const child = brokkCommand(args, { cwd }).spawn();
      await using client = connectGrid(grid.endpoint);
      await until("the action runs", async () => (await client.status()).running === 1);
      child.kill("SIGINT");
      const [{ code }, stdout, stderr] = await Promise.all([
        child.status,
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      assertEquals([code, stdout], [130, ""]);
      assertEquals(stderr, "brokk: cancelled; the grid stops the action unless others wait for it\n");
      await until("the action is stopped", async () => (await client.status()).running === 0);
    });
    await t.step("comes to its end although the control plane is killed meanwhile", async () => {
      const args = [
        "run",
        "--endpoint",
        grid.endpoint,
        "-e",
        "PATH",
        "--",
        "/bin/sh",
        "-c",
        "sleep 2; echo survived",
      ];
      const child = brokkCommand(args, { cwd }).output();
      await using client = connectGrid(grid.endpoint);
      await until("the action runs", async () => (await client.status()).running === 1);
      grid.control.kill("SIGKILL");
      const { code, stdout } = await child;
      assertEquals([code, new TextDecoder().decode(stdout)], [0, "survived\n"]);
    });
  });
});

Deno.test("brokk cache, action, workers and status against a grid", async (t) => {
  await place(async ({ grid, cwd, run }) => {
    await Deno.mkdir(`${cwd}/dir/sub`, { recursive: true });
    await Deno.writeTextFile(`${cwd}/dir/a.txt`, "a");
    await Deno.writeTextFile(`${cwd}/dir/sub/run`, "#!/bin/sh\n", { mode: 0o755 });
    await Deno.symlink("a.txt", `${cwd}/dir/link`);
    const A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb/1";
    let root = "";

    await t.step("put uploads files and directories and prints their digests", async () => {
      const { code, stdout } = await run("cache", "put", "dir/a.txt", "dir");
      assertEquals([code, stdout.split("\n")[0]], [0, `${A}  dir/a.txt`]);
      root = stdout.split("\n")[1].split(" ")[0];
      const [json] = JSON.parse((await run("cache", "put", "--json", "dir")).stdout);
      assertEquals([json.digest, json.kind, json.blobs], [root, "directory", 0]);
      assertEquals((await run("cache", "put", "nothing")).stderr, "brokk: Input nothing does not exist\n");
      await Deno.writeTextFile(`${cwd}/empty`, "");
      assertMatch((await run("cache", "put", "empty")).stdout, /^e3b0c442.*\/0 {2}empty\n$/);
    });
    await t.step("get gives a blob or a whole directory back", async () => {
      assertEquals((await run("cache", "get", A)).stdout, "a");
      assertEquals((await run("cache", "get", A, "copy")).code, 0);
      assertEquals(await Deno.readTextFile(`${cwd}/copy`), "a");
      assertEquals((await run("cache", "get", "--tree", root, "back")).stderr, "2 files, 11 B\n");
      assertEquals(await Deno.readLink(`${cwd}/back/link`), "a.txt");
      const missing = await run("cache", "get", `${"0".repeat(64)}/3`, "never");
      assertEquals([missing.code, [...Deno.readDirSync(cwd)].some(({ name }) => /never|tmp/.test(name))], [
        1,
        false,
      ]);
      assertStringIncludes(missing.stderr, "0".repeat(64));
    });
    await t.step("tree lists a directory", async () => {
      const { stdout } = await run("cache", "tree", root);
      assertMatch(
        stdout,
        /^file {2}ca978112\S+\/1 +a\.txt\nlink +link -> a\.txt\ndir +\S+ +sub\/\nexec +\S+\/10 +sub\/run\n$/,
      );
      const kinds = JSON.parse((await run("cache", "tree", "--json", root)).stdout).map((
        entry: { kind: string },
      ) => entry.kind);
      assertEquals(kinds.sort(), ["directory", "file", "file", "symlink"]);
    });
    await t.step("stat tells what is there", async () => {
      const none = `${"0".repeat(64)}/3`;
      const { code, stdout } = await run("cache", "stat", A, none);
      assertEquals([code, stdout], [1, `present  ${A}\nmissing  ${none}\n`]);
      assertEquals((await run("cache", "stat", A)).code, 0);
    });
    await t.step("action show tells how an action ended and where its time went", async () => {
      const ran = JSON.parse(
        (await run("run", "--json", "-i", "dir", "--", "/bin/sh", "-c", "echo 'two words'")).stdout,
      );
      for (const reference of [ran.actionDigest, ran.operationName]) {
        const { code, stdout } = await run("action", "show", reference);
        assertEquals(code, 0);
        assertMatch(stdout, new RegExp(`^operation +${ran.operationName}$`, "m"));
        assertMatch(stdout, new RegExp(`^action +${ran.actionDigest}$`, "m"));
        assertStringIncludes(stdout, "/bin/sh -c 'echo '\\''two words'\\'''\n");
        assertMatch(stdout, /result +exit 0, run, on \S+\n/);
        assertMatch(stdout, /phases\n( +.+\n)+ {2}total +[\d.]+ m?s\n/);
        assertEquals(stdout.match(/^ {2}total /gm)?.length, 1);
        assertStringIncludes(stdout, "The cache holds a result for it: exit 0");
      }
      const shown = JSON.parse((await run("action", "show", "--json", ran.actionDigest)).stdout);
      assertEquals([shown.records[0].operationName, shown.records[0].cached, shown.cachedResult.exitCode], [
        ran.operationName,
        false,
        0,
      ]);
      const unknown = await run("action", "show", "operations/none");
      assertEquals(unknown.code, 1);
      assertStringIncludes(unknown.stderr, "operations/none");
    });
    await t.step("workers and status show the grid", async () => {
      const [worker] = JSON.parse((await run("workers", "--json")).stdout);
      assertEquals([worker.state, worker.slots, worker.slotsUsed], ["connected", 2, 0]);
      assertMatch((await run("workers")).stdout, /^WORKER .*\n\S+ +connected +0\/2 /);
      const status = JSON.parse((await run("status", "--json")).stdout);
      assertEquals([status.endpoint, status.ready, status.workers, status.slots], [
        grid.endpoint,
        true,
        1,
        2,
      ]);
      const text = (await run("status")).stdout;
      assertStringIncludes(text, `grid     ${grid.endpoint}, version 0.1.0, ready\n`);
      assertStringIncludes(text, "workers  1 with 2 slots\n");
    });
  });
});
