import { assertEquals, assertStringIncludes } from "@std/assert";
import { Capabilities, ContentAddressableStorage } from "@brokkr/proto";
import { createRpcServer, defaultPolicy, unary } from "@brokkr/proto/rpc/server";
import { testUnless } from "../_skip.ts";
import { Certificates, noOpenssl } from "./_certs.ts";
import { noPython, PythonClient, type TlsFiles } from "./_python.ts";
import { Subject } from "./_subject.ts";

async function withCertificates(fn: (certificates: Certificates) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-interop-certs-" });
  try {
    await fn(await Certificates.make(dir));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Code and words of a call made with `tls`. */
async function admitted(subject: Subject, tls: TlsFiles | null): Promise<[string, string]> {
  const [result] = await subject.run(["admitted_or_not"], tls);
  assertEquals(result.error, undefined);
  return result.told as [string, string];
}

testUnless(
  noPython ?? noOpenssl,
  "A grid that demands certificates takes those of its authority alone",
  (t) =>
    withCertificates(async (certificates) => {
      await using subject = await Subject.start("mutual TLS", certificates);
      const ca = certificates.ca();
      const good = await certificates.issue("/CN=someone");
      const cases: readonly [string, TlsFiles | null, string][] = [
        ["with a certificate of the authority a client is let in", { ca, ...good }, "OK"],
        ["without a certificate it is not", { ca }, "UNAVAILABLE"],
        ["with one of another authority it is not", {
          ca,
          ...await certificates.issue("/CN=someone", { by: "other" }),
        }, "UNAVAILABLE"],
        ["with one that has expired it is not", {
          ca,
          ...await certificates.issue("/CN=someone", { days: -1 }),
        }, "UNAVAILABLE"],
        ["with one that names nobody it is told so", {
          ca,
          ...await certificates.issue("/O=nobody in particular"),
        }, "UNAUTHENTICATED"],
        ["without TLS it is not", null, "UNAVAILABLE"],
        ["it does not trust a grid that another authority vouches for", {
          ca: certificates.ca("other"),
          ...good,
        }, "UNAVAILABLE"],
      ];
      for (const [sentence, tls, code] of cases) {
        await t.step(sentence, async () => {
          const [got, words] = await admitted(subject, tls);
          assertEquals(got, code, words);
        });
      }
      await t.step("and the grid is as well as before", () => subject.assertHealthy());
    }),
);

testUnless(
  noPython ?? noOpenssl,
  "A name without rights is told what it may not do",
  () =>
    withCertificates(async (certificates) => {
      const read = async ({ cert, key }: { cert: string; key: string }) => ({
        cert: await Deno.readTextFile(cert),
        key: await Deno.readTextFile(key),
      });
      await using server = createRpcServer({
        routes: [
          unary(Capabilities.getCapabilities, "public", () => ({})),
          unary(ContentAddressableStorage.findMissingBlobs, "read", () => ({})),
        ],
        listen: ["127.0.0.1:0"],
        tls: {
          ...await read(await certificates.issue("/CN=control")),
          clientCa: await Deno.readTextFile(certificates.ca()),
        },
        authorize: defaultPolicy({
          anonymousAccess: ["public"],
          certificateAccess: { "builder-*": ["read"] },
        }),
      });
      const [{ address }] = await server.listen();
      await using client = await PythonClient.open();
      const ask = async (subject: string): Promise<[string, string]> => {
        const tls = { ca: certificates.ca(), ...await certificates.issue(subject) };
        const request = { endpoint: address, instance: "", tls, cases: ["admitted_or_not"] };
        const [{ told, error }] = await client.run(request);
        assertEquals(error, undefined);
        return told as [string, string];
      };
      assertEquals(await ask("/CN=builder-7"), ["OK", ""]);
      const [code, words] = await ask("/CN=visitor");
      assertEquals(code, "PERMISSION_DENIED");
      assertStringIncludes(words, "cert:visitor may not call");
      assertStringIncludes(words, "it needs read access");
    }),
);
