/**
 * Tests that need something this machine may not have: they run, or are skipped with the reason in their name.
 *
 * @module
 */

/** Registers a test, or an ignored one that carries the reason, when `reason` is given. */
export function testUnless(
  reason: string | undefined,
  name: string,
  fn: (t: Deno.TestContext) => Promise<void>,
): void {
  if (reason === undefined) Deno.test(name, fn);
  else Deno.test({ name: `${name} (skipped: ${reason})`, ignore: true, fn: () => {} });
}
