import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { type BuiltLayer, type LayerBuilder, LayerStore, type LayerStoreOptions } from "./layers.ts";

async function withStore(
  options: Partial<LayerStoreOptions>,
  run: (store: LayerStore, path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "brokkr-layers-" });
  try {
    await using store = await LayerStore.open({ path: `${path}/layers`, ...options });
    await run(store, `${path}/layers`);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/** A builder of one file, that counts what it built and what was released. */
class Builder {
  built = 0;
  released = 0;
  readonly build: LayerBuilder;

  constructor(
    size: Partial<BuiltLayer> = {},
    before: (signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
  ) {
    this.build = async (path, signal) => {
      this.built++;
      await before(signal);
      Deno.writeTextFileSync(`${path}/f`, "x");
      return { nodes: 1, bytes: 10, ...size, release: () => void this.released++ };
    };
  }
}

/** Waits until what goes on on the side has come so far. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("LayerStore builds a layer once and hands it out from then on", () =>
  withStore({}, async (store) => {
    const builder = new Builder();
    const one = await store.lease("a", builder.build);
    const two = await store.lease("a", builder.build);
    const three = store.find("a");
    assertEquals([two.path, three?.path, builder.built], [one.path, one.path, 1]);
    assertEquals([store.size, store.nodes, store.sizeBytes], [1, 1, 10]);
    assertEquals(store.find("b"), undefined);
    for (const lease of [one, two, three]) lease?.[Symbol.dispose]();
    assertEquals([store.size, builder.released], [1, 0], "It stays for the next action");
  }));

Deno.test("LayerStore builds once what several want at the same time, also when the first of them gives up", () =>
  withStore({}, async (store) => {
    const gate = Promise.withResolvers<void>();
    const builder = new Builder({}, () => gate.promise);
    const first = new AbortController();
    const gone = store.lease("a", builder.build, first.signal);
    const staying = [1, 2].map(() => store.lease("a", builder.build));
    first.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    await assertRejects(() => gone, BrokkrError, "Enough");
    gate.resolve();
    const leases = await Promise.all(staying);
    assertEquals([leases[0].path, builder.built], [leases[1].path, 1]);
  }));

Deno.test("LayerStore stops a build that nobody waits for, and begins anew for whoever comes then", () =>
  withStore({}, async (store) => {
    const stopped = new Builder(
      {},
      (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    const controller = new AbortController();
    const gone = store.lease("a", stopped.build, controller.signal);
    controller.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    await assertRejects(() => gone, BrokkrError, "Enough");
    const builder = new Builder();
    const lease = store.lease("a", builder.build);
    assertEquals(Deno.readTextFileSync(`${(await lease).path}/f`), "x");
    assertEquals([stopped.built, builder.built, store.size], [1, 1, 1]);
  }));

Deno.test("LayerStore leaves nothing of a failed build and tries anew the next time", () =>
  withStore({}, async (store, path) => {
    const failing: LayerBuilder = (at) => {
      Deno.writeTextFileSync(`${at}/half`, "x");
      return Promise.reject(new BrokkrError(Code.RESOURCE_EXHAUSTED, "No space left"));
    };
    await assertRejects(() => store.lease("a", failing), BrokkrError, "No space left");
    assertEquals([...Deno.readDirSync(`${path}/1`)].map(({ name }) => name), ["files"]);
    using _lease = await store.lease("a", new Builder().build);
    assertEquals([store.size, store.nodes], [1, 1]);
  }));

for (
  const [what, options, size] of [
    ["nodes", { maxNodes: 25 }, { nodes: 10, bytes: 0 }],
    ["bytes", { maxBytes: 25 }, { nodes: 1, bytes: 10 }],
  ] as const
) {
  Deno.test(`LayerStore removes what was not used for the longest time beyond its limit of ${what}`, () =>
    withStore(options, async (store) => {
      const builder = new Builder(size);
      const paths: string[] = [];
      for (const id of ["a", "b"]) {
        using lease = await store.lease(id, builder.build);
        paths.push(lease.path);
      }
      store.find("a")?.[Symbol.dispose]();
      using third = await store.lease("c", builder.build);
      await until(() => builder.released === 1);
      assertEquals([isThere(paths[0]), isThere(paths[1]), isThere(third.path)], [true, false, true]);
      assertEquals([store.size, store.nodes, store.sizeBytes], [2, 2 * size.nodes, 2 * size.bytes]);
    }));
}

Deno.test("LayerStore never removes a layer under an action, and does so once that has ended", () =>
  withStore({ maxNodes: 1 }, async (store) => {
    const builder = new Builder({ nodes: 5 });
    const one = await store.lease("a", builder.build);
    const two = await store.lease("b", builder.build);
    store.trim();
    assertEquals([store.size, isThere(one.path), isThere(two.path)], [2, true, true]);
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    await until(() => builder.released === 1);
    assertEquals([isThere(one.path), isThere(two.path), store.nodes], [false, true, 5]);
    two[Symbol.dispose]();
    await until(() => builder.released === 2);
    assertEquals([store.size, store.nodes, store.sizeBytes], [0, 0, 0]);
  }));

Deno.test("LayerStore lets layers go one by one while what they hold crowds others out", async () => {
  let held = 0;
  await withStore({ crowded: () => held > 2 }, async (store) => {
    const build: LayerBuilder = () => {
      held++;
      return Promise.resolve({ nodes: 1, bytes: 0, release: () => void held-- });
    };
    for (let i = 0; i < 6; i++) (await store.lease(`${i}`, build))[Symbol.dispose]();
    await until(() => held === 2);
    assertEquals(store.size, 2);
    assertEquals([4, 5].map((i) => store.find(`${i}`) !== undefined), [true, true]);
    using _lease = store.find("5");
  });
});

Deno.test("LayerStore uses nothing that an earlier process left, and removes it", async () => {
  const path = await Deno.makeTempDir({ prefix: "brokkr-layers-" });
  try {
    const builder = new Builder();
    let before: string;
    {
      await using store = await LayerStore.open({ path });
      using lease = await store.lease("a", builder.build);
      before = lease.path;
    }
    // As a process that was killed leaves it: half a layer, and names of nobody.
    await Deno.mkdir(`${path}/7/12`, { recursive: true });
    await Deno.writeTextFile(`${path}/stray`, "x");
    await using store = await LayerStore.open({ path });
    assertEquals(store.find("a"), undefined);
    using lease = await store.lease("a", builder.build);
    assertEquals([builder.built, lease.path.startsWith(`${path}/8/`)], [2, true]);
    await until(() => [...Deno.readDirSync(path)].length === 1);
    assert(!isThere(before) && isThere(`${lease.path}/f`));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
