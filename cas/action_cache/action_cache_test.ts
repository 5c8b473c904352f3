import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokkrError, ByteBudget, Code, ManualClock, scopeOf } from "@brokkr/common";
import { type ActionResult, ActionResultCodec, type Init } from "@brokkr/proto";
import type { DigestBatch } from "../blob_store.ts";
import { blobSubject, type Digest, digestOf, SHA256 } from "../digest.ts";
import { MemoryMetadataStore } from "../metadata/memory_metadata_store.ts";
import { MemoryBlobStore } from "../store/memory_store.ts";
import { TreeBuilder } from "../tree/builder.ts";
import { ResultBeyondLimits } from "./_closure.ts";
import { inlineContents } from "./_inline.ts";
import { readActionResult } from "./_read_result.ts";
import { ActionCache, CLIENT_ENVIRONMENT } from "./action_cache.ts";

const utf8 = new TextEncoder();
const scope = scopeOf("main");
const action = digestOf(SHA256, utf8.encode("an action"));

function setup() {
  const metadata = new MemoryMetadataStore();
  const blobs = new MemoryBlobStore(64 << 20);
  const counts: Record<string, number> = {};
  const metrics = {
    counter: (name: string) => ({
      add: (labels: Readonly<Record<string, string>> = {}) => {
        const key = [name.replace("brokkr_action_cache_", ""), ...Object.values(labels)].join(" ");
        counts[key] = (counts[key] ?? 0) + 1;
      },
    }),
    gauge: () => ({ set: () => {}, add: () => {} }),
    histogram: () => ({ observe: () => {} }),
  };
  const cache = new ActionCache({ metadata, blobs, metrics });
  const put = async (text: string): Promise<Digest> => {
    const data = utf8.encode(text);
    const digest = digestOf(SHA256, data);
    await blobs.put(scope, digest, data);
    return digest;
  };
  return { metadata, blobs, cache, counts, put };
}

type Setup = ReturnType<typeof setup>;

function wire(digest: Digest): { hash: string; sizeBytes: number } {
  return { hash: digest.hash, sizeBytes: digest.sizeBytes };
}

/** A result with three files, both logs, and a directory of nested files as Tree and as Directory. */
async function fullResult({ put, blobs }: Setup): Promise<{ bytes: Uint8Array; promised: Digest[] }> {
  const files = await Promise.all(["one", "two", "three"].map((text) => put(text)));
  const inner = await Promise.all(["in a", "in b"].map((text) => put(text)));
  const builder = new TreeBuilder();
  builder.addFile("a", inner[0]);
  builder.addFile("deep/er/b", inner[1]);
  builder.addDirectory("empty");
  const tree = builder.buildTree(SHA256);
  await blobs.put(scope, tree.digest, tree.data);
  for (const { digest, data } of tree.built.directories) await blobs.put(scope, digest, data);
  const stdout = await put("out"), stderr = await put("err");
  const bytes = ActionResultCodec.encode({
    outputFiles: files.map((digest, i) => ({ path: `f${i}`, digest: wire(digest) })),
    outputDirectories: [{
      path: "dir",
      treeDigest: wire(tree.digest),
      rootDirectoryDigest: wire(tree.built.rootDigest),
    }],
    stdoutDigest: wire(stdout),
    stderrDigest: wire(stderr),
    exitCode: 0,
  });
  const directories = tree.built.directories.map((each) => each.digest).filter((each) => each.sizeBytes > 0);
  return { bytes, promised: [...files, ...inner, tree.digest, stdout, stderr, ...directories] };
}

Deno.test("ActionCache answers with the bytes as they came, also after it has forgotten what was hot", async () => {
  const parts = setup();
  const { bytes } = await fullResult(parts);
  const unknownField = new Uint8Array([...bytes, 0xfa, 0x3e, 2, 7, 7]);
  await parts.cache.update(scope, action, unknownField, "env");
  for (const cache of [parts.cache, new ActionCache(parts), new ActionCache({ ...parts, hotEntries: 0 })]) {
    for (let i = 0; i < 2; i++) {
      const answer = cache.get(scope, action, "env");
      assert(!(answer instanceof Promise), "answers without a promise when the stores do");
      assert(answer.hit);
      assertEquals(answer.bytes, unknownField);
      assertEquals(answer.environment, "env");
    }
  }
  assertEquals(await parts.cache.count(), 1);
  assertEquals(parts.counts, { "updates_total stored": 1, "hits_total": 2 });
});

