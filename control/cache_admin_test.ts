/** What operators ask of the store, over the wire. */

import {
  ActionCache,
  CLIENT_ENVIRONMENT,
  type Digest,
  digestOf,
  MemoryMetadataStore,
  SHA256,
} from "@brokkr/cas";
import { BrokkrError, ByteBudget, Code, ManualClock, noLog, scopeOf } from "@brokkr/common";
import {
  ActionCodec,
  ActionResultCodec,
  Admin,
  ClosureBlob_Role as Role,
  CommandCodec,
  DirectoryCodec,
  WhyGoneResponse_Reason as Reason,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { createRpcServer, defaultPolicy } from "@brokkr/proto/rpc/server";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CacheAdmin } from "./cache_admin.ts";
import { Environments } from "./environments.ts";
import { KeptStore } from "./_kept_store.ts";
import { TestGrid, wire } from "./_test_grid.ts";

const SCOPE = scopeOf("main");
const HOUR_MS = 3_600_000;
const encoder = new TextEncoder();
const EMPTY = digestOf(SHA256, new Uint8Array());

interface Bench extends AsyncDisposable {
  readonly store: KeptStore;
  readonly cache: ActionCache;
  readonly channel: Channel;
  readonly clock: ManualClock;
  readonly put: (data: string | Uint8Array) => Promise<Digest>;
}

/** The store's part of Admin on a port. Stores given are used again, as after a restart. */
async function bench(
  metadata = new MemoryMetadataStore(),
  clock = new ManualClock(),
  store = new KeptStore(clock),
): Promise<Bench> {
  const cache = new ActionCache({ metadata, blobs: store, clock, ttlMs: 5 * HOUR_MS });
  const environments = await Environments.open(metadata, noLog, false);
  const admin = await CacheAdmin.open({
    blobs: store,
    cache,
    metadata,
    environments,
    budget: new ByteBudget(64 << 20),
    clock,
    log: noLog,
  });
  const server = createRpcServer({
    routes: admin.routes(),
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["admin"] }),
  });
  const [{ address }] = await server.listen();
  const channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
  const put = async (data: string | Uint8Array) => {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const digest = digestOf(SHA256, bytes);
    await store.put(SCOPE, digest, bytes);
    return digest;
  };
  return {
    store,
    cache,
    channel,
    clock,
    put,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server.shutdown({ graceMs: 0 });
      await admin.stop();
    },
  };
}

/** An action with a tree of two directories, and a result that names a file, a tree and a stream. */
async function wholeAction({ put, cache }: Bench) {
  const file = await put("an input");
  const inner = await put(DirectoryCodec.encode({ files: [{ name: "f", digest: wire(file) }] }));
  const twice = [{ name: "a", digest: wire(inner) }, { name: "b", digest: wire(inner) }];
  const root = await put(DirectoryCodec.encode({ directories: twice }));
  const command = await put(CommandCodec.encode({ arguments: ["make"] }));
  const action = await put(ActionCodec.encode({ commandDigest: wire(command), inputRootDigest: wire(root) }));
  const output = await put("an output");
  const stdout = await put("what it said");
  const result = ActionResultCodec.encode({
    exitCode: 0,
    outputFiles: [{ path: "out", digest: wire(output) }, { path: "none", digest: wire(EMPTY) }],
    stdoutDigest: wire(stdout),
  });
  await cache.update(SCOPE, action, result, CLIENT_ENVIRONMENT);
  return { action, command, root, inner, file, output, stdout, result };
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => call, BrokkrError)).codeName;
}

Deno.test("Usage is counted once for all who ask meanwhile, and told by class", async () => {
  await using place = await bench();
  const { store, cache, channel, put } = place;
  const one = await put("one");
  await put("three");
  const result = ActionResultCodec.encode({ exitCode: 0 });
  for (const instance of ["main", "main", "side"]) {
    await cache.update(scopeOf(instance), one, result, instance);
  }
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  store.warning = "The store is too small";
  const asked = Array.from({ length: 5 }, () => channel.unary(Admin.getStoreUsage, {}));
  // An answer to a call that came later: the five have been taken.
  await channel.unary(Admin.listPins, {});
  gate.resolve();
  for (const usage of await Promise.all(asked)) {
    assertEquals(usage.blobs, { blobs: 2, bytes: 8 });
    assertEquals(usage.sizes.map(({ upToBytes, count }) => [upToBytes, count?.blobs, count?.bytes]), [
      [4096, 2, 8],
      [undefined, 0, 0],
    ]);
    assertEquals(usage.ages[0].upTo, { seconds: 3600, nanos: 0 });
    assertEquals([usage.ages[1].upTo, usage.maxBytes, usage.maxBlobs], [undefined, 1 << 30, undefined]);
    assertEquals(usage.warning, "The store is too small");
    assertEquals(
      usage.instances.map(({ instanceName, results, unknown }) => [instanceName, results, unknown]),
      [
        ["main", 1, false],
        ["side", 1, false],
      ],
    );
  }
  assertEquals(store.counts, 1);
});

