import { assert, assertEquals, assertLessOrEqual, assertNotEquals, assertStringIncludes } from "@std/assert";
import { Code } from "@brokkr/common";
import { SHA256, splitTree, treeSource, walkTree } from "@brokkr/cas/client";
import {
  type Action,
  ActionCache,
  type ActionResult,
  type Command,
  type ExecuteRequest,
  type Init,
  type Timestamp,
} from "@brokkr/proto";
import { assertFailure, digest, EMPTY, failure, sh, TestGrid, utf8, type WireDigest } from "./_grid.ts";
import { rawDirectory, type RawEntry } from "./_trees.ts";

/** A directory of the host that actions of a grid without a sandbox can reach. */
interface Host extends AsyncDisposable {
  readonly path: string;
  /** Shell words that note that the action ran. */
  readonly note: string;
  /** How often it was noted. */
  count(): Promise<number>;
  /** Makes a FIFO and gives its path. */
  fifo(name: string): Promise<string>;
}

async function openHost(): Promise<Host> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-e2e-host-" });
  const notes = `${path}/notes`;
  await Deno.writeTextFile(notes, "");
  return {
    path,
    note: `echo ran >> ${notes};`,
    count: async () => (await Deno.readTextFile(notes)).split("\n").length - 1,
    fifo: async (name) => {
      const { success } = await new Deno.Command("mkfifo", { args: [`${path}/${name}`] }).output();
      assert(success);
      return `${path}/${name}`;
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Paths in a Tree with what they are. */
async function listTree(grid: TestGrid, tree: WireDigest | undefined): Promise<string[]> {
  const source = treeSource(await grid.read(tree), SHA256);
  const found: string[] = [];
  for await (const { path, content } of walkTree(source.rootDigest, source.fetch)) {
    const at = path === "" ? "" : `${path}/`;
    for (const each of content?.files ?? []) {
      found.push(`${at}${each.name}${each.executable ? "*" : ""}=${await grid.text(each.digest)}`);
    }
    for (const link of content?.symlinks ?? []) found.push(`${at}${link.name}->${link.target}`);
    for (const directory of content?.directories ?? []) found.push(`${at}${directory.name}/`);
  }
  return found.sort();
}

interface OutcomeCase {
  readonly name: string;
  readonly command: Init<Command>;
  readonly inputs?: readonly RawEntry[];
  readonly exitCode?: number;
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string;
  readonly check?: (result: ActionResult, grid: TestGrid) => Promise<void> | void;
}

const BINARY = new Uint8Array(256).map((_, i) => i);
const FILE = digest(utf8("file"));

const OUTCOMES: readonly OutcomeCase[] = [
  { name: "exit code 0", command: sh("exit 0") },
  { name: "exit code 1", command: sh("exit 1"), exitCode: 1 },
  { name: "exit code 255", command: sh("exit 255"), exitCode: 255 },
  { name: "death by SIGKILL", command: sh("kill -KILL $$"), exitCode: 137 },
  { name: "death by SIGTERM", command: sh("kill -TERM $$"), exitCode: 143 },
  { name: "death by SIGABRT", command: sh("kill -ABRT $$"), exitCode: 134 },
  {
    name: "both streams apart",
    command: sh("echo out; echo err >&2; exit 3"),
    exitCode: 3,
    stdout: "out\n",
    stderr: "err\n",
  },
  {
    name: "every byte of a binary stream",
    command: sh("cat all"),
    inputs: [{ file: "all", digest: digest(BINARY) }],
    stdout: BINARY,
  },
  {
    name: "ten million bytes of output",
    command: sh("head -c 10000000 /dev/zero"),
    check: ({ stdoutDigest }) => {
      assertEquals(stdoutDigest, digest(new Uint8Array(10_000_000)));
    },
  },
  {
    name: "its own environment, and no more than makes its result the same everywhere",
    command: {
      arguments: ["/usr/bin/env"],
      environmentVariables: [{ name: "A", value: "1" }, { name: "TZ", value: "x=y\nz" }],
    },
    stdout: "A=1\nTZ=x=y\nz\nLANG=C.UTF-8\nSOURCE_DATE_EPOCH=946684800\n",
  },
  {
    name: "no environment but that",
    command: { arguments: ["/usr/bin/env"] },
    stdout: "TZ=UTC\nLANG=C.UTF-8\nSOURCE_DATE_EPOCH=946684800\n",
  },
  {
    name: "argv[0] as it was given",
    command: {
      arguments: ["sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"],
      environmentVariables: [{ name: "PATH", value: "/nowhere:/usr/bin:/bin" }],
    },
    stdout: "sh -c tr '\\0' ' ' < /proc/$$/cmdline ",
  },
  {
    name: "arguments that are empty or strange",
    command: {
      arguments: ["/usr/bin/printf", "%s|", "", " ", "*", "$HOME", "é€🦕", "\n"],
    },
    stdout: "| |*|$HOME|é€🦕|\n|",
  },
  { name: "standard input that is empty", command: sh("cat; echo end"), stdout: "end\n" },
  {
    name: "modes, fixed times and the umask",
    command: sh("umask; stat -c '%n %a %Y' f x d; echo > new; stat -c %a new"),
    inputs: [
      { file: "f", digest: FILE },
      { file: "x", digest: FILE, executable: true },
      { directory: "d", digest: EMPTY },
    ],
    stdout: "0022\nf 444 946684800\nx 555 946684800\nd 755 946684800\n644\n",
  },
  {
    name: "nothing among the inputs but the inputs",
    command: sh("find . | sort"),
    inputs: [{ file: "f", digest: FILE }, { link: "dangling", target: "no/where" }],
    stdout: ".\n./dangling\n./f\n",
  },
  {
    name: "its working directory, with paths of outputs from there",
    command: sh("pwd | grep -c '/w/d$'; cat ../../f; echo made > out/here", {
      workingDirectory: "w/d",
      outputPaths: ["out/here"],
    }),
    inputs: [{ file: "f", digest: FILE }, {
      directory: "w",
      digest: digest(rawDirectory({ directory: "d", digest: EMPTY })),
    }],
    stdout: "1\nfile",
    check: async ({ outputFiles }, grid) => {
      assertEquals(outputFiles.map(({ path }) => path), ["out/here"]);
      assertEquals(await grid.text(outputFiles[0].digest), "made\n");
    },
  },
  {
    name: "output_paths of every kind",
    command: sh(
      "echo f > p/file; echo x > p/tool; chmod +x p/tool; ln -s /gone p/abs; ln -s nowhere p/dangling;" +
        "mkdir -p p/dir/empty p/dir/sub; echo d > p/dir/sub/f; chmod +x p/dir/sub/f; ln -s sub p/dir/l;" +
        "ln -s dir p/todir; : > p/none",
      { outputPaths: ["p/file", "p/tool", "p/abs", "p/dangling", "p/dir", "p/todir", "p/none", "p/missing"] },
    ),
    check: async (result, grid) => {
      assertEquals(
        result.outputFiles.map(({ path, isExecutable }) => [path, isExecutable]),
        [["p/file", false], ["p/tool", true], ["p/none", false]],
      );
      assertEquals(result.outputFiles[2].digest, EMPTY);
      assertEquals(
        result.outputSymlinks.map(({ path, target }) => [path, target]),
        [["p/abs", "/gone"], ["p/dangling", "nowhere"], ["p/todir", "dir"]],
      );
      assertEquals([result.outputFileSymlinks, result.outputDirectorySymlinks], [[], []]);
      assertEquals(result.outputDirectories.map(({ path }) => path), ["p/dir"]);
      assertEquals(await listTree(grid, result.outputDirectories[0].treeDigest), [
        "empty/",
        "l->sub",
        "sub/",
        "sub/f*=d\n",
      ]);
    },
  },
  {
    name: "output_files and output_directories as Bazel sends them",
    command: sh(
      "echo 1 > o/f; ln -s f o/link; ln -s /etc o/dirlink; echo 2 > d/x; rmdir e; ln -s d e",
      { outputFiles: ["o/f", "o/link", "o/gone"], outputDirectories: ["d", "e", "o/dirlink"] },
    ),
    exitCode: 0,
    check: async (result, grid) => {
      assertEquals(result.outputFiles.map(({ path }) => path), ["o/f"]);
      assertEquals(result.outputFileSymlinks.map(({ path, target }) => [path, target]), [["o/link", "f"]]);
      assertEquals(result.outputSymlinks, []);
      assertEquals(result.outputDirectories.map(({ path }) => path), ["d", "o/dirlink"]);
      assertEquals(await listTree(grid, result.outputDirectories[0].treeDigest), ["x=2\n"]);
      assertEquals(
        result.outputDirectorySymlinks.map(({ path, target }) => [path, target]),
        [["e", "d"]],
      );
    },
  },
  {
    name: "the root itself as an output directory",
    command: sh("mkdir e; rm f; echo n > n", { outputDirectories: [""] }),
    inputs: [{ file: "f", digest: FILE }, { file: "kept", digest: FILE }],
    check: async ({ outputDirectories }, grid) => {
      const [{ path, treeDigest, isTopologicallySorted }] = outputDirectories;
      assertEquals([path, isTopologicallySorted], ["", true]);
      assertEquals(await listTree(grid, treeDigest), ["e/", "kept=file", "n=n\n"]);
    },
  },
  {
    name: "a Tree and Directory messages when both are asked for",
    command: sh("mkdir -p o/a o/b; echo x > o/a/f; echo x > o/b/f", {
      outputPaths: ["o"],
      outputDirectoryFormat: 2,
    }),
    check: async ({ outputDirectories: [{ treeDigest, rootDirectoryDigest }] }, grid) => {
      const parts = splitTree(await grid.read(treeDigest));
      assertEquals(parts.length, 2, "Twins are told once");
      assertEquals(rootDirectoryDigest, digest(parts[0]));
      assertEquals(await grid.missing(parts.map(digest)), []);
    },
  },
  {
    name: "node properties, from before 1970 too",
    command: sh("echo > a; chmod 750 a; touch -d @1000000000.25 a; echo > b; touch -d @-1.5 b", {
      outputPaths: ["a", "b"],
      outputNodeProperties: ["mtime", "unix_mode"],
    }),
    check: ({ outputFiles }) => {
      assertEquals(
        outputFiles.map(({ nodeProperties }) => [nodeProperties?.mtime, nodeProperties?.unixMode?.value]),
        [
          [{ seconds: 1_000_000_000, nanos: 250_000_000 }, 0o750],
          [{ seconds: -2, nanos: 500_000_000 }, 0o644],
        ],
      );
    },
  },
  {
    name: "a daemon left behind, which is killed with the action",
    command: sh("(setsid sh -c 'exec sleep 1000' > /dev/null 2>&1 &); echo done"),
    stdout: "done\n",
  },
  {
    name: "an inherited pipe held open by a grandchild",
    command: sh("sleep 1000 & echo done"),
    stdout: "done\n",
  },
];

interface RefusedOutput {
  readonly name: string;
  readonly script: string;
  readonly outputs: Init<Command>;
  readonly words: readonly string[];
  readonly needs?: string;
}

const REFUSED: readonly RefusedOutput[] = [
  { name: "a FIFO", script: "mkfifo o", outputs: { outputPaths: ["o"] }, words: ['"o"', "FIFO"] },
  {
    name: "a FIFO deep in a directory",
    script: "mkdir -p o/a/b; mkfifo o/a/b/pipe",
    outputs: { outputPaths: ["o"] },
    words: ['"o/a/b/pipe"', "FIFO"],
  },
  {
    name: "a socket",
    script: "perl -MSocket -e 'socket(S,PF_UNIX,SOCK_STREAM,0); bind(S, sockaddr_un(\"o\")) or die'",
    outputs: { outputPaths: ["o"] },
    words: ['"o"', "socket"],
    needs: "/usr/bin/perl",
  },
  {
    name: "a name that is not UTF-8",
    script: "mkdir o; touch \"o/$(printf 'a\\377')\"",
    outputs: { outputPaths: ["o"] },
    words: ["a\\xff", "UTF-8"],
  },
  {
    name: "a link whose target is not UTF-8",
    script: "ln -s \"$(printf 'a\\377')\" o",
    outputs: { outputPaths: ["o"] },
    words: ['"o"', "UTF-8"],
  },
  {
    name: "a file where output_directories names it",
    script: "rmdir o; echo > o",
    outputs: { outputDirectories: ["o"] },
    words: ['"o"', "declared as a directory", "is a file"],
  },
  {
    name: "a directory where output_files names it",
    script: "mkdir o",
    outputs: { outputFiles: ["o"] },
    words: ['"o"', "declared as a file", "is a directory"],
  },
  {
    name: "what lies behind a link that the action made",
    script: "rmdir o; ln -s /etc o",
    outputs: { outputPaths: ["o/hostname"] },
    words: ['"o/hostname"', "symbolic link"],
  },
];

const TIMES = [
  "queuedTimestamp",
  "workerStartTimestamp",
  "inputFetchStartTimestamp",
  "inputFetchCompletedTimestamp",
  "executionStartTimestamp",
  "executionCompletedTimestamp",
  "outputUploadStartTimestamp",
  "outputUploadCompletedTimestamp",
  "workerCompletedTimestamp",
] as const;

function nanos(time: Timestamp | undefined): number {
  assert(time !== undefined && time.seconds > 1_500_000_000, "A timestamp is set");
  return time.seconds * 1e9 + time.nanos;
}

Deno.test("What an action did is told truly", async (t) => {
  await using grid = await TestGrid.start();
  await grid.putAll([utf8("file"), BINARY, rawDirectory({ directory: "d", digest: EMPTY })]);

  for (const { name, command, inputs, exitCode = 0, stdout, stderr = "", check } of OUTCOMES) {
    await t.step(`an action gives ${name}`, async () => {
      const inputRootDigest = inputs === undefined ? EMPTY : await grid.put(rawDirectory(...inputs));
      const { result, status } = await grid.run(command, { inputRootDigest });
      assertEquals([status?.code ?? 0, status?.message ?? ""], [0, ""]);
      assert(result !== undefined);
      const printed = await grid.read(result.stdoutDigest);
      if (stdout instanceof Uint8Array) assertEquals(printed, stdout);
      else if (stdout !== undefined) assertEquals(new TextDecoder().decode(printed), stdout);
      assertEquals(await grid.text(result.stderrDigest), stderr);
      assertEquals(result.exitCode, exitCode);
      await check?.(result, grid);
    });
  }

  for (const { name, script, outputs, words, needs } of REFUSED) {
    const there = needs === undefined || await Deno.stat(needs).then(() => true, () => false);
    await t.step({
      name: `an output that is ${name} is refused, with what the action printed${
        there ? "" : ` (skipped: there is no ${needs})`
      }`,
      ignore: !there,
      fn: async () => {
        const followed = grid.execute(await grid.action(sh(`echo printed; ${script}`, outputs)));
        assertFailure(await followed.error(), Code.FAILED_PRECONDITION, ...words);
        const { result } = await followed.response();
        assertEquals(await grid.text(result?.stdoutDigest), "printed\n");
      },
    });
  }

  await t.step(
    "a timeout is DEADLINE_EXCEEDED with what there was until then, and is not cached",
    async () => {
      const action = await grid.action(
        sh("echo before; echo partial > out; sleep 1000; echo after", { outputPaths: ["out"] }),
        { timeout: { nanos: 300_000_000 } },
      );
      const followed = grid.execute(action);
      assertFailure(await followed.error(), Code.DEADLINE_EXCEEDED, "0.3 s");
      const { result } = await followed.response();
      assertEquals(await grid.text(result?.stdoutDigest), "before\n");
      assertEquals(await grid.text(result?.outputFiles[0]?.digest), "partial\n");
      assertEquals(result?.exitCode, 137);
      const { instance: instanceName } = grid;
      const error = await failure(() =>
        grid.channel.unary(ActionCache.getActionResult, { instanceName, actionDigest: action })
      );
      assertFailure(error, Code.NOT_FOUND);
    },
  );

  await t.step("small outputs come inside of the result when asked for, and as digests too", async () => {
    const command = sh("cat all; echo e >&2; echo 1 > a; echo 2 > b", { outputPaths: ["a", "b"] });
    const inputRootDigest = await grid.put(rawDirectory({ file: "all", digest: digest(BINARY) }));
    const ask = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ["b"] };
    for (const cached of [false, true]) {
      const { result, cachedResult } = await grid.run(command, { inputRootDigest }, ask);
      assertEquals(cachedResult, cached);
      assertEquals(result?.stdoutRaw, BINARY);
      assertEquals(result?.stderrRaw, utf8("e\n"));
      assertEquals(result?.outputFiles.map(({ contents }) => new TextDecoder().decode(contents)), [
        "",
        "2\n",
      ]);
      assertEquals(result?.stdoutDigest, digest(BINARY));
    }
  });

  await t.step("the metadata says who, where the time went, and in what order", async () => {
    const inputRootDigest = await grid.put(rawDirectory({ file: "f", digest: FILE }));
    const before = Date.now() * 1e6;
    const { result } = await grid.run(sh("sleep 0.2; cat f"), { inputRootDigest });
    const metadata = result?.executionMetadata;
    const times = TIMES.map((name) => nanos(metadata?.[name]));
    for (let i = 1; i < times.length; i++) {
      assertLessOrEqual(times[i - 1], times[i], `${TIMES[i - 1]} is before ${TIMES[i]}`);
    }
    assertLessOrEqual(before - 50e6, times[0]);
    assertLessOrEqual(times[8], Date.now() * 1e6 + 50e6);
    const { seconds = 0, nanos: rest = 0 } = metadata?.virtualExecutionDuration ?? {};
    assertLessOrEqual(2e8, seconds * 1e9 + rest);
    assertNotEquals(metadata?.worker, "");
    assertEquals(metadata?.auxiliaryMetadata.map(({ typeUrl }) => typeUrl), [
      "type.googleapis.com/brokkr.v1.ResourceUsage",
    ]);
  });
  await t.step("and it still works", () => grid.assertGood());
});

Deno.test("An action runs as often as it must and no more", async (t) => {
  await using host = await openHost();
  await using grid = await TestGrid.startOnHost({ controlFlags: ["--unwatched-ttl=2s"] });
  let before = 0;
  /** Asserts how many more runs there were. */
  const assertRuns = async (runs: number) => {
    const now = await host.count();
    assertEquals(now - before, runs, "Runs since the last look");
    before = now;
  };
  const run = (
    script: string,
    more: { command?: Init<Command>; action?: Init<Action>; request?: Init<ExecuteRequest> } = {},
  ) => grid.run(sh(host.note + script, more.command), more.action, more.request);

  await t.step("the stages come in order, each once, and from the cache it is two", async () => {
    const action = await grid.action(sh(`${host.note} echo stages`));
    const first = grid.execute(action);
    assertEquals((await first.response()).cachedResult, false);
    assertEquals(first.stages, ["CACHE_CHECK", "QUEUED", "EXECUTING", "COMPLETED"]);
    const second = grid.execute(action);
    assertEquals((await second.response()).cachedResult, true);
    assertEquals(second.stages, ["CACHE_CHECK", "COMPLETED"]);
    assertNotEquals(first.name, second.name);
    assertEquals((await second.response()).result, (await first.response()).result);
    await assertRuns(1);
  });

  await t.step("an action that failed is run again", async () => {
    for (const _ of [1, 2]) {
      const response = await run("echo no; exit 4");
      assertEquals([response.cachedResult, response.result?.exitCode], [false, 4]);
    }
    await assertRuns(2);
  });

  await t.step("do_not_cache is run each time, and leaves nothing in the cache", async () => {
    for (const _ of [1, 2]) {
      assertEquals((await run("echo fresh", { action: { doNotCache: true } })).cachedResult, false);
    }
    await assertRuns(2);
  });

  await t.step("skip_cache_lookup runs it anew, and its result overwrites", async () => {
    const command = { outputPaths: ["out"] };
    const script = `wc -l < ${host.path}/notes > out`;
    const first = await run(script, { command });
    assertEquals((await run(script, { command })).cachedResult, true);
    const again = await run(script, { command, request: { skipCacheLookup: true } });
    assertEquals(again.cachedResult, false);
    assertNotEquals(again.result?.outputFiles[0].digest, first.result?.outputFiles[0].digest);
    const last = await run(script, { command });
    assertEquals([last.cachedResult, last.result], [true, again.result]);
    await assertRuns(2);
  });

  await t.step("salt makes another action of it", async () => {
    for (const salt of ["a", "b", "a"]) await run("echo salted", { action: { salt: utf8(salt) } });
    await assertRuns(2);
  });

  await t.step("another instance name runs it anew", async () => {
    const action = await grid.action(sh(`${host.note} echo instance`));
    for (const instanceName of ["one", "two/parts", "one", ""]) {
      await grid.execute(action, { instanceName }).response();
    }
    await assertRuns(3);
  });

  await t.step("twins at once are one run, and each is told all of it", async () => {
    const go = await host.fifo("twins");
    const action = await grid.action(sh(`${host.note} read word < ${go}; echo $word`));
    const twins = [1, 2, 3, 4].map(() => grid.execute(action));
    await Promise.all(twins.map((twin) => twin.until("EXECUTING")));
    assertEquals(new Set(twins.map(({ name }) => name)).size, 4);
    await Deno.writeTextFile(go, "together\n");
    for (const twin of twins) {
      assertEquals(await grid.text((await twin.response()).result?.stdoutDigest), "together\n");
    }
    await assertRuns(1);
  });

  await t.step("twins with do_not_cache are as many runs", async () => {
    const go = await host.fifo("apart");
    const action = await grid.action(sh(`${host.note} read word < ${go}; echo $word`), { doNotCache: true });
    const twins = [1, 2].map(() => grid.execute(action));
    await Promise.all(twins.map((twin) => twin.until("EXECUTING")));
    // A reader may take both lines, which leaves the other one waiting: write until both have ended.
    const ended = Promise.all(twins.map((twin) => twin.response()));
    let done = false;
    ended.finally(() => done = true);
    while (!done) await Promise.race([Deno.writeTextFile(go, "go\n").catch(() => {}), ended]);
    await assertRuns(2);
  });

  await t.step("one of two twins may leave without harm to the other", async () => {
    const go = await host.fifo("leave");
    const action = await grid.action(sh(`${host.note} read word < ${go}; echo $word`));
    const [stays, leaves] = [grid.execute(action), grid.execute(action)];
    await Promise.all([stays.until("EXECUTING"), leaves.until("EXECUTING")]);
    await leaves.break();
    await Deno.writeTextFile(go, "stayed\n");
    assertEquals(await grid.text((await stays.response()).result?.stdoutDigest), "stayed\n");
    await assertRuns(1);
  });

  await t.step("a client whose stream broke waits by name, and gets the result of the same run", async () => {
    const go = await host.fifo("broken");
    const action = await grid.action(sh(`${host.note} read word < ${go}; echo $word`));
    const cut = grid.execute(action);
    await cut.until("EXECUTING");
    await cut.break();
    const waiting = grid.wait(cut.name);
    await waiting.until("EXECUTING");
    await Deno.writeTextFile(go, "joined\n");
    const { result, cachedResult } = await waiting.response();
    assertEquals([await grid.text(result?.stdoutDigest), cachedResult], ["joined\n", false]);
    const late = grid.wait(cut.name);
    assertEquals((await late.response()).result, result);
    assertEquals(late.stages, ["COMPLETED"]);
    await assertRuns(1);
  });

  await t.step("waiting for what nobody knows is NOT_FOUND, and says what to do", async () => {
    for (const name of ["operations/1-999-0123456789abcdef", "nonsense", "x".repeat(5000)]) {
      assertFailure(
        await failure(() => grid.wait(name).response()),
        Code.NOT_FOUND,
        "execute the action again",
      );
    }
  });

  await t.step("an action that nobody waits for any more is killed", async () => {
    const held = await host.fifo("held");
    const abandoned = grid.execute(await grid.action(sh(`exec 3> ${held}; echo open >&3; sleep 1000`)));
    // The end of the FIFO comes when nothing of the action lives any more.
    const whole = Deno.readTextFile(held);
    await abandoned.until("EXECUTING");
    await abandoned.break();
    assertStringIncludes(await whole, "open");
    const error = await grid.wait(abandoned.name).error().catch((thrown) => thrown);
    assert(error.code === Code.CANCELLED || error.code === Code.NOT_FOUND, `${error}`);
  });
  await t.step("and it still works", () => grid.assertGood());
});
