import { assertEquals, assertRejects } from "@std/assert";
import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
import { BrokkrError, type LeaseId, noLog, type OperationName, scopeOf, type WorkerId } from "@brokkr/common";
import { ActionCodec, ActionResultCodec, ExecuteResponseCodec, LeaseResultCodec } from "@brokkr/proto";
import { type Handin, Settler } from "./_settle.ts";

const scope = scopeOf("main");
const ACTION = ActionCodec.encode({ salt: new TextEncoder().encode("an action") });
const digest = digestOf(SHA256, ACTION);
const ENVIRONMENT = "test-1";

function result(word: string, outputs = ""): Uint8Array {
  return ActionResultCodec.encode({
    stdoutRaw: new TextEncoder().encode(word),
    outputFiles: outputs === "" ? [] : [{ path: "out", digest: { hash: outputs, sizeBytes: 1 } }],
  });
}

function handin(word: string, fresh = false): Handin {
  const actionDigest = { hash: digest.hash, sizeBytes: digest.sizeBytes };
  return {
    leaseId: "2.1" as LeaseId,
    worker: "w" as WorkerId,
    environment: ENVIRONMENT,
    outcome: "completed",
    fresh,
    payload: {
      scope,
      digest,
      action: new Uint8Array(),
      command: new Uint8Array(),
      timeoutMs: 1000,
      doNotCache: false,
      operation: "operations/2-1-0" as OperationName,
      traceparent: "",
      clientMetadata: undefined,
    },
    result: LeaseResultCodec.decode(LeaseResultCodec.encode({
      actionResult: result(word),
      action: { instanceName: "main", digestFunction: SHA256.value, actionDigest },
    })),
  };
}

async function setup() {
  const blobs = new MemoryBlobStore(16 << 20);
  await blobs.put(scope, digest, ACTION);
  const cache = new ActionCache({ metadata: new MemoryMetadataStore(), blobs });
  const settler = new Settler(cache, blobs, noLog);
  const words = (bytes: Uint8Array) => new TextDecoder().decode(ActionResultCodec.decode(bytes).stdoutRaw);
  return {
    blobs,
    cache,
    settler,
    /** What the client is told. */
    async told(given: Handin): Promise<string> {
      const verdict = await settler.settle(given);
      if (verdict.kind !== "finish") return verdict.kind;
      const { result } = ExecuteResponseCodec.decode(verdict.outcome.response);
      return new TextDecoder().decode(result?.stdoutRaw);
    },
    async cached(): Promise<string> {
      const answer = await cache.get(scope, digest, ENVIRONMENT);
      return answer.hit ? words(answer.bytes) : answer.reason;
    },
    salvage: (given: Handin) => settler.salvage({ ...given, leaseId: "1.1" }),
  };
}

Deno.test("The first result of an action stays, and is what the client of a second one gets", async () => {
  const { told, cached } = await setup();
  assertEquals([await told(handin("first")), await told(handin("second"))], ["first", "first"]);
  assertEquals(await cached(), "first");
});

Deno.test("Two results of an action that come at once are one", async () => {
  const { told, cached, salvage } = await setup();
  const [one, salvaged, two] = await Promise.all([
    told(handin("one")),
    salvage(handin("old")),
    told(handin("two")),
  ]);
  assertEquals([one, salvaged, two], ["one", false, "one"]);
  assertEquals(await cached(), "one");
});

Deno.test("A result of before the start that comes late does not replace one that was told", async () => {
  const { told, cached, salvage } = await setup();
  assertEquals(await told(handin("told")), "told");
  assertEquals(await salvage(handin("late")), false);
  assertEquals(await cached(), "told");
});

Deno.test("A result of before the start that comes first is what the next run's client gets", async () => {
  const { told, cached, salvage } = await setup();
  assertEquals(await salvage(handin("early")), true);
  assertEquals(await told(handin("later")), "early");
  assertEquals(await cached(), "early");
});

