import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { BrokkrError, Code, type ErrorDetail } from "@brokkr/common";
import { StatusCodec } from "../gen/messages.ts";
import { MAX_TRAILER_BYTES } from "./limits.ts";
import { fromWireStatus, publicError, statusOf, toWireStatus, type WireStatus } from "./status.ts";

/** Bytes of the trailers as HTTP/2 counts them: names, values, and 32 for each. */
function trailerBytes(wire: WireStatus): number {
  const bin = wire.detailsBin === undefined
    ? 0
    : "grpc-status-details-bin".length + 32 + Math.ceil(wire.detailsBin.length / 3) * 4;
  return "grpc-status".length + 2 + 32 + "grpc-message".length + encodeURI(wire.message).length + 32 + bin;
}

function roundTrip(error: BrokkrError): BrokkrError {
  const wire = toWireStatus(error);
  assert(trailerBytes(wire) <= MAX_TRAILER_BYTES, `${trailerBytes(wire)} bytes of trailers`);
  return fromWireStatus(wire.code, wire.message, wire.detailsBin);
}

function missing(count: number): ErrorDetail {
  return {
    kind: "preconditionFailure",
    violations: Array.from({ length: count }, (_, i) => ({
      type: "MISSING",
      subject: `blobs/${i.toString(16).padStart(64, "0")}/${i}`,
      description: "",
    })),
  };
}

Deno.test("A status with ten thousand violations keeps the first ones and says how many more there are", () => {
  const error = new BrokkrError(Code.FAILED_PRECONDITION, "10000 blobs are missing", {
    details: [missing(10_000), { kind: "retryInfo", retryDelayMs: 250 }],
  });
  const startMs = performance.now();
  const back = roundTrip(error);
  assert(performance.now() - startMs < 200);
  assertEquals(back.message, error.message);
  assertEquals(back.retryDelayMs, 250);
  const [detail] = back.details;
  assert(detail.kind === "preconditionFailure");
  const { violations } = detail;
  assert(violations.length > 20, `${violations.length} violations are left`);
  // Bazel retries only if every violation is of type MISSING with a subject that it can parse.
  for (const { type, subject } of violations) {
    assertEquals(type, "MISSING");
    assert(/^blobs\/[0-9a-f]{64}\/\d+$/.test(subject));
  }
  assertEquals(
    violations[violations.length - 1].description,
    `${10_000 - violations.length} more did not fit into this message`,
  );
});

Deno.test("Details that do not fit are dropped from the last on", () => {
  const long = (reason: string): ErrorDetail => ({
    kind: "errorInfo",
    reason,
    domain: "d",
    metadata: { text: "x".repeat(1200) },
  });
  const back = roundTrip(new BrokkrError(Code.ABORTED, "m", { details: [long("1"), long("2"), long("3")] }));
  assertEquals(back.details.map((detail) => detail.kind === "errorInfo" && detail.reason), ["1", "2"]);
});

Deno.test("A long message is cut between characters", () => {
  for (const unit of ["a", "ü", "🌍", "\n", "a🌍"]) {
    const back = roundTrip(new BrokkrError(Code.INTERNAL, unit.repeat(20_000), { details: [missing(5)] }));
    assert(back.message.endsWith("…") && back.message.isWellFormed());
    assert(back.message.length > 100);
    assert(unit.repeat(20_000).startsWith(back.message.slice(0, -1)));
    assertEquals(back.details, [missing(5)]);
  }
});

Deno.test("Any error goes over the wire within its limits", () => {
  const text = fc.string({ unit: "binary", maxLength: 400 });
  const detail: fc.Arbitrary<ErrorDetail> = fc.oneof(
    fc.record({ kind: fc.constant("retryInfo" as const), retryDelayMs: fc.nat() }),
    fc.record({
      kind: fc.constant("preconditionFailure" as const),
      violations: fc.array(fc.record({ type: text, subject: text, description: text }), { minLength: 1 }),
    }),
    fc.record({
      kind: fc.constant("badRequest" as const),
      fieldViolations: fc.array(fc.record({ field: text, description: text }), { minLength: 1 }),
    }),
    fc.record({
      kind: fc.constant("resourceInfo" as const),
      resourceType: text,
      resourceName: text,
      description: text,
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 5000 }),
      fc.array(detail, { maxLength: 5 }),
      (message, details) => {
        const back = roundTrip(new BrokkrError(Code.ABORTED, message, { details }));
        const whole = encodeURI(message).length < 400 && JSON.stringify(details).length < 500;
        if (whole && message.length < 200) assertEquals(back.details, details);
        if (encodeURI(message).length < 1000) assertEquals(back.message, message);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("A message with broken Unicode still goes out", () => {
  assertEquals(roundTrip(new BrokkrError(Code.INTERNAL, "a\ud800b")).message, "a\ufffdb");
});

Deno.test("A status inside a message names every missing blob and stays bounded", () => {
  const violations = Array.from({ length: 12_000 }, (_, i) => ({
    type: "MISSING",
    subject: `blobs/${i}/1`,
    description: "",
  }));
  const detail: ErrorDetail = { kind: "preconditionFailure", violations: violations.slice(0, 5000) };
  const missing = new BrokkrError(Code.FAILED_PRECONDITION, "Gone", { details: [detail] });
  assertEquals(fromWireStatus(9, "Gone", StatusCodec.encode(statusOf(missing))).details, [detail]);
  const more = new BrokkrError(Code.FAILED_PRECONDITION, "x".repeat(100_000), {
    details: [{ kind: "preconditionFailure", violations }],
  });
  const status = statusOf(more);
  assertEquals(status.message?.length, 8190); // and the ellipsis of three bytes
  const [cut] = fromWireStatus(9, "", StatusCodec.encode(status)).details;
  assert(cut.kind === "preconditionFailure");
  assertEquals(cut.violations.length, 10_000);
  assertEquals(cut.violations[9999].description, "2000 more did not fit into this message");
});

Deno.test("Details that cannot be read do not hide the status", () => {
  const error = fromWireStatus(5, "gone", new Uint8Array([255, 255, 255]));
  assertEquals([error.code, error.message, error.details], [Code.NOT_FOUND, "gone", []]);
  assertEquals(fromWireStatus(99, "what").code, Code.UNKNOWN);
});

Deno.test("What is unknown becomes INTERNAL without giving anything away", () => {
  for (const thrown of [new Error("secret"), "secret", undefined, { message: "secret" }]) {
    const error = publicError(thrown, () => "abc");
    assertEquals([error.code, error.message], [
      Code.INTERNAL,
      "Internal error; see the server's log for trace abc",
    ]);
    assertEquals(error.cause, thrown);
  }
});
