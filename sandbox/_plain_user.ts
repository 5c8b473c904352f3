/**
 * Running a script of this member as a user without privileges, from a process of root's.
 *
 * @module
 */

import { TestDir } from "./_testing.ts";

/** The user and group of such scripts. */
export const NOBODY = 65534;

/** Runs `testdata/<script>` and gives what it printed, parsed; throws with its errors when it fails. */
export async function asPlainUser(script: string): Promise<unknown> {
  using dir = new TestDir();
  const home = dir.path;
  // Copied to where that user may read them: root's home and this checkout may be closed to it.
  await Deno.copyFile(Deno.execPath(), `${home}/deno`);
  await Deno.chmod(`${home}/deno`, 0o755);
  await Deno.writeTextFile(
    `${home}/deno.json`,
    JSON.stringify({ workspace: ["./common", "./sandbox"] }),
  );
  for (const folder of ["common", "sandbox"]) {
    copySources(new URL(`../${folder}/`, import.meta.url), `${home}/${folder}`);
  }
  await Deno.chown(home, NOBODY, NOBODY);
  const { stdout, stderr, code } = await new Deno.Command(`${home}/deno`, {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--no-lock",
      `--config=${home}/deno.json`,
      `${home}/sandbox/testdata/${script}`,
    ],
    clearEnv: true,
    env: { DENO_DIR: `${home}/cache`, TMPDIR: home, HOME: home, PATH: "/usr/bin:/bin", NO_COLOR: "1" },
    uid: NOBODY,
    gid: NOBODY,
    cwd: home,
  }).output();
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

function copySources(from: URL, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copySources(new URL(`${name}/`, from), `${to}/${name}`);
    else if (name === "deno.json" || name.endsWith(".ts") && !name.endsWith("_test.ts")) {
      Deno.copyFileSync(new URL(name, from), `${to}/${name}`);
    }
  }
}
