import { assertEquals } from "@std/assert";
import { HealthService } from "../gen/services.ts";
import { bidi, clientStream, createRpcServer, defaultPolicy, serverStream, unary } from "./server.ts";
import { connect } from "./client.ts";
import { Echo } from "./_test_service.ts";

Deno.test("smoke", async () => {
  await using server = createRpcServer({
    routes: [
      unary(Echo.unary, "read", (t) => t + "!"),
      serverStream(Echo.serverStream, "read", async function* (t) {
        for (const c of t) yield c;
      }),
      clientStream(Echo.clientStream, "read", async (ts) => {
        let o = "";
        for await (const t of ts) o += t;
        return o;
      }),
      bidi(Echo.bidi, "read", async function* (ts) {
        for await (const t of ts) yield t + t;
      }),
    ],
    listen: ["127.0.0.1:0"],
    authorize: defaultPolicy({ anonymousAccess: ["public", "read"] }),
  });
  const [{ address }] = await server.listen();
  await using channel = connect(`grpc://${address}`);
  assertEquals(await channel.unary(Echo.unary, "hi"), "hi!");
  assertEquals((await channel.unary(HealthService.check, { service: "" })).status, 1);
  assertEquals((await Array.fromAsync(channel.serverStream(Echo.serverStream, "abc"))).join("|"), "a|b|c");
  assertEquals(
    await channel.clientStream(
      Echo.clientStream,
      (async function* () {
        yield "x";
        yield "y";
      })(),
    ),
    "xy",
  );
  const call = channel.bidi(Echo.bidi);
  await call.send("q");
  await call.send("r");
  call.end();
  assertEquals(await Array.fromAsync(call.responses), ["qq", "rr"]);
});
