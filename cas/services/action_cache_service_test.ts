import { assert, assertEquals } from "@std/assert";
import { Code } from "@brokkr/common";
import {
  ActionCache as ActionCacheService,
  type ActionResult,
  ActionResultCodec,
  BytesCodec,
  CacheCapabilitiesCodec,
  type Init,
  RawActionCache,
} from "@brokkr/proto";
import { blobSubject, type Digest, SHA256, TreeBuilder } from "../mod.ts";
import { casCapabilities } from "./capabilities.ts";
import { blob, fails, noise, onEachStore, scope, type TestServer, wire } from "./_test_server.ts";

const instanceName = "main";
const action = blob("an action").digest;
const actionDigest = wire(action);

async function put(server: TestServer, text: string): Promise<Digest> {
  const { digest, data } = blob(text);
  await server.store.put(scope, digest, data);
  return digest;
}

/** A result with a file, standard output, and a directory with one file inside. */
async function someResult(server: TestServer) {
  const file = await put(server, "a file");
  const stdout = await put(server, "standard output");
  const inner = await put(server, "inside the tree");
  const builder = new TreeBuilder();
  builder.addFile("deep/inside", inner);
  const tree = builder.buildTree(SHA256);
  await server.store.put(scope, tree.digest, tree.data);
  const result: Init<ActionResult> = {
    outputFiles: [{ path: "file", digest: wire(file) }],
    outputDirectories: [{ path: "dir", treeDigest: wire(tree.digest) }],
    stdoutDigest: wire(stdout),
    exitCode: 0,
  };
  return { result, promised: [file, stdout, inner, tree.digest] };
}

onEachStore("UpdateActionResult stores and GetActionResult gives the bytes as they came", async (start) => {
  await using server = await start();
  const { result } = await someResult(server);
  // A field that this version does not know must come back.
  const bytes = new Uint8Array([...ActionResultCodec.encode(result), 0xfa, 0x3e, 2, 7, 7]);
  const update = {
    ...ActionCacheService.updateActionResult,
    request: BytesCodec,
    response: BytesCodec,
  };
  const request = ActionCacheService.updateActionResult.request.encode({ instanceName, actionDigest });
  const head = new Uint8Array([...request, 0x1a, (bytes.length & 127) | 128, bytes.length >> 7, ...bytes]);
  assertEquals((await server.channel.unary(update, head)).slice(), bytes);
  const got = await server.channel.unary(RawActionCache.getActionResult, { instanceName, actionDigest });
  assertEquals(got.slice(), bytes);
});

onEachStore("UpdateActionResult joins a result that comes in two parts, as protobuf says", async (start) => {
  await using server = await start();
  const base = ActionCacheService.updateActionResult.request;
  const request = new Uint8Array([
    ...base.encode({ instanceName, actionDigest, actionResult: { exitCode: 3 } }),
    ...base.encode({ actionResult: { stderrRaw: new Uint8Array([65]) } }),
  ]);
  await server.channel.unary({ ...ActionCacheService.updateActionResult, request: BytesCodec }, request);
  const got = await server.channel.unary(ActionCacheService.getActionResult, { instanceName, actionDigest });
  assertEquals([got.exitCode, got.stderrRaw.slice()], [3, new Uint8Array([65])]);
});

onEachStore(
  "GetActionResult misses when anything is gone, also a file inside a Tree, and says what",
  async (start) => {
    await using server = await start();
    const { channel, store } = server;
    const get = () => channel.unary(ActionCacheService.getActionResult, { instanceName, actionDigest });
    const absent = await fails(get(), Code.NOT_FOUND);
    assert(absent.message.includes("No result of action"), absent.message);
    const { result, promised } = await someResult(server);
    await channel.unary(ActionCacheService.updateActionResult, {
      instanceName,
      actionDigest,
      actionResult: result,
    });
    for (const digest of promised) {
      const data = (await store.get(scope, digest)).slice();
      await store.delete(scope, digest);
      const error = await fails(get(), Code.NOT_FOUND);
      assert(error.message.includes(`gone, first ${digest.hash}`), error.message);
      await store.put(scope, digest, data);
      await get();
    }
    assertEquals(server.counts["action_cache_misses absent"], 1);
    assertEquals(server.counts["action_cache_misses incomplete"], promised.length);
    assertEquals(server.counts["action_cache_hits"], promised.length);
  },
);

onEachStore("UpdateActionResult refuses a result whose blobs are missing and names them", async (start) => {
  await using server = await start();
  const { channel, store } = server;
  const { result, promised } = await someResult(server);
  await store.delete(scope, promised[0]);
  await store.delete(scope, promised[1]);
  const request = { instanceName, actionDigest, actionResult: result };
  const error = await fails(
    channel.unary(ActionCacheService.updateActionResult, request),
    Code.FAILED_PRECONDITION,
  );
  const [detail] = error.details;
  assert(detail?.kind === "preconditionFailure");
  assertEquals(detail.violations.map((each) => [each.type, each.subject]), [
    ["MISSING", blobSubject(promised[0])],
    ["MISSING", blobSubject(promised[1])],
  ]);
  await fails(channel.unary(ActionCacheService.getActionResult, request), Code.NOT_FOUND);
});

