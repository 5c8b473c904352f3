import { encodeTree, MemoryBlobStore, SHA256 } from "@brokkr/cas";
import { CasClient, type Digest, digestOf, encodeDirectory, TreeBuilder } from "@brokkr/cas/client";
import { byteStreamRoutes, casRoutes } from "@brokkr/cas/services";
import { BrokkrError, Code, scopeOf, seededRandom } from "@brokkr/common";
import { type ActionResult, ActionResultCodec, DirectoryCodec } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { downloadInto, type Output, outputsOf } from "./_outputs.ts";

const encoder = new TextEncoder();

/** A store that can be reached, and a directory to fetch into. */
class Bench implements AsyncDisposable {
  readonly #store = new MemoryBlobStore(1 << 28);
  readonly #cleanups: (() => Promise<unknown>)[] = [];
  #cas: CasClient | undefined;
  directory = "";

  static async start(): Promise<Bench> {
    const bench = new Bench();
    const server = createRpcServer({
      routes: [...casRoutes({ store: bench.#store }), ...byteStreamRoutes({ store: bench.#store }).routes],
      listen: ["127.0.0.1:0"],
      authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
    });
    const [{ address }] = await server.listen();
    const channel = connect(`grpc://${address}`);
    bench.#cas = new CasClient({ channel, instance: "", fn: SHA256, random: seededRandom(1) });
    bench.directory = await Deno.makeTempDir({ prefix: "brokkr-outputs-" });
    bench.#cleanups.push(
      () => channel.close(),
      () => server.shutdown(),
      () => bench.#store[Symbol.asyncDispose](),
      () => Deno.remove(bench.directory, { recursive: true }),
    );
    return bench;
  }

  async put(content: string | Uint8Array): Promise<Digest> {
    const data = typeof content === "string" ? encoder.encode(content) : content;
    const digest = digestOf(SHA256, data);
    await this.#store.put(scopeOf(""), digest, data);
    return digest;
  }

  async file(path: string, content: string | Uint8Array, executable = false): Promise<Output> {
    return { kind: "file", path, digest: await this.put(content), executable };
  }

  async tree(path: string, build: (tree: TreeBuilder) => Promise<void>): Promise<Output> {
    const tree = new TreeBuilder();
    await build(tree);
    return { kind: "directory", path, digest: await this.put(tree.buildTree(SHA256).data), form: "tree" };
  }

  async fetch(outputs: readonly Output[], signal?: AbortSignal) {
    if (this.#cas === undefined) throw new Error("Not started");
    const result = await downloadInto(this.directory, outputs, this.#cas, seededRandom(2), { signal });
    assertEquals(await this.leftovers(), []);
    return result;
  }

  async refused(outputs: readonly Output[]): Promise<BrokkrError> {
    const before = await listing(this.directory);
    const error = await assertRejects(() => this.fetch(outputs), BrokkrError);
    assertEquals(await listing(this.directory), before);
    return error;
  }

  async leftovers(): Promise<string[]> {
    return (await listing(this.directory)).filter((line) => line.includes(".tmp"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cleanup of this.#cleanups) await cleanup();
  }
}

/** Every path below a directory with what it is. */
async function listing(directory: string, at = ""): Promise<string[]> {
  const lines: string[] = [];
  for await (const { name } of Deno.readDir(`${directory}/${at}`)) {
    const path = at === "" ? name : `${at}/${name}`;
    const info = await Deno.lstat(`${directory}/${path}`);
    if (info.isSymlink) lines.push(`${path} -> ${await Deno.readLink(`${directory}/${path}`)}`);
    else if (info.isDirectory) lines.push(`${path}/`, ...await listing(directory, path));
    else {
      const mark = ((info.mode ?? 0) & 0o100) === 0 ? "" : "*";
      lines.push(
        `${path}${mark} ${info.size > 100 ? info.size : await Deno.readTextFile(`${directory}/${path}`)}`,
      );
    }
  }
  return lines.sort();
}

Deno.test("downloadInto writes files, directories, links and executable bits", async () => {
  await using bench = await Bench.start();
  const big = new Uint8Array(5_000_000).map((_, index) => index * 7);
  const result = await bench.fetch([
    await bench.file("a/b/c.txt", "c"),
    await bench.file("tool", "c", true),
    await bench.file("empty", ""),
    await bench.file("big", big),
    { kind: "symlink", path: "links/abs", target: "/etc/hosts" },
    { kind: "symlink", path: "links/gone", target: "../nowhere" },
    await bench.tree("dir", async (tree) => {
      tree.addFile("x", await bench.put("x"), true);
      tree.addFile("sub/y", await bench.put("c"));
      tree.addDirectory("hollow");
      tree.addSymlink("sub/up", "../x");
    }),
  ]);
  assertEquals(await listing(bench.directory), [
    "a/",
    "a/b/",
    "a/b/c.txt c",
    "big 5000000",
    "dir/",
    "dir/hollow/",
    "dir/sub/",
    "dir/sub/up -> ../x",
    "dir/sub/y c",
    "dir/x* x",
    "empty ",
    "links/",
    "links/abs -> /etc/hosts",
    "links/gone -> ../nowhere",
    "tool* c",
  ]);
  assertEquals(await Deno.readFile(`${bench.directory}/big`), big);
  assertEquals(result, { files: 6, bytes: 5_000_004, sharedBytes: 0 });
});

Deno.test("downloadInto replaces files and links and leaves what it does not know", async () => {
  await using bench = await Bench.start();
  await Deno.mkdir(`${bench.directory}/out`);
  await Deno.writeTextFile(`${bench.directory}/out/mine`, "mine");
  await Deno.writeTextFile(`${bench.directory}/out/theirs`, "old");
  await Deno.symlink("/etc/passwd", `${bench.directory}/out/link`);
  await bench.fetch([
    await bench.tree("out", async (tree) => {
      tree.addFile("theirs", await bench.put("new"));
      tree.addFile("link", await bench.put("no longer a link"));
    }),
  ]);
  assertEquals(await listing(bench.directory), [
    "out/",
    "out/link no longer a link",
    "out/mine mine",
    "out/theirs new",
  ]);
});

Deno.test("downloadInto takes the working directory itself as an output", async () => {
  await using bench = await Bench.start();
  await bench.fetch([await bench.tree("", async (tree) => tree.addFile("sub/f", await bench.put("f")))]);
  assertEquals(await listing(bench.directory), ["sub/", "sub/f f"]);
});

Deno.test("downloadInto never writes through a link, whether it was there or comes along", async () => {
  await using bench = await Bench.start();
  const outside = await Deno.makeTempDir();
  try {
    await Deno.symlink(outside, `${bench.directory}/way`);
    const through = await bench.refused([await bench.file("way/f", "f")]);
    assertEquals(through.code, Code.FAILED_PRECONDITION);
    assertStringIncludes(through.message, "/way is in the way");
    const along = [
      await bench.file("new/f", "f"),
      { kind: "symlink", path: "new", target: outside } as const,
    ];
    await assertRejects(() => bench.fetch(along));
    await assertRejects(() => bench.fetch(along.toReversed()));
    assertEquals(await listing(outside), []);
  } finally {
    await Deno.remove(outside, { recursive: true });
  }
});

Deno.test("downloadInto refuses names that leave the destination", async () => {
  await using bench = await Bench.start();
  for (const path of ["../f", "/etc/f", "a/../../f", "a//b", "a/./b", "a\0b"]) {
    assertEquals((await bench.refused([await bench.file(path, "f")])).code, Code.INVALID_ARGUMENT);
    assertEquals((await bench.refused([{ kind: "symlink", path, target: "x" }])).code, Code.INVALID_ARGUMENT);
  }
  const file = { digest: await bench.put("f") };
  for (const name of ["..", "../f", "/f", ""]) {
    const tree = encodeTree([DirectoryCodec.encode({ files: [{ ...file, name }] })]);
    const output = { kind: "directory", path: "d", digest: await bench.put(tree), form: "tree" } as const;
    assertEquals((await bench.refused([output])).code, Code.INVALID_ARGUMENT);
  }
});

Deno.test("downloadInto names every blob that is missing and leaves nothing behind", async () => {
  await using bench = await Bench.start();
  const gone = digestOf(SHA256, encoder.encode("gone"));
  const error = await bench.refused([
    await bench.file("there", "there"),
    { kind: "file", path: "gone", digest: gone, executable: false },
  ]);
  assertEquals(error.code, Code.FAILED_PRECONDITION);
  assertStringIncludes(JSON.stringify(error.details), `blobs/${gone.hash}/4`);
});

Deno.test("downloadInto leaves nothing behind when it is stopped", async () => {
  await using bench = await Bench.start();
  const output = await bench.file("f", "f");
  await assertRejects(() =>
    bench.fetch([output], AbortSignal.abort(new BrokkrError(Code.CANCELLED, "Enough")))
  );
  assertEquals(await listing(bench.directory), []);
});

Deno.test("downloadInto says when a file and a directory stand in each other's way", async () => {
  await using bench = await Bench.start();
  await Deno.mkdir(`${bench.directory}/d`);
  await Deno.writeTextFile(`${bench.directory}/f`, "mine");
  assertStringIncludes(
    (await bench.refused([await bench.file("d", "x")])).message,
    "/d is in the way: it is a directory",
  );
  assertStringIncludes((await bench.refused([await bench.file("f/x", "x")])).message, "/f is in the way");
});

Deno.test("outputsOf reads old and new fields of a result, each path once", () => {
  const digest = { hash: digestOf(SHA256, encoder.encode("x")).hash, sizeBytes: 1 };
  const root = {
    hash: digestOf(SHA256, encodeDirectory({ files: [], directories: [], symlinks: [] })).hash,
    sizeBytes: 0,
  };
  const result: ActionResult = ActionResultCodec.decode(ActionResultCodec.encode({
    outputFiles: [{ path: "f", digest, isExecutable: true }],
    outputDirectories: [{ path: "t", treeDigest: digest, rootDirectoryDigest: root }, {
      path: "d",
      rootDirectoryDigest: root,
    }],
    outputFileSymlinks: [{ path: "l", target: "f" }],
    outputSymlinks: [{ path: "l", target: "f" }, { path: "m", target: "t" }],
  }));
  assertEquals(outputsOf(result, 1).map((output) => `${output.kind} ${output.path}`), [
    "file f",
    "directory t",
    "directory d",
    "symlink l",
    "symlink m",
  ]);
  const [, tree, directory] = outputsOf(result, 1);
  assertEquals([tree.kind === "directory" && tree.form, directory.kind === "directory" && directory.form], [
    "tree",
    "directory",
  ]);
});
