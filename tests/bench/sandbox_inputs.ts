/**
 * How long an input root of 5,000 files that was seen before takes to be in place: its layer found, and mounted.
 *
 * @module
 */

import { type Digest, digestKey, digestOf, SHA256, TreeBuilder } from "@brokkr/cas/client";
import { Sandbox } from "@brokkr/sandbox";
import {
  BlobCache,
  type BlobSource,
  InputFetcher,
  InputResolver,
  LayerMaterializer,
  LayerStore,
} from "@brokkr/worker";
import { median, rounds, type Row } from "./harness.ts";

const FILES = 5000;
const FILE_BYTES = 8192;

/** Blobs in memory. */
class MemorySource implements BlobSource {
  readonly #blobs = new Map<string, Uint8Array>();

  put(content: Uint8Array): Digest {
    const digest = digestOf(SHA256, content);
    this.#blobs.set(digestKey(digest), content);
    return digest;
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

function largeRoot(source: MemorySource): Digest {
  const tree = new TreeBuilder();
  for (let i = 0; i < FILES; i++) {
    const content = new Uint8Array(FILE_BYTES).fill(i);
    new DataView(content.buffer).setUint32(0, i);
    tree.addFile(`dir${i % 100}/file${i}`, source.put(content));
  }
  const { rootDigest, directories } = tree.build(SHA256);
  for (const { data } of directories) source.put(data);
  return rootDigest;
}

/** The benchmark. */
export async function sandboxInputs(): Promise<Row[]> {
  const path = await Deno.makeTempDir({ prefix: "brokkr_inputs_" });
  try {
    const cache = await BlobCache.open({ path: `${path}/cache`, limitBytes: 1e9, memoryLimitBytes: 4e7 });
    await using layers = await LayerStore.open({ path: `${path}/layers` });
    await using materializer = await LayerMaterializer.open({ path: `${path}/work`, layers });
    const source = new MemorySource();
    const root = largeRoot(source);
    const resolver = new InputResolver(new InputFetcher(cache));
    const place = () =>
      materializer.materialize({
        root,
        resolve: () => resolver.resolve(root, source),
        extraDirectories: () => Promise.resolve(["out/bin"]),
      });
    await (await place())[Symbol.asyncDispose]();
    await using sandbox = await Sandbox.open({ slots: 1, lowersPath: `${path}/layers` });
    const run = async (lowers: readonly string[]) => {
      const start = performance.now();
      const { work, exitCode } = await sandbox.launch({
        executables: ["/bin/true"],
        argv: ["true"],
        env: [],
        cwd: "",
        stdout: { path: `${path}/stdout` },
        stderr: { path: `${path}/stderr` },
        lowers,
        writable: { kind: "memory", bytes: 1 << 20, inodes: 100 },
      }).done;
      work?.[Symbol.dispose]();
      if (exitCode !== 0) throw new Error(`/bin/true ended with ${exitCode}`);
      return performance.now() - start;
    };
    const found: number[] = [];
    const mounted: number[] = [];
    for (let round = 0; round < rounds(200, 3); round++) {
      const start = performance.now();
      const placed = await place();
      found.push(performance.now() - start);
      const { inputs } = placed;
      if (inputs === undefined || !("lowers" in inputs)) throw new Error("The inputs are no layers");
      // What mounting takes shows in the difference to an action without inputs.
      const order = round % 2 === 0;
      const without = order ? await run([]) : 0;
      const withThem = await run(inputs.lowers);
      mounted.push(withThem - (order ? without : await run([])));
      await placed[Symbol.asyncDispose]();
    }
    return [{
      name: `An input root of ${FILES.toLocaleString("en-US")} files seen before, until it is in place`,
      value: median(found) + median(mounted),
      unit: "ms",
      aim: { of: "value", atMost: 2 },
      bound: `${median(found).toFixed(2)} ms to find it, ${
        median(mounted).toFixed(2)
      } ms more than an empty one to mount`,
    }];
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}
