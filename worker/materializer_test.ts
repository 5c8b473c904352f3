import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { type Digest, digestKey, digestOf, SHA256, TreeBuilder } from "@brokkr/cas/client";
import fc from "fast-check";
import { CopyMaterializer } from "./copy_materializer.ts";
import { BlobCache, MEMORY_BLOB_BYTES } from "./blob_cache.ts";
import { type BlobSource, InputFetcher } from "./input_fetcher.ts";
import { InputResolver } from "./input_tree.ts";
import { LayerMaterializer } from "./layer_materializer.ts";
import { LayerStore } from "./layers.ts";
import type { MaterializedRoot, Materializer, MaterializeRequest } from "./materializer.ts";

/** Every implementation; the same cases run against each. */
const IMPLEMENTATIONS: readonly {
  readonly name: string;
  readonly open: (path: string) => Promise<Materializer>;
}[] = [
  { name: "CopyMaterializer", open: (path) => CopyMaterializer.open({ path }) },
  {
    name: "LayerMaterializer",
    open: async (path) =>
      await LayerMaterializer.open({ path, layers: await LayerStore.open({ path: `${path}-layers` }) }),
  },
];

const encoder = new TextEncoder();

/** Blobs in memory with a cache before them. */
class Inputs implements BlobSource {
  readonly #blobs = new Map<string, Uint8Array>();
  readonly #resolver: InputResolver;

  constructor(cache: BlobCache) {
    this.#resolver = new InputResolver(new InputFetcher(cache));
  }

  put(content: Uint8Array): Digest {
    const digest = digestOf(SHA256, content);
    this.#blobs.set(digestKey(digest), content);
    return digest;
  }

  /** What is to be laid out. */
  request(builder: TreeBuilder, extraDirectories: readonly string[] = []): MaterializeRequest {
    const { rootDigest, directories } = builder.build(SHA256);
    for (const { data } of directories) this.put(data);
    return {
      root: rootDigest,
      resolve: () => this.#resolver.resolve(rootDigest, this),
      extraDirectories: () => Promise.resolve(extraDirectories),
    };
  }

  getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve(digests.map((digest) => this.#blobs.get(digestKey(digest))));
  }

  async *read(digest: Digest): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    const content = this.#blobs.get(digestKey(digest));
    if (content !== undefined) yield content;
  }
}

/** Everything below a directory: what it is, mode, time, content. */
function snapshot(path: string, at = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name } of Deno.readDirSync(path)) {
    const child = `${path}/${name}`;
    const stat = Deno.lstatSync(child);
    const shown = at === "" ? name : `${at}/${name}`;
    const mode = ((stat.mode ?? 0) & 0o7777).toString(8);
    const year = stat.mtime?.toISOString().slice(0, 10);
    if (stat.isSymlink) found[shown] = `-> ${Deno.readLinkSync(child)} ${year}`;
    else if (stat.isDirectory) Object.assign(found, { [shown]: `${mode} ${year}` }, snapshot(child, shown));
    else found[shown] = `${mode} ${year} ${digestOf(SHA256, Deno.readFileSync(child)).hash.slice(0, 8)}`;
  }
  return found;
}

/** What an action sees: the uppermost layer wins, and directories are merged. */
function view({ inputs }: MaterializedRoot): Record<string, string> {
  const layers = "rootPath" in inputs ? [inputs.rootPath] : inputs.lowers;
  return Object.assign({}, ...layers.toReversed().map((path) => snapshot(path)));
}

/** The directory of an input root that consists of one. */
function onlyPath({ inputs }: MaterializedRoot): string {
  const paths = "rootPath" in inputs ? [inputs.rootPath] : inputs.lowers;
  assertEquals(paths.length, 1);
  return paths[0];
}

