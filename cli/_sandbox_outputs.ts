/**
 * Copying what a sandboxed command made out of its sandbox. Nothing of it is trusted: paths are resolved beneath its
 * root without following links, and only files, directories and links are taken.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { Beneath } from "@brokkr/sandbox";
import { usageError } from "./commands/_shared.ts";
import { writeErr } from "./_terminal.ts";

/** Deepest tree that is copied. */
const MAX_DEPTH = 256;

/** `PATH` below the root, without `.` and superfluous slashes. */
export function outputPath(text: string): string {
  const parts = text.replace(/^\/work(?=\/|$)/, "").split("/").filter((part) => part !== "" && part !== ".");
  if (text.startsWith("/") && !/^\/work(\/|$)/.test(text) || parts.includes("..")) {
    throw usageError(`--output ${JSON.stringify(text)} must be a path below /work`);
  }
  return parts.join("/");
}

/**
 * Copies the paths below `root` to the same places below `target`. What is not there is told, and no error.
 *
 * @throws {BrokkrError} when something cannot be read or written.
 */
export async function copyOut(root: string, paths: readonly string[], target: string): Promise<void> {
  if (paths.length === 0) return;
  using from = Beneath.open(root);
  for (const path of paths.map(outputPath)) {
    if (from.tryStat(path) === undefined) {
      await writeErr(`brokk: The command did not make ${path}\n`);
      continue;
    }
    await Deno.mkdir(target, { recursive: true });
    let to = target;
    const parts = path === "" ? [] : path.split("/");
    for (const part of parts.slice(0, -1)) await makeDirectory(to = `${to}/${part}`);
    await copy(from, path, path === "" ? target : `${to}/${parts.at(-1)}`, 0);
  }
}

async function copy(from: Beneath, path: string, to: string, depth: number): Promise<void> {
  if (depth > MAX_DEPTH) {
    throw new BrokkrError(Code.FAILED_PRECONDITION, `Output ${path} is nested deeper than ${MAX_DEPTH}`);
  }
  const { type } = from.stat(path);
  if (type === "directory") {
    // The target itself may be reached by a link of the caller's own.
    if (path !== "") await makeDirectory(to);
    for (const { name } of await from.list(path)) {
      if (name === undefined) {
        throw new BrokkrError(Code.FAILED_PRECONDITION, `Output ${path} holds a name that is not UTF-8`);
      }
      await copy(from, path === "" ? name : `${path}/${name}`, `${to}/${name}`, depth + 1);
    }
  } else if (type === "file") await copyFile(from, path, to);
  else if (type === "symlink") {
    await removeFile(to);
    await Deno.symlink(new TextDecoder().decode(from.readLink(path)), to);
  } else throw new BrokkrError(Code.FAILED_PRECONDITION, `Output ${path} is a ${type}, which is not copied`);
}

/** Makes a directory, or takes the one that is there. A link in its place, which an earlier command may have made, could
 * lead anywhere. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await Deno.mkdir(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if ((await Deno.lstat(path)).isDirectory) return;
    throw new BrokkrError(
      Code.FAILED_PRECONDITION,
      `${path} is in the way of a directory of outputs; remove it, or give another --output-dir`,
      { cause: error },
    );
  }
}

/** Removes a file or link that is in the way; a directory stays, and what follows says so. */
async function removeFile(path: string): Promise<void> {
  try {
    if (!(await Deno.lstat(path)).isDirectory) await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function copyFile(from: Beneath, path: string, to: string): Promise<void> {
  using source = from.openFile(path);
  await removeFile(to);
  const mode = (source.mode & 0o111) === 0 ? 0o644 : 0o755;
  using target = await Deno.open(to, { write: true, createNew: true, mode });
  for await (const chunk of source.chunks()) {
    for (let at = 0; at < chunk.length;) at += await target.write(chunk.subarray(at));
  }
}
