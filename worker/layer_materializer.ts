/**
 * Lays out inputs as ready-made directories that the sandbox puts read-only beneath what the action writes.
 *
 * @module
 */

import { SHA256 } from "@brokkr/cas/client";
import { Slices } from "@brokkr/common";
import { buildDirectoryLayer, buildRootLayer } from "./layer_builder.ts";
import type { LayerLease, LayerStore } from "./layers.ts";
import type {
  InputNodes,
  MaterializedRoot,
  Materializer,
  MaterializeRequest,
  ResolvedInputs,
} from "./materializer.ts";
import { ScratchDirectories } from "./scratch.ts";

/** How a {@linkcode LayerMaterializer} is set up. */
export interface LayerMaterializerOptions {
  /** Directory of its own for what belongs to one action alone. */
  readonly path: string;
  /** Where layers are kept; it must outlive the materializer. */
  readonly layers: LayerStore;
  /** Told whether an input root lay ready. */
  readonly onLookup?: (ready: boolean) => void;
}

/**
 * A {@linkcode Materializer} of layers. A root that was laid out before is in place without a look at its files, or at
 * the blobs they are made of. What the root lacks of the directories that an action needs is a second layer.
 */
export class LayerMaterializer implements Materializer, AsyncDisposable {
  readonly #options: LayerMaterializerOptions;
  readonly #scratch: ScratchDirectories;

  private constructor(options: LayerMaterializerOptions, scratch: ScratchDirectories) {
    this.#options = options;
    this.#scratch = scratch;
  }

  /** Opens its directory and removes what a process that was killed left there. */
  static async open(options: LayerMaterializerOptions): Promise<LayerMaterializer> {
    return new LayerMaterializer(options, await ScratchDirectories.open(options.path));
  }

  /** See {@linkcode Materializer.materialize}. */
  async materialize(request: MaterializeRequest): Promise<MaterializedRoot> {
    const leases: LayerLease[] = [];
    const release = () => {
      for (const lease of leases.splice(0)) lease[Symbol.dispose]();
    };
    try {
      const root = await this.#root(request);
      leases.push(root);
      const extra = await request.extraDirectories(directoryNodes(root.path));
      if (extra.length > 0) leases.unshift(await this.#extra(extra, request.signal));
      const lowers = leases.map(({ path }) => path);
      const scratch = this.#scratch.take();
      return {
        inputs: { lowers },
        scratchPath: scratch.path,
        [Symbol.asyncDispose]: () => {
          release();
          return scratch[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Removes its directory. No input root may be in use. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scratch[Symbol.asyncDispose]();
  }

  async #root({ root, resolve, signal }: MaterializeRequest): Promise<LayerLease> {
    const { layers, onLookup } = this.#options;
    // The size belongs to it: a digest with a wrong one names nothing, and must not be answered by the right one.
    const id = `${root.fn.value}:${root.hash}/${root.sizeBytes}`;
    const ready = layers.find(id);
    onLookup?.(ready !== undefined);
    if (ready !== undefined) return ready;
    const inputs = await resolve();
    let taken = false;
    const build = async (path: string, building: AbortSignal) => {
      taken = true;
      using own: ResolvedInputs = inputs;
      return await buildRootLayer(path, { ...own, sources: layers.sources }, building);
    };
    try {
      return await layers.lease(id, build, signal);
    } finally {
      // Another action had it built first.
      if (!taken) inputs[Symbol.dispose]();
    }
  }

  async #extra(directories: readonly string[], signal: AbortSignal | undefined): Promise<LayerLease> {
    const id = `directories:${await hashOf(directories, signal)}`;
    return await this.#options.layers.lease(
      id,
      (path, building) => buildDirectoryLayer(path, directories, building),
      signal,
    );
  }
}

/** Looks up nodes in a directory of the worker's own, which nobody changes. */
function directoryNodes(root: string): InputNodes {
  return (path) => {
    try {
      const { isDirectory, isSymlink } = Deno.lstatSync(`${root}/${path}`);
      return isDirectory ? "directory" : isSymlink ? "link" : "file";
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  };
}

/** Lists can be long, and are kept as long as their layers. */
async function hashOf(texts: readonly string[], signal: AbortSignal | undefined): Promise<string> {
  const encoder = new TextEncoder();
  const hasher = SHA256.hasher();
  const slices = new Slices(signal);
  for (const text of texts) {
    hasher.update(encoder.encode(`${text}\0`));
    if (slices.spent) await slices.next();
  }
  return hasher.digestHex();
}
