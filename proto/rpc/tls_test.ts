import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { connect, type ConnectOptions } from "./client.ts";
import { clientStream, defaultPolicy, type RpcServerOptions, unary } from "./server.ts";
import { authority, hasOpenssl, type Pair } from "./_test_certs.ts";
import { startPair } from "./_test_server.ts";
import { Echo } from "./_test_service.ts";

interface Certs {
  readonly ca: string;
  readonly server: Pair;
  readonly worker: Pair;
  readonly rogue: Pair;
}

async function makeCerts(): Promise<Certs> {
  const dir = await Deno.makeTempDir();
  try {
    const own = await authority(dir, "own"), other = await authority(dir, "other");
    return {
      ca: own.cert,
      server: await own.issue("brokkr-control"),
      worker: await own.issue("worker-1"),
      rogue: await other.issue("worker-1"),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const whoAmI = unary(Echo.unary, "worker", (_text, context) => context.principal.name);
const length = clientStream(Echo.bytesUp, "worker", async (requests) => {
  let total = 0;
  for await (const bytes of requests) total += bytes.length;
  return new TextEncoder().encode(`${total}`);
});

Deno.test({ name: "TLS", ignore: !hasOpenssl }, async (t) => {
  const certs = await makeCerts();
  const authorize = defaultPolicy({ anonymousAccess: [], certificateAccess: { "worker-*": ["worker"] } });
  const mutual: Partial<RpcServerOptions> = { tls: { ...certs.server, clientCa: certs.ca }, authorize };
  const ask = async (address: string, options: ConnectOptions, scheme = "grpcs") => {
    await using channel = connect(`${scheme}://${address}`, { retry: { retries: 0 }, ...options });
    return await channel.unary(Echo.unary, "", { timeoutMs: 5000 });
  };

  await t.step("makes a principal of the client certificate's name", async () => {
    await using pair = await startPair([whoAmI, length], mutual, { tls: { ca: certs.ca, ...certs.worker } });
    assertEquals(await pair.channel.unary(Echo.unary, ""), "cert:worker-1");
    const chunks = (async function* () {
      for (let i = 0; i < 64; i++) yield await Promise.resolve(new Uint8Array(1 << 20));
    })();
    assertEquals(
      new TextDecoder().decode(await pair.channel.clientStream(Echo.bytesUp, chunks)),
      `${64 << 20}`,
    );
  });

  await t.step("refuses a client without a certificate, with a rogue one, and without TLS", async () => {
    await using pair = await startPair([whoAmI], mutual);
    const cases: [string, ConnectOptions, string][] = [
      ["grpcs", { tls: { ca: certs.ca } }, "Cannot reach grpcs://"],
      ["grpcs", { tls: { ca: certs.ca, ...certs.rogue } }, "Cannot reach grpcs://"],
      ["grpc", {}, "does the server want TLS? Then write grpcs://"],
    ];
    for (const [scheme, options, words] of cases) {
      const error = await assertRejects(() => ask(pair.address, options, scheme), BrokkrError);
      assertEquals(error.code, Code.UNAVAILABLE);
      assertStringIncludes(error.message, words);
    }
    assertEquals(await ask(pair.address, { tls: { ca: certs.ca, ...certs.worker } }), "cert:worker-1");
  });

  await t.step("denies a verified certificate that no rule names", async () => {
    await using pair = await startPair([whoAmI], mutual);
    const error = await assertRejects(
      () => ask(pair.address, { tls: { ca: certs.ca, ...certs.server } }),
      BrokkrError,
      "cert:brokkr-control may not call /test.Echo/Unary: it needs worker access",
    );
    assertEquals(error.code, Code.PERMISSION_DENIED);
  });

  await t.step("refuses a server that an unknown authority vouches for", async () => {
    await using pair = await startPair([whoAmI], mutual);
    const error = await assertRejects(() => ask(pair.address, {}), BrokkrError, "Cannot reach grpcs://");
    assertEquals(error.code, Code.UNAVAILABLE);
  });

  await t.step("without a client CA leaves everyone anonymous", async () => {
    const options = { tls: certs.server, authorize: defaultPolicy({ anonymousAccess: ["worker"] }) };
    await using pair = await startPair([whoAmI], options);
    assertEquals(await ask(pair.address, { tls: { ca: certs.ca, ...certs.worker } }), "anonymous");
  });

  await t.step("lets a server with client certificates listen everywhere", async () => {
    await using pair = await startPair([whoAmI], { ...mutual, listen: ["0.0.0.0:0"] });
    const address = pair.address.replace("0.0.0.0", "127.0.0.1");
    assertEquals(await ask(address, { tls: { ca: certs.ca, ...certs.worker } }), "cert:worker-1");
  });
});

Deno.test("connect refuses certificates that make no sense", () => {
  const pem = "-----BEGIN CERTIFICATE-----";
  assertThrows(() => connect("grpc://localhost", { tls: { ca: pem } }), BrokkrError, "write grpcs://");
  assertThrows(() => connect("grpcs://localhost", { tls: { cert: pem } }), BrokkrError, "go together");
  assertThrows(() => connect("grpcs://localhost", { tls: { ca: "nonsense" } }), BrokkrError, "not PEM");
});
