import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import protobuf from "protobufjs";
import { encodeJson, encodeProtobuf } from "./_otlp_encode.ts";
import { ManualClock } from "./clock.ts";
import { type OtlpSettings, otlpSettings, otlpTracer, otlpWanted } from "./otlp.ts";
import { seededRandom } from "./random.ts";

/** What of opentelemetry-proto 1.x a request of ours holds; names and numbers as they are there. */
const SCHEMA = `syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message Scope { string name = 1; string version = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
  Status status = 15; fixed32 flags = 16;
}
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }`;
const Request = protobuf.parse(SCHEMA).root.lookupType("Request");

/** A protobuf request in the shape of a JSON one. */
function decodeProtobuf(bytes: Uint8Array): Sent {
  const decoded = Request.toObject(Request.decode(bytes), { longs: String, bytes: String });
  return JSON.parse(JSON.stringify(decoded), (key, value) => {
    return /(trace|span)Id$/i.test(key) ? Uint8Array.fromBase64(value).toHex() : value;
  });
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Attribute[];
  readonly status: { readonly code?: number; readonly message?: string };
}

/** An ExportTraceServiceRequest as JSON has it. */
interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly scope: unknown; readonly spans: readonly SentSpan[] }[];
  }[];
}

interface Post {
  readonly headers: Headers;
  readonly body: Sent;
}

/** A receiver that notes what it gets and answers as it is told to. */
function receiver(answer: (posts: number) => Response | Promise<Response> = () => Response.json({})) {
  const posts: Post[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    assertEquals([request.method, new URL(request.url).pathname], ["POST", "/v1/traces"]);
    const json = request.headers.get("content-type") === "application/json";
    const body = json ? await request.json() : decodeProtobuf(await request.bytes());
    posts.push({ headers: request.headers, body });
    return await answer(posts.length);
  });
  return {
    posts,
    url: `http://127.0.0.1:${server.addr.port}`,
    spans: () => posts.flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function settings(env: Record<string, string>): OtlpSettings {
  const { value, error } = otlpSettings(env, "brokkr-test");
  if (value === undefined) throw new Error(error ?? "No settings");
  return value;
}

const SCOPE = { name: "test", version: "1.2" };

for (const protocol of ["http/json", "http/protobuf"]) {
  Deno.test(`A tracer exports spans with parents, kinds, attributes and failures as ${protocol}`, async () => {
    await using receiving = receiver();
    const clock = new ManualClock();
    const tracer = otlpTracer(
      settings({
        OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url + "/",
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20token,x=y",
        OTEL_RESOURCE_ATTRIBUTES: "site=north,service.name=ignored",
      }),
      { scope: SCOPE, clock, random: seededRandom(1) },
    );
    const startNs = BigInt(Math.floor(clock.wallMs())) * 1_000_000n;
    const parent = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: true };
    const call = tracer.start(
      "call",
      parent,
      { text: "a", whole: 7, part: 0.5, less: -3, yes: true },
      "server",
    );
    const step = tracer.start("step", call.context);
    clock.advance(1500);
    step.fail(new Error("It broke"));
    step.end();
    step.end();
    step.set("late", 1);
    call.end();
    await tracer.close(60_000);

    assertEquals(receiving.posts.length, 1);
    const { headers, body } = receiving.posts[0];
    assertEquals([headers.get("authorization"), headers.get("x")], ["Bearer token", "y"]);
    const { resource, scopeSpans: [{ scope, spans }] } = body.resourceSpans[0];
    const values = (list: readonly Attribute[] = []) =>
      Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
    assertEquals(values(resource.attributes), {
      site: "north",
      "service.name": "brokkr-test",
      "service.namespace": "brokkr",
      "process.pid": String(Deno.pid),
    });
    assertEquals(scope, SCOPE);
    const [first, second] = spans;
    assertEquals([first.name, second.name], ["step", "call"]);
    assertEquals([first.kind, second.kind], [1, 2]);
    assertEquals(first.traceId, parent.traceId);
    assertEquals(second.parentSpanId, parent.spanId);
    assertEquals(first.parentSpanId, second.spanId);
    assertMatch(first.spanId, /^[0-9a-f]{16}$/);
    assertEquals(first.status, { code: 2, message: "It broke" });
    assertEquals(second.status, {});
    assertEquals(first.attributes ?? [], []);
    const attributes = values(second.attributes);
    assertEquals({ ...attributes, whole: Number(attributes.whole), less: Number(attributes.less) }, {
      text: "a",
      whole: 7,
      part: 0.5,
      less: -3,
      yes: true,
    });
    assertEquals(BigInt(second.startTimeUnixNano), startNs);
    assertEquals(BigInt(second.endTimeUnixNano) - BigInt(second.startTimeUnixNano), 1_500_000_000n);
  });
}

