/**
 * Whether this machine lets sandboxes be made.
 *
 * @module
 */

import { Sandbox } from "@brokkr/sandbox";

/** Why there is none; undefined where there is. */
export async function whyNoSandbox(): Promise<string | undefined> {
  const dir = await Deno.makeTempDir();
  try {
    await using _ = await Sandbox.open({ slots: 1, lowersPath: dir });
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    await Deno.remove(dir);
  }
}
