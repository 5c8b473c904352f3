/**
 * Writes the table of the rules into docs/conformance.md.
 *
 * @module
 */

import { rulesTable } from "./report.ts";
import { RULES } from "./rules.ts";

const PAGE = new URL("../../docs/conformance.md", import.meta.url);
const MARK = "<!-- rules -->\n";

if (import.meta.main) {
  const [head] = (await Deno.readTextFile(PAGE)).split(MARK);
  const table = `<!-- deno-fmt-ignore-start -->\n\n${rulesTable(RULES)}\n\n<!-- deno-fmt-ignore-end -->\n`;
  await Deno.writeTextFile(PAGE, `${head}${MARK}\n${table}`);
}