Deno.test("ActionCache keeps nothing of the caller's buffer", async () => {
  const { cache } = setup();
  const bytes = new Uint8Array(ActionResultCodec.encode({ exitCode: 3, stdoutRaw: utf8.encode("hello") }));
  const before = bytes.slice();
  await cache.update(scope, action, bytes, "env");
  bytes.fill(0xff);
  const answer = await cache.get(scope, action, "env");
  assert(answer.hit);
  assertEquals(answer.bytes, before);
});

Deno.test("ActionCache misses, naming the blob, when any one that a result promises is gone", async () => {
  const parts = setup();
  const { bytes, promised } = await fullResult(parts);
  await parts.cache.update(scope, action, bytes, "env");
  assertEquals(promised.length, 3 + 2 + 1 + 2 + 3);
  for (const digest of promised) {
    const data = (await parts.blobs.get(scope, digest)).slice();
    assertEquals(await parts.blobs.delete(scope, digest), true);
    for (const cache of [parts.cache, new ActionCache(parts)]) {
      const answer = await cache.get(scope, action, "env");
      assertEquals(answer, { hit: false, reason: "incomplete", missing: [digest] });
    }
    await parts.blobs.put(scope, digest, data);
    assertEquals((await parts.cache.get(scope, action, "env")).hit, true);
  }
});

Deno.test("ActionCache refuses a result of which any blob is missing, naming it, and stores nothing", async () => {
  const parts = setup();
  const { bytes, promised } = await fullResult(parts);
  for (const digest of promised) {
    const data = (await parts.blobs.get(scope, digest)).slice();
    await parts.blobs.delete(scope, digest);
    const error = await assertRejects(() => parts.cache.update(scope, action, bytes, "env"), BrokkrError);
    assertEquals(error.code, Code.FAILED_PRECONDITION, error.message);
    const [detail] = error.details;
    assert(detail?.kind === "preconditionFailure");
    assertEquals(detail.violations, [{ type: "MISSING", subject: blobSubject(digest), description: "" }]);
    await parts.blobs.put(scope, digest, data);
  }
  assertEquals(await parts.cache.get(scope, action, "env"), { hit: false, reason: "absent", missing: [] });
  assertEquals(parts.counts["updates_total refused"], promised.length);
});

Deno.test("ActionCache does not answer for an action's hash with another size", async () => {
  const parts = setup();
  await parts.cache.update(scope, action, ActionResultCodec.encode({ exitCode: 0 }), "env");
  const other: Digest = { ...action, sizeBytes: action.sizeBytes + 1 };
  for (const cache of [parts.cache, new ActionCache(parts)]) {
    assertEquals((await cache.get(scope, other, "env")).hit, false);
    assertEquals((await cache.get(scope, action, "env")).hit, true);
  }
});

Deno.test("ActionCache keeps scopes and environments apart", async () => {
  const { cache } = setup();
  await cache.update(scope, action, ActionResultCodec.encode({ exitCode: 1 }), "a");
  await cache.update(scopeOf(""), action, ActionResultCodec.encode({ exitCode: 2 }), "b");
  for (
    const [where, environment, hit] of [
      [scope, "a", true],
      [scope, "b", false],
      [scope, "", false],
      [scopeOf(""), "a", false],
      [scopeOf(""), "b", true],
      [scopeOf("mai"), "a", false],
      [{ ...scope, lane: "trusted" }, "a", false],
      [{ ...scope, tenant: "t" }, "a", false],
    ] as const
  ) {
    assertEquals((await cache.get(where, action, environment)).hit, hit);
  }
  const other = digestOf(SHA256, utf8.encode("another"));
  assertEquals((await cache.get(scope, other, "a")).hit, false);
});

Deno.test("ActionCache looks into environments in order and passes over incomplete results", async () => {
  const { cache, put, blobs } = setup();
  const digest = await put("soon gone");
  await cache.update(
    scope,
    action,
    ActionResultCodec.encode({ outputFiles: [{ path: "f", digest: wire(digest) }] }),
    "grid",
  );
  const first = await cache.get(scope, action, "grid", CLIENT_ENVIRONMENT);
  assert(first.hit && first.environment === "grid");
  await blobs.delete(scope, digest);
  assertEquals(await cache.get(scope, action, "grid", CLIENT_ENVIRONMENT), {
    hit: false,
    reason: "incomplete",
    missing: [digest],
  });
  await cache.update(scope, action, ActionResultCodec.encode({ exitCode: 0 }), CLIENT_ENVIRONMENT);
  const second = await cache.get(scope, action, "grid", CLIENT_ENVIRONMENT);
  assert(second.hit && second.environment === CLIENT_ENVIRONMENT);
});

