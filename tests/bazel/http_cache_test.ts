/** Real Bazel with `--remote_cache=http://`: what it builds here, it gets from the cache, and what is gone it builds again. */

import { assertEquals, assertGreater } from "@std/assert";
import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
import { serveHttpCache } from "@brokkr/cas/http_cache";
import { scopeOf } from "@brokkr/common";
import { defaultPolicy } from "@brokkr/proto/rpc/server";
import type { BazelClient } from "./clients.ts";
import { build, cacheHits, clean, openGrid, outputs, testEachBazel } from "./_grid.ts";
import { openWorkspace, SMALL } from "./workspace.ts";

const OUTPUTS = ["out.txt", "app", "liblib.a"];
const TARGETS = ["//:gen", "//:app", "//:lib"];
const UPLOAD = "--remote_upload_local_results";

async function builds(client: BazelClient, t: Deno.TestContext): Promise<void> {
  await using workspace = await openWorkspace(client, SMALL);
  await using grid = await openGrid({ workers: 0, httpCacheListen: "127.0.0.1:0" });
  const cache = (instance: string) => [`--remote_cache=${grid.grid.httpCacheUrl}/${instance}`, UPLOAD];
  await build(workspace, ...TARGETS);
  const local = await outputs(workspace, OUTPUTS);

  await t.step("a cold build stores what a warm one gets", async () => {
    await clean(workspace);
    assertEquals(cacheHits(await build(workspace, ...cache("main"), ...TARGETS)), 0);
    await clean(workspace);
    const text = await build(workspace, ...cache("main"), ...TARGETS);
    assertGreater(cacheHits(text), 3, text);
    assertEquals(await outputs(workspace, OUTPUTS), local);
    assertEquals(
      /\d+ processes?: .*(local|sandbox)/.test(text.replace(/remote cache hit/g, "")),
      false,
      text,
    );
  });
  await t.step("another instance has results of its own", async () => {
    await clean(workspace);
    const text = await build(workspace, ...cache("other/one"), ...TARGETS);
    assertEquals(cacheHits(text), 0, text);
  });
  await t.step("what came by HTTP is there for gRPC, and the other way round", async () => {
    const grpc = (instance: string) => [
      `--remote_cache=${grid.endpoint}`,
      `--remote_instance_name=${instance}`,
      UPLOAD,
    ];
    await clean(workspace);
    const there = await build(workspace, ...grpc("main"), ...TARGETS);
    assertGreater(cacheHits(there), 3, there);
    await clean(workspace);
    assertEquals(cacheHits(await build(workspace, ...grpc("third"), ...TARGETS)), 0);
    await clean(workspace);
    const back = await build(workspace, ...cache("third"), ...TARGETS);
    assertGreater(cacheHits(back), 3, back);
    assertEquals(await outputs(workspace, OUTPUTS), local);
  });
  await t.step("without a path there is the default instance", async () => {
    const root = [`--remote_cache=${grid.grid.httpCacheUrl}`, UPLOAD];
    await clean(workspace);
    assertEquals(cacheHits(await build(workspace, ...root, ...TARGETS)), 0);
    await clean(workspace);
    assertGreater(cacheHits(await build(workspace, ...root, ...TARGETS)), 3);
  });
}

async function survivesEviction(client: BazelClient, t: Deno.TestContext): Promise<void> {
  await using workspace = await openWorkspace(client, SMALL);
  await using metadata = new MemoryMetadataStore();
  await using store = new MemoryBlobStore(64 << 20);
  await using http = await serveHttpCache({
    listen: "127.0.0.1:0",
    authorize: defaultPolicy({ anonymousAccess: ["read", "write"] }),
    store,
    cache: new ActionCache({ metadata, blobs: store }),
  });
  const flags = [`--remote_cache=${http.endpoint}`, UPLOAD];
  const scope = scopeOf("");
  await build(workspace, ...flags, ...TARGETS);
  const local = await outputs(workspace, OUTPUTS);
  const gone = digestOf(SHA256, await workspace.output("out.txt"));

  await t.step("a blob that is gone has its action run again", async () => {
    assertEquals(await store.delete(scope, gone), true);
    await clean(workspace);
    const text = await build(workspace, ...flags, ...TARGETS);
    assertGreater(cacheHits(text), 2, text);
    assertEquals(await outputs(workspace, OUTPUTS), local);
    // It was brought again with the result.
    assertEquals(store.sizeOf(scope, SHA256, gone.hash), gone.sizeBytes);
  });
  await t.step("as does one that goes between the result and its download", async () => {
    const sizeOf = store.sizeOf.bind(store);
    let asked = 0;
    store.sizeOf = (which, fn, hash) => {
      if (hash !== gone.hash) return sizeOf(which, fn, hash);
      asked++;
      return undefined;
    };
    await clean(workspace);
    await build(workspace, ...flags, ...TARGETS);
    assertGreater(asked, 0);
    assertEquals(await outputs(workspace, OUTPUTS), local);
  });
}

testEachBazel("builds with --remote_cache=http://", builds);
testEachBazel("builds again what the HTTP cache has lost", survivesEviction);