Deno.test("Who asks for a new run replaces what is cached", async () => {
  const { told, cached } = await setup();
  assertEquals([await told(handin("old")), await told(handin("new", true))], ["old", "new"]);
  assertEquals(await cached(), "new");
});

Deno.test("A result whose outputs are gone gives way to a new one", async () => {
  const { blobs, cache, told, cached } = await setup();
  const output = digestOf(SHA256, new TextEncoder().encode("x"));
  await blobs.put(scope, output, new TextEncoder().encode("x"));
  await cache.update(scope, digest, result("old", output.hash), ENVIRONMENT);
  await blobs.delete(scope, output);
  assertEquals(await cached(), "incomplete");
  assertEquals(await told(handin("new")), "new");
  assertEquals(await cached(), "new");
});

const encoder = new TextEncoder();

/** `given` with another word on the action that its result is of. */
function naming(given: Handin, action: Partial<NonNullable<Handin["result"]["action"]>> | undefined): Handin {
  const { action: own, ...result } = given.result;
  if (action === undefined || own === undefined) return { ...given, result };
  return { ...given, result: { ...result, action: { ...own, ...action } } };
}

Deno.test("A result of before the start is kept only if its action may be cached, and is there to say so", async () => {
  const { blobs, cache, salvage } = await setup();
  const other = ActionCodec.encode({ doNotCache: true, salt: encoder.encode("another") });
  const forbidden = digestOf(SHA256, other);
  await blobs.put(scope, forbidden, other);
  const named = ({ hash, sizeBytes }: { hash: string; sizeBytes: number }) =>
    naming(handin("hostile"), { actionDigest: { hash, sizeBytes } });
  assertEquals(await salvage(named(forbidden)), false);
  assertEquals((await cache.get(scope, forbidden, ENVIRONMENT)).hit, false);
  const absent = digestOf(SHA256, encoder.encode("nobody asked for this"));
  await assertRejects(() => salvage(named(absent)), BrokkrError, "No blob");
  assertEquals((await cache.get(scope, absent, ENVIRONMENT)).hit, false);
  assertEquals(await salvage(named({ hash: "0".repeat(64), sizeBytes: 1 << 30 })), false);
  assertEquals(await salvage(naming(handin("old"), undefined)), false);
  await assertRejects(
    () => salvage(naming(handin("old"), { instanceName: "a//b" })),
    BrokkrError,
    "instance",
  );
});

Deno.test("A result of before the start that failed, or that nobody can read, is not kept", async () => {
  const { salvage, cached } = await setup();
  const giving = (actionResult: Uint8Array) => {
    const given = handin("");
    return { ...given, result: { ...given.result, actionResult } };
  };
  const many = Array.from(
    { length: 30_000 },
    (_, i) => ({ path: `o/${i}`, digest: { hash: "", sizeBytes: 0 } }),
  );
  assertEquals(await salvage(giving(ActionResultCodec.encode({ exitCode: 1 }))), false);
  assertEquals(await salvage(giving(ActionResultCodec.encode({ exitCode: 1, outputFiles: many }))), false);
  await assertRejects(() => salvage(giving(new Uint8Array([255, 255]))), BrokkrError);
  assertEquals(await cached(), "absent");
});

Deno.test("A result under a lease of another action ends nothing and is not cached", async () => {
  const { told, cached } = await setup();
  const { hash, sizeBytes } = digestOf(SHA256, encoder.encode("the action of an older lease of this name"));
  assertEquals(await told(naming(handin("old"), { actionDigest: { hash, sizeBytes } })), "fault");
  assertEquals(await told(naming(handin("old"), { instanceName: "elsewhere" })), "fault");
  assertEquals(await told(naming(handin("old"), { actionDigest: { hash: "x", sizeBytes } })), "fault");
  assertEquals(await cached(), "absent");
  assertEquals(await told(naming(handin("unnamed"), undefined)), "unnamed");
});