Deno.test("ActionCache works over stores that answer later", async () => {
  const parts = setup();
  const { bytes, promised } = await fullResult(parts);
  const later = {
    bootEpoch: 1,
    get: async (key: Uint8Array) => await Promise.resolve(parts.metadata.get(key)),
    write: parts.metadata.write.bind(parts.metadata),
    list: parts.metadata.list.bind(parts.metadata),
    count: parts.metadata.count.bind(parts.metadata),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const blobs = new class extends MemoryBlobStore {
    // deno-lint-ignore no-explicit-any -- the leaf narrows what the interface allows.
    override missing(...args: [typeof scope, DigestBatch]): any {
      return Promise.resolve(parts.blobs.missing(...args));
    }
  }(1 << 20);
  await parts.cache.update(scope, action, bytes, "grid");
  const cache = new ActionCache({ metadata: later, blobs });
  const answer = await cache.get(scope, action, "other", "grid");
  assert(answer.hit);
  assertEquals(answer.bytes, bytes);
  await parts.blobs.delete(scope, promised[0]);
  assertEquals((await cache.get(scope, action, "other", "grid")).hit, false);
});

Deno.test("ActionCache pins all that a hit or an update promised, and nothing for a miss", async () => {
  const parts = setup();
  const { bytes, promised } = await fullResult(parts);
  const pins: (readonly [number, number])[] = [];
  let works = false;
  parts.blobs.pin = (_scope, batch, durationMs) => {
    pins.push([batch.length, durationMs]);
    return works ? Promise.resolve() : Promise.reject(new Error("cannot pin now"));
  };
  const clock = new ManualClock();
  const cache = new ActionCache({ ...parts, pinMs: 1000, clock });
  await cache.update(scope, action, bytes, "env");
  works = true;
  // The first hit makes up for the update's pin, which failed.
  for (const [atMs, count] of [[0, 2], [499, 2], [500, 3], [999, 3], [1000, 4]]) {
    clock.advance(atMs - clock.monotonicMs());
    assertEquals((await cache.get(scope, action, "env")).hit, true);
    assertEquals(pins, new Array(count).fill([promised.length, 1000]));
  }
  await cache.update(scope, action, bytes, "env");
  assertEquals((await cache.get(scope, action, "env")).hit, true);
  assertEquals(pins.length, 5);
  await parts.blobs.delete(scope, promised[0]);
  assertEquals((await cache.get(scope, action, "env")).hit, false);
  assertEquals(pins.length, 5);
});

Deno.test("ActionCache takes no result of which a blob goes while it is being stored", async () => {
  const parts = setup();
  const { bytes, promised } = await fullResult(parts);
  for (const digest of promised) {
    const data = (await parts.blobs.get(scope, digest)).slice();
    // The last moment before the pin: everything was there when it was looked at before.
    parts.blobs.pin = async () => {
      await parts.blobs.delete(scope, digest);
    };
    const error = await assertRejects(() => parts.cache.update(scope, action, bytes, "env"), BrokkrError);
    assertEquals(error.code, Code.FAILED_PRECONDITION);
    assert(error.message.includes(digest.hash), error.message);
    assertEquals(await parts.cache.count(), 0);
    await parts.blobs.put(scope, digest, data);
  }
});

Deno.test("ActionCache refuses malformed results", async () => {
  const { cache, put } = setup();
  const digest = wire(await put("x"));
  const badTree = wire(await put("\xff not a tree"));
  const hollow = new TreeBuilder();
  hollow.addDirectory("a/b");
  const root = hollow.build(SHA256).directories[0].data;
  const lacking = new Uint8Array([0x0a, root.length, ...root]);
  const lackingDigest = wire(await put(new TextDecoder("latin1").decode(lacking)));
  const cases: Init<ActionResult>[] = [
    { outputFiles: [{ path: "f" }] },
    { outputFiles: [{ path: "f", digest: { hash: "zz", sizeBytes: 1 } }] },
    { outputFiles: [{ path: "f", digest: { ...digest, sizeBytes: -1 } }] },
    { outputFiles: [{ path: "/etc/passwd", digest }] },
    { outputSymlinks: [{ path: "/x", target: "y" }] },
    { outputDirectories: [{ path: "d" }] },
    { outputDirectories: [{ path: "d", treeDigest: badTree }] },
    { outputDirectories: [{ path: "d", treeDigest: lackingDigest }] },
    { outputFiles: [{ path: "f", digest }, { path: "g", digest: { ...digest, sizeBytes: 7 } }] },
    { stdoutRaw: new Uint8Array(4_000_001) },
  ];
  for (const result of cases) {
    const bytes = ActionResultCodec.encode(result);
    const error = await assertRejects(() => cache.update(scope, action, bytes, "env"), BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT, error.message);
  }
  await assertRejects(() => cache.update(scope, action, new Uint8Array([0xff]), "env"), BrokkrError);
  assertEquals(await cache.count(), 0);
});

Deno.test("ActionCache forgets what is deleted, and an update replaces", async () => {
  const { cache, metadata, blobs } = setup();
  await cache.update(scope, action, ActionResultCodec.encode({ exitCode: 1 }), "env");
  const newer = ActionResultCodec.encode({ exitCode: 2 });
  await cache.update(scope, action, newer, "env");
  for (const each of [cache, new ActionCache({ metadata, blobs })]) {
    const answer = await each.get(scope, action, "env");
    assert(answer.hit);
    assertEquals(answer.bytes, newer);
  }
  await cache.delete(scope, action, "env");
  assertEquals((await cache.get(scope, action, "env")).hit, false);
  assertEquals(await cache.count(), 0);
});

Deno.test("ActionCache stays within its limits of what it keeps at hand", async () => {
  const { metadata, blobs } = setup();
  const cache = new ActionCache({ metadata, blobs, hotEntries: 3, hotBytes: 4000 });
  for (let i = 0; i < 20; i++) {
    const digest = digestOf(SHA256, utf8.encode(`${i}`));
    await cache.update(scope, digest, ActionResultCodec.encode({ stdoutRaw: new Uint8Array(i * 10) }), "env");
  }
  for (let i = 0; i < 20; i++) {
    const answer = await cache.get(scope, digestOf(SHA256, utf8.encode(`${i}`)), "env");
    assert(answer.hit);
    assertEquals(ActionResultCodec.decode(answer.bytes).stdoutRaw.length, i * 10);
  }
});

Deno.test("inlineContents adds what is asked for, present and small, and leaves the rest as it came", async () => {
  const { put, blobs } = setup();
  const [out, err, small, large] = await Promise.all(["out!", "err!", "small", "x".repeat(5000)].map(put));
  const gone = digestOf(SHA256, utf8.encode("gone"));
  const message: Init<ActionResult> = {
    outputFiles: [
      { path: "small", digest: wire(small), isExecutable: true },
      { path: "other", digest: wire(small) },
      { path: "large", digest: wire(large) },
      { path: "gone", digest: wire(gone) },
      { path: "had", digest: wire(small), contents: utf8.encode("had") },
    ],
    stdoutDigest: wire(out),
    stderrDigest: wire(err),
    exitCode: 7,
  };
  const bytes = new Uint8Array([...ActionResultCodec.encode(message), 0xfa, 0x3e, 2, 7, 7]);
  let budget: ByteBudget | undefined = new ByteBudget(20_000);
  const inline = (request: { stdout?: boolean; stderr?: boolean; files?: string[] }, limit: number) =>
    inlineContents(
      blobs,
      scope,
      SHA256,
      bytes,
      { stdout: false, stderr: false, files: [], ...request },
      { limitBytes: limit, budget },
    );
  assertEquals(await inline({}, 1e6), bytes);
  const all = await inline(
    { stdout: true, files: ["small", "large", "gone", "had", "nope"] },
    bytes.length + 1000,
  );
  assertEquals(all.subarray(-4 - 2).slice(), new Uint8Array([0x2a, 4, ...utf8.encode("out!")]));
  const decoded = ActionResultCodec.decode(all);
  assertEquals(
    decoded.outputFiles.map((
      file,
    ) => [file.path, new TextDecoder().decode(file.contents), file.isExecutable]),
    [["small", "small", true], ["other", "", false], ["large", "", false], ["gone", "", false], [
      "had",
      "had",
      false,
    ]],
  );
  assertEquals([decoded.exitCode, decoded.stderrRaw.length], [7, 0]);
  const both = ActionResultCodec.decode(await inline({ stdout: true, stderr: true, files: ["large"] }, 1e6));
  assertEquals(both.stdoutRaw.slice(), utf8.encode("out!"));
  assertEquals(both.stderrRaw.slice(), utf8.encode("err!"));
  assertEquals(both.outputFiles[2].contents.length, 5000);
  assertEquals(await inline({ stdout: true, files: ["small"] }, bytes.length + 3), bytes);
  assertEquals(budget.usedBytes, 0);
  // Where memory is short the large one is left out, and nothing is waited for.
  budget = new ByteBudget(20_000);
  using held = await budget.acquire(19_000);
  const scarce = ActionResultCodec.decode(await inline({ stdout: true, files: ["large"] }, 1e6));
  assertEquals([scarce.stdoutRaw.length, scarce.outputFiles[2].contents.length], [4, 0]);
  assertEquals(budget.usedBytes, held.sizeBytes);
});

Deno.test("a tree of one directory with 100,000 files is looked into in slices", async () => {
  const { put, blobs, cache } = setup();
  const file = await put("contents");
  const builder = new TreeBuilder();
  for (let i = 0; i < 100_000; i++) builder.addFile(`file-${i}`, file);
  const tree = builder.buildTree(SHA256);
  await blobs.put(scope, tree.digest, tree.data);
  const [root] = tree.built.directories;
  await blobs.put(scope, root.digest, root.data);
  for (
    const directory of [{ treeDigest: wire(tree.digest) }, {
      rootDirectoryDigest: wire(root.digest),
    }] as const
  ) {
    const bytes = ActionResultCodec.encode({ outputDirectories: [{ path: "out", ...directory }] });
    let done = false;
    const update = cache.update(scope, action, bytes, "e").finally(() => done = true);
    let turns = 0;
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    await update;
    // In one go it would be a handful.
    assert(turns > 30, `${turns} turns of the event loop`);
  }
});

Deno.test("a tree too large to be looked into is told apart from a malformed one", async () => {
  const { cache, blobs, put } = setup();
  const huge = { fn: SHA256, hash: digestOf(SHA256, utf8.encode("huge")).hash, sizeBytes: 65 << 20 };
  const store = { ...blobs, missing: () => new Uint32Array() } as unknown as MemoryBlobStore;
  const lenient = new ActionCache({ metadata: new MemoryMetadataStore(), blobs: store });
  const result = (digest: Digest) =>
    ActionResultCodec.encode({ outputDirectories: [{ path: "out", treeDigest: wire(digest) }] });
  const beyond = await assertRejects(
    () => lenient.update(scope, action, result(huge), "e"),
    ResultBeyondLimits,
  );
  assertEquals(beyond.code, Code.INVALID_ARGUMENT);
  const nonsense = await put("\xff nonsense");
  const malformed = await assertRejects(
    () => cache.update(scope, action, result(nonsense), "e"),
    BrokkrError,
  );
  assertEquals(malformed.code, Code.INVALID_ARGUMENT);
  assert(!(malformed instanceof ResultBeyondLimits));
});

Deno.test("readActionResult comes to the same as the codec, in slices", async () => {
  const digest = wire(action);
  const name = (i: number) => `some/directory/with/a/name/${i}`;
  const message: Init<ActionResult> = {
    outputFiles: Array.from(
      { length: 3000 },
      (_, i) => ({ path: name(i), digest, isExecutable: i % 2 === 0 }),
    ),
    outputDirectories: Array.from({ length: 300 }, (_, i) => ({ path: name(i), treeDigest: digest })),
    outputSymlinks: Array.from({ length: 300 }, (_, i) => ({ path: name(i), target: "x" })),
    outputFileSymlinks: [{ path: "f", target: "g" }],
    outputDirectorySymlinks: [{ path: "d", target: "e" }],
    stdoutDigest: digest,
    stderrRaw: new Uint8Array(5000),
    exitCode: 7,
    executionMetadata: { worker: "w" },
  };
  const bytes = ActionResultCodec.encode(message);
  assertEquals(await readActionResult(bytes), ActionResultCodec.decode(bytes));
  // Fields in any order, and parts of one message apart: they are merged.
  const split = new Uint8Array([
    ...ActionResultCodec.encode({ stdoutDigest: { hash: digest.hash } }),
    ...bytes,
    ...ActionResultCodec.encode({
      stdoutDigest: { sizeBytes: 99 },
      exitCode: 8,
      outputFiles: [{ path: "last" }],
    }),
  ]);
  const read = await readActionResult(split);
  assertEquals(read, ActionResultCodec.decode(split));
  assertEquals([read.stdoutDigest?.sizeBytes, read.exitCode], [99, 8]);
  for (const cut of [1, 100, 5000, bytes.length - 40_000]) {
    const malformed = bytes.slice(0, bytes.length - cut);
    const direct = (() => {
      try {
        return ActionResultCodec.decode(malformed);
      } catch {
        return undefined;
      }
    })();
    if (direct !== undefined) continue;
    const error = await assertRejects(() => readActionResult(malformed), BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT);
  }
});
