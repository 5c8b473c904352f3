/**
 * Tests that only make sense inside of the test machine.
 *
 * @module
 */

/** The kernel's package and version inside of the machine, undefined elsewhere. */
export const machine: string | undefined = Deno.env.get("BROKKR_TEST_MACHINE");

/** Whether the test runs as root; otherwise it is the account without privileges. */
export const asRoot: boolean = Deno.uid() === 0;

/**
 * `Deno.test` in the machine. Elsewhere nothing is registered, as there is nothing to run: `vm_test.ts` reports the test
 * by its name.
 */
export const guestTest: (name: string, fn: (t: Deno.TestContext) => void | Promise<void>) => void =
  machine === undefined ? () => {} : Deno.test;

/** Runs a script and gives its standard output, both streams when it fails. */
export async function sh(script: string): Promise<{ readonly code: number; readonly text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", { args: ["-euc", script] }).output();
  const text = new TextDecoder().decode(stdout) + (code === 0 ? "" : new TextDecoder().decode(stderr));
  return { code, text: text.trim() };
}