onEachStore("the ActionCache calls refuse malformed requests", async (start) => {
  await using server = await start();
  const { channel } = server;
  const { getActionResult, updateActionResult } = ActionCacheService;
  const actionResult = { exitCode: 0 };
  for (
    const [what, request] of Object.entries({
      "no digest": { instanceName, actionResult },
      "a bad hash": { instanceName, actionDigest: { hash: "xyz", sizeBytes: 1 }, actionResult },
      "an unknown function": { instanceName, actionDigest, actionResult, digestFunction: 7 },
      "a bad instance": { instanceName: "a//b", actionDigest, actionResult },
    })
  ) {
    await fails(channel.unary(getActionResult, request), Code.INVALID_ARGUMENT, what);
    await fails(channel.unary(updateActionResult, request), Code.INVALID_ARGUMENT, what);
  }
  await fails(channel.unary(updateActionResult, { instanceName, actionDigest }), Code.INVALID_ARGUMENT);
});

onEachStore(
  "results of clients and of the grid are kept apart by environment, the grid's first",
  async (start) => {
    await using server = await start({ environments: ["grid", "client"] });
    await using closed = await start({ environments: ["grid"] });
    const { getActionResult, updateActionResult } = ActionCacheService;
    for (const { channel, cache } of [server, closed]) {
      const request = { instanceName, actionDigest };
      await channel.unary(updateActionResult, { ...request, actionResult: { exitCode: 1 } });
      if (channel === closed.channel) await fails(channel.unary(getActionResult, request), Code.NOT_FOUND);
      else assertEquals((await channel.unary(getActionResult, request)).exitCode, 1);
      await cache.update(scope, action, ActionResultCodec.encode({ exitCode: 2 }), "grid");
      assertEquals((await channel.unary(getActionResult, request)).exitCode, 2);
      await fails(channel.unary(getActionResult, { ...request, instanceName: "other" }), Code.NOT_FOUND);
    }
  },
);

onEachStore("GetActionResult puts in what is asked for while it fits a message", async (start) => {
  await using server = await start();
  const { channel, store } = server;
  const stdout = await put(server, "standard output");
  const big = noise(4_194_304 - 1000);
  const bigDigest = SHA256.hash(big);
  const digest = { ...stdout, hash: bigDigest as Digest["hash"], sizeBytes: big.length };
  await store.put(scope, digest, big);
  const actionResult: Init<ActionResult> = {
    outputFiles: [{ path: "small", digest: wire(stdout) }, { path: "big", digest: wire(digest) }],
    stdoutDigest: wire(stdout),
  };
  const request = { instanceName, actionDigest };
  await channel.unary(ActionCacheService.updateActionResult, { ...request, actionResult });
  const get = (more: object) => channel.unary(ActionCacheService.getActionResult, { ...request, ...more });
  assertEquals((await get({})).stdoutRaw.length, 0);
  const all = await get({
    inlineStdout: true,
    inlineStderr: true,
    inlineOutputFiles: ["small", "big", "none"],
  });
  assertEquals(new TextDecoder().decode(all.stdoutRaw), "standard output");
  assertEquals(all.outputFiles.map((file) => file.contents.length), [15, big.length]);
  await store.put(scope, blob("x".repeat(2000)).digest, blob("x".repeat(2000)).data);
  const wide = { ...actionResult, stderrDigest: wire(blob("x".repeat(2000)).digest) };
  await channel.unary(ActionCacheService.updateActionResult, { ...request, actionResult: wide });
  const some = await get({ inlineStderr: true, inlineOutputFiles: ["big", "small"] });
  assertEquals(some.stderrRaw.length, 2000);
  assertEquals(
    some.outputFiles.map((file) => file.contents.length),
    [15, 0],
    "what does not fit is left out",
  );
});

Deno.test("casCapabilities advertises what is there and no more", () => {
  const bytes = CacheCapabilitiesCodec.encode(casCapabilities({ maxBlobBytes: 7 }));
  const capabilities = CacheCapabilitiesCodec.decode(bytes);
  assertEquals(capabilities.digestFunctions, [1, 9, 5, 6, 2, 3, 8]);
  assertEquals(capabilities.maxBatchTotalSizeBytes, 4_000_000);
  assertEquals(capabilities.actionCacheUpdateCapabilities?.updateEnabled, true);
  assertEquals(capabilities.maxCasBlobSizeBytes, 7);
  assertEquals(capabilities.symlinkAbsolutePathStrategy, 2);
  assertEquals(capabilities.supportedCompressors, [1, 3, 2]);
  assertEquals(capabilities.supportedBatchUpdateCompressors, [1, 3, 2]);
  assertEquals([capabilities.splitBlobSupport, capabilities.spliceBlobSupport], [false, false]);
});