Deno.test("A verification tells what is damaged, and one at a time is made", async () => {
  await using place = await bench();
  const { store, channel, put } = place;
  const good = await put("good");
  const bad = await put("bad");
  store.rotten.set(`${bad.hash}/3`, {
    digest: bad,
    where: "segments/1 at 64",
    problem: "It has another hash",
    outcome: "quarantined",
  });
  const messages = await all(channel.serverStream(Admin.verifyStore, {}));
  assertEquals(messages.flatMap(({ damaged }) => damaged), [{
    digest: wire(bad),
    digestFunction: 1,
    where: "segments/1 at 64",
    problem: "It has another hash",
    outcome: 1,
  }]);
  assertEquals(messages.map(({ done }) => done).indexOf(true), messages.length - 1);
  assertEquals(messages.at(-1)?.read, { blobs: 2, bytes: good.sizeBytes + bad.sizeBytes });

  // One that stands still, until the client ends it.
  store.gate = new Promise(() => {});
  const abort = new AbortController();
  const walk = channel.serverStream(Admin.verifyStore, {}, { signal: abort.signal })[Symbol.asyncIterator]();
  await walk.next();
  assertEquals(await codeOf(all(channel.serverStream(Admin.verifyStore, {}))), "RESOURCE_EXHAUSTED");
  abort.abort();
  await assertRejects(() => walk.next(), BrokkrError);
  while (store.walks > 0) await channel.unary(Admin.listPins, {});
  store.gate = Promise.resolve();
  assertEquals((await all(channel.serverStream(Admin.verifyStore, {}))).at(-1)?.done, true);
});

Deno.test("A dry collection tells what a real one does, and why a blob is gone is remembered", async () => {
  await using place = await bench();
  const { store, channel, clock, put } = place;
  const [one, two] = [await put("one"), await put("two!")];
  const dry = await channel.unary(Admin.collectStore, { targetBytes: 4, dryRun: true });
  assertEquals([dry.gone, dry.diskBytes, dry.shortfall], [{ blobs: 1, bytes: 3 }, 4, ""]);
  assertEquals(dry.ages[0].count, { blobs: 1, bytes: 3 });
  assertEquals(
    await channel.unary(Admin.whyGone, { digest: wire(one) }).then(({ present }) => present),
    true,
  );
  clock.advance(60_000);
  assertEquals((await channel.unary(Admin.collectStore, { targetBytes: 4 })).gone, dry.gone);
  const why = await channel.unary(Admin.whyGone, { digest: wire(one) });
  assertEquals([why.present, why.reason], [false, Reason.COLLECTED]);
  assertEquals((why.gone?.seconds ?? 0) - (why.used?.seconds ?? 0), 7200);
  const never = await channel.unary(Admin.whyGone, {
    digest: wire(digestOf(SHA256, encoder.encode("never"))),
  });
  assertEquals([never.present, never.reason, never.gone], [false, Reason.NOT_REMEMBERED, undefined]);
  assertEquals((never.logSince?.seconds ?? 0) + 60, why.gone?.seconds);
  assertEquals(await codeOf(channel.unary(Admin.collectStore, { targetBytes: -1 })), "INVALID_ARGUMENT");
  assert(!store.isPinned(two));
});

