/**
 * Merkle trees of directories.
 *
 * @module
 */

export * from "./builder.ts";
export {
  type DirectoryContent,
  type DirectoryEntry,
  encodeDirectory,
  type FileEntry,
  type NodeProperties,
  parseDirectory,
  parseDirectoryInSlices,
  type SymlinkEntry,
} from "./directory.ts";
export * from "./names.ts";
export * from "./walk.ts";
