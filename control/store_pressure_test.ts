import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  type Digest,
  digestOf,
  MemoryBlobStore,
  missingBlobsError,
  SHA256,
  type StorePressure,
} from "@brokkr/cas";
import { BrokkrError, Code, scopeOf } from "@brokkr/common";
import { ActionCodec, DirectoryCodec, type Status, StatusCodec } from "@brokkr/proto";
import { statusOf } from "@brokkr/proto/rpc/status";
import { explainMissing, withPressure } from "./_store_pressure.ts";

const MIB = 1 << 20;
const scope = scopeOf("main");
const CHURN: StorePressure = {
  maxBytes: 10 * MIB,
  retentionSeconds: 3,
  leftBytes: undefined,
  warning: undefined,
};
const ABSENT = digestOf(SHA256, new TextEncoder().encode("an input"));

function statusFrom(error: BrokkrError): Status {
  return StatusCodec.decode(StatusCodec.encode(statusOf(error)));
}

function wire({ hash, sizeBytes }: Digest) {
  return { hash, sizeBytes };
}

const MISSING = statusFrom(missingBlobsError("1 input blob is missing", [ABSENT]));

/** A store with an action of two directories, each with a file of `mib`, which are not there. */
async function setup(mib: number, pressure: Partial<StorePressure> = {}) {
  const blobs = Object.assign(new MemoryBlobStore(MIB), {
    keeper: { pressure: () => ({ ...CHURN, ...pressure }) },
  });
  const put = async (data: Uint8Array): Promise<Digest> => {
    const digest = digestOf(SHA256, data);
    await blobs.put(scope, digest, data);
    return digest;
  };
  const file = (name: string) => ({
    name,
    digest: { hash: digestOf(SHA256, new TextEncoder().encode(name)).hash, sizeBytes: mib * MIB },
  });
  const below = await put(DirectoryCodec.encode({ files: [file("b")] }));
  const root = await put(DirectoryCodec.encode({
    files: [file("a")],
    directories: [{ name: "d", digest: wire(below) }, { name: "e", digest: wire(below) }],
  }));
  const action = ActionCodec.encode({ inputRootDigest: wire(root) });
  return { blobs, action, explain: (status: Status) => explainMissing(blobs, scope, root, action, status) };
}

Deno.test("inputs that the store can hold are named as missing, with the reason", async () => {
  const { explain } = await setup(4);
  const told = await explain(MISSING);
  assertEquals(told?.code, Code.FAILED_PRECONDITION);
  assertEquals(told?.details, MISSING.details);
  assertStringIncludes(
    told?.message ?? "",
    "1 input blob is missing; the store evicts what was not used for 3 sec",
  );
  assertStringIncludes(told?.message ?? "", "cas_max_size, 10MiB");
});

Deno.test("inputs that are more than the store can hold are not named, lest they are uploaded again", async () => {
  for (const mib of [5, 6, 600]) {
    const { explain } = await setup(mib);
    const told = await explain(MISSING);
    assertEquals(told?.code, Code.FAILED_PRECONDITION);
    assertEquals(told?.details, []);
    assertStringIncludes(told?.message ?? "", "the grid's store may take 10MiB (cas_max_size): raise it");
  }
});

Deno.test("there is nothing to explain where nothing was evicted lately, or something else is wrong", async () => {
  for (const retentionSeconds of [undefined, 601]) {
    const { explain } = await setup(600, { retentionSeconds });
    assertEquals(explain(MISSING), undefined);
  }
  const { explain } = await setup(600);
  assertEquals(explain(statusFrom(new BrokkrError(Code.FAILED_PRECONDITION, "No such user"))), undefined);
  assertEquals(explain(statusFrom(new BrokkrError(Code.RESOURCE_EXHAUSTED, "No room"))), undefined);
  assertEquals(explainMissing(new MemoryBlobStore(MIB), scope, ABSENT, new Uint8Array(), MISSING), undefined);
});

Deno.test("outputs that find no place in a store full of promises are not worth another try", async () => {
  const { explain } = await setup(1, { leftBytes: 5 });
  const told = await explain(statusFrom(new BrokkrError(Code.RESOURCE_EXHAUSTED, "No room for the outputs")));
  assertEquals(told, { code: Code.FAILED_PRECONDITION, message: "No room for the outputs", details: [] });
});

Deno.test("an error about something missing keeps what it names", async () => {
  const { blobs } = await setup(1);
  const error = missingBlobsError("It is gone", [ABSENT]);
  const told = withPressure(blobs, error);
  assertEquals(told.details, error.details);
  assertStringIncludes(told.message, "It is gone; the store evicts");
  assertEquals(withPressure(new MemoryBlobStore(MIB), error), error);
});
