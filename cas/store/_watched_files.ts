/**
 * A file layer that tells of what fails, and leaves it as it is.
 *
 * @module
 */

import type { FileLayer, OpenMode, StoreFile } from "./file_layer.ts";
import { systemCode } from "./_store_error.ts";

/** Called with the system's code of each operation that failed, and whether it was to change something. */
export type OnFault = (code: string, changes: boolean) => void;

/** Passes operations on to `inner` and tells of those that fail. */
export function watchFiles(inner: FileLayer, onFault: OnFault): FileLayer {
  const watch = <T>(changes: boolean, promise: Promise<T>): Promise<T> => {
    promise.catch((error) => {
      const code = systemCode(error);
      if (code !== undefined) onFault(code, changes);
    });
    return promise;
  };
  const watchFile = (file: StoreFile): StoreFile => ({
    readSync: (buffer, position) => file.readSync(buffer, position),
    read: (buffer, position) => watch(false, file.read(buffer, position)),
    write: (buffer, position) => watch(true, file.write(buffer, position)),
    syncData: () => watch(true, file.syncData()),
    truncate: (sizeBytes) => watch(true, file.truncate(sizeBytes)),
    size: () => watch(false, file.size()),
    close: () => file.close(),
  });
  return {
    open: async (path: string, mode: OpenMode) =>
      watchFile(await watch(mode !== "read", inner.open(path, mode))),
    makeDirectory: (path) => watch(true, inner.makeDirectory(path)),
    rename: (from, to) => watch(true, inner.rename(from, to)),
    remove: (path) => watch(true, inner.remove(path)),
    removeTree: (path) => watch(true, inner.removeTree(path)),
    list: (path) => watch(false, inner.list(path)),
    size: (path) => watch(false, inner.size(path)),
    modifiedMs: (path) => watch(false, inner.modifiedMs(path)),
    touch: (path, wallMs) => watch(true, inner.touch(path, wallMs)),
    syncDirectory: (path) => watch(true, inner.syncDirectory(path)),
    freeBytes: (path) => watch(false, inner.freeBytes(path)),
  };
}
