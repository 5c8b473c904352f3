import { BrokkrError, Code } from "@brokkr/common";
import { assertEquals } from "@std/assert";
import { ActionCache, type ActionResult, type Init } from "../mod.ts";
import { quickCall, quickCallsWork } from "./quick_call.ts";
import { createRpcServer, defaultPolicy, unary } from "./server.ts";

type Answer = () => Init<ActionResult> | Promise<Init<ActionResult>>;

async function ask(answer: Answer, signal?: AbortSignal) {
  const seen: string[] = [];
  const server = createRpcServer({
    routes: [unary(ActionCache.getActionResult, "read", (request, context) => {
      seen.push(request.instanceName, context.clientMetadata?.toolName ?? "");
      return answer();
    })],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read"] }),
  });
  const [{ address }] = await server.listen();
  try {
    const metadata = new Uint8Array([10, 5, 10, 3, 0x61, 0x62, 0x63]); // RequestMetadata of the tool "abc"
    const request = { instanceName: "main" };
    const options = { signal, clientMetadataBytes: metadata };
    return { ...await quickCall(`grpc://${address}`, ActionCache.getActionResult, request, options), seen };
  } finally {
    await server.shutdown({ graceMs: 0 });
  }
}

Deno.test("quickCall gives the response, and the server sees an ordinary call", async () => {
  const stdoutRaw = new Uint8Array(300_000).fill(7);
  const answer = await ask(() => ({ exitCode: 3, stdoutRaw }));
  assertEquals(answer.seen, ["main", "abc"]);
  assertEquals(answer.kind === "response" && answer.response.exitCode, 3);
  assertEquals(answer.kind === "response" && answer.response.stdoutRaw, stdoutRaw);
});

Deno.test("quickCall takes a response without a byte for one", async () => {
  assertEquals((await ask(() => ({}))).kind, "response");
});

Deno.test("quickCall tells NOT_FOUND from every other failure", async () => {
  const fail = (code: Code) => () => {
    throw new BrokkrError(code, "No");
  };
  assertEquals((await ask(fail(Code.NOT_FOUND))).kind, "notFound");
  for (const code of [Code.PERMISSION_DENIED, Code.UNAVAILABLE, Code.INTERNAL, Code.CANCELLED]) {
    assertEquals((await ask(fail(code))).kind, "unclear");
  }
});

Deno.test("quickCall is stopped by its signal", async () => {
  const stopped = new AbortController();
  const answer = await ask(() => {
    stopped.abort();
    return new Promise(() => {});
  }, stopped.signal);
  assertEquals(answer.kind, "unclear");
});

/** A body that never ends, of bytes that could be an answer's. */
function endless(): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)) });
}

Deno.test("quickCall comes to nothing where no gRPC server is", async () => {
  const bodies = [
    new Response("hello"),
    new Response(new Uint8Array([0, 0, 0, 0, 9, 1])), // cut short
    new Response(new Uint8Array([1, 0, 0, 0, 0])), // compressed
    new Response(endless()),
    new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }),
  ];
  let next = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => bodies[next]);
  for (; next < bodies.length; next++) {
    const endpoint = `grpc://127.0.0.1:${server.addr.port}`;
    assertEquals(await quickCall(endpoint, ActionCache.getActionResult, {}), { kind: "unclear" });
  }
  assertEquals(await quickCall("grpc://127.0.0.1:1", ActionCache.getActionResult, {}), { kind: "unclear" });
});

Deno.test("quickCallsWork for plain text only", () => {
  assertEquals(quickCallsWork("grpcs://127.0.0.1:1"), false);
});
