import { assert, assertEquals } from "@std/assert";
import { defaultPolicy } from "@brokkr/proto/rpc/server";
import { blob, named, SCOPE, startCache } from "./_testing.ts";

const hasOpenssl = await new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" })
  .output()
  .then(({ success }) => success, () => false);

interface Pair {
  readonly cert: string;
  readonly key: string;
}

async function openssl(dir: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args,
    cwd: dir,
    stdout: "null",
    stderr: "piped",
  })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function read(dir: string, name: string): Promise<Pair> {
  const text = (end: string) => Deno.readTextFile(`${dir}/${name}.${end}`);
  return { cert: await text("pem"), key: await text("key") };
}

async function authority(dir: string, name: string): Promise<Pair> {
  await openssl(
    dir,
    "req",
    "-x509",
    ...EC,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.pem`,
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
  );
  return await read(dir, name);
}

async function issue(dir: string, ca: string, name: string, subject: string): Promise<Pair> {
  await Deno.writeTextFile(
    `${dir}/${name}.ext`,
    "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
  );
  await openssl(dir, "req", ...EC, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
  const by = ["-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, "-CAcreateserial", "-days", "2"];
  await openssl(
    dir,
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...by,
    "-extfile",
    `${name}.ext`,
    "-out",
    `${name}.pem`,
  );
  return await read(dir, name);
}

Deno.test({ name: "The HTTP cache over TLS", ignore: !hasOpenssl }, async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-http-tls-" });
  try {
    const ca = (await authority(dir, "own")).cert;
    await authority(dir, "other");
    const server = await issue(dir, "own", "server", "/CN=server");
    const builder = await issue(dir, "own", "builder", "/CN=builder");
    const nameless = await issue(dir, "own", "nameless", "/O=nobody");
    const rogue = await issue(dir, "other", "rogue", "/CN=builder");
    const data = blob(3_000_000);

    const get = async (url: string, own: Partial<Pair>, init: RequestInit = {}): Promise<number | string> => {
      using client = Deno.createHttpClient({ caCerts: [ca], ...own } as Deno.CreateHttpClientOptions);
      try {
        const response = await fetch(url, { client, ...init } as RequestInit);
        const body = new Uint8Array(await response.arrayBuffer());
        if (response.ok && init.method === undefined) assertEquals(body, data);
        return response.status;
      } catch (error) {
        return error instanceof Error ? "refused" : String(error);
      }
    };

    await t.step("without a client CA anyone may come, encrypted", async () => {
      await using cache = await startCache({ tls: server });
      assert(cache.endpoint.startsWith("https://"));
      const url = `https://localhost:${cache.port}/cas/${named(data).hash}`;
      assertEquals(await get(url, {}, { method: "PUT", body: data }), 200);
      assertEquals(await get(url, {}), 200);
      assertEquals(await get(url.replace("https", "http"), {}), "refused");
    });

    await t.step(
      "with one only its certificates are let in, and their names are what access is given to",
      async () => {
        await using cache = await startCache({
          tls: { ...server, clientCa: ca },
          authorize: defaultPolicy({ anonymousAccess: [], certificateAccess: { builder: ["read"] } }),
        });
        await cache.store.put(SCOPE, named(data), data);
        const url = `https://localhost:${cache.port}/cas/${named(data).hash}`;
        assertEquals(await get(url, builder), 200);
        assertEquals(await get(url, builder, { method: "PUT", body: data }), 403);
        assertEquals(await get(url, {}), "refused");
        assertEquals(await get(url, rogue), "refused");
        assertEquals(await get(url, nameless), 401);
      },
    );

    await t.step("who does not finish the handshake is cut off", async () => {
      await using cache = await startCache({ tls: server, limits: { handshakeMs: 200 } });
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: cache.port });
      assertEquals(await connection.read(new Uint8Array(10)), null);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
