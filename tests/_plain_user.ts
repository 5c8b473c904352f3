/**
 * Running a script of this project as a user without privileges, from a process of root's.
 *
 * @module
 */

/** The user and group of such scripts. */
export const NOBODY = 65534;

/** Whether this process is root, without whom there is nobody to become. */
export const IS_ROOT: boolean = Deno.uid() === 0;

/** Members whose sources scripts may import; they have no other dependencies than what these need at run time. */
const MEMBERS = ["common", "sandbox", "tests"] as const;

/** The sources of some members, where an ordinary user may read them. */
export class PlainUserHome implements Disposable {
  /** The directory, which is that user's own. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "brokkr_plain_" });

  /** Copies this Deno and the sources: root's home and this checkout may be closed to that user. */
  constructor() {
    const root = new URL("../", import.meta.url);
    Deno.copyFileSync(Deno.execPath(), `${this.path}/deno`);
    Deno.chmodSync(`${this.path}/deno`, 0o755);
    Deno.chmodSync(this.path, 0o755);
    const workspace = MEMBERS.map((name) => `./${name}`);
    Deno.writeTextFileSync(`${this.path}/deno.json`, JSON.stringify({ workspace }));
    for (const name of MEMBERS) copySources(new URL(`${name}/`, root), `${this.path}/${name}`);
    for (const name of ["cache", "tmp"]) {
      Deno.mkdirSync(`${this.path}/${name}`);
      Deno.chownSync(`${this.path}/${name}`, NOBODY, NOBODY);
    }
  }

  /** How `script`, a path from the project's root, is run as that user. */
  command(
    script: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Deno.Command {
    const home = this.path;
    return new Deno.Command(`${home}/deno`, {
      args: [
        "run",
        "--allow-all",
        "--no-check",
        "--no-lock",
        "--v8-flags=--expose-gc",
        `--config=${home}/deno.json`,
        `${home}/${script}`,
        ...args,
      ],
      clearEnv: true,
      env: {
        DENO_DIR: `${home}/cache`,
        TMPDIR: `${home}/tmp`,
        HOME: `${home}/tmp`,
        PATH: "/usr/bin:/bin",
        NO_COLOR: "1",
        ...env,
      },
      uid: NOBODY,
      gid: NOBODY,
      cwd: `${home}/tmp`,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Removes it all. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Runs a script as that user and gives what it printed; throws with its errors when it fails. */
export async function asPlainUser(
  script: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  using home = new PlainUserHome();
  const { stdout, stderr, code } = await home.command(script, args, env).output();
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

function copySources(from: URL, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isDirectory, isFile } of Deno.readDirSync(from)) {
    if (isDirectory) {
      if (name !== "node_modules") copySources(new URL(`${name}/`, from), `${to}/${name}`);
    } else if (isFile && (name === "deno.json" || name.endsWith(".ts") && !name.endsWith("_test.ts"))) {
      Deno.copyFileSync(new URL(name, from), `${to}/${name}`);
    }
  }
}
