// The services and their client in every digest function.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, Code, type Scope, seededRandom } from "@brokkr/common";
import { ActionCache, ContentAddressableStorage as Cas } from "@brokkr/proto";
import { CasClient } from "../client/mod.ts";
import {
  BLAKE3,
  type Digest,
  DIGEST_FUNCTIONS,
  type DigestFunction,
  digestKey,
  digestOf,
  SHA256,
} from "../digest.ts";
import { formatReadName, formatUploadName } from "../resource_name.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { parseDirectory } from "../tree/directory.ts";
import { TreeBuilder } from "../tree/builder.ts";
import { fails, noise, onEachStore, startTestServer, type TestServer, wire } from "./_test_server.ts";
import { casCapabilities } from "./capabilities.ts";

const instanceName = "main";

function clientOf(server: TestServer, fn: DigestFunction): CasClient {
  return new CasClient({ channel: server.channel, instance: instanceName, fn, random: seededRandom(1) });
}

/** Many small ones, some larger, one of a stream. */
function blobsOf(fn: DigestFunction): { readonly digest: Digest; readonly data: Uint8Array }[] {
  const sizes = [...Array.from({ length: 60 }, (_, i) => 1 + i * 37), 70_000, 2_500_000];
  return sizes.map((size, i) => {
    const data = noise(size, i + 1);
    return { digest: digestOf(fn, data), data };
  });
}

Deno.test("The capabilities list every digest function, SHA256 first", () => {
  assertEquals(casCapabilities().digestFunctions, DIGEST_FUNCTIONS.map(({ value }) => value));
  assertEquals([...casCapabilities().digestFunctions ?? []].sort((a, b) => a - b), [1, 2, 3, 5, 6, 8, 9]);
});

onEachStore("Blobs go up and come back in every digest function", async (start) => {
  await using server = await start();
  for (const fn of DIGEST_FUNCTIONS) {
    const client = clientOf(server, fn);
    const blobs = blobsOf(fn);
    const digests = blobs.map(({ digest }) => digest);
    assertEquals((await client.findMissing(digests)).length, blobs.length, fn.name);
    assertEquals((await client.upload(blobs)).blobs, blobs.length);
    assertEquals((await client.upload(blobs)).blobs, 0);
    const got = new Map<string, Uint8Array>();
    await client.getMany(digests, (digest, data) => void got.set(digestKey(digest), data.slice()));
    for (const { digest, data } of blobs) assertEquals(got.get(digestKey(digest)), data);
    assertEquals(await client.get(digests[3]), blobs[3].data);
    await fails(client.getMany([digestOf(fn, noise(99, 999))], () => {}), Code.FAILED_PRECONDITION);
  }
});

onEachStore("Trees and results of every digest function are found by it and by no other", async (start) => {
  await using server = await start();
  const { channel } = server;
  for (const fn of DIGEST_FUNCTIONS) {
    const client = clientOf(server, fn);
    const file = { digest: digestOf(fn, noise(500)), data: noise(500) };
    const builder = new TreeBuilder();
    builder.addFile("a/b/file", file.digest, true);
    const tree = builder.buildTree(fn);
    const action = digestOf(fn, new TextEncoder().encode("an action"));
    const result = {
      outputFiles: [{ path: "file", digest: wire(file.digest) }],
      outputDirectories: [{ path: "tree", treeDigest: wire(tree.digest) }],
    };
    const named = { instanceName, digestFunction: fn.value, actionDigest: wire(action) };
    await fails(channel.unary(ActionCache.getActionResult, named), Code.NOT_FOUND, fn.name);
    const early = channel.unary(ActionCache.updateActionResult, { ...named, actionResult: result });
    const error = await fails(early, Code.FAILED_PRECONDITION, fn.name);
    const subjects = error.details.flatMap((each) =>
      each.kind === "preconditionFailure" ? each.violations.map(({ subject }) => subject) : []
    );
    assert(subjects.includes(`blobs/${fn.named ? `${fn.segment}/` : ""}${file.digest.hash}/500`), fn.name);
    await client.upload([file, tree, ...tree.built.directories]);
    await client.updateActionResult(action, result);
    assertEquals((await client.getActionResult(action))?.outputFiles[0].digest, wire(file.digest));
    const root = tree.built.rootDigest;
    const pages = channel.serverStream(Cas.getTree, {
      instanceName,
      digestFunction: fn.value,
      rootDigest: wire(root),
    });
    const paths: string[] = [];
    for await (const { directories } of pages) {
      for (const each of directories) paths.push(...each.directories.map(({ name }) => name));
    }
    assertEquals(paths, ["a", "b"], fn.name);
    assertEquals(parseDirectory(await client.get(root), fn).directories.length, 1);
    for (const other of DIGEST_FUNCTIONS) {
      if (other === fn || other.hashBytes !== fn.hashBytes) continue;
      const asked = { ...named, digestFunction: other.value };
      // SHA256TREE is SHA256 up to 1 KiB, so that its results may have come by themselves; those of BLAKE3 never do.
      if (other === BLAKE3 || fn === BLAKE3) {
        await fails(channel.unary(ActionCache.getActionResult, asked), Code.NOT_FOUND, other.name);
      }
    }
  }
});

