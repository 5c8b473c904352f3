import { assertEquals } from "@std/assert";
import { generate } from "./generate.ts";
import { camelCase } from "./_generate/model.ts";

async function pbjsLoads(): Promise<boolean> {
  try {
    await import("protobufjs-cli/pbjs.js");
    return true;
  } catch (error) {
    console.log(`skipped: pbjs cannot be loaded here (${error instanceof Error ? error.message : error})`);
    return false;
  }
}

Deno.test({
  name: "what is committed in gen/ is what the generator makes of the .proto files",
  ignore: !await pbjsLoads(),
  async fn() {
    const dir = await Deno.makeTempDir();
    try {
      for (const [name, text] of await generate()) await Deno.writeTextFile(`${dir}/${name}`, text);
      const made = [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
      const committed = [...Deno.readDirSync(new URL("gen/", import.meta.url))].map((entry) => entry.name);
      assertEquals(committed.sort(), made);
      for (const name of made) {
        const [old, fresh] = await Promise.all([
          Deno.readFile(new URL(`gen/${name}`, import.meta.url)),
          Deno.readFile(`${dir}/${name}`),
        ]);
        assertEquals(old.length, fresh.length, `gen/${name} is stale; run deno task gen`);
        assertEquals(
          old.every((byte, i) => byte === fresh[i]),
          true,
          `gen/${name} is stale; run deno task gen`,
        );
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("camelCase names fields as JSON does", () => {
  const cases = [
    ["name", "name"],
    ["size_bytes", "sizeBytes"],
    ["fast_cdc_2020_params", "fastCdc2020Params"],
    ["max_cas_blob_size_bytes", "maxCasBlobSizeBytes"],
  ];
  for (const [snake, camel] of cases) assertEquals(camelCase(snake), camel);
});
