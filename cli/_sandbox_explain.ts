/**
 * `brokk sandbox explain`: what the sandbox is made of.
 *
 * @module
 */

import { EXPLAINED_PARTS, type ExplainedPart, type ExplainOptions, explainSandbox } from "@brokkr/sandbox";
import { usageError } from "./commands/_shared.ts";
import { writeOut } from "./_terminal.ts";

function isPart(text: string): text is ExplainedPart {
  return (EXPLAINED_PARTS as readonly string[]).includes(text);
}

/** Prints one part, or all. */
export async function sandboxExplain(part: string | undefined, options: ExplainOptions): Promise<void> {
  if (part !== undefined && !isPart(part)) {
    throw usageError(`${JSON.stringify(part)} is not one of ${EXPLAINED_PARTS.join(", ")}`);
  }
  await writeOut(explainSandbox(part === undefined ? EXPLAINED_PARTS : [part], options));
}
