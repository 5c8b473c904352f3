import { assert, assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { connectGrid } from "@brokkr/cli";
import { ExecuteResponseCodec, Operations, TreeCodec } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { noProcessOf } from "../e2e/_processes.ts";
import type { BazelClient } from "./clients.ts";
import {
  build,
  cacheHits,
  clean,
  countFor,
  openGrid,
  outputs,
  remote,
  testEachBazel,
  type TestGrid,
} from "./_grid.ts";
import { Register } from "./_register.ts";
import { openWorkspace, type Workspace } from "./workspace.ts";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Lines of a test's log. */
function testLog(workspace: Workspace, target: string): Promise<string> {
  return Deno.readTextFile(`${workspace.path}/bazel-testlogs/${target}/test.log`);
}

function testFiles(register: Register): Record<string, string> {
  return {
    "BUILD": ["hangs", "fails", "flaky"].map((name) =>
      `sh_test(name = "${name}", size = "small", srcs = ["${name}.sh"]${
        name === "flaky" ? ", flaky = True" : ""
      })\n`
    ).join(""),
    "hangs.sh":
      `#!/bin/sh\nexport MARK=${register.path}/hangs\necho partial output\nsleep 10000 &\nsetsid sleep 10000 &\nsleep 10000\n`,
    "fails.sh": `#!/bin/sh\n${register.entered("fails")}\necho the reason of the failure\nexit 7\n`,
    "flaky.sh": `#!/bin/sh\n${register.entered("flaky")}\necho try $try\n[ $try = 2 ]\n`,
  };
}

async function testVerdicts(client: BazelClient, t: Deno.TestContext): Promise<void> {
  await using register = await Register.open("fails", "flaky");
  await using workspace = await openWorkspace(client, testFiles(register));
  await using grid = await openGrid({ workerFlags: register.workerFlags });
  const test = (target: string, ...more: string[]) =>
    workspace.bazel("test", ...remote(grid), "--test_output=errors", ...more, `//:${target}`);

  await t.step(
    "a test that takes too long is a TIMEOUT with what it said so far, and is gone",
    async () => {
      const { code, text } = await test("hangs", "--test_timeout=5");
      assertEquals(code, 3, text);
      assertMatch(text, /\/\/:hangs\s+TIMEOUT in/);
      assertStringIncludes(await testLog(workspace, "hangs"), "partial output");
      await noProcessOf(`MARK=${register.path}/hangs`);
      await grid.idle();
    },
  );
  await t.step("a test that fails tells why, and runs again when it is asked for again", async () => {
    for (const count of [1, 2]) {
      const { code, text } = await test("fails");
      assertEquals(code, 3, text);
      assertMatch(text, /\/\/:fails\s+FAILED in/);
      assertStringIncludes(text, "the reason of the failure");
      assertStringIncludes(await testLog(workspace, "fails"), "the reason of the failure");
      assertEquals(register.count("fails"), count);
    }
  });
  await t.step("a test that passes the second time is FLAKY, and both of its logs are there", async () => {
    const { code, text } = await test("flaky");
    assertEquals(code, 0, text);
    assertMatch(text, /\/\/:flaky\s+FLAKY, failed in 1 out of 2/);
    assertStringIncludes(await testLog(workspace, "flaky"), "try 2");
    const first = await testLog(workspace, "flaky/test_attempts").catch(() => undefined) ??
      await Deno.readTextFile(`${workspace.path}/bazel-testlogs/flaky/test_attempts/attempt_1.log`);
    assertStringIncludes(first, "try 1");
    assertEquals(register.count("flaky"), 2);
  });
}

testEachBazel("tells a test that times out, one that fails and a flaky one apart", testVerdicts);

const TREES: Readonly<Record<string, string>> = {
  "BUILD":
    'load(":trees.bzl", "tree", "listing")\ntree(name = "made")\nlisting(name = "seen", tree = ":made")\n',
  "trees.bzl": `
def _tree(ctx):
    out = ctx.actions.declare_directory(ctx.attr.name + ".d")
    ctx.actions.run_shell(
        outputs = [out],
        command = """set -e
            cd "$1"
            mkdir -p a/b/c empty/inner
            echo top > top
            echo deep > a/b/c/deep
            printf '' > a/nothing
            head -c 300000 /dev/zero > a/large
            printf '#!/bin/sh\\\\necho ran\\\\n' > a/run; chmod 755 a/run
            ln -s top link
            ln -s ../top a/up
            ln -s b/c a/dir
        """,
        arguments = [out.path],
    )
    return [DefaultInfo(files = depset([out]))]

tree = rule(implementation = _tree)

def _listing(ctx):
    out = ctx.actions.declare_file(ctx.attr.name + ".txt")
    tree = ctx.files.tree[0]
    ctx.actions.run_shell(
        inputs = [tree],
        outputs = [out],
        command = """set -e
            out="$PWD/$2"; cd "$1"
            { find -L . -type f | LC_ALL=C sort | xargs sha256sum; ./a/run; cat a/dir/deep link; } > "$out"
        """,
        arguments = [tree.path, out.path],
    )
    return [DefaultInfo(files = depset([out]))]

listing = rule(implementation = _listing, attrs = {"tree": attr.label()})
`,
};

/** Everything below a directory, with what it is: kind, executability, target or hash. */
async function describeTree(path: string, below = ""): Promise<string[]> {
  const lines: string[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(`${path}/${below}`)) {
    const at = `${below}${name}`;
    if (isSymlink) lines.push(`${at} -> ${await Deno.readLink(`${path}/${at}`)}`);
    else if (isDirectory) lines.push(`${at}/`, ...await describeTree(path, `${at}/`));
    else {
      const hash = await crypto.subtle.digest("SHA-256", await Deno.readFile(`${path}/${at}`));
      const { mode } = await Deno.stat(`${path}/${at}`);
      lines.push(`${at} ${(mode ?? 0) & 0o100 ? "x" : "-"} ${new Uint8Array(hash).toHex()}`);
    }
  }
  return lines.sort();
}

/** Names of all directories in the Tree that an action on the grid made; the root has none. */
async function keptTree(grid: TestGrid): Promise<string[]> {
  await using channel = connect(grid.endpoint);
  const { operations } = await channel.unary(Operations.listOperations, { pageSize: 100 });
  const made = operations
    .map(({ response }) => ExecuteResponseCodec.decode(response?.value ?? new Uint8Array()))
    .flatMap(({ result }) => result?.outputDirectories ?? [])
    .find(({ path }) => path.endsWith("made.d"));
  await using client = connectGrid(grid.endpoint, { instance: "main" });
  const { hash = "", sizeBytes = 0 } = made?.treeDigest ?? {};
  const { root, children } = TreeCodec.decode(await client.cache.get(`${hash}/${sizeBytes}`));
  const names = [root, ...children].flatMap((each) => each?.directories ?? []).map(({ name }) => name);
  return ["", ...names];
}

testEachBazel("makes and uses directories of nested, empty and linked things", async (client) => {
  await using workspace = await openWorkspace(client, TREES);
  await using grid = await openGrid();
  const made = `${workspace.path}/bazel-bin/made.d`;
  await build(workspace, "//:seen", "//:made");
  const local = { tree: await describeTree(made), seen: await outputs(workspace, ["seen.txt"]) };
  assert(local.tree.includes("empty/inner/"), local.tree.join("\n"));
  assert(local.tree.includes("a/up -> ../top"), local.tree.join("\n"));
  // These Bazels make no empty directories when they download a tree; that the grid has them is checked below.
  const fetched = { ...local, tree: local.tree.filter((line) => !line.startsWith("empty/")) };
  await clean(workspace);
  for (const round of ["cold", "warm"]) {
    const text = await build(workspace, ...remote(grid), "//:seen", "//:made");
    assertEquals(
      { tree: await describeTree(made), seen: await outputs(workspace, ["seen.txt"]) },
      fetched,
      round,
    );
    if (round === "warm") assertEquals(cacheHits(text), 2, text);
    await clean(workspace);
  }
  assertEquals((await grid.status()).actionsExecuted, 2);
  assertEquals((await keptTree(grid)).sort(), ["", "a", "b", "c", "empty", "inner"]);
});

const CHAIN: Readonly<Record<string, string>> = {
  "BUILD": [
    'genrule(name = "a", outs = ["a.txt"], cmd = "echo a > $@")',
    'genrule(name = "b", srcs = ["a.txt"], outs = ["b.txt"], cmd = "cat $< > $@; echo b >> $@")',
    'genrule(name = "c", srcs = ["b.txt"], outs = ["c.txt"], cmd = "cat $< > $@; echo c >> $@")',
    'genrule(name = "later", srcs = ["b.txt"], outs = ["later.txt"], cmd = "cat $< > $@; echo later >> $@")',
    'genrule(name = "here", srcs = ["c.txt"], outs = ["here.txt"], cmd = "cat $< > $@; echo here >> $@", local = 1)',
    "",
  ].join("\n"),
};

testEachBazel("builds without downloading, and fetches what a later action needs", async (client, t) => {
  await using workspace = await openWorkspace(client, CHAIN);
  await using grid = await openGrid();
  const there = (name: string) => exists(`${workspace.path}/bazel-bin/${name}`);
  const read = async (name: string) => new TextDecoder().decode(await workspace.output(name));

  await t.step("minimal: nothing is downloaded", async () => {
    await build(workspace, ...remote(grid), "--remote_download_minimal", "//:c");
    assertEquals([await there("a.txt"), await there("b.txt"), await there("c.txt")], [false, false, false]);
    assertEquals((await grid.status()).actionsExecuted, 3);
  });
  await t.step("a later action on the grid uses what only the grid has", async () => {
    await build(workspace, ...remote(grid), "--remote_download_minimal", "//:later");
    assertEquals([await there("b.txt"), await there("later.txt")], [false, false]);
    assertEquals((await grid.status()).actionsExecuted, 4);
  });
  await t.step("an action on this machine gets the file that it needs", async () => {
    const both = ["--spawn_strategy=remote,local", "--genrule_strategy=remote,local"];
    await build(workspace, ...remote(grid), ...both, "--remote_download_minimal", "//:here");
    assertEquals(await read("here.txt"), "a\nb\nc\nhere\n");
    assertEquals(await there("a.txt"), false);
  });
  await t.step("toplevel: what was asked for is downloaded, what lies between is not", async () => {
    await clean(workspace);
    const text = await build(workspace, ...remote(grid), "--remote_download_toplevel", "//:later");
    assertEquals(await read("later.txt"), "a\nb\nlater\n");
    assertEquals([await there("a.txt"), await there("b.txt")], [false, false]);
    assertEquals(cacheHits(text), 3, text);
  });
});

testEachBazel("is told politely that build events have no place on the grid", async (client) => {
  await using workspace = await openWorkspace(client, CHAIN);
  await using grid = await openGrid();
  const { code, text } = await workspace.bazel(
    "build",
    ...remote(grid),
    `--bes_backend=${grid.endpoint}`,
    "//:c",
  );
  // 45: the build is done, and it is no use to send its events again. 38 would be an error that may pass.
  assertEquals(code, 45, text);
  assertStringIncludes(text, "This grid takes no build events: leave out --bes_backend");
  assertEquals(new TextDecoder().decode(await workspace.output("c.txt")), "a\nb\nc\n");
});

function slowFiles(register: Register): Record<string, string> {
  const quick = Array.from(
    { length: 4 },
    (_, i) => `genrule(name = "quick${i}", outs = ["quick${i}.txt"], cmd = "echo ${i} > $@")\n`,
  );
  const slow = `export MARK=${register.path}/slow; cat $(SRCS) > $@; ${register.entered("slow")}; ` +
    "if [ $$try = 1 ]; then sleep 10000; fi";
  const srcs = quick.map((_, i) => `"quick${i}.txt"`).join(", ");
  return {
    "BUILD": `${
      quick.join("")
    }genrule(name = "slow", srcs = [${srcs}], outs = ["slow.txt"], cmd = "${slow}")\n`,
  };
}

testEachBazel("ends at once on Ctrl-C, and its actions soon after", async (client) => {
  await using register = await Register.open("slow");
  await using workspace = await openWorkspace(client, slowFiles(register));
  await using grid: TestGrid = await openGrid({
    controlFlags: ["--unwatched-ttl=2s"],
    workerFlags: register.workerFlags,
  });
  const run = workspace.start("build", ...remote(grid), "//:slow");
  let ended = false;
  run.result.finally(() => ended = true);
  while (register.count("slow") === 0) {
    if (ended) throw new Error((await run.result).text);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  run.interrupt();
  const { code, text } = await run.result;
  assertEquals(code, 8, text);
  // Its gRPC library leaves the calls of interrupted threads open: it watches until its server ends.
  if (client.version === "2.1.0") await workspace.bazel("shutdown");
  await grid.idle();
  await noProcessOf(`MARK=${register.path}/slow`);

  await clean(workspace);
  const executed = (await grid.status()).actionsExecuted;
  const again = await build(workspace, ...remote(grid), "//:slow");
  assertEquals(cacheHits(again), 4, again);
  assertEquals((await grid.status()).actionsExecuted - executed, 1);
  assertEquals(new TextDecoder().decode(await workspace.output("slow.txt")), "0\n1\n2\n3\n");
  assertEquals(register.count("slow"), 2);
});

function independent(count: number): Readonly<Record<string, string>> {
  return {
    "BUILD":
      `[genrule(name = "g%d" % i, srcs = ["in/%d" % (i % 10)], outs = ["out/%d.txt" % i], cmd = "cat $< > $@; echo %d >> $@" % i) for i in range(${count})]\n` +
      `filegroup(name = "all", srcs = [":g%d" % i for i in range(${count})])\n`,
    ...Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`in/${i}`, `input ${i}\n`])),
  };
}

testEachBazel("runs many actions over 4 workers as it does on one machine", async (client) => {
  const count = countFor(client, "2.1.0", 1000);
  const names = Array.from({ length: count }, (_, i) => `out/${i}.txt`);
  await using workspace = await openWorkspace(client, independent(count));
  await using grid = await openGrid({ workers: 4, slots: 1 });
  await build(workspace, "//:all");
  const local = await outputs(workspace, names);
  await clean(workspace);
  const text = await build(workspace, ...remote(grid), "--jobs=32", "//:all");
  assertEquals(await outputs(workspace, names), local);
  assertEquals((await grid.status()).actionsExecuted, count, text);
  const completed = (await grid.workers()).map((worker) => worker.completed);
  assertEquals(completed.reduce((sum, each) => sum + each, 0), count);
  assertEquals(completed.length, 4);
  for (const each of completed) assertGreater(each, count / 20, completed.join(", "));
  await clean(workspace);
  assertEquals(cacheHits(await build(workspace, ...remote(grid), "--jobs=32", "//:all")), count);
});
