import { MemoryBlobStore } from "@brokkr/cas";
import { CasClient, type Digest, digestOf, SHA256 } from "@brokkr/cas/client";
import { byteStreamRoutes, casCapabilities, casRoutes } from "@brokkr/cas/services";
import { BrokkrError, Code, scopeOf, seededRandom } from "@brokkr/common";
import { Capabilities } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy, unary } from "@brokkr/proto/rpc/server";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { downloadInto, type Output } from "./_outputs.ts";
import { Seeds } from "./_seeds.ts";

const SIZE = 6 << 20;

/** `SIZE` bytes that look like nothing, with some others in the middle. */
function version(edit: string): Uint8Array<ArrayBuffer> {
  const random = seededRandom(7);
  const words = new Uint32Array(SIZE / 4).map(() => random.next() * 2 ** 32);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(new TextEncoder().encode(edit), SIZE / 2);
  return bytes;
}

/** A store that divides blobs, a client of it, and an empty directory. */
async function withStore(
  use: (cas: CasClient, put: (data: Uint8Array) => Promise<Digest>, directory: string) => Promise<void>,
): Promise<void> {
  const store = new MemoryBlobStore(1 << 28);
  const byteStream = byteStreamRoutes({ store });
  const server = createRpcServer({
    routes: [
      ...casRoutes({ store }),
      ...byteStream.routes,
      unary(
        Capabilities.getCapabilities,
        "public",
        () => ({ cacheCapabilities: casCapabilities({ store }) }),
      ),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read", "write"] }),
  });
  const [{ address }] = await server.listen();
  const channel = connect(`grpc://${address}`);
  const directory = await Deno.makeTempDir({ prefix: "brokkr-seeds-" });
  try {
    const cas = new CasClient({ channel, instance: "", fn: SHA256, random: seededRandom(1) });
    await use(cas, async (data) => {
      const digest = digestOf(SHA256, data);
      await store.put(scopeOf(""), digest, data);
      return digest;
    }, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
    await channel.close();
    await server.shutdown({ graceMs: 0 });
    await byteStream[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  }
}

const fileAt = (path: string, digest: Digest): Output => ({ kind: "file", path, digest, executable: false });

Deno.test("downloadInto fetches of a large file only what the one that it replaces lacks", async () => {
  await withStore(async (cas, put, directory) => {
    const digests = [];
    for (const edit of ["one", "two", "three"]) digests.push(await put(version(edit)));
    const fetch = (outputs: readonly Output[]) => downloadInto(directory, outputs, cas, seededRandom(2));
    assertEquals((await fetch([fileAt("a/big", digests[0])])).sharedBytes, 0);
    const second = await fetch([fileAt("a/big", digests[1])]);
    assert(second.sharedBytes > SIZE - (2 << 20) && second.sharedBytes < SIZE, `${second.sharedBytes}`);
    assertEquals(await Deno.readFile(`${directory}/a/big`), version("two"));
    // The second of two places that it goes to has the seed.
    const third = await fetch([fileAt("new", digests[2]), fileAt("a/big", digests[2])]);
    assert(third.sharedBytes > SIZE - (2 << 20));
    assertEquals([third.files, third.bytes], [2, 2 * SIZE]);
    for (const path of ["new", "a/big"]) {
      assertEquals(await Deno.readFile(`${directory}/${path}`), version("three"));
    }
  });
});

Deno.test("downloadInto is right whatever lies where a file goes", async (t) => {
  await withStore(async (cas, put, directory) => {
    const content = version("new");
    const digest = await put(content);
    const path = `${directory}/big`;
    const cases: { about: string; make: () => Promise<void>; shared: boolean }[] = [
      { about: "the same file", make: () => Deno.writeFile(path, content), shared: true },
      {
        about: "a beginning of it",
        make: () => Deno.writeFile(path, content.subarray(0, SIZE / 2)),
        shared: true,
      },
      { about: "a small file", make: () => Deno.writeFile(path, content.subarray(0, 1000)), shared: false },
      {
        about: "another file",
        make: () => Deno.writeFile(path, new Uint8Array(SIZE).fill(3)),
        shared: false,
      },
      {
        about: "a file that may not be read",
        make: async () => {
          await Deno.writeFile(path, content);
          await Deno.chmod(path, 0);
        },
        // Root may.
        shared: Deno.uid() === 0,
      },
      { about: "a link", make: () => Deno.symlink("/dev/zero", path), shared: false },
      { about: "a link to nowhere", make: () => Deno.symlink("nowhere", path), shared: false },
    ];
    for (const { about, make, shared } of cases) {
      await t.step(about, async () => {
        await Deno.remove(path).catch(() => {});
        await make();
        const result = await downloadInto(directory, [fileAt("big", digest)], cas, seededRandom(2));
        assertEquals(await Deno.readFile(path), content);
        assertEquals(result.sharedBytes > 0, shared);
      });
    }
  });
});

Deno.test("Seeds leave a file alone that cannot be cut, and stop when the transfer does", async () => {
  const directory = await Deno.makeTempDir({ prefix: "brokkr-seeds-" });
  try {
    const content = version("x");
    await Deno.writeFile(`${directory}/f`, content);
    const seeds = new Seeds(() => [`${directory}/gone`, `${directory}/f`]);
    const digest = digestOf(SHA256, content);
    assertEquals(await seeds.mayHelp(digest), true);
    const stop = AbortSignal.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    const failing = () => Promise.reject(new BrokkrError(Code.CANCELLED, "Enough"));
    await assertRejects(() => seeds.prepare(digest, failing, stop), BrokkrError, "Enough");
    // Any other failure only means that it does not help.
    await seeds.prepare(digest, failing);
    assertEquals(seeds.has(digest), false);
    await seeds.prepare(digest, () => Promise.resolve([digest]));
    assertEquals(await seeds.find(digest), content);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