Deno.test("Spans of any texts are the same in protobuf as in JSON", () => {
  const texts = fc.record({
    name: fc.string({ unit: "binary", maxLength: 300 }),
    value: fc.string({ maxLength: 50_000 }),
  });
  fc.assert(
    fc.property(fc.array(texts, { minLength: 1, maxLength: 5 }), fc.maxSafeNat(), (list, startMs) => {
      const source = { resource: { a: "b" }, scope: SCOPE };
      const spans = list.map(({ name, value }) => ({
        traceId: "0af7651916cd43dd8448eb211c80319c",
        spanId: "b7ad6b7169203331",
        parentId: "",
        name,
        kind: "client" as const,
        startMs: startMs / 1e6,
        endMs: startMs / 1e6 + 1,
        attributes: new Map<string, string | number>([[name, value], ["number", startMs]]),
        failure: value,
      }));
      const json = JSON.parse(new TextDecoder().decode(encodeJson(source, spans)));
      const binary = decodeProtobuf(encodeProtobuf(source, spans));
      // Protobuf writes no default values; its empty texts are absent or empty.
      const seen = binary.resourceSpans[0].scopeSpans[0].spans;
      assertEquals(seen.length, list.length);
      json.resourceSpans[0].scopeSpans[0].spans.forEach((span: typeof seen[number], i: number) => {
        assertEquals(seen[i].name ?? "", new TextDecoder().decode(new TextEncoder().encode(span.name)));
        assertEquals(
          seen[i].status.message ?? "",
          new TextDecoder().decode(new TextEncoder().encode(span.status.message)),
        );
        assertEquals(seen[i].startTimeUnixNano ?? "0", span.startTimeUnixNano);
        assertEquals(seen[i].attributes?.[1].value.intValue, span.attributes?.[1].value.intValue);
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("A trace that its caller does not record is not recorded, and keeps its id", async () => {
  await using receiving = receiver();
  const tracer = otlpTracer(settings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url }), { scope: SCOPE });
  const parent = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled: false };
  const span = tracer.start("call", parent);
  assertEquals([span.context.traceId, span.context.sampled], [parent.traceId, false]);
  span.end();
  await tracer.close(60_000);
  assertEquals(receiving.posts, []);
});

Deno.test("A sampler of a quarter records about a quarter of the traces, all of each", async () => {
  await using receiving = receiver();
  const tracer = otlpTracer(
    settings({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url,
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_BSP_MAX_QUEUE_SIZE: "2000",
    }),
    { scope: SCOPE, random: seededRandom(7) },
  );
  for (let i = 0; i < 1000; i++) {
    const root = tracer.start("root");
    tracer.start("child", root.context).end();
    root.end();
  }
  await tracer.close(60_000);
  const spans = receiving.spans();
  assert(spans.length > 400 && spans.length < 600, `${spans.length} of 2000`);
  assertEquals(spans.filter(({ name }) => name === "root").length, spans.length / 2);
});

Deno.test("A receiver that hangs costs spans beyond the queue, and no time at the end beyond its limit", async () => {
  const hung = Promise.withResolvers<Response>();
  await using receiving = receiver(() => hung.promise);
  let dropped = 0;
  const tracer = otlpTracer(
    settings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url, OTEL_BSP_MAX_QUEUE_SIZE: "100" }),
    { scope: SCOPE, events: { dropped: (count) => dropped += count } },
  );
  for (let i = 0; i < 10_000; i++) tracer.start("span").end();
  // One batch is under way, 100 wait.
  assertEquals(dropped, 9800);
  await tracer.close(50);
  assertEquals(dropped, 10_000);
  hung.resolve(Response.json({}));
});

Deno.test("Trouble with the receiver is told once when it begins and once when it ends", async () => {
  let status = 404;
  await using receiving = receiver(() => new Response(null, { status }));
  const told: (string | undefined)[] = [];
  const counts = { exported: 0, dropped: 0 };
  const settled: (() => void)[] = [];
  const done = () => settled.shift()?.();
  const tracer = otlpTracer(
    settings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "1" }),
    {
      scope: SCOPE,
      events: {
        exported: (count) => (counts.exported += count, done()),
        dropped: (count) => (counts.dropped += count, done()),
        trouble: (why) => told.push(why),
      },
    },
  );
  const one = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    settled.push(resolve);
    tracer.start("span").end();
    await promise;
  };
  await one();
  await one();
  status = 200;
  await one();
  await one();
  await tracer.close(60_000);
  assertEquals(counts, { exported: 2, dropped: 2 });
  assertEquals(told, ["The receiver answered 404", undefined]);
});

