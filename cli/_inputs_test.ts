import { SHA256, TreeBuilder } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { buildAction } from "./_action.ts";
import { buildInputs, defaultDestination } from "./_inputs.ts";
import { BlobSet } from "./_local_tree.ts";

async function inTempDir(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "brokkr-inputs-" });
  try {
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function shell(script: string, cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("/bin/sh", { args: ["-c", script], cwd, clearEnv: true })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function refusal(directory: string): Promise<string> {
  const error = await assertRejects(() => buildInputs([{ from: directory, to: "" }], SHA256), BrokkrError);
  assertEquals(error.code, Code.INVALID_ARGUMENT);
  return error.message.replaceAll(directory, "DIR");
}

for (
  const [from, to] of [
    ["main.c", "main.c"],
    ["./src//lib/", "src/lib"],
    [".", ""],
    ["a/../b", "b"],
    ["/usr/include/stdio.h", "stdio.h"],
    ["../shared/x", "x"],
    ["../../..//y/", "y"],
  ] as const
) {
  Deno.test(`defaultDestination puts ${from} at ${JSON.stringify(to)}`, () => {
    assertEquals(defaultDestination(from), to);
  });
}

Deno.test("defaultDestination asks for a destination where the path has no name", () => {
  for (const from of ["/", "..", "../.."]) {
    assertStringIncludes(
      assertThrows(() => defaultDestination(from), BrokkrError).message,
      "has no name of its own",
    );
  }
});

Deno.test("buildInputs refuses a name that is not UTF-8 by name, and takes U+FFFD itself", async () => {
  await inTempDir(async (directory) => {
    await shell("mkdir sub && touch \"$(printf 'sub/a\\357\\277\\275')\"", directory);
    await buildInputs([{ from: directory, to: "" }], SHA256);
    await shell("touch \"$(printf 'sub/b\\377.c')\"", directory);
    assertEquals(
      await refusal(directory),
      "Input DIR/sub/b\\xff.c has a name that is not UTF-8; rename it or leave it out",
    );
  });
});

Deno.test("buildInputs refuses a link whose target is not UTF-8, by name", async () => {
  await inTempDir(async (directory) => {
    await shell("ln -s \"$(printf 'x\\200')\" link", directory);
    assertStringIncludes(
      await refusal(directory),
      "Input DIR/link is a symbolic link to x\\x80, which is not UTF-8",
    );
  });
});

Deno.test("buildInputs refuses pipes and devices instead of waiting for them", async () => {
  await inTempDir(async (directory) => {
    await shell("mkfifo pipe", directory);
    assertStringIncludes(await refusal(directory), "Input DIR/pipe is a device, a socket or a pipe");
  });
  const error = await assertRejects(() => buildInputs(["/dev/null"], SHA256), BrokkrError);
  assertStringIncludes(error.message, "Input /dev/null is a device");
});

Deno.test("buildInputs names what does not exist, what is taken twice and what leaves the root", async () => {
  const missing = await assertRejects(() => buildInputs(["no/such/file"], SHA256), BrokkrError);
  assertEquals([missing.code, missing.message], [Code.NOT_FOUND, "Input no/such/file does not exist"]);
  for (
    const [path, problem] of [
      ["../x", "a name may not be"],
      ["/x", "is absolute"],
      ["a\0b", "may not hold a NUL"],
      ["a//b", "may not be empty"],
      ["", "is empty"],
    ] as const
  ) {
    const error = await assertRejects(() => buildInputs([{ path, content: "" }], SHA256), BrokkrError);
    assertStringIncludes(error.message, problem);
  }
  const twice = [{ path: "a", content: "1" }, { path: "a", content: "2" }];
  assertStringIncludes(
    (await assertRejects(() => buildInputs(twice, SHA256), BrokkrError)).message,
    "is taken",
  );
});

Deno.test("buildInputs follows a link it is given and keeps links below it", async () => {
  await inTempDir(async (directory) => {
    await shell("mkdir v1 && echo x > v1/f && ln -s f v1/g && ln -s v1 current", directory);
    const followed = await buildInputs([{ from: `${directory}/current`, to: "" }], SHA256);
    const direct = await buildInputs([{ path: "f", content: "x\n" }, { path: "g", target: "f" }], SHA256);
    assertEquals(followed.rootDigest, direct.rootDigest);
  });
});

Deno.test("buildInputs stops when its signal aborts", async () => {
  await inTempDir(async (directory) => {
    await Deno.writeTextFile(`${directory}/f`, "x");
    await assertRejects(
      () => buildInputs([directory], SHA256, AbortSignal.abort(new Error("enough"))),
      Error,
      "enough",
    );
  });
});

Deno.test("buildAction refuses what no action can have", () => {
  const root = new TreeBuilder().build(SHA256).rootDigest;
  for (
    const [spec, message] of [
      [{ argv: [] }, "A command is missing"],
      [{ argv: ["x\0"] }, "holds a NUL"],
      [{ argv: ["x"], env: { "A=B": "" } }, "cannot name an environment variable"],
      [{ argv: ["x"], outputs: ["../x"] }, "must be a path below the working directory"],
      [{ argv: ["x"], outputs: ["/x"] }, "must be a path below the working directory"],
      [{ argv: ["x"], timeoutMs: 0 }, "A timeout must be a positive whole number of ms, not 0"],
      [{ argv: ["x"], workingDirectory: ".." }, "must be a path below"],
      [{ argv: ["\ud800"] }, "is not valid Unicode"],
    ] as const
  ) {
    const error = assertThrows(() => buildAction(spec, root, SHA256, new BlobSet()), BrokkrError);
    assertStringIncludes(error.message, message);
  }
});

Deno.test("buildAction gives the same digest for the same outputs written otherwise", () => {
  const root = new TreeBuilder().build(SHA256).rootDigest;
  const of = (outputs: string[]) =>
    buildAction({ argv: ["x"], outputs }, root, SHA256, new BlobSet()).actionDigest;
  assertEquals(of(["b", "./a/", "b"]), of(["a", "b"]));
  assertEquals(of(["."]), of([""]));
});
