/** That `docs/troubleshooting.md` quotes what is really said, by bringing it about. */

import { assert, assertEquals } from "@std/assert";
import { type Place, PROVOCATIONS, type Said, withPlace } from "./_provoke.ts";

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

/** So many are brought about at a time: most of them wait, and each has a directory or a grid of its own. */
const AT_ONCE = 4;

/** Brings all about, and gives what each will have said. */
function provokeAll(make: () => Promise<Place>): ReadonlyMap<string, Promise<Said>> {
  const answers = Object.keys(PROVOCATIONS).map((id) => [id, Promise.withResolvers<Said>()] as const);
  for (const [, { promise }] of answers) promise.catch(() => undefined);
  const rest = [...answers];
  const next = async (): Promise<void> => {
    for (let one = rest.shift(); one !== undefined; one = rest.shift()) {
      const [id, { resolve }] = one;
      const place = await make();
      // What fails is told by the step that waits for it.
      const said = PROVOCATIONS[id](place);
      resolve(said);
      await said.catch(() => undefined);
    }
  };
  for (let lane = 0; lane < AT_ONCE; lane++) void next();
  return new Map(answers.map(([id, { promise }]) => [id, promise]));
}

Deno.test("The troubleshooting page quotes what the programs say", async (t) => {
  const quoted = await quotations();
  await withPlace(async (make) => {
    for (const [id, answer] of provokeAll(make)) {
      const fn = async () => {
        const said = await answer;
        if (typeof said !== "string") return console.log(`${id} is skipped: ${said.skipped}`);
        const quotation = quoted.get(id) ?? "";
        assert(pattern(quotation).test(said), `The page says of ${id}:\n${quotation}\nbut it says:\n${said}`);
      };
      // Others go on meanwhile.
      await t.step({ name: id, fn, sanitizeOps: false, sanitizeResources: false });
    }
  });
});
