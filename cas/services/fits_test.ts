import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import type { ClientMetadata } from "@brokkr/proto/rpc";
import { batchOf, type BlobStore, digestOf, MemoryBlobStore, SHA256, type StorePressure } from "../mod.ts";
import { distinctBytes, FitCheck } from "./_fits.ts";

const MIB = 1 << 20;
const EASE: StorePressure = {
  maxBytes: 10 * MIB,
  retentionSeconds: undefined,
  leftBytes: undefined,
  warning: undefined,
};

function storeUnder(pressure: StorePressure): BlobStore {
  return Object.assign(new MemoryBlobStore(MIB), { keeper: { pressure: () => pressure } });
}

function tool(toolName: string, toolVersion: string): { readonly clientMetadata: ClientMetadata } {
  const rest = {
    actionId: "",
    toolInvocationId: "",
    correlatedInvocationsId: "",
    actionMnemonic: "",
    targetId: "",
    configurationId: "",
  };
  return { clientMetadata: { toolName, toolVersion, ...rest } };
}

interface Case {
  readonly name: string;
  readonly pressure?: Partial<StorePressure>;
  /** Sizes in MiB of what is asked for; each another blob unless they are the same. */
  readonly sizes: readonly number[];
  /** Which of them are missing. */
  readonly missing: readonly number[];
  readonly client?: { readonly clientMetadata: ClientMetadata | undefined };
  readonly code?: Code;
  readonly says?: string;
}

const CASES: readonly Case[] = [
  { name: "what fits", sizes: [3, 4], missing: [0, 1] },
  { name: "more than fits, all of it there", sizes: [6, 7], missing: [] },
  {
    name: "more than fits",
    sizes: [6, 7],
    missing: [1],
    code: Code.FAILED_PRECONDITION,
    says: "takes 13MiB, but the grid's store may take 10MiB (cas_max_size)",
  },
  {
    name: "what leaves no room for anything else",
    sizes: [4, 5.5],
    missing: [0],
    code: Code.FAILED_PRECONDITION,
    says: "cas_max_size",
  },
  { name: "the same again and again", sizes: [6, 6, 6], missing: [0, 1, 2] },
  {
    name: "more than fits a store without a limit",
    pressure: { maxBytes: undefined },
    sizes: [600],
    missing: [0],
  },
  {
    name: "what finds no room beside what is promised",
    pressure: { leftBytes: MIB },
    sizes: [1, 2],
    missing: [1],
    code: Code.RESOURCE_EXHAUSTED,
    says: "no room for the 2MiB that are missing",
  },
  {
    name: "what finds room beside what is promised",
    pressure: { leftBytes: 3 * MIB },
    sizes: [5, 2],
    missing: [1],
  },
  { name: "a Bazel that ends on errors", sizes: [16], missing: [0], client: tool("bazel", "2.1.0") },
  {
    name: "a Bazel that does not",
    sizes: [16],
    missing: [0],
    client: tool("bazel", "4.2.3"),
    code: Code.FAILED_PRECONDITION,
  },
  {
    name: "a Bazel much newer",
    sizes: [16],
    missing: [0],
    client: tool("bazel", "10.0.1"),
    code: Code.FAILED_PRECONDITION,
  },
  {
    name: "another tool of that version",
    sizes: [16],
    missing: [0],
    client: tool("recc", "2.1.0"),
    code: Code.FAILED_PRECONDITION,
  },
];

for (const { name, pressure, sizes, missing, client, code, says = "" } of CASES) {
  Deno.test(`a client that asks for ${name} is ${code === undefined ? "answered" : "told that it does not fit"}`, () => {
    const digests = sizes.map((mib) => ({
      ...digestOf(SHA256, new TextEncoder().encode(String(mib))),
      sizeBytes: mib * MIB,
    }));
    const batch = batchOf(SHA256, digests);
    const fit = new FitCheck(storeUnder({ ...EASE, ...pressure }));
    fit.add(batch, Uint32Array.from(missing));
    const check = () => fit.check(() => distinctBytes(batch), client ?? { clientMetadata: undefined });
    if (code === undefined) return check();
    const error = assertThrows(check, BrokkrError);
    assertEquals(error.code, code);
    assertStringIncludes(error.message, says);
  });
}

Deno.test("a store without a keeper refuses nothing", () => {
  const batch = batchOf(SHA256, [{ ...digestOf(SHA256, new Uint8Array(1)), sizeBytes: 2 ** 40 }]);
  const fit = new FitCheck(new MemoryBlobStore(MIB));
  fit.add(batch, Uint32Array.of(0));
  fit.check(() => distinctBytes(batch), { clientMetadata: undefined });
});
