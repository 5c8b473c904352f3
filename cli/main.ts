/**
 * The entry of `brokk`.
 *
 * @module
 */

const [first, ...rest] = Deno.args;
if (first === "__control" || first === "__worker") {
  const { runChild } = await import("./up/child.ts");
  await runChild(first === "__control" ? "control" : "worker", rest);
} else {
  const { main } = await import("./program.ts");
  // Everything has been written by then. Ending here saves the time of closing connections one by one.
  Deno.exit(await main(Deno.args));
}
