import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import fc from "fast-check";
import type { MetadataChange, MetadataStore } from "../metadata_store.ts";
import { openLmdbMetadataStore } from "./lmdb_store.ts";
import { MemoryMetadataStore } from "./memory_metadata_store.ts";

interface Kind {
  readonly name: string;
  open(dir: string): Promise<MetadataStore>;
}

const KINDS: readonly Kind[] = [
  { name: "MemoryMetadataStore", open: () => Promise.resolve(new MemoryMetadataStore()) },
  { name: "LmdbMetadataStore", open: (dir) => openLmdbMetadataStore(dir) },
];

const bytes = (...values: number[]) => Uint8Array.from(values);
const put = (key: Uint8Array, value: Uint8Array): MetadataChange => ({ op: "put", key, value });
const drop = (key: Uint8Array): MetadataChange => ({ op: "delete", key });

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-metadata-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const CASES: { readonly name: string; run(store: MetadataStore): Promise<void> }[] = [
  {
    name: "returns undefined for a key that is not there",
    async run(store) {
      assertEquals(await store.get(bytes(1)), undefined);
    },
  },
  {
    name: "keeps values, empty ones too, and hands out bytes of their own",
    async run(store) {
      const value = bytes(1, 2, 3);
      await store.write([put(bytes(9), value), put(bytes(8), bytes())]);
      value[0] = 77;
      const got = await store.get(bytes(9));
      assertEquals(got, bytes(1, 2, 3));
      got?.fill(0);
      assertEquals(await store.get(bytes(9)), bytes(1, 2, 3));
      assertEquals(await store.get(bytes(8)), bytes());
    },
  },
  {
    name: "does not see a large value changed while it is being written",
    async run(store) {
      const value = new Uint8Array(300_000).fill(1);
      const written = store.write([put(bytes(1), value)]);
      value.fill(2);
      await written;
      assertEquals((await store.get(bytes(1)))?.[299_999], 1);
    },
  },
  {
    name: "applies the changes of one write in their order",
    async run(store) {
      await store.write([put(bytes(1), bytes(1)), drop(bytes(1)), put(bytes(1), bytes(2))]);
      assertEquals(await store.get(bytes(1)), bytes(2));
      await store.write([put(bytes(1), bytes(3)), drop(bytes(1)), drop(bytes(5))]);
      assertEquals(await store.get(bytes(1)), undefined);
    },
  },
  {
    name: "refuses a key that is empty or too long and applies nothing of that write",
    async run(store) {
      for (const length of [0, 501]) {
        const error = await assertRejects(
          () => store.write([put(bytes(1), bytes(1)), put(new Uint8Array(length), bytes())]),
          BrokkrError,
        );
        assertEquals(error.code, Code.INVALID_ARGUMENT);
      }
      assertEquals(await store.get(bytes(1)), undefined);
      await store.write([put(new Uint8Array(500).fill(255), bytes(5))]);
      assertEquals(await store.get(new Uint8Array(500).fill(255)), bytes(5));
      assertThrows(() => store.get(new Uint8Array(501)), BrokkrError);
    },
  },
  {
    name: "lists by prefix, after a key, up to a limit, in byte order",
    async run(store) {
      const keys = [
        bytes(1, 0),
        bytes(1),
        bytes(1, 255),
        bytes(1, 255, 255),
        bytes(2),
        bytes(0, 9),
        bytes(255, 255),
      ];
      await store.write(keys.map((key) => put(key, key)));
      const list = async (prefix: Uint8Array, limit: number, after?: Uint8Array) =>
        (await store.list({ prefix, limit, after })).map((entry) => entry.key);
      assertEquals(await list(bytes(1), 10), [bytes(1), bytes(1, 0), bytes(1, 255), bytes(1, 255, 255)]);
      assertEquals(await list(bytes(1), 2), [bytes(1), bytes(1, 0)]);
      assertEquals(await list(bytes(1), 10, bytes(1, 0)), [bytes(1, 255), bytes(1, 255, 255)]);
      assertEquals(await list(bytes(1), 10, bytes(1, 1)), [bytes(1, 255), bytes(1, 255, 255)]);
      assertEquals(await list(bytes(1), 10, bytes(0)), [
        bytes(1),
        bytes(1, 0),
        bytes(1, 255),
        bytes(1, 255, 255),
      ]);
      assertEquals(await list(bytes(1), 10, bytes(1)), [bytes(1, 0), bytes(1, 255), bytes(1, 255, 255)]);
      assertEquals(await list(bytes(1), 10, bytes(2)), []);
      assertEquals(await list(bytes(255), 10), [bytes(255, 255)]);
      assertEquals((await list(bytes(), 100)).length, keys.length);
      assertEquals(await list(bytes(), 0), []);
      assertEquals(await store.count(bytes(1)), 4);
      assertEquals(await store.count(bytes()), keys.length);
      assertEquals(await store.count(bytes(7)), 0);
      await assertRejects(() => store.list({ prefix: bytes(), limit: -1 }), BrokkrError);
    },
  },
  {
    name: "lists no more than so many bytes, but at least one entry, and all of them in pieces",
    async run(store) {
      const key = (n: number) => bytes(3, n);
      const size = 700_000;
      await store.write(Array.from({ length: 7 }, (_, n) => put(key(n), new Uint8Array(size).fill(n))));
      const list = async (maxBytes: number, after?: Uint8Array) =>
        (await store.list({ prefix: bytes(3), limit: 100, maxBytes, after })).map((entry) => entry.key);
      assertEquals(await list(1), [key(0)]);
      assertEquals(await list(size), [key(0)]);
      assertEquals(await list(size + 1), [key(0), key(1)]);
      assertEquals(await list(3 * size, key(2)), [key(3), key(4), key(5)]);
      assertEquals(await list(3 * size, key(5)), [key(6)]);
      assertEquals((await store.list({ prefix: bytes(3), limit: 100 })).map(({ value }) => value[9]), [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
      ]);
      await assertRejects(() => store.list({ prefix: bytes(), limit: 1, maxBytes: 0 }), BrokkrError);
    },
  },
  {
    name: "keeps many writes made at once",
    async run(store) {
      const key = (n: number) => bytes(7, n >> 8, n & 255);
      await Promise.all(Array.from({ length: 500 }, (_, n) => store.write([put(key(n), bytes(n & 255))])));
      assertEquals(await store.count(bytes(7)), 500);
      assertEquals(await store.get(key(300)), bytes(300 & 255));
    },
  },
];

