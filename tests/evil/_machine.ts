/**
 * What the attacks need of this machine: a compiler, root, and the ways to start a worker with and without it.
 *
 * @module
 */

/** User that workers without root run as; nothing on the machine belongs to it. */
export const PLAIN_ID = 64_242;

const SOURCES = decodeURIComponent(new URL("programs", import.meta.url).pathname);
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");

/** Runs a program; its output, or an error that holds what it said. */
export async function output(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function has(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

/** Why the attacks cannot be run here; undefined when they can. */
export async function unfit(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "only root can look at everything from outside";
  for (const program of ["gcc", "unshare", "setpriv", "ipcmk"]) {
    if (!await has(program)) return `${program} is not there`;
  }
  return undefined;
}

let program: Promise<Uint8Array> | undefined;

/** The attacks as one static program, made once for all rounds of a process. */
export function compiled(): Promise<Uint8Array> {
  return program ??= compile();
}

async function compile(): Promise<Uint8Array> {
  const directory = await Deno.makeTempDir({ prefix: "brokkr-evil-program-" });
  try {
    const path = `${directory}/evil`;
    const sources: string[] = [];
    for await (const { name } of Deno.readDir(SOURCES)) {
      if (name.endsWith(".c")) sources.push(`${SOURCES}/${name}`);
    }
    const flags = ["-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-static", "-pthread"];
    await output("gcc", ...flags, "-o", path, ...sources.sort());
    return await Deno.readFile(path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Directories that deno and the checkout lie in, and the nearest of their parents that only root may pass. */
async function closedParents(paths: readonly string[]): Promise<Map<string, string[]>> {
  const closed = new Map<string, string[]>();
  for (const path of paths) {
    const parts = path.split("/").slice(1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const parent = `/${parts.slice(0, depth).join("/")}`;
      const { mode } = await Deno.stat(parent);
      if (((mode ?? 0) & 1) !== 0) continue;
      closed.set(parent, [...closed.get(parent) ?? [], path]);
      break;
    }
  }
  return closed;
}

/** Where deno keeps packages: read from where it is, since a plain user has none and may not download any. */
async function denoDirectory(): Promise<string> {
  const info: { denoDir: string } = JSON.parse(await output(Deno.execPath(), "info", "--json"));
  return info.denoDir;
}

/**
 * Words that start a command as a user without privileges. In a mount namespace of its own, root's directories that hold
 * deno and the checkout are replaced by open ones with nothing else in them; the machine itself is not changed.
 */
export async function asPlainUser(home: string): Promise<string[]> {
  const paths = [Deno.execPath(), await denoDirectory(), ROOT];
  const script = ["set -e"];
  const stage = `${home}/stage`;
  script.push(`mkdir -p ${stage}`);
  for (const [index, path] of paths.entries()) {
    const isFile = (await Deno.stat(path)).isFile;
    script.push(isFile ? `: > ${stage}/${index}` : `mkdir -p ${stage}/${index}`);
    script.push(`mount --bind '${path}' ${stage}/${index}`);
  }
  const closed = await closedParents(paths);
  for (const parent of closed.keys()) script.push(`mount -t tmpfs -o mode=755 none '${parent}'`);
  for (const path of new Set([...closed.values()].flat())) {
    const index = paths.indexOf(path);
    const directory = path.slice(0, path.lastIndexOf("/"));
    script.push(`mkdir -p '${directory}'`);
    script.push((await Deno.stat(path)).isFile ? `: > '${path}'` : `mkdir -p '${path}'`);
    script.push(`mount --bind ${stage}/${index} '${path}'`);
  }
  const user = `setpriv --reuid=${PLAIN_ID} --regid=${PLAIN_ID} --clear-groups`;
  script.push(`exec ${user} env HOME='${home}' TMPDIR='${home}/tmp' DENO_DIR='${paths[1]}' "$@"`);
  await Deno.mkdir(`${home}/tmp`, { recursive: true });
  for (const path of [home, `${home}/tmp`]) await Deno.chown(path, PLAIN_ID, PLAIN_ID);
  return ["unshare", "--mount", "sh", "-c", script.join("\n"), "sh"];
}

/**
 * Words that start a command whose actions no sandbox holds, and which must not hurt the machine all the same: in
 * namespaces of its own, with every file but those below `home` read-only. The program itself refuses, too, whatever is
 * not harmless.
 */
export function contained(home: string): string[] {
  const script = [
    "set -e",
    `mount --bind ${home} ${home}`,
    // Those that refuse it, such as /proc, hold no files.
    "awk '{ print $5 }' /proc/self/mountinfo | while read -r at; do",
    `  case $at in ${home}|/proc|/proc/*|/sys|/sys/*) ;; *) mount -o remount,bind,ro "$at" 2>/dev/null || true ;; esac`,
    "done",
    "! touch /usr/evil_probe 2>/dev/null || { rm -f /usr/evil_probe; exit 97; }",
    'exec "$@"',
  ];
  return [
    ...["unshare", "--mount", "--uts"],
    ...["sh", "-c", script.join("\n"), "sh", "env", `TMPDIR=${home}/tmp`],
  ];
}