Deno.test("A receiver that says it will pass is asked again", async () => {
  await using receiving = receiver((posts) => new Response(null, { status: posts === 1 ? 503 : 200 }));
  const exported = Promise.withResolvers<number>();
  const tracer = otlpTracer(
    settings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiving.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "1" }),
    { scope: SCOPE, events: { exported: (count) => exported.resolve(count) } },
  );
  tracer.start("span").end();
  assertEquals(await exported.promise, 1);
  assertEquals(receiving.posts.length, 2);
  await tracer.close(60_000);
});

Deno.test("The environment asks for an export by an endpoint or an exporter, unless it forbids it", () => {
  const cases: readonly (readonly [Record<string, string>, boolean])[] = [
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://x" }, true],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://x" }, true],
    [{ OTEL_TRACES_EXPORTER: "otlp" }, true],
    [{ OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://x" }, false],
    [{ OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://x" }, false],
  ];
  for (const [env, wanted] of cases) assertEquals(otlpWanted(env), wanted, JSON.stringify(env));
});

Deno.test("Settings that cannot be used are named, and never with what may be secret", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/base/" };
  assertEquals(settings(endpoint).url, "http://collector:4318/base/v1/traces");
  assertEquals(
    settings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector:4318/own" }).url,
    "http://collector:4318/own",
  );
  assertEquals(settings({ OTEL_TRACES_EXPORTER: "otlp" }).url, "http://localhost:4318/v1/traces");
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" }, /ENDPOINT takes an address such as/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://u:secret@x" }, /must not hold a name or a password/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, /takes http\/protobuf or http\/json, not "grpc"/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: "soon" }, /OTLP_TIMEOUT takes a whole number/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "secret" }, /HEADERS takes key=value pairs/],
    [{ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "a=%secret" }, /not percent-encoded/],
    [{ ...endpoint, OTEL_TRACES_SAMPLER: "jaeger" }, /OTEL_TRACES_SAMPLER takes/],
    [{ ...endpoint, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }, /0 to 1/],
    [{ ...endpoint, OTEL_BSP_MAX_QUEUE_SIZE: "0" }, /OTEL_BSP_MAX_QUEUE_SIZE takes/],
  ];
  for (const [env, words] of cases) {
    const { value, error } = otlpSettings(env, "x");
    assertEquals(value, undefined);
    assertMatch(error ?? "", words);
    assert(!(error ?? "").includes("secret"), error);
  }
});
