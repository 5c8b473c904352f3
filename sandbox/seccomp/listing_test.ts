import { assert, assertEquals } from "@std/assert";
import { seccompListing } from "./listing.ts";
import { ARCHES, type SeccompArch } from "./policy.ts";

for (const arch of ["x86_64", "aarch64"] as const satisfies readonly SeccompArch[]) {
  Deno.test(`seccompListing of ${arch} is the one reviewed, and names every call once`, async () => {
    const text = seccompListing(arch);
    const golden = new URL(`./testdata/policy_${arch}.txt`, import.meta.url);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, text);
    assertEquals(text, await Deno.readTextFile(golden));
    for (const [name, number] of Object.entries(ARCHES[arch].calls)) {
      const found = text.match(new RegExp(`(^ +|, )${name} ${number}(,|$)`, "gm"));
      assertEquals(found?.length, 1, `${name} ${number}`);
    }
    for (const line of text.split("\n")) assert(line.length <= 130, line);
  });
}
