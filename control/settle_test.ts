import { assertEquals } from "@std/assert";
import { ActionCache, digestOf, MemoryBlobStore, MemoryMetadataStore, SHA256 } from "@brokkr/cas";
import { type LeaseId, noLog, type OperationName, scopeOf, type WorkerId } from "@brokkr/common";
import { ActionResultCodec, ExecuteResponseCodec, LeaseResultCodec } from "@brokkr/proto";
import { type Handin, Settler } from "./_settle.ts";

const scope = scopeOf("main");
const digest = digestOf(SHA256, new TextEncoder().encode("an action"));
const ENVIRONMENT = "test-1";

function result(word: string, outputs = ""): Uint8Array {
  return ActionResultCodec.encode({
    stdoutRaw: new TextEncoder().encode(word),
    outputFiles: outputs === "" ? [] : [{ path: "out", digest: { hash: outputs, sizeBytes: 1 } }],
  });
}

function handin(word: string, replace = false): Handin {
  const actionDigest = { hash: digest.hash, sizeBytes: digest.sizeBytes };
  return {
    leaseId: "2.1" as LeaseId,
    worker: "w" as WorkerId,
    environment: ENVIRONMENT,
    outcome: "completed",
    payload: {
      scope,
      digest,
      action: new Uint8Array(),
      command: new Uint8Array(),
      timeoutMs: 1000,
      doNotCache: false,
      replace,
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

function setup() {
  const blobs = new MemoryBlobStore(1 << 20);
  const cache = new ActionCache({ metadata: new MemoryMetadataStore(), blobs });
  const settler = new Settler(cache, noLog);
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
  const { told, cached } = setup();
  assertEquals([await told(handin("first")), await told(handin("second"))], ["first", "first"]);
  assertEquals(await cached(), "first");
});

Deno.test("Two results of an action that come at once are one", async () => {
  const { told, cached, salvage } = setup();
  const [one, salvaged, two] = await Promise.all([
    told(handin("one")),
    salvage(handin("old")),
    told(handin("two")),
  ]);
  assertEquals([one, salvaged, two], ["one", false, "one"]);
  assertEquals(await cached(), "one");
});

Deno.test("A result of before the start that comes late does not replace one that was told", async () => {
  const { told, cached, salvage } = setup();
  assertEquals(await told(handin("told")), "told");
  assertEquals(await salvage(handin("late")), false);
  assertEquals(await cached(), "told");
});

Deno.test("A result of before the start that comes first is what the next run's client gets", async () => {
  const { told, cached, salvage } = setup();
  assertEquals(await salvage(handin("early")), true);
  assertEquals(await told(handin("later")), "early");
  assertEquals(await cached(), "early");
});

Deno.test("Who asks for a new run replaces what is cached", async () => {
  const { told, cached } = setup();
  assertEquals([await told(handin("old")), await told(handin("new", true))], ["old", "new"]);
  assertEquals(await cached(), "new");
});

Deno.test("A result whose outputs are gone gives way to a new one", async () => {
  const { blobs, cache, told, cached } = setup();
  const output = digestOf(SHA256, new TextEncoder().encode("x"));
  await blobs.put(scope, output, new TextEncoder().encode("x"));
  await cache.update(scope, digest, result("old", output.hash), ENVIRONMENT);
  await blobs.delete(scope, output);
  assertEquals(await cached(), "incomplete");
  assertEquals(await told(handin("new")), "new");
  assertEquals(await cached(), "new");
});
