import { assert, assertEquals } from "@std/assert";
import { type BrokkrError, Code } from "@brokkr/common";
import {
  type Action,
  ActionCodec,
  type Command,
  CommandCodec,
  type ExecuteRequest,
  type Init,
} from "@brokkr/proto";
import {
  absentDigest,
  assertFailure,
  digest,
  EMPTY,
  failure,
  sh,
  TestGrid,
  utf8,
  type WireDigest,
} from "./_grid.ts";
import { rawDirectory, type RawEntry } from "./_trees.ts";

/** What PreconditionFailure names as missing. */
function missingOf(error: BrokkrError | undefined): string[] {
  return (error?.details ?? []).flatMap((detail) =>
    detail.kind === "preconditionFailure"
      ? detail.violations.map(({ type, subject }) => {
        assertEquals(type, "MISSING");
        return subject;
      })
      : []
  ).sort();
}

function subjects(...digests: readonly WireDigest[]): string[] {
  return digests.map(({ hash, sizeBytes }) => `blobs/${hash}/${sizeBytes}`).sort();
}

interface TreeCase {
  readonly name: string;
  readonly entries: readonly RawEntry[];
  readonly words: readonly string[];
}

const FILE = digest(utf8("file"));
const file = (name: string | Uint8Array): RawEntry => ({ file: name, digest: FILE });

/** Trees that must be refused by name, wherever in the tree they are. */
const BAD_TREES: readonly TreeCase[] = [
  ...["..", ".", "", "/", "a/b", "/etc", "a/", "nul\0nul"].flatMap((name): TreeCase[] => [
    { name: `a file ${JSON.stringify(name)}`, entries: [file(name)], words: [JSON.stringify(name)] },
    {
      name: `a directory ${JSON.stringify(name)}`,
      entries: [{ directory: name, digest: EMPTY }],
      words: [JSON.stringify(name)],
    },
    {
      name: `a link ${JSON.stringify(name)}`,
      entries: [{ link: name, target: "x" }],
      words: [JSON.stringify(name)],
    },
  ]),
  { name: "two files of one name", entries: [file("twin"), file("twin")], words: ['"twin"', "same name"] },
  {
    name: "a file and a directory of one name",
    entries: [file("twin"), { directory: "twin", digest: EMPTY }],
    words: ['"twin"', "same name"],
  },
  {
    name: "a link and a directory of one name",
    entries: [{ link: "twin", target: "/etc" }, { directory: "twin", digest: EMPTY }],
    words: ['"twin"', "same name"],
  },
  {
    name: "a link and a file of one name",
    entries: [{ link: "twin", target: "/etc/passwd" }, file("twin")],
    words: ['"twin"', "same name"],
  },
  {
    name: "a file name that is not UTF-8",
    entries: [file(new Uint8Array([0x61, 0xff, 0x62]))],
    words: ["UTF-8", "\\xff"],
  },
  {
    name: "a name with an overlong slash",
    entries: [file(new Uint8Array([0x61, 0xc0, 0xaf, 0x62]))],
    words: ["UTF-8", "\\xc0"],
  },
  {
    name: "a directory name that is a lone surrogate",
    entries: [{ directory: new Uint8Array([0xed, 0xa0, 0x80]), digest: EMPTY }],
    words: ["UTF-8", "\\xed"],
  },
  { name: "a name of 256 bytes", entries: [file("n".repeat(256))], words: ["255"] },
  { name: "a link to nowhere at all", entries: [{ link: "l", target: "" }], words: ['"l"', "target"] },
  { name: "a link with NUL in it", entries: [{ link: "l", target: "a\0b" }], words: ['"l"', "NUL"] },
  {
    name: "a file with a malformed digest",
    entries: [{ file: "f", digest: { hash: "AB".repeat(32), sizeBytes: 1 } }],
    words: ['"f"', "lower-case"],
  },
  {
    name: "a file of negative size",
    entries: [{ file: "f", digest: { hash: "ab".repeat(32), sizeBytes: -5 } }],
    words: ['"f"', "-5"],
  },
];

interface ActionCase {
  readonly name: string;
  readonly command?: Init<Command>;
  readonly action?: Init<Action>;
  readonly code?: number;
  readonly words: readonly string[];
}

const DAY_S = 86_400;

