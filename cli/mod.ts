/**
 * The client SDK: upload inputs, run commands on a grid, fetch what they made, look into its cache.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { connectGrid } from "@brokkr/cli";
 * import { startGrid } from "@brokkr/cli/up";
 *
 * await using grid = await startGrid(); // or one that runs already, such as grpc://127.0.0.1:8980
 * await using client = connectGrid(grid.endpoint);
 * const directory = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${directory}/words`, "b\na\n");
 * const result = await client.run({
 *   argv: ["sort", "-o", "sorted", "words"],
 *   env: { PATH: "/usr/bin:/bin" },
 *   inputs: [{ from: `${directory}/words` }],
 *   outputs: ["sorted"],
 * });
 * await client.download(result.outputs, directory);
 * assertEquals(await Deno.readTextFile(`${directory}/sorted`), "a\nb\n");
 * await Deno.remove(directory, { recursive: true });
 * ```
 *
 * @module
 */

export {
  Cache,
  type CacheEntry,
  type CacheOptions,
  type CacheReadOptions,
  type CacheStat,
  type PutResult,
} from "./cache.ts";
export { Client, connectGrid, type GridOptions, type UploadResult } from "./client.ts";
export type { PinOptions, StoreClient } from "./_store_client.ts";
export type { ArchiveExport, ExportOptions } from "./_archive_export.ts";
export type { ImportOptions, ImportResult } from "./_archive_import.ts";
export type { Manifest } from "./_archive.ts";
export type { RunOptions, RunResult, RunTimings } from "./run_types.ts";
export type { ActionSpec } from "./_action.ts";
export type { OnStage, Stage } from "./_execution.ts";
export type { ListOptions, OperationInfo } from "./_operations.ts";
export type {
  ContentInput,
  DigestInput,
  DirectoryInput,
  Input,
  LocalInput,
  SymlinkInput,
} from "./_inputs.ts";
export type {
  DownloadOptions,
  DownloadResult,
  Output,
  OutputDirectory,
  OutputFile,
  OutputSymlink,
} from "./_outputs.ts";
export { VERSION } from "./version.ts";
