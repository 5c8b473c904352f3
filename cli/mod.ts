/**
 * The client SDK: upload inputs, run commands on a grid, fetch what they made, look into its cache.
 *
 * ```ts no-eval
 * import { connectGrid } from "@brokkr/cli";
 *
 * await using client = connectGrid("grpc://127.0.0.1:8980");
 * const result = await client.run({ argv: ["gcc", "-c", "main.c"], inputs: ["main.c"], outputs: ["main.o"] });
 * await client.download(result.outputs, ".");
 * ```
 *
 * @module
 */

export { Cache, type CacheEntry, type CacheOptions, type CacheStat, type PutResult } from "./cache.ts";
export {
  Client,
  connectGrid,
  type GridOptions,
  type RunOptions,
  type RunResult,
  type RunTimings,
  type UploadResult,
} from "./client.ts";
export type { ActionSpec } from "./_action.ts";
export type { OnStage, Stage } from "./_execution.ts";
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