for (const kind of KINDS) {
  for (const { name, run } of CASES) {
    Deno.test(`${kind.name} ${name}`, () =>
      withDir(async (dir) => {
        await using store = await kind.open(dir);
        await run(store);
      }));
  }

  Deno.test(`${kind.name} behaves like a sorted map`, async () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 3, max: 3 });
    const change: fc.Arbitrary<MetadataChange> = fc.oneof(
      fc.record({ op: fc.constant("put" as const), key, value: fc.uint8Array({ maxLength: 4 }) }),
      fc.record({ op: fc.constant("delete" as const), key }),
    );
    const writes = fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        writes,
        fc.uint8Array({ maxLength: 2, max: 3 }),
        key,
        (all, prefix, after) =>
          withDir(async (dir) => {
            await using store = await kind.open(dir);
            const model = new Map<string, Uint8Array>();
            for (const changes of all) {
              await store.write(changes);
              for (const one of changes) {
                if (one.op === "put") model.set(one.key.toHex(), one.value);
                else model.delete(one.key.toHex());
              }
            }
            const expected = [...model].filter(([hex]) => hex.startsWith(prefix.toHex())).sort(([a], [b]) =>
              a < b ? -1 : 1
            );
            const show = (entries: { key: Uint8Array; value: Uint8Array }[]) =>
              entries.map((entry) => [entry.key.toHex(), entry.value.toHex()]);
            const want = expected.map(([hex, value]) => [hex, value.toHex()]);
            assertEquals(show(await store.list({ prefix, limit: 1000 })), want);
            assertEquals(
              show(await store.list({ prefix, limit: 2, after })),
              want.filter(([hex]) => hex > after.toHex()).slice(0, 2),
            );
            assertEquals(await store.count(prefix), want.length);
          }),
      ),
      { numRuns: kind.name.startsWith("Lmdb") ? 25 : 100 },
    );
  });
}

