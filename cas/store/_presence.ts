/**
 * Whether a store's directory is still there: someone may have removed it, or a part of it, under the running store.
 *
 * @module
 */

import { systemCode } from "./_store_error.ts";
import { type FileLayer, readText } from "./file_layer.ts";

/** Codes of the system that say that something is gone. */
const GONE = new Set(["ENOENT", "ENOTDIR", "ESTALE"]);

/** Whether a code of the system says that what was to be used is gone. */
export function isGoneCode(code: string | undefined): boolean {
  return code !== undefined && GONE.has(code);
}

/** What is gone of the store in `dir`, in words; undefined when all that must be there is. */
export async function missingPart(
  files: FileLayer,
  dir: string,
  id: string,
  segments: () => readonly string[],
): Promise<string | undefined> {
  let format: string | undefined;
  try {
    format = await readText(files, `${dir}/FORMAT`);
  } catch (error) {
    if (!isGoneCode(systemCode(error))) throw error;
  }
  if (format === undefined) return `${dir} is gone or was emptied`;
  if (!format.includes(`\nid ${id}\n`)) return `${dir} holds another store now`;
  for (const name of ["segments", "blobs", "tmp", "uploads", "index/data.mdb"]) {
    if (await files.size(`${dir}/${name}`) === undefined) return `${dir}/${name} is gone`;
  }
  const before = segments();
  const there = new Set((await files.list(`${dir}/segments`)).map(({ name }) => name));
  // Segments come and go meanwhile: only what was and is to be there can be missed.
  const after = new Set(segments());
  const gone = before.filter((name) => after.has(name) && !there.has(name));
  if (gone.length === 0) return undefined;
  return `${dir}/segments/${gone[0]} is gone${gone.length === 1 ? "" : `, and ${gone.length - 1} others`}`;
}