Deno.test("A closure is everything that belongs to an action, in order, each once", async () => {
  await using place = await bench();
  const { channel, store } = place;
  const parts = await wholeAction(place);
  const request = { instanceName: "main", actionDigest: wire(parts.action) };
  const [head, ...rest] = await all(channel.serverStream(Admin.getClosure, request));
  const blobs = rest.flatMap((message) => message.blobs);
  const roles = new Map(blobs.map(({ digest, role }) => [digest?.hash, role]));
  assertEquals([head.missingCount, head.notes, head.actionResult], [0, [], parts.result]);
  assertEquals(roles.size, blobs.length);
  const expected = [
    [parts.action, Role.ACTION],
    [parts.command, Role.COMMAND],
    [parts.root, Role.DIRECTORY],
    [parts.inner, Role.DIRECTORY],
    [parts.file, Role.INPUT],
    [parts.output, Role.OUTPUT],
    [parts.stdout, Role.OUTPUT],
  ] as const;
  assertEquals(roles, new Map(expected.map(([digest, role]) => [digest.hash as string | undefined, role])));
  assertEquals(blobs.map(({ digest }) => digest?.hash), blobs.map(({ digest }) => digest?.hash).sort());
  assertEquals(head.count?.blobs, 7);

  const short = await all(channel.serverStream(Admin.getClosure, { ...request, withoutInputs: true }));
  assertEquals(short.flatMap((message) => message.blobs).map(({ role }) => role), [Role.OUTPUT, Role.OUTPUT]);

  await store.delete(SCOPE, parts.file);
  await store.delete(SCOPE, parts.output);
  const [less] = await all(channel.serverStream(Admin.getClosure, request));
  assertEquals([less.missing, less.missingCount], [[wire(parts.file)], 1]);
  assertEquals(less.actionResult, undefined);
  assertStringIncludes(less.notes[0], "not complete any more: 1 of the blobs it names are gone");
  const none = all(channel.serverStream(Admin.getClosure, { ...request, withoutInputs: true }));
  assertEquals(await codeOf(none), "NOT_FOUND");
  const other = all(channel.serverStream(Admin.getClosure, { ...request, instanceName: "other" }));
  // The action is there for every instance, its result is not.
  assertStringIncludes((await other)[0].notes[0], "No result of it is cached");
});

Deno.test("A pin holds beyond promises, is renewed, outlives the process and ends", async () => {
  const metadata = new MemoryMetadataStore();
  const clock = new ManualClock();
  const store = new KeptStore(clock);
  let parts;
  {
    await using place = await bench(metadata, clock, store);
    parts = await wholeAction(place);
    const request = {
      instanceName: "main",
      actionDigest: wire(parts.action),
      duration: { seconds: 86_400, nanos: 0 },
      name: "release 1",
    };
    const { pin, missingCount } = await place.channel.unary(Admin.pinBlobs, request);
    assertEquals([pin?.name, pin?.count?.blobs, missingCount], ["release 1", 7, 0]);
    clock.advance(3 * HOUR_MS + 60_000);
    assert(store.isPinned(parts.file));
    // The timer that renewed it has fired; what it began is done before the next change of a pin is.
    for (let hours = 0; hours < 6; hours++) {
      clock.advance(HOUR_MS);
      await assertRejects(() => place.channel.unary(Admin.unpinBlobs, { name: "none" }), BrokkrError);
    }
    for (const digest of [parts.action, parts.root, parts.file, parts.output]) assert(store.isPinned(digest));
    assert((await place.cache.peek(SCOPE, parts.action, CLIENT_ENVIRONMENT)).hit, "its result went unused");
  }
  // Nobody renews it while no process runs, and the store forgets; the next one tells it again.
  clock.advance(8 * HOUR_MS);
  assert(!store.isPinned(parts.file));
  await using place = await bench(metadata, clock, store);
  const pins = async () => (await place.channel.unary(Admin.listPins, {})).pins;
  await assertRejects(() => place.channel.unary(Admin.unpinBlobs, { name: "none" }), BrokkrError);
  assert(store.isPinned(parts.file));
  assertEquals((await pins()).map(({ name, problem, count }) => [name, problem, count?.blobs]), [[
    "release 1",
    "",
    7,
  ]]);
  await store.delete(SCOPE, parts.file);
  clock.advance(HOUR_MS);
  await assertRejects(() => place.channel.unary(Admin.unpinBlobs, { name: "none" }), BrokkrError);
  assertEquals((await pins())[0].problem, "1 of its 7 blobs is not there");
  clock.advance(8 * HOUR_MS);
  assertEquals(await pins(), []);
  // What began when the timer fired is done before the next change of a pin is.
  await assertRejects(() => place.channel.unary(Admin.unpinBlobs, { name: "none" }), BrokkrError);
  assertEquals(await metadata.count(encoder.encode("control/pin/")), 0);
});

