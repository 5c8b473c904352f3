import { assert } from "@std/assert";
import { tscKhz } from "./tsc.ts";

Deno.test({
  name: "tscKhz measures the same rate twice, and a plausible one",
  ignore: Deno.build.arch !== "x86_64" || Deno.build.os !== "linux",
  fn: async () => {
    const [first, second] = [await tscKhz(), await tscKhz()];
    assert(first > 500_000 && first < 10_000_000, `${first} kHz`);
    assert(Math.abs(first / second - 1) < 0.02, `${first} and ${second} kHz`);
  },
});
