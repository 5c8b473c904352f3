/**
 * Ready-made directories that lie read-only beneath the input roots of actions, kept from one action to the next.
 *
 * @module
 */

import { asBrokkrError, BrokkrError, Code, type Logger, noLog, throwIfAborted } from "@brokkr/common";
import { removeTree } from "@brokkr/sandbox";
import { unlessAborted } from "./_unless_aborted.ts";
import { LinkSources } from "./link_sources.ts";
import { INPUT_DIRECTORY_MODE } from "./materializer.ts";

/** What a {@linkcode LayerBuilder} made. */
export interface BuiltLayer {
  /** Files, directories and links. */
  readonly nodes: number;
  /** Bytes on disk that nothing else counts. */
  readonly bytes: number;
  /** Called once when its files are gone. */
  release(): void;
}

/**
 * Fills the empty directory `path`. Whatever it made there is removed when it fails; it lets go of all else itself.
 */
export type LayerBuilder = (path: string, signal: AbortSignal) => Promise<BuiltLayer>;

/** A layer in use. It stays until it is disposed of. */
export interface LayerLease extends Disposable {
  /** Its directory: nobody may change anything in it. */
  readonly path: string;
}

/** How a {@linkcode LayerStore} is set up. */
export interface LayerStoreOptions {
  /** Directory of its own, on the file system of the blob cache: elsewhere files are copied. */
  readonly path: string;
  /** Most files, directories and links of all layers; what running actions use may go beyond it. 1,000,000 by default. */
  readonly maxNodes?: number;
  /** Most bytes that layers take beside the cached blobs that they link. Without limit by default. */
  readonly maxBytes?: number;
  /** Whether blobs that layers hold leave no room for others: then layers go, though there could be more of them. */
  readonly crowded?: () => boolean;
  /** Where it says what it could not remove. */
  readonly log?: Logger;
}

/** A finished layer. */
interface Layer extends BuiltLayer {
  readonly id: string;
  readonly path: string;
  /** Actions that use it. */
  leases: number;
}

/** A layer being built. */
interface Building {
  readonly id: string;
  readonly done: Promise<Layer>;
  readonly abort: AbortController;
  /** Actions that wait for it. */
  waiters: number;
  /** What was built, once it is done. */
  layer: Layer | undefined;
}

const DEFAULT_MAX_NODES = 1_000_000;

/**
 * Layers by what they hold: least recently used first out, never under an action.
 *
 * What it keeps is for this process alone. A process that is killed leaves layers half made, and after the machine went
 * down they may hold anything, so that those of earlier processes are never used: the next one removes them, on the
 * side. To make one anew from cached blobs takes a link for each file.
 */
export class LayerStore implements AsyncDisposable {
  /** Files that layers link beside cached ones. */
  readonly sources: LinkSources;
  readonly #path: string;
  readonly #maxNodes: number;
  readonly #maxBytes: number;
  readonly #crowded: () => boolean;
  readonly #log: Logger;
  /** Least recently used first. */
  readonly #layers = new Map<string, Layer>();
  readonly #building = new Map<string, Building>();
  /** Those being removed are counted until they are gone. */
  #nodes = 0;
  #ownBytes = 0;
  #removing: Promise<void> | undefined;
  #earlier: Promise<void> = Promise.resolve();
  #named = 0;
  #closed = false;

  private constructor(options: LayerStoreOptions, path: string) {
    this.#path = path;
    this.#maxNodes = options.maxNodes ?? DEFAULT_MAX_NODES;
    this.#maxBytes = options.maxBytes ?? Infinity;
    this.#crowded = options.crowded ?? (() => false);
    this.#log = options.log ?? noLog;
    this.sources = new LinkSources(`${path}/files`);
  }

