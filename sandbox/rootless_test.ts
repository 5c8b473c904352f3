import { assert, assertEquals } from "@std/assert";
import { asPlainUser, NOBODY } from "./_plain_user.ts";
import type { LauncherProbe } from "./launcher.ts";

interface Found {
  readonly uid: number;
  readonly probe: LauncherProbe;
  readonly removed: boolean;
  readonly [mode: string]: unknown;
}

Deno.test({
  name: "Launcher and removeTree work for a user without privileges" +
    (Deno.uid() === 0 ? "" : " (skipped: without root all the other tests show it)"),
  ignore: Deno.uid() !== 0,
  fn: async (t) => {
    const found = await asPlainUser("as_plain_user.ts") as Found;
    assertEquals(found.uid, NOBODY);
    assertEquals(found.removed, true);
    const good = { exitCode: 9, stdout: `${NOBODY}\n`, killed: true, survivors: 0, left: 0 };
    assertEquals(found["subreaper"], good);
    await t.step({
      name: "with PID namespaces, where this machine gives them to everybody",
      ignore: found.probe.mode !== "pid-namespace",
      fn: () => {
        assertEquals(found["pid-namespace"], good);
        assert(found.probe.userNamespace);
      },
    });
  },
});
