/**
 * The entry of `brokk`.
 *
 * @module
 */

/** Named by a variable: what a literal names Deno reads before anything runs, and a cached run has no time for that. */
const CHILD = "./up/child.ts" as string;

const [first, ...rest] = Deno.args;
if (first === "__control" || first === "__worker") {
  const { runChild }: typeof import("./up/child.ts") = await import(CHILD);
  await runChild(first === "__control" ? "control" : "worker", rest);
} else {
  const { main } = await import("./program.ts");
  const { flushSpans } = await import("./_tracing.ts");
  const code = await main(Deno.args);
  await flushSpans();
  // Everything has been written by then. Ending here saves the time of closing connections one by one.
  Deno.exit(code);
}