Deno.test("LmdbMetadataStore lists and counts more than one slice of entries", () =>
  withDir(async (dir) => {
    await using store = await openLmdbMetadataStore(dir);
    const key = (n: number) => bytes(1, n >> 16, (n >> 8) & 255, n & 255);
    for (let at = 0; at < 45_000; at += 5000) {
      await store.write(Array.from({ length: 5000 }, (_, i) => put(key(at + i), bytes(1))));
    }
    assertEquals(await store.count(bytes(1)), 45_000);
    assertEquals(await store.count(bytes(1, 0)), 45_000);
    assertEquals(
      (await store.list({ prefix: bytes(1), limit: 2500 })).map((e) => e.key.toHex()).at(-1),
      key(2499).toHex(),
    );
    assertEquals((await store.list({ prefix: bytes(1), limit: 50_000 })).length, 45_000);
  }));

Deno.test("LmdbMetadataStore keeps its entries and counts its starts when opened again", () =>
  withDir(async (dir) => {
    for (let start = 1; start <= 3; start++) {
      await using store = await openLmdbMetadataStore(dir);
      assertEquals(store.bootEpoch, start);
      assertEquals(await store.get(bytes(1)), start === 1 ? undefined : bytes(start - 1));
      await store.write([put(bytes(1), bytes(start))]);
      assertEquals(await store.count(bytes()), 1);
    }
  }));

const DAMAGES: { readonly name: string; damage(path: string): Promise<void> }[] = [
  { name: "is no LMDB file", damage: (path) => Deno.writeTextFile(path, "not a database".repeat(1000)) },
  { name: "was cut within its first page", damage: (path) => Deno.truncate(path, 100) },
  { name: "was cut after its first page", damage: (path) => Deno.truncate(path, 5000) },
  { name: "lost most of its pages", damage: (path) => Deno.truncate(path, 20_000) },
];

for (const { name, damage } of DAMAGES) {
  Deno.test(`LmdbMetadataStore reports DATA_LOSS when its file ${name}`, () =>
    withDir(async (dir) => {
      {
        await using store = await openLmdbMetadataStore(dir);
        await store.write(Array.from({ length: 200 }, (_, n) => put(bytes(n, n), new Uint8Array(1000))));
      }
      await damage(`${dir}/data.mdb`);
      const error = await assertRejects(() => openLmdbMetadataStore(dir), BrokkrError);
      assertEquals(error.code, Code.DATA_LOSS);
      assert(error.message.includes(dir));
    }));
}

Deno.test("LmdbMetadataStore refuses to be used when closed", () =>
  withDir(async (dir) => {
    const store = await openLmdbMetadataStore(dir);
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    const error = await assertRejects(() => store.write([put(bytes(1), bytes(1))]), BrokkrError);
    assertEquals(error.code, Code.UNAVAILABLE);
  }));

Deno.test("LmdbMetadataStore loses no acknowledged write and splits none when its process is killed", () =>
  withDir(async (dir) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", new URL("./_write_until_killed.ts", import.meta.url).pathname, dir],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const acknowledged = new Set<number>();
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) acknowledged.add(Number(line));
      if (acknowledged.size >= 300) break;
    }
    child.kill("SIGKILL");
    await child.status;
    await using store = await openLmdbMetadataStore(dir);
    assertEquals(store.bootEpoch, 2);
    for (const n of acknowledged) assert(await store.get(bytes(1, n >> 8, n & 255)) !== undefined);
    assertEquals(await store.count(bytes(1)), await store.count(bytes(2)));
  }));

Deno.test({
  name:
    "LmdbMetadataStore says RESOURCE_EXHAUSTED when the disk is full and writes again when there is room" +
    (Deno.uid() === 0 ? "" : " (skipped: mounting a small tmpfs needs root)"),
  ignore: Deno.uid() !== 0,
  fn: () =>
    withDir(async (dir) => {
      const mount = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=3m", "tmpfs", dir] })
        .output();
      if (!mount.success) {
        console.log("Skipped: a tmpfs cannot be mounted here");
        return;
      }
      try {
        await Deno.writeFile(`${dir}/ballast`, new Uint8Array(1 << 20));
        await using store = await openLmdbMetadataStore(`${dir}/db`);
        const write = (n: number) => store.write([put(bytes(1, n >> 8, n & 255), new Uint8Array(20_000))]);
        let held = 0;
        const error = await assertRejects(async () => {
          for (; held < 1000; held++) await write(held);
        }, BrokkrError);
        assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
        assertEquals(await store.count(bytes(1)), held);
        await Deno.remove(`${dir}/ballast`);
        await write(held);
        assertEquals(await store.count(bytes(1)), held + 1);
      } finally {
        await new Deno.Command("umount", { args: ["-l", dir] }).output();
      }
    }),
});
