import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { checkFastCdcParams, fastCdcMasks, type FastCdcParams } from "./fastcdc_params.ts";
import { gearTable, referenceCuts } from "./reference_fastcdc.ts";

const VECTORS = new URL("../../shared/vectors/", import.meta.url);

function present(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch {
    return false;
  }
}

const absent = !present(new URL("fastcdc2020_test_vectors.txt", VECTORS));

Deno.test({
  name: absent
    ? "the reference finds the published chunks (skipped: the vectors are not in this clone)"
    : "the reference finds the published chunks",
  ignore: absent,
  fn() {
    const image = Deno.readFileSync(new URL("SekienAkashita.jpg", VECTORS));
    const text = Deno.readTextFileSync(new URL("fastcdc2020_test_vectors.txt", VECTORS));
    const expected = new Map<number, string[]>();
    let seed = NaN;
    for (const line of text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))) {
      if (line.startsWith("seed")) expected.set(seed = Number(line.slice("seed".length)), []);
      else expected.get(seed)?.push(line.replaceAll(/\s+/g, " "));
    }
    assertEquals([...expected.keys()], [0, 666]);
    for (const [seed, lines] of expected) {
      let offset = 0;
      const found = referenceCuts({ avgBytes: 16384, maxBytes: 65535, seed }, image).map((cut) => {
        const chunk = image.subarray(offset, offset += cut.length);
        const sha256 = createHash("sha256").update(chunk).digest("hex");
        return `${chunk.byteOffset - image.byteOffset} ${chunk.length} ${sha256} ${cut.hash}`;
      });
      assertEquals(found, lines, `seed ${seed}`);
    }
  },
});

Deno.test("the gear table is the published one", () => {
  const gear = gearTable();
  assertEquals(gear[0], 0x3b5d3c7d207e37dcn);
  assertEquals(gear[1], 0x784d68ba91123086n);
  assertEquals(gear[255], 0xaabd2b2a451504e1n);
});

Deno.test("a chunk of zeros is as long as it may be, and the hash at its end the one that the authors' tests have", () => {
  const cuts = referenceCuts({ avgBytes: 1024 }, new Uint8Array(10240));
  assertEquals(cuts.map(({ length }) => length), [4096, 4096, 2048]);
  // Constant bytes: the hash no longer changes once 64 of them have gone in.
  assert(cuts.every(({ hash }) => hash === 14169102344523991076n));
});

Deno.test("the mask before the average has more bits than the one after it", () => {
  const bits = (mask: bigint) => mask.toString(2).replaceAll("0", "").length;
  for (let log = 10; log <= 20; log++) {
    const { strict, loose } = fastCdcMasks(2 ** log);
    assertEquals([bits(strict), bits(loose)], [log + 2, log - 2], `2^${log}`);
  }
});

Deno.test("parameters out of their range are refused with words that say the range", () => {
  const cases: [FastCdcParams, string][] = [
    [{ avgBytes: 512 }, "avgBytes of FastCDC must be a whole number from 1024 to 1048576, not 512"],
    [{ avgBytes: 1 << 21 }, "avgBytes of FastCDC must be a whole number from 1024 to 1048576, not 2097152"],
    [{ avgBytes: 3000 }, "avgBytes of FastCDC must be a power of two, not 3000"],
    [{ avgBytes: NaN }, "not NaN"],
    [{ avgBytes: 1024, seed: -1 }, "seed of FastCDC must be a whole number from 0 to 4294967295, not -1"],
    [{ avgBytes: 1024, seed: 2 ** 32 }, "not 4294967296"],
    [{ avgBytes: 1024, seed: 0.5 }, "not 0.5"],
    [{ avgBytes: 1024, minBytes: 63 }, "minBytes of FastCDC must be a whole number from 64 to 1024, not 63"],
    [{ avgBytes: 1024, minBytes: 1025 }, "not 1025"],
    [{ avgBytes: 1024, maxBytes: 1023 }, "maxBytes of FastCDC must be a whole number from 1024 to 16777216"],
    [{ avgBytes: 1024, maxBytes: Infinity }, "not Infinity"],
  ];
  for (const [params, words] of cases) assertThrows(() => checkFastCdcParams(params), RangeError, words);
});