const BAD_ACTIONS: readonly ActionCase[] = [
  { name: "no arguments", command: {}, words: ["argument"] },
  { name: "an empty program", command: { arguments: ["", "x"] }, words: ["program"] },
  { name: "NUL in an argument", command: { arguments: ["/bin/echo", "a\0b"] }, words: ["NUL", "a\\u0000b"] },
  {
    name: "a program that does not exist",
    command: { arguments: ["/no/such"] },
    words: ["/no/such", "exist"],
  },
  { name: "a program in no PATH", command: { arguments: ["no-such-tool"] }, words: ["no-such-tool", "PATH"] },
  { name: "a directory as the program", command: { arguments: ["/etc"] }, words: ["/etc"] },
  {
    name: "a program that is not executable",
    command: { arguments: ["/etc/passwd"] },
    words: ["/etc/passwd"],
  },
  { name: "a program below a file", command: { arguments: ["/etc/passwd/x"] }, words: ["/etc/passwd/x"] },
  {
    name: "an argument that no kernel takes",
    command: { arguments: ["/bin/echo", "x".repeat(200_000)] },
    words: [],
  },
  {
    name: "an environment variable without a name",
    command: { arguments: ["/bin/true"], environmentVariables: [{ name: "", value: "x" }] },
    words: ["environment_variables"],
  },
  {
    name: "an environment variable with = in its name",
    command: { arguments: ["/bin/true"], environmentVariables: [{ name: "A=B", value: "x" }] },
    words: ["A=B"],
  },
  {
    name: "an environment variable given twice",
    command: {
      arguments: ["/bin/true"],
      environmentVariables: [{ name: "A", value: "1" }, { name: "A", value: "2" }],
    },
    words: ['"A"', "twice"],
  },
  ...["..", "../x", "a/../../x", "/abs", "a//b", "./a", "a/", "a\0b"].flatMap((path): ActionCase[] => [
    {
      name: `the working directory ${JSON.stringify(path)}`,
      command: sh("true", { workingDirectory: path }),
      words: ["working_directory"],
    },
    {
      name: `the output path ${JSON.stringify(path)}`,
      command: sh("true", { outputPaths: ["ok", path] }),
      words: ["output_paths"],
    },
    {
      name: `the output file ${JSON.stringify(path)}`,
      command: sh("true", { outputFiles: ["ok", path] }),
      words: ["output_files"],
    },
    {
      name: `the output directory ${JSON.stringify(path)}`,
      command: sh("true", { outputDirectories: ["ok", path] }),
      words: ["output_directories"],
    },
  ]),
  {
    name: "an output file without a name",
    command: sh("true", { outputFiles: [""] }),
    words: ["output_files"],
  },
  {
    name: "a working directory that is not there",
    command: sh("true", { workingDirectory: "not/there" }),
    words: ["not/there"],
  },
  {
    name: "an unknown output property",
    command: sh("true", { outputNodeProperties: ["colour"] }),
    words: ["colour", "unix_mode"],
  },
  {
    name: "a timeout above the maximum",
    action: { timeout: { seconds: DAY_S + 1 } },
    words: ["86401", "86400"],
  },
  { name: "a negative timeout", action: { timeout: { seconds: -1 } }, words: ["-1"] },
  { name: "a timeout with negative nanos", action: { timeout: { nanos: -1 } }, words: ["timeout"] },
  { name: "a timeout beyond all numbers", action: { timeout: { seconds: 2 ** 52 } }, words: ["timeout"] },
  { name: "no command digest", action: { commandDigest: undefined }, words: ["command_digest", "missing"] },
  {
    name: "no input root digest",
    action: { inputRootDigest: undefined },
    words: ["input_root_digest", "missing"],
  },
  {
    name: "a malformed command digest",
    action: { commandDigest: { hash: "zz", sizeBytes: 3 } },
    words: ["command_digest"],
  },
  {
    name: "an input root of negative size",
    action: { inputRootDigest: { ...EMPTY, sizeBytes: -3 } },
    words: ["input_root_digest", "-3"],
  },
  {
    name: "a platform property without a name",
    command: sh("true", { platform: { properties: [{ name: "", value: "x" }] } }),
    words: ["platform"],
  },
];

/** Puts a tree below two directories, so that what is wrong is deep. */
async function deep(grid: TestGrid, bytes: Uint8Array): Promise<WireDigest> {
  const inner = rawDirectory({ directory: "inner", digest: digest(bytes) });
  const root = rawDirectory({ directory: "outer", digest: digest(inner) });
  return (await grid.putAll([bytes, inner, root]))[2];
}

