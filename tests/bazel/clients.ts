/**
 * Where the real Bazel binaries come from.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** A Bazel that can be run here. */
export interface BazelClient {
  /** For test names. */
  readonly name: string;
  /** Its version. */
  readonly version: "2.1.0" | "4.2.3";
  /** The binary. */
  readonly path: string;
}

/** A client, or why there is none. */
export type Found = { readonly client: BazelClient } | { readonly reason: string };

const NPM_PACKAGE = "@bazel/bazel-linux_x64@2.1.0";
const NPM_FILE = "bazel-2.1.0-linux-x86_64";
const NPM_SHA256 = "e13581d44faad6ac807dd917e682fef20359d26728166ac35dadd8ee653a580d";

async function output(command: string, args: string[], cwd?: string): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, {
      args,
      cwd,
      stdout: "piped",
      stderr: "null",
      stdin: "null",
    })
      .output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/** npm's Bazel 2.1.0, fetched once by `npm pack` into the user's cache and checked against its known hash. */
export async function npmBazel(): Promise<Found> {
  if (Deno.build.arch !== "x86_64") {
    return { reason: `npm's Bazel is for x86_64, this is ${Deno.build.arch}` };
  }
  const cache = `${
    Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`
  }/brokkr-tests`;
  const path = `${cache}/${NPM_FILE}`;
  try {
    await Deno.stat(path);
    return { client: { name: "Bazel 2.1.0 (npm)", version: "2.1.0", path } };
  } catch {
    // Not fetched yet.
  }
  let temp: string;
  try {
    await Deno.mkdir(cache, { recursive: true });
    temp = await Deno.makeTempDir({ dir: cache });
  } catch (error) {
    return { reason: `${cache} cannot be written: ${(error as Error).message}` };
  }
  try {
    const tarball = await output("npm", ["pack", "--silent", NPM_PACKAGE], temp);
    if (tarball === undefined) {
      return { reason: `\`npm pack ${NPM_PACKAGE}\` failed (no npm, or no network)` };
    }
    const file = `${temp}/${tarball.split("\n").at(-1)}`;
    if (await output("tar", ["-xzf", file, "-C", temp]) === undefined) {
      return { reason: `${file} could not be unpacked` };
    }
    const binary = `${temp}/package/${NPM_FILE}`;
    const hash = await sha256(binary);
    if (hash !== NPM_SHA256) return { reason: `${NPM_PACKAGE} has sha256 ${hash}, not the known one` };
    await Deno.chmod(binary, 0o755);
    await Deno.rename(binary, path);
    return { client: { name: "Bazel 2.1.0 (npm)", version: "2.1.0", path } };
  } finally {
    await Deno.remove(temp, { recursive: true });
  }
}

/** Debian's Bazel 4.2.3, where its package is installed. */
export async function debianBazel(): Promise<Found> {
  const version = await output("dpkg-query", ["-W", "-f", "${Version}", "bazel-bootstrap"]);
  if (version === undefined || version === "") {
    return { reason: "Debian's package bazel-bootstrap is not installed" };
  }
  if (!version.startsWith("4.2.3")) return { reason: `bazel-bootstrap is ${version}, not 4.2.3` };
  return { client: { name: "Bazel 4.2.3 (Debian)", version: "4.2.3", path: "/usr/bin/bazel" } };
}
