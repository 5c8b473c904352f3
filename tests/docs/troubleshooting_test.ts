/** That `docs/troubleshooting.md` quotes what is really said, by bringing it about. */

import { assert, assertEquals } from "@std/assert";
import { PROVOCATIONS, withPlace } from "./_provoke.ts";

const PAGE = new URL("../../docs/troubleshooting.md", import.meta.url);

/** The quotations of the page by their ids: the words behind `text` in the opening of a fence. */
async function quotations(): Promise<ReadonlyMap<string, string>> {
  const page = await Deno.readTextFile(PAGE);
  return new Map([...page.matchAll(/^```text (\S+)\n([\s\S]*?)\n```$/gm)].map(([, id, text]) => [id, text]));
}

/** A quotation as a pattern; `<...>` stands for anything within a line. */
function pattern(quotation: string): RegExp {
  return new RegExp(quotation.split(/<[^<>\n]*>/).map((part) => RegExp.escape(part)).join(".+?"));
}

Deno.test("Every quotation in the troubleshooting page has a provocation, and the other way round", async () => {
  assertEquals([...(await quotations()).keys()].sort(), Object.keys(PROVOCATIONS).sort());
});

Deno.test("The troubleshooting page quotes what the programs say", async (t) => {
  const quoted = await quotations();
  await withPlace(async (make) => {
    for (const [id, provoke] of Object.entries(PROVOCATIONS)) {
      await t.step(id, async () => {
        const said = await provoke(await make());
        if (typeof said !== "string") return console.log(`${id} is skipped: ${said.skipped}`);
        const quotation = quoted.get(id) ?? "";
        assert(pattern(quotation).test(said), `The page says of ${id}:\n${quotation}\nbut it says:\n${said}`);
      });
    }
  });
});
