import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BLAKE3, digestOf, formatDigest, SHA256 } from "@brokkr/cas";
import { BrokkrError, Code, idTracer, noLog, type OperationName, scopeOf } from "@brokkr/common";
import { ExecutionStage } from "@brokkr/proto";
import { type FilteredRecord, parseFilter } from "./operation_filter.ts";

function record(toolName: string): FilteredRecord {
  const client = {
    toolName,
    toolVersion: "",
    actionId: "",
    toolInvocationId: "",
    correlatedInvocationsId: "",
    actionMnemonic: "",
    targetId: "",
    configurationId: "",
  };
  const tracer = idTracer();
  return {
    init: {
      name: "operations/1-1-0" as OperationName,
      sequence: 1,
      scope: scopeOf("main"),
      digest: digestOf(SHA256, new Uint8Array()),
      clientMetadata: undefined,
      client,
      log: noLog,
      span: tracer.start("test", undefined),
      tracer,
    },
    name: "operations/1-1-0" as OperationName,
    stage: ExecutionStage.QUEUED,
    worker: "",
    end: undefined,
  };
}

const values = fc.oneof(
  fc.string(),
  fc.constantFrom("", "AND", "a & b", '"', "\\", "\n", "\u2028", "é", "\ud800"),
);

Deno.test("parseFilter finds any value in quotes, and no other", () => {
  fc.assert(fc.property(values, values, (value, other) => {
    const quoted = `"${value.replaceAll(/["\\]/g, "\\$&")}"`;
    for (
      const filter of [`tool=${quoted}`, ` tool = ${quoted} & stage=queued`, `done=false AND tool=${quoted}`]
    ) {
      assertEquals(parseFilter(filter)(record(value)), true, filter);
      assertEquals(parseFilter(filter)(record(other)), other === value, filter);
    }
    assertEquals(parseFilter(`tool!=${quoted}`)(record(value)), false);
  }));
});

Deno.test("parseFilter meets any text with a predicate or INVALID_ARGUMENT", () => {
  const words = fc.constantFrom("tool", "=", "!=", "AND", "&", " ", '"', "\\", "stage", "queued", "x");
  const texts = fc.oneof(fc.string(), fc.array(words, { maxLength: 12 }).map((parts) => parts.join("")));
  fc.assert(fc.property(texts, (filter) => {
    try {
      parseFilter(filter)(record("x"));
    } catch (error) {
      assert(error instanceof BrokkrError && error.code === Code.INVALID_ARGUMENT, String(error));
    }
  }));
});

Deno.test("parseFilter finds an action by its digest as it is shown, in every function", () => {
  const data = new Uint8Array(5);
  for (const fn of [SHA256, BLAKE3]) {
    const digest = digestOf(fn, data);
    const asked = record("x");
    const found = { ...asked, init: { ...asked.init, digest } };
    for (
      const text of [digest.hash, `${digest.hash}/5`, formatDigest(digest), `${fn.segment}:${digest.hash}/5`]
    ) {
      assertEquals(parseFilter(`action="${text}"`)(found), true, text);
      assertEquals(parseFilter(`action="${text}"`)(asked), false, text);
    }
    assertEquals(parseFilter(`action="md5:${digest.hash}/5"`)(found), false);
  }
});

Deno.test("parseFilter takes a moment for the longest filter, whatever it is made of", () => {
  const hostile = [`name=${" ".repeat(9900)}x"`, `name${" ".repeat(9900)}x`, `name=x${" ".repeat(9900)}y`];
  hostile.push(`name="${"\\a".repeat(4900)}`, "a".repeat(9999), `name=${"&".repeat(9900)}`);
  const startMs = performance.now();
  for (let round = 0; round < 50; round++) {
    for (const filter of hostile) assertThrows(() => parseFilter(filter), BrokkrError);
  }
  // Milliseconds altogether; with backtracking each took seconds.
  assertLess(performance.now() - startMs, 20_000);
});

Deno.test("parseFilter takes an empty value with and without quotes", () => {
  for (
    const filter of ["worker= AND done=false", 'worker="" AND done=false', "worker=&done=false", "worker= "]
  ) {
    const matches = parseFilter(filter);
    const none = record("");
    assertEquals([matches(none), matches({ ...none, worker: "w" })], [true, false], filter);
  }
});