Deno.test("A grid refuses actions that cannot be, names what is wrong, and goes on", async (t) => {
  await using grid = await TestGrid.start();
  await grid.put(utf8("file"));
  const execute = async (
    command: Init<Command>,
    action: Init<Action> = {},
    request: Init<ExecuteRequest> = {},
  ) => {
    const followed = grid.execute(await grid.action(command, action), request);
    return await followed.error();
  };

  for (const { name, command = sh("true"), action, code = Code.INVALID_ARGUMENT, words } of BAD_ACTIONS) {
    await t.step(`an action with ${name} is refused`, async () => {
      assertFailure(await execute(command, action), code, ...words);
    });
  }

  for (const { name, entries, words } of BAD_TREES) {
    await t.step(`a tree with ${name} is refused by name`, async () => {
      const bytes = rawDirectory(...entries);
      const inputRootDigest = await grid.put(bytes);
      assertFailure(await execute(sh("ls -R"), { inputRootDigest }), Code.INVALID_ARGUMENT, ...words);
      assertFailure(
        await execute(sh("ls -R"), { inputRootDigest: await deep(grid, bytes) }),
        Code.INVALID_ARGUMENT,
        ...words,
        "outer/inner",
      );
    });
  }

  await t.step("messages that are no messages are refused by what they were to be", async () => {
    const garbage = await grid.put(new Uint8Array([0x0a, 200, 1, 2, 3]));
    assertFailure(await grid.execute(garbage).error(), Code.INVALID_ARGUMENT, "Action");
    assertFailure(await execute(sh("true"), { commandDigest: garbage }), Code.INVALID_ARGUMENT, "Command");
    assertFailure(
      await execute(sh("true"), { inputRootDigest: garbage }),
      Code.INVALID_ARGUMENT,
      "Directory",
    );
    // A text, where its bytes make no message; and the Action itself where its Command should be.
    const text = await grid.put(utf8("#!/bin/sh\necho this is no directory\n"));
    assertFailure(await execute(sh("true"), { inputRootDigest: text }), Code.INVALID_ARGUMENT, "Directory");
    const inner = rawDirectory({ directory: "really-a-file", digest: text });
    assertFailure(
      await execute(sh("true"), { inputRootDigest: await grid.put(inner) }),
      Code.INVALID_ARGUMENT,
      "really-a-file",
    );
  });

  await t.step("an Action and a Command that are too large are refused with their limits", async () => {
    const salt = new Uint8Array(300_000);
    assertFailure(
      await failure(async () => grid.execute(await grid.action(sh("true"), { salt })).response()),
      Code.INVALID_ARGUMENT,
      "262144",
    );
    assertFailure(await execute(sh(`: ${"x".repeat(3_200_000)}`)), Code.INVALID_ARGUMENT, "3145728");
  });

  await t.step("a missing Action is FAILED_PRECONDITION and named", async () => {
    const absent = absentDigest(70);
    const error = await grid.execute(absent).error();
    assertFailure(error, Code.FAILED_PRECONDITION, "Action");
    assertEquals(missingOf(error), subjects(absent));
  });

  await t.step("a missing Command is FAILED_PRECONDITION and named", async () => {
    const absent = absentDigest(70);
    const error = await execute(sh("true"), { commandDigest: absent });
    assertFailure(error, Code.FAILED_PRECONDITION, "Command");
    assertEquals(missingOf(error), subjects(absent));
  });

  await t.step("a missing input root is FAILED_PRECONDITION and named", async () => {
    const inputRootDigest = absentDigest(70);
    const error = await execute(sh("true"), { inputRootDigest });
    assertFailure(error, Code.FAILED_PRECONDITION);
    assertEquals(missingOf(error), subjects(inputRootDigest));
  });

  await t.step("every missing input of a deep tree is named, and none twice", async () => {
    const absent = Array.from({ length: 300 }, (_, i) => absentDigest(i + 1));
    const [gone, twice, directory] = [absentDigest(5), absentDigest(6), absentDigest(7)];
    const leaf = rawDirectory(...absent.map((each, i): RawEntry => ({ file: `f${i}`, digest: each })));
    const middle = rawDirectory(
      { file: "gone", digest: gone },
      { file: "there", digest: FILE },
      { file: "twice", digest: twice },
      { directory: "leaf", digest: digest(leaf) },
      { directory: "lost", digest: directory },
    );
    const root = rawDirectory({ file: "twice", digest: twice }, { directory: "m", digest: digest(middle) });
    const [, , inputRootDigest] = await grid.putAll([leaf, middle, root]);
    const error = await execute(sh("true"), { inputRootDigest });
    assertFailure(error, Code.FAILED_PRECONDITION, "303");
    assertEquals(missingOf(error), subjects(...absent, gone, twice, directory));
  });

  await t.step("a client that uploads what was named succeeds with the same action", async () => {
    const content = utf8(`late ${crypto.randomUUID()}`);
    const inputRootDigest = await grid.put(rawDirectory({ file: "late", digest: digest(content) }));
    const action = await grid.action(sh("cat late"), { inputRootDigest });
    assertEquals(missingOf(await grid.execute(action).error()), subjects(digest(content)));
    await grid.put(content);
    const { result } = await grid.execute(action).response();
    assertEquals(await grid.read(result?.stdoutDigest), content);
  });

  await t.step("a tree of 5,000 levels is refused in time", async () => {
    const levels: Uint8Array[] = [rawDirectory(file("bottom"))];
    while (levels.length < 5000) {
      levels.push(rawDirectory({ directory: "d", digest: digest(levels[levels.length - 1]) }));
    }
    const digests = await grid.putAll(levels);
    const error = await execute(sh("true"), { inputRootDigest: digests[4999] });
    assertFailure(error, Code.INVALID_ARGUMENT, "directories below one another");
    // As deep as allowed it runs.
    const { result } = await grid.run(sh("find . -name bottom | wc -c"), { inputRootDigest: digests[200] });
    assertEquals(result?.exitCode, 0);
    assertEquals(await grid.text(result?.stdoutDigest), `${2 + 200 * 2 + 6 + 1}\n`);
  });

  await t.step("a small tree that means more than a million files is refused, not laid out", async () => {
    let bytes = rawDirectory(file("f"));
    const all = [bytes];
    for (let level = 0; level < 20; level++) {
      const child = digest(bytes);
      bytes = rawDirectory(
        ...Array.from({ length: 10 }, (_, i): RawEntry => ({ directory: `d${i}`, digest: child })),
      );
      all.push(bytes);
    }
    const inputRootDigest = (await grid.putAll(all)).at(-1);
    assertFailure(await execute(sh("true"), { inputRootDigest }), Code.INVALID_ARGUMENT, "1000000");
  });

  await t.step("outputs named twice, and inside of one another, are told once each", async () => {
    const { result, status } = await grid.run(sh("mkdir -p d/e && echo 1 > d/e/f", {
      outputPaths: ["d", "d", "d/e", "d/e/f", "d/e/f"],
    }));
    assertEquals([status?.code ?? 0, result?.exitCode], [0, 0]);
    assertEquals(result?.outputDirectories.map(({ path }) => path), ["d", "d/e"]);
    assertEquals(result?.outputFiles.map(({ path }) => path), ["d/e/f"]);
  });

  await t.step("an action that no worker can take stays QUEUED until its client leaves", async () => {
    const command = sh("true", { platform: { properties: [{ name: "OSFamily", value: "plan9" }] } });
    const followed = grid.execute(await grid.action(command));
    await followed.until("QUEUED");
    await grid.assertGood();
    assertEquals(followed.stages.includes("EXECUTING"), false);
    assertEquals(followed.stages.at(-1), "QUEUED");
    await followed.break();
    assert(followed.name !== "");
  });

  await t.step("words of another age in messages do no harm", async () => {
    // Unknown fields in Action and Command: 15 and 2000, as a later version of the API may have.
    const unknown = [15 << 3 | 2, 3, 1, 2, 3, 0x82, 0x7d, 1, 0xff];
    const command = new Uint8Array([...CommandCodec.encode(sh("echo later")), ...unknown]);
    const action = new Uint8Array([
      ...ActionCodec.encode({ commandDigest: digest(command), inputRootDigest: EMPTY }),
      ...unknown,
    ]);
    const { result } = await grid.execute((await grid.putAll([command, action]))[1]).response();
    assertEquals(await grid.text(result?.stdoutDigest), "later\n");
  });

  await t.step("and it still works, and neither process said INTERNAL", async () => {
    await grid.assertGood();
    assertEquals(grid.lines.filter((line) => /INTERNAL|rror: uncaught/i.test(line)), []);
  });
});