  /** Opens its directory; what earlier processes left there is removed while it is in use. */
  static async open(options: LayerStoreOptions): Promise<LayerStore> {
    await Deno.mkdir(options.path, { recursive: true, mode: 0o700 });
    const earlier: string[] = [];
    let last = 0;
    for await (const { name } of Deno.readDir(options.path)) {
      earlier.push(name);
      if (/^\d{1,15}$/.test(name)) last = Math.max(last, Number(name));
    }
    const path = `${options.path}/${last + 1}`;
    await Deno.mkdir(path, { mode: 0o700 });
    await Deno.mkdir(`${path}/files`, { mode: 0o700 });
    const store = new LayerStore(options, path);
    store.#earlier = store.#removeEarlier(earlier.map((name) => `${options.path}/${name}`)).catch((error) =>
      store.#log.error("Layers of an earlier process cannot be removed", { error })
    );
    return store;
  }

  /** Files, directories and links of all layers. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Bytes that layers take beside the cached blobs that they link. */
  get sizeBytes(): number {
    return this.#ownBytes + this.sources.sizeBytes;
  }

  /** How many layers there are. */
  get size(): number {
    return this.#layers.size;
  }

  /** A layer that is there, leased. Takes the same time however much is in it. */
  find(id: string): LayerLease | undefined {
    const layer = this.#layers.get(id);
    if (layer === undefined) return undefined;
    this.#layers.delete(id);
    this.#layers.set(id, layer);
    layer.leases++;
    return this.#lease(layer);
  }

  /**
   * A layer, leased; built if it is not there. Several that want the same one at once have it built once, by the builder
   * of the first; it goes on as long as one of them waits.
   *
   * @throws {BrokkrError} what the builder failed with; CANCELLED when `signal` aborts.
   */
  async lease(id: string, build: LayerBuilder, signal?: AbortSignal): Promise<LayerLease> {
    throwIfAborted(signal);
    const found = this.find(id);
    if (found !== undefined) return found;
    if (this.#closed) throw new BrokkrError(Code.UNAVAILABLE, "The layers are closed");
    const building = this.#building.get(id) ?? this.#begin(id, build);
    building.waiters++;
    try {
      return this.#lease(await unlessAborted(building.done, signal));
    } catch (error) {
      this.#leave(building);
      throw error;
    }
  }

  /** Removes what goes beyond the limits, as far as no action uses it. To be called when {@linkcode LayerStoreOptions.crowded} became true. */
  trim(): void {
    if (this.#removing !== undefined || this.#closed || !this.#isOver()) return;
    for (const layer of this.#layers.values()) {
      if (layer.leases > 0) continue;
      this.#layers.delete(layer.id);
      this.#removing = this.#remove(layer).finally(() => {
        this.#removing = undefined;
        this.trim();
      });
      return;
    }
  }

  /** Ends its work. No layer may be in use; they stay on disk for the next process to remove. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#earlier;
    await this.#removing;
    for (const { release } of this.#layers.values()) release();
    this.#layers.clear();
  }

  #isOver(): boolean {
    return this.#nodes > this.#maxNodes || this.sizeBytes > this.#maxBytes || this.#crowded();
  }

  #begin(id: string, build: LayerBuilder): Building {
    const done = Promise.withResolvers<Layer>();
    // Everybody may have left by the time it fails.
    done.promise.catch(() => undefined);
    const building: Building = {
      id,
      done: done.promise,
      abort: new AbortController(),
      waiters: 0,
      layer: undefined,
    };
    this.#building.set(id, building);
    this.#build(building, build).then(done.resolve, done.reject);
    return building;
  }

  async #build(building: Building, build: LayerBuilder): Promise<Layer> {
    const { id, abort: { signal } } = building;
    const path = `${this.#path}/${++this.#named}`;
    let built: BuiltLayer | undefined;
    try {
      // Whoever builds faster than layers can be removed waits.
      while (this.#removing !== undefined && this.#isOver()) await this.#removing;
      throwIfAborted(signal);
      Deno.mkdirSync(path, { mode: INPUT_DIRECTORY_MODE });
      built = await build(path, signal);
      throwIfAborted(signal);
    } catch (error) {
      this.#forget(building);
      await this.#discard(path);
      built?.release();
      throw asBrokkrError(error);
    }
    const layer: Layer = { ...built, id, path, leases: building.waiters };
    // All in one turn: nothing may be removed between being finished and being leased.
    building.layer = layer;
    this.#nodes += layer.nodes;
    this.#ownBytes += layer.bytes;
    this.#layers.set(id, layer);
    this.#forget(building);
    this.trim();
    return layer;
  }

  /** Whoever waited for a layer does so no longer. */
  #leave(building: Building): void {
    if (building.layer !== undefined) return this.#release(building.layer);
    if (--building.waiters > 0) return;
    // Whoever comes from here on begins anew and does not wait for what is being stopped.
    this.#forget(building);
    building.abort.abort(new BrokkrError(Code.CANCELLED, "No action needs this layer any more"));
  }

  #forget(building: Building): void {
    if (this.#building.get(building.id) === building) this.#building.delete(building.id);
  }

  #lease(layer: Layer): LayerLease {
    let held = true;
    return {
      path: layer.path,
      [Symbol.dispose]: () => {
        if (held) this.#release(layer);
        held = false;
      },
    };
  }

  #release(layer: Layer): void {
    if (--layer.leases === 0) this.trim();
  }

  async #remove(layer: Layer): Promise<void> {
    if (!await this.#discard(layer.path)) return; // it goes on taking room, so it goes on being counted
    this.#nodes -= layer.nodes;
    this.#ownBytes -= layer.bytes;
    layer.release();
  }

  /** Removes a directory; false when that failed. */
  async #discard(path: string): Promise<boolean> {
    try {
      await removeTree(path);
      return true;
    } catch (error) {
      this.#log.error("A layer of inputs cannot be removed; it stays until the worker starts again", {
        path,
        error,
      });
      return false;
    }
  }

  async #removeEarlier(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      // A layer at a time, so that a worker that ends meanwhile need not wait for all of them.
      for await (const { name } of readDirectory(path)) {
        if (this.#closed) return;
        await this.#discard(`${path}/${name}`);
      }
      await this.#discard(path);
    }
  }
}

async function* readDirectory(path: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.NotFound)) throw error;
  }
}