async function withMaterializer(
  open: (path: string) => Promise<Materializer>,
  run: (materializer: Materializer, inputs: Inputs, path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-layout-" });
  try {
    const cache = await BlobCache.open({ path: `${path}/cache`, limitBytes: 1e9, memoryLimitBytes: 1e7 });
    await run(await open(`${path}/work`), new Inputs(cache), path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const short = (content: Uint8Array) => digestOf(SHA256, content).hash.slice(0, 8);

for (const { name, open } of IMPLEMENTATIONS) {
  Deno.test(`${name} lays out files, directories and links with fixed modes and times`, () =>
    withMaterializer(open, async (materializer, inputs) => {
      const [small, middle, large] = [10, MEMORY_BLOB_BYTES + 1, 1_000_000].map((n) =>
        new Uint8Array(n).fill(n)
      );
      const tree = new TreeBuilder();
      tree.addFile("small", inputs.put(small));
      tree.addFile("run/middle", inputs.put(middle), true);
      tree.addFile("run/large", inputs.put(large), true);
      tree.addFile("empty", inputs.put(new Uint8Array()));
      tree.addDirectory("a/b/c");
      tree.addSymlink("a/link", "/nowhere");
      tree.addFile("ünïcödé \n name", inputs.put(small));
      await using root = await materializer.materialize(inputs.request(tree, ["out", "out/deep", "a/x"]));
      const time = "2000-01-01";
      assertEquals(view(root), {
        "small": `444 ${time} ${short(small)}`,
        "run": `755 ${time}`,
        "run/middle": `555 ${time} ${short(middle)}`,
        "run/large": `555 ${time} ${short(large)}`,
        "empty": `444 ${time} ${short(new Uint8Array())}`,
        "a": `755 ${time}`,
        "a/b": `755 ${time}`,
        "a/b/c": `755 ${time}`,
        "a/link": `-> /nowhere ${time}`,
        "a/x": `755 ${time}`,
        "out": `755 ${time}`,
        "out/deep": `755 ${time}`,
        "ünïcödé \n name": `444 ${time} ${short(small)}`,
      });
    }));

  Deno.test(`${name} gives every action a clean scratch directory, whatever the one before did to it`, () =>
    withMaterializer(open, async (materializer, inputs, path) => {
      const resolved = inputs.request(new TreeBuilder());
      const outside = `${path}/outside`;
      await Deno.writeTextFile(outside, "stays");
      const pranks: ((scratch: string) => Promise<unknown>)[] = [
        (scratch) => Deno.writeTextFile(`${scratch}/stdout`, "mine"),
        async (scratch) => {
          // Empty, as the worker made it; but what else it tells is the action's.
          await Deno.writeTextFile(`${scratch}/stdout`, "", { mode: 0o600 });
          await Deno.utime(`${scratch}/stdout`, 12_345, 12_345);
        },
        (scratch) => Deno.symlink(outside, `${scratch}/stderr`),
        (scratch) => Deno.link(outside, `${scratch}/stdout`),
        (scratch) => Deno.mkdir(`${scratch}/stdout`),
        (scratch) => Deno.writeTextFile(`${scratch}/more`, "x"),
        (scratch) => Deno.remove(scratch, { recursive: true }),
      ];
      for (const prank of pranks) {
        await using root = await materializer.materialize(resolved);
        const names = Object.keys(snapshot(root.scratchPath));
        assertEquals(names, "rootPath" in root.inputs ? ["root"] : []);
        await prank(root.scratchPath);
      }
      assertEquals(await Deno.readTextFile(outside), "stays");
    }));

  Deno.test(`${name} leaves nothing behind when it fails or is stopped`, () =>
    withMaterializer(open, async (materializer, inputs, path) => {
      const tree = new TreeBuilder();
      tree.addFile("d/f", inputs.put(encoder.encode("x")));
      const resolved = inputs.request(tree);
      const missing = () => Promise.reject(new BrokkrError(Code.FAILED_PRECONDITION, "Gone"));
      const inTheWay = () => Promise.reject(new BrokkrError(Code.INVALID_ARGUMENT, "In the way"));
      await assertRejects(
        () => materializer.materialize({ ...resolved, resolve: missing }),
        BrokkrError,
        "Gone",
      );
      await assertRejects(
        () => materializer.materialize({ ...resolved, extraDirectories: inTheWay }),
        BrokkrError,
        "In the way",
      );
      const large = new TreeBuilder();
      for (let i = 0; i < 400; i++) large.addFile(`d/${i}`, inputs.put(encoder.encode(`${i}`)));
      const many = inputs.request(large);
      const controller = new AbortController();
      controller.abort(new BrokkrError(Code.CANCELLED, "Enough"));
      const request = { ...many, signal: controller.signal };
      await assertRejects(() => materializer.materialize(request), BrokkrError, "Enough");
      const left = Object.keys(snapshot(`${path}/work`)).filter((name) => name !== "0");
      assertEquals(left, [], "At most a clean directory for the next action");
    }));

  Deno.test(`${name} lays out any tree as it was described`, () =>
    withMaterializer(open, async (materializer, inputs) => {
      const leaf = fc.oneof(
        fc.record({ kind: fc.constant("file" as const), size: fc.nat(2000), executable: fc.boolean() }),
        fc.record({ kind: fc.constant("link" as const), target: fc.constantFrom("x", "../y", "/z") }),
        fc.record({ kind: fc.constant("directory" as const) }),
      );
      const segment = fc.constantFrom("a", "b", "c", "é", "\u{1f600}", " ", "-rf", "\\");
      const paths = fc.array(fc.tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), leaf), {
        maxLength: 12,
      });
      await fc.assert(
        fc.asyncProperty(paths, async (entries) => {
          const tree = new TreeBuilder();
          const expected = new Map<string, string>();
          for (const [segments, entry] of entries) {
            const path = segments.join("/");
            try {
              if (entry.kind === "directory") tree.addDirectory(path);
              else if (entry.kind === "link") tree.addSymlink(path, entry.target);
              else tree.addFile(path, inputs.put(new Uint8Array(entry.size)), entry.executable);
            } catch {
              continue; // the path is taken
            }
            for (let i = 1; i < segments.length; i++) {
              expected.set(segments.slice(0, i).join("/"), "755 2000-01-01");
            }
            expected.set(
              path,
              entry.kind === "directory"
                ? "755 2000-01-01"
                : entry.kind === "link"
                ? `-> ${entry.target} 2000-01-01`
                : `${entry.executable ? 555 : 444} 2000-01-01 ${short(new Uint8Array(entry.size))}`,
            );
          }
          await using root = await materializer.materialize(inputs.request(tree));
          assertEquals(view(root), Object.fromEntries(expected));
        }),
        { numRuns: 50 },
      );
    }));

  Deno.test(`${name} lays out a thousand files without holding up the event loop`, () =>
    withMaterializer(open, async (materializer, inputs) => {
      const tree = new TreeBuilder();
      for (let i = 0; i < 1000; i++) tree.addFile(`d${i % 50}/${i}`, inputs.put(encoder.encode(`file ${i}`)));
      const resolved = inputs.request(tree);
      let turns = 0;
      const ticking = setInterval(() => turns++, 1);
      try {
        await using root = await materializer.materialize(resolved);
        assertEquals([...Deno.readDirSync(`${onlyPath(root)}/d0`)].length, 20);
        assert(turns >= 2, `Timers ran ${turns} times meanwhile`);
      } finally {
        clearInterval(ticking);
      }
    }));
}

Deno.test("CopyMaterializer shares no file with its cache or with another root", () =>
  withMaterializer(IMPLEMENTATIONS[0].open, async (materializer, inputs, path) => {
    const contents = [10, MEMORY_BLOB_BYTES + 1, 1_000_000].map((n) => new Uint8Array(n).fill(1));
    const tree = new TreeBuilder();
    contents.forEach((content, i) => tree.addFile(`f${i}`, inputs.put(content)));
    const request = inputs.request(tree);
    await using one = await materializer.materialize(request);
    await using two = await materializer.materialize(request);
    for (let i = 0; i < contents.length; i++) {
      await Deno.chmod(`${onlyPath(one)}/f${i}`, 0o666);
      await Deno.writeTextFile(`${onlyPath(one)}/f${i}`, "changed by an action");
      assertEquals(await Deno.readFile(`${onlyPath(two)}/f${i}`), contents[i]);
    }
    const cached = Object.values(snapshot(`${path}/cache/sha256`)).filter((line) => line.includes("555 "));
    assertEquals(cached, [], "Cached files keep their mode");
  }));

Deno.test("CopyMaterializer removes all that an action left", () =>
  withMaterializer(IMPLEMENTATIONS[0].open, async (materializer, inputs, path) => {
    const resolved = inputs.request(new TreeBuilder());
    const outside = `${path}/outside`;
    await Deno.writeTextFile(outside, "stays");
    {
      await using root = await materializer.materialize(resolved);
      await Deno.mkdir(`${onlyPath(root)}/locked/inner`, { recursive: true });
      await Deno.symlink(outside, `${onlyPath(root)}/locked/link`);
      await Deno.chmod(`${onlyPath(root)}/locked`, 0o000);
    }
    assertEquals(snapshot(`${path}/work/0`), {});
    assertEquals(await Deno.readTextFile(outside), "stays");
  }));
