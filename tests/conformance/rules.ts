/**
 * All rules.
 *
 * @module
 */

import type { Rule } from "./rule.ts";
import { ACTION_CACHE_RULES } from "./rules/action_cache.ts";
import { BATCH_RULES } from "./rules/batch.ts";
import { CAPABILITIES_RULES } from "./rules/capabilities.ts";
import { CHUNK_RULES } from "./rules/chunks.ts";
import { DIGEST_RULES } from "./rules/digests.ts";
import { COMPRESSED_WRITE_RULES } from "./rules/compressed_write.ts";
import { EXECUTION_RULES } from "./rules/execution.ts";
import { EXECUTION_ERROR_RULES } from "./rules/execution_errors.ts";
import { FIND_MISSING_RULES } from "./rules/find_missing.ts";
import { GRPC_RULES } from "./rules/grpc.ts";
import { GRPC_FRAME_RULES } from "./rules/grpc_frames.ts";
import { OPERATIONS_RULES } from "./rules/operations.ts";
import { OUTPUT_RULES } from "./rules/outputs.ts";
import { PACKED_RULES } from "./rules/packed.ts";
import { READ_RULES } from "./rules/read.ts";
import { UPLOAD_RULES } from "./rules/resume.ts";
import { RUN_RULES } from "./rules/run.ts";
import { TREE_RULES } from "./rules/tree.ts";
import { WRITE_RULES } from "./rules/write.ts";

/** What the parts before the numbers of rules' ids stand for, in the order of the report. */
export const GROUPS: Readonly<Record<string, string>> = {
  CAP: "Capabilities",
  GRPC: "gRPC on the wire",
  META: "Request metadata",
  DIGEST: "Digest functions",
  INST: "Instance names",
  FMB: "FindMissingBlobs",
  BU: "BatchUpdateBlobs",
  BR: "BatchReadBlobs",
  READ: "ByteStream.Read",
  WRITE: "ByteStream.Write",
  ZWRITE: "ByteStream.Write of compressed blobs",
  PACK: "Blobs in brotli and deflate",
  CHUNK: "SplitBlob and SpliceBlob",
  RESUME: "Resumed uploads",
  QWS: "QueryWriteStatus",
  TREE: "GetTree",
  AC: "Action cache",
  EXEC: "Execute: operations, caching, errors",
  RUN: "Execute: what a command sees",
  OUT: "Execute: outputs",
  WAIT: "WaitExecution",
  OPS: "Operations",
};

/** The group of a rule. */
export function groupOf(id: string): string {
  return id.replace(/-\d+$/, "");
}

/** All rules, by group. */
export const RULES: readonly Rule[] = [
  ...CAPABILITIES_RULES,
  ...GRPC_RULES,
  ...GRPC_FRAME_RULES,
  ...DIGEST_RULES,
  ...FIND_MISSING_RULES,
  ...BATCH_RULES,
  ...READ_RULES,
  ...WRITE_RULES,
  ...COMPRESSED_WRITE_RULES,
  ...PACKED_RULES,
  ...CHUNK_RULES,
  ...UPLOAD_RULES,
  ...TREE_RULES,
  ...ACTION_CACHE_RULES,
  ...EXECUTION_RULES,
  ...EXECUTION_ERROR_RULES,
  ...RUN_RULES,
  ...OUTPUT_RULES,
  ...OPERATIONS_RULES,
];
