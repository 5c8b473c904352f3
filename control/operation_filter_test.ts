import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { digestOf, SHA256 } from "@brokkr/cas";
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
