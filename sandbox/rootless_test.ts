import { assert, assertEquals } from "@std/assert";
import type { LauncherProbe } from "./launcher.ts";

const NOBODY = 65534;

interface Found {
  readonly uid: number;
  readonly probe: LauncherProbe;
  readonly removed: boolean;
  readonly [mode: string]: unknown;
}

/** Copies deno and the code to where that user may read them: root's home and this checkout may be closed to it. */
async function furnish(home: string): Promise<void> {
  await Deno.copyFile(Deno.execPath(), `${home}/deno`);
  await Deno.chmod(`${home}/deno`, 0o755);
  await Deno.writeTextFile(
    `${home}/deno.json`,
    JSON.stringify({ imports: { "@brokkr/common": "./common/mod.ts" } }),
  );
  for (const folder of ["common", "sandbox", "sandbox/testdata"]) {
    await Deno.mkdir(`${home}/${folder}`);
    for await (const { name } of Deno.readDir(new URL(`../${folder}`, import.meta.url))) {
      if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
      await Deno.copyFile(new URL(`../${folder}/${name}`, import.meta.url), `${home}/${folder}/${name}`);
    }
  }
  await Deno.chown(home, NOBODY, NOBODY);
}

Deno.test({
  name: "Launcher and removeTree work for a user without privileges" +
    (Deno.uid() === 0 ? "" : " (skipped: without root all the other tests show it)"),
  ignore: Deno.uid() !== 0,
  fn: async (t) => {
    const home = await Deno.makeTempDir({ prefix: "brokkr_rootless_" });
    try {
      await furnish(home);
      const { stdout, stderr, code } = await new Deno.Command(`${home}/deno`, {
        args: [
          "run",
          "--allow-all",
          "--no-check",
          "--no-lock",
          `--config=${home}/deno.json`,
          `${home}/sandbox/testdata/as_plain_user.ts`,
        ],
        clearEnv: true,
        env: { DENO_DIR: `${home}/cache`, TMPDIR: home, HOME: home, PATH: "/usr/bin:/bin" },
        uid: NOBODY,
        gid: NOBODY,
        cwd: home,
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const found: Found = JSON.parse(new TextDecoder().decode(stdout));
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
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  },
});
