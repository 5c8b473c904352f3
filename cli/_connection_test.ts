import { DIGEST_FUNCTIONS } from "@brokkr/cas/client";
import { BrokkrError } from "@brokkr/common";
import { loadConfig } from "@brokkr/common/config";
import { assertEquals, assertRejects } from "@std/assert";
import { type ConnectionFlags, resolveConnection } from "./_connection.ts";
import { inTempDir } from "./_testing.ts";

const NO_FILE = { BROKKR_CONFIG: "/dev/null" };

for (
  const [flags, env, endpoint, instance] of [
    [{}, {}, "grpc://127.0.0.1:8980", ""],
    [{ endpoint: "h:1" }, { BROKKR_CLIENT_ENDPOINT: "grpc://other:2" }, "grpc://h:1", ""],
    [
      {},
      { BROKKR_CLIENT_ENDPOINT: "grpcs://other:2", BROKKR_CLIENT_INSTANCE: "a/b" },
      "grpcs://other:2",
      "a/b",
    ],
    [{ instance: "x" }, { BROKKR_CLIENT_INSTANCE: "y" }, "grpc://127.0.0.1:8980", "x"],
  ] as readonly (readonly [ConnectionFlags, Record<string, string>, string, string])[]
) {
  Deno.test(`resolveConnection goes to ${endpoint} ${instance}, with or without the configuration's loader`, async () => {
    const file = await Deno.makeTempFile({ suffix: ".toml" });
    try {
      for (
        const [config, variables] of [[undefined, env], [file, env], [undefined, {
          ...env,
          BROKKR_CONFIG: file,
        }]] as const
      ) {
        const { options, ...rest } = await resolveConnection({ ...flags, config }, variables);
        assertEquals([rest.endpoint, options.instance], [endpoint, instance]);
      }
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("resolveConnection reads what the configuration says of TLS", async () => {
  await inTempDir(async (directory) => {
    await Deno.writeTextFile(`${directory}/ca.pem`, "authority");
    const file = `${directory}/b.toml`;
    await Deno.writeTextFile(file, '[client]\nendpoint = "grpcs://h:1"\ntls_ca = "ca.pem"\ntimeout = "7s"\n');
    const { options } = await resolveConnection({ config: file }, {});
    assertEquals(options, {
      instance: "",
      timeoutMs: 7000,
      tls: { ca: "authority", cert: undefined, key: undefined },
      compression: "off",
      chunking: "auto",
      digest: "sha256",
    });
    await Deno.writeTextFile(file, '[client]\nendpoint = "grpcs://h:1"\ntls_ca = "gone.pem"\n');
    const error = await assertRejects(() => resolveConnection({ config: file }, {}), BrokkrError);
    assertEquals(
      error.message,
      `client.tls_ca: ${directory}/gone.pem cannot be read; name a PEM file that this user may read`,
    );
  });
});

Deno.test("resolveConnection names the variable or the file that is wrong", async () => {
  const wrong = { BROKKR_CLIENT_ENDPOINT: "nowhere" };
  const variable = await assertRejects(() => resolveConnection({}, wrong), BrokkrError);
  assertEquals(variable.message.split(" is ")[0], 'BROKKR_CLIENT_ENDPOINT: "nowhere"');
  const file = await assertRejects(() => resolveConnection({}, NO_FILE), BrokkrError);
  assertEquals(file.message, "/dev/null: not a file");
});

for (
  const [flags, env, digest] of [
    [{}, {}, "sha256"],
    [{ digest: "blake3" }, { BROKKR_CLIENT_DIGEST: "sha1" }, "blake3"],
    [{}, { BROKKR_CLIENT_DIGEST: "sha1" }, "sha1"],
  ] as readonly (readonly [ConnectionFlags, Record<string, string>, string])[]
) {
  Deno.test(`resolveConnection has digests of ${digest}, with or without the configuration's loader`, async () => {
    await inTempDir(async (directory) => {
      const file = `${directory}/b.toml`;
      await Deno.writeTextFile(file, '[client]\ndigest = "md5"\n');
      await Deno.writeTextFile(`${directory}/empty.toml`, "");
      assertEquals((await resolveConnection(flags, env)).options.digest, digest);
      const loaded = await resolveConnection({ ...flags, config: `${directory}/empty.toml` }, env);
      assertEquals(loaded.options.digest, digest);
      const over = digest === "sha256" ? "md5" : digest;
      assertEquals((await resolveConnection({ ...flags, config: file }, env)).options.digest, over);
    });
  });
}

Deno.test("The configuration takes every digest function by its segment, and no other", async () => {
  for (const { segment } of DIGEST_FUNCTIONS) {
    assertEquals((await resolveConnection({ digest: segment }, {})).options.digest, segment);
    const { client } = await loadConfig({ env: {}, flags: { "client.digest": segment } });
    assertEquals(client.digest, segment);
  }
  const known = DIGEST_FUNCTIONS.map(({ segment }) => segment).join(", ");
  for (const wrong of ["murmur3", "BLAKE3", ""]) {
    const error = await assertRejects(() => resolveConnection({ digest: wrong }, {}), BrokkrError);
    assertEquals(error.message.includes(known), true, error.message);
  }
});
