/** `brokk` as a process: what needs no grid. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { brokk, inTempDir } from "./_testing.ts";

const SNAPSHOT = new URL("./testdata/help.txt", import.meta.url);
const PAGES = [
  [],
  ["run"],
  ["up"],
  ["cache"],
  ["cache", "put"],
  ["cache", "get"],
  ["cache", "tree"],
  ["cache", "stat"],
  ["cache", "verify"],
  ["cache", "gc"],
  ["cache", "pin"],
  ["cache", "unpin"],
  ["cache", "pins"],
  ["cache", "export"],
  ["cache", "import"],
  ["cache", "why-gone"],
  ["action"],
  ["action", "show"],
  ["operations"],
  ["operations", "list"],
  ["operations", "show"],
  ["operations", "cancel"],
  ["workers"],
  ["workers", "drain"],
  ["workers", "resume"],
  ["status"],
  ["doctor"],
  ["sandbox"],
  ["sandbox", "run"],
  ["sandbox", "list"],
  ["sandbox", "enter"],
  ["sandbox", "explain"],
  ["init"],
  ["version"],
];

Deno.test("The help of every command is as it was; UPDATE_SNAPSHOTS=1 writes it anew", async () => {
  let pages = "";
  for (const page of PAGES) {
    const { code, stdout, stderr } = await brokk([...page, "--help"]);
    assertEquals([code, stderr], [0, ""]);
    pages += `$ brokk ${[...page, "--help"].join(" ")}\n${stdout}\n`;
    if (page.length > 0) assertMatch(stdout, /Examples?:\n/, `brokk ${page.join(" ")} has no example`);
  }
  if (Deno.env.get("UPDATE_SNAPSHOTS") === "1") await Deno.writeTextFile(SNAPSHOT, pages);
  assertEquals(pages, await Deno.readTextFile(SNAPSHOT));
});

Deno.test("brokk help COMMAND and brokk COMMAND --help say the same", async () => {
  assertEquals((await brokk(["help", "run"])).stdout, (await brokk(["run", "--help"])).stdout);
});

for (
  const [args, message] of [
    [["frobnicate"], "brokk: unknown command 'frobnicate'\n"],
    [["stauts"], "brokk: unknown command 'stauts'\n(Did you mean status?)\n"],
    [["run"], "brokk: missing required argument 'command'\n"],
    [["run", "--imput", "x", "--", "y"], "brokk: unknown option '--imput'\n(Did you mean --input?)\n"],
    [["run", "--timeout", "5", "--", "x"], `"5" is not a duration, such as 500ms, 30s or 1h30m.\n`],
    [["run", "--timeout", "0s", "--", "x"], `"0s" is not longer than nothing.\n`],
    [["run", "--env", "=x", "--", "x"], `brokk: --env needs NAME=VALUE, not "=x"\n`],
    [
      ["run", "--env", "NOWHERE", "--", "x"],
      "brokk: --env NOWHERE: no such variable here; write NOWHERE=VALUE\n",
    ],
    [["run", "--platform", "Pool", "--", "x"], `brokk: --platform needs NAME=VALUE, not "Pool"\n`],
    [["run", "--input", "=x", "--", "x"], `brokk: --input needs PATH or PATH=DEST, not "=x"\n`],
    [
      ["run", "--output", "../x", "--", "x"],
      `brokk: Output "../x" must be a path below the working directory\n`,
    ],
    [["run", "--endpoint", "nowhere", "x"], `brokk: --endpoint: "nowhere" is not an endpoint, such as`],
    [["run", "--endpoint", "grpcs://h:1", "--instance", "a//b", "x"], "a//b"],
    [["cache", "get", "abc"], `"abc" is not a digest; write it as <hash>/<size>.\n`],
    [["cache", "get", "--tree", `${"0".repeat(64)}/3`], "brokk: --tree needs a directory to write to\n"],
    [["action", "show"], "brokk: missing required argument 'action'\n"],
    [["up", "--lease-ttl", "soon"], `brokk: --lease-ttl: "soon" is not a duration`],
    [["up", "--listen", "foo"], `brokk: --listen: "foo" is not host:port, such as 127.0.0.1:8980\n`],
  ] as const
) {
  Deno.test(`brokk ${args.join(" ")} ends with exit code 2 and says why`, async () => {
    await inTempDir(async (cwd) => {
      const { code, stdout, stderr } = await brokk(args, { cwd });
      assertStringIncludes(stderr, message);
      assertEquals([code, stdout], [2, ""]);
      assertEquals(/^\s+at /m.test(stderr), false, "A stack trace is shown");
    });
  });
}

Deno.test("brokk names file, line and key of a wrong brokkr.toml", async () => {
  await inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/brokkr.toml`, '[client]\n\nendpiont = "grpc://127.0.0.1:1"\n');
    const expected = "brokk: brokkr.toml:3: client.endpiont: unknown key; did you mean endpoint?\n";
    assertEquals(await brokk(["status"], { cwd }).then(({ code, stderr }) => [code, stderr]), [2, expected]);
  });
});

Deno.test("brokk says in one line that nothing answers, and ends soon", async () => {
  await inTempDir(async (cwd) => {
    // A port that was free a moment ago.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const env = { BROKKR_CLIENT_ENDPOINT: `grpc://127.0.0.1:${listener.addr.port}` };
    listener.close();
    const startMs = performance.now();
    const run = await brokk(["run", "--", "/bin/true"], { cwd, env });
    assertEquals([run.code, run.stdout], [125, ""]);
    assertMatch(run.stderr, /^brokk: Cannot reach grpc:\/\/127\.0\.0\.1:\d+: connection refused.*\n$/);
    const status = await brokk(["status"], { cwd, env });
    assertEquals([status.code, status.stderr], [1, run.stderr]);
    assertEquals(performance.now() - startMs < 20_000, true);
    const json = await brokk(["run", "--json", "--", "/bin/true"], { cwd, env });
    assertEquals([json.code, JSON.parse(json.stdout).error.code], [125, "UNAVAILABLE"]);
    const debug = await brokk(["status"], { cwd, env: { ...env, BROKKR_DEBUG: "1" } });
    assertMatch(debug.stderr, /^\s+at /m);
  });
});

Deno.test("brokk init writes a file that brokk can read, and never over another unless told to", async () => {
  await inTempDir(async (cwd) => {
    assertEquals((await brokk(["init"], { cwd })).code, 0);
    const written = await Deno.readTextFile(`${cwd}/brokkr.toml`);
    assertEquals((await brokk(["init", "--print"], { cwd })).stdout, written);
    await Deno.writeTextFile(`${cwd}/brokkr.toml`, "[log]\n");
    const again = await brokk(["init"], { cwd });
    assertEquals([again.code, again.stderr], [1, "brokk: brokkr.toml exists; --force replaces it\n"]);
    assertEquals(await Deno.readTextFile(`${cwd}/brokkr.toml`), "[log]\n");
    assertEquals((await brokk(["init", "--force"], { cwd })).code, 0);
    assertEquals(await Deno.readTextFile(`${cwd}/brokkr.toml`), written);
    assertEquals((await brokk(["init", "no/such/dir.toml"], { cwd })).code, 1);
  });
});

Deno.test("brokk version tells what it runs on", async () => {
  const { stdout } = await brokk(["version", "--json"]);
  assertEquals(JSON.parse(stdout).deno, Deno.version.deno);
  assertEquals((await brokk(["--version"])).stdout.trim(), JSON.parse(stdout).brokk);
});