Deno.test("Single blobs are pinned, replaced by name, and unpinned", async () => {
  await using place = await bench();
  const { channel, store, put, clock } = place;
  const [one, two] = [await put("one"), await put("two")];
  const duration = { seconds: 10 * 86_400, nanos: 0 };
  const lost = wire(digestOf(SHA256, encoder.encode("lost")));
  const first = await channel.unary(Admin.pinBlobs, { blobDigests: [wire(one), wire(one), lost], duration });
  assertEquals([first.pin?.name, first.pin?.count, first.missing, first.missingCount], [
    `${one.hash}/3`,
    { blobs: 1, bytes: 3 },
    [lost],
    1,
  ]);
  const again = { blobDigests: [wire(one), wire(two)], duration, name: `${one.hash}/3` };
  await channel.unary(Admin.pinBlobs, again);
  const { pins } = await channel.unary(Admin.listPins, {});
  assertEquals(pins.map(({ count }) => count), [{ blobs: 2, bytes: 6 }]);
  const { keptFor } = await channel.unary(Admin.unpinBlobs, { name: `${one.hash}/3` });
  assertEquals((await channel.unary(Admin.listPins, {})).pins, []);
  assertEquals(keptFor, { seconds: 3 * 3600, nanos: 0 });
  clock.advance(3 * HOUR_MS);
  assert(!store.isPinned(one));

  // What two pins cover stays while one of them holds, and a pin that is replaced lets go of the rest.
  await channel.unary(Admin.pinBlobs, { ...again, name: "both" });
  await channel.unary(Admin.pinBlobs, { ...again, blobDigests: [wire(one)], name: "first" });
  await channel.unary(Admin.pinBlobs, { ...again, blobDigests: [wire(two)], name: "both" });
  clock.advance(3 * HOUR_MS + 60_000);
  assert(store.isPinned(one) && store.isPinned(two));
  await channel.unary(Admin.unpinBlobs, { name: "both" });
  await channel.unary(Admin.pinBlobs, { ...again, name: "both" });
  await channel.unary(Admin.unpinBlobs, { name: "both" });
  clock.advance(3 * HOUR_MS + 60_000);
  assert(store.isPinned(one) && !store.isPinned(two));
  await channel.unary(Admin.unpinBlobs, { name: "first" });

  store.pinShareBytes = 5;
  assertEquals(await codeOf(channel.unary(Admin.pinBlobs, again)), "RESOURCE_EXHAUSTED");
  assertEquals((await channel.unary(Admin.listPins, {})).pins, []);
  for (
    const [request, code] of [
      [{ duration }, "INVALID_ARGUMENT"],
      [{ blobDigests: [wire(one)] }, "INVALID_ARGUMENT"],
      [{ blobDigests: [wire(one)], duration: { seconds: 400 * 86_400, nanos: 0 } }, "INVALID_ARGUMENT"],
      [{ blobDigests: [wire(one)], actionDigest: wire(one), duration }, "INVALID_ARGUMENT"],
      [{ blobDigests: [wire(one)], duration, name: "a\nb" }, "INVALID_ARGUMENT"],
      [{ blobDigests: [lost], duration }, "NOT_FOUND"],
      [{ actionDigest: lost, duration }, "NOT_FOUND"],
    ] as const
  ) assertEquals(await codeOf(channel.unary(Admin.pinBlobs, request)), code);
});

Deno.test("A pin that is refused when part of it was told to the store leaves nothing pinned but what others cover", async () => {
  await using place = await bench();
  const { channel, store, put, clock } = place;
  // The store is told of 8192 at a time; the last blob is too large.
  const blobs: Digest[] = [];
  for (let i = 0; i < 8192; i++) blobs.push(await put(`${i}`));
  blobs.push(await put(new Uint8Array(100_000)));
  const duration = { seconds: 10 * 86_400, nanos: 0 };
  await channel.unary(Admin.pinBlobs, { blobDigests: [wire(blobs[1])], duration, name: "other" });
  store.pinShareBytes = 60_000;
  const call = channel.unary(Admin.pinBlobs, { blobDigests: blobs.map(wire), duration });
  assertEquals(await codeOf(call), "RESOURCE_EXHAUSTED");
  clock.advance(3 * HOUR_MS + 60_000);
  assertEquals(blobs.map((digest) => store.isPinned(digest)).indexOf(true), 1);
  assertEquals(blobs.map((digest) => store.isPinned(digest)).lastIndexOf(true), 1);
});

Deno.test("A grid in memory has no keeper to ask, but closures", async () => {
  await using grid = await TestGrid.start();
  const digest = wire(await grid.action("true"));
  const { channel } = grid;
  for (
    const call of [
      channel.unary(Admin.getStoreUsage, {}),
      all(channel.serverStream(Admin.verifyStore, {})),
      channel.unary(Admin.collectStore, {}),
      channel.unary(Admin.pinBlobs, { blobDigests: [digest], duration: { seconds: 1, nanos: 0 } }),
      channel.unary(Admin.listPins, {}),
      channel.unary(Admin.whyGone, { digest }),
    ]
  ) {
    const error = await assertRejects(() => call, BrokkrError);
    assertEquals(error.code, Code.FAILED_PRECONDITION);
    assertStringIncludes(error.message, "kept in memory");
  }
  const [head] = await all(
    channel.serverStream(Admin.getClosure, { instanceName: "main", actionDigest: digest }),
  );
  assertEquals(head.count?.blobs, 2);
  const { store } = await channel.unary(Admin.getStatus, {});
  assertEquals([store?.maxBytes, store?.warning], [0, ""]);
});