onEachStore(
  "A hash without a function is of the first whose hashes are as long, and never of a named one",
  async (start) => {
    await using server = await start();
    const { channel } = server;
    const data = noise(300);
    for (const fn of DIGEST_FUNCTIONS) {
      await clientOf(server, fn).upload([{ digest: digestOf(fn, data), data }]);
      const blobDigests = [wire(digestOf(fn, data))];
      const { missingBlobDigests } = await channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests });
      // Below 1 KiB a SHA256TREE hash is the SHA256 hash, which was uploaded before.
      assertEquals(missingBlobDigests.length, fn === BLAKE3 ? 1 : 0, fn.name);
    }
  },
);

Deno.test("Names of blobs carry the function where the hash does not tell it", () => {
  for (const fn of DIGEST_FUNCTIONS) {
    const digest = digestOf(fn, noise(5));
    const segment = { BLAKE3: "blake3/", SHA256TREE: "sha256tree/" }[fn.name] ?? "";
    assertEquals(formatReadName("main", digest), `main/blobs/${segment}${digest.hash}/5`);
    assertEquals(
      formatUploadName("", "u", digest, "zstd"),
      `uploads/u/compressed-blobs/zstd/${segment}${digest.hash}/5`,
    );
  }
});

Deno.test("Hashes of other lengths and functions that cannot be computed are refused by name, call by call", async () => {
  await using server = await startTestServer();
  const { channel } = server;
  for (const fn of DIGEST_FUNCTIONS) {
    const short = { hash: fn.hash(noise(9)).slice(2), sizeBytes: 9 };
    const digestFunction = fn.value;
    for (
      const call of [
        () => channel.unary(Cas.findMissingBlobs, { instanceName, digestFunction, blobDigests: [short] }),
        () => channel.unary(Cas.batchReadBlobs, { instanceName, digestFunction, digests: [short] }),
        () =>
          channel.unary(ActionCache.getActionResult, { instanceName, digestFunction, actionDigest: short }),
      ]
    ) {
      const { message } = await fails(call(), Code.INVALID_ARGUMENT, fn.name);
      assert(message.includes(`is not a ${fn.name} hash: ${fn.hashBytes * 2} `), message);
    }
    const { responses } = await channel.unary(Cas.batchUpdateBlobs, {
      instanceName,
      digestFunction,
      requests: [{ digest: short, data: noise(9) }, { digest: wire(digestOf(fn, noise(9))), data: noise(9) }],
    });
    assertEquals(responses.map(({ status }) => status?.code), [Code.INVALID_ARGUMENT, Code.OK], fn.name);
  }
  for (const [digestFunction, name] of [[4, "VSO"], [7, "MURMUR3"], [10, "GITSHA1"], [77, "77"]] as const) {
    const call = channel.unary(Cas.findMissingBlobs, { instanceName, digestFunction });
    const { message } = await fails(call, Code.INVALID_ARGUMENT, name);
    assert(
      message.startsWith(`Digest function ${name} is not supported; supported: SHA256, BLAKE3, `),
      message,
    );
  }
  // A result speaks of one function, that of its action.
  const sha1 = digestOf(DIGEST_FUNCTIONS.find(({ name }) => name === "SHA1") ?? SHA256, noise(4));
  const mixing = channel.unary(ActionCache.updateActionResult, {
    instanceName,
    digestFunction: BLAKE3.value,
    actionDigest: wire(digestOf(BLAKE3, noise(3))),
    actionResult: { outputFiles: [{ path: "a", digest: wire(sha1) }] },
  });
  assert((await fails(mixing, Code.INVALID_ARGUMENT)).message.includes("is not a BLAKE3 hash"));
  const mixed = [wire(digestOf(SHA256, noise(1))), { hash: "ab".repeat(20), sizeBytes: 1 }];
  const call = channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests: mixed });
  assert((await fails(call, Code.INVALID_ARGUMENT)).message.includes("is not a SHA256 hash"));
});

/** Hands out one blob with a bit turned over. */
class Damaging extends MemoryBlobStore {
  rotten: string | undefined;

  override async get(scope: Scope, digest: Digest): Promise<Uint8Array> {
    const data = (await super.get(scope, digest)).slice();
    if (digest.hash === this.rotten) data[0] ^= 1;
    return data;
  }
}

Deno.test("A damaged blob among many is never handed on, in any function", async () => {
  const store = new Damaging(64 << 20);
  await using server = await startTestServer({ store });
  for (const fn of DIGEST_FUNCTIONS) {
    const client = clientOf(server, fn);
    const blobs = blobsOf(fn).slice(0, 60);
    await client.upload(blobs);
    for (const at of [0, 31, 59]) {
      store.rotten = blobs[at].digest.hash;
      const seen: string[] = [];
      const get = () =>
        client.getMany(blobs.map(({ digest }) => digest), (digest, data) => {
          assertEquals(fn.hash(data), digest.hash);
          seen.push(digest.hash);
        });
      const error = await assertRejects(get, BrokkrError);
      assertEquals(error.code, Code.DATA_LOSS);
      assert(error.message.includes(store.rotten), error.message);
      assert(!seen.includes(store.rotten));
    }
  }
});
