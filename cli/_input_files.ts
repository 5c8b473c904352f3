/**
 * Looking at and opening what is to be an input, with errors that name it.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";

/** What went wrong with an input, as whoever named it should read it. */
/** What went wrong with an input, as whoever named it should read it. */
export function inputError(path: string, error: unknown): BrokkrError {
  if (error instanceof Deno.errors.NotFound) {
    return new BrokkrError(Code.NOT_FOUND, `Input ${path} does not exist`, { cause: error });
  }
  const reason = error instanceof Error
    ? error.message.replace(/: (stat|lstat|open) '.*$/, "")
    : String(error);
  return new BrokkrError(Code.INVALID_ARGUMENT, `Input ${path} cannot be read: ${reason}`, { cause: error });
}

/** What lies at a path. */
export async function statInput(path: string, follow: boolean): Promise<Deno.FileInfo> {
  try {
    return follow ? await Deno.stat(path) : await Deno.lstat(path);
  } catch (error) {
    throw inputError(path, error);
  }
}

/** What lies in a directory, which is not followed. */
export function statEntry(path: string): Deno.FileInfo {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    throw inputError(path, error);
  }
}

/** {@linkcode openInput} without giving way to others. */
export function openInputNow(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path);
  } catch (error) {
    throw inputError(path, error);
  }
}

/** Opens a file. */
export async function openInput(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    throw inputError(path, error);
  }
}
