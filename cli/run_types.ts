/**
 * What a run is given and what comes of it.
 *
 * @module
 */

import type { Digest, TransferProgress, TransferStat } from "@brokkr/cas/client";
import type { BrokkrError, TraceContext } from "@brokkr/common";
import type { ExecutedActionMetadata } from "@brokkr/proto";
import type { ActionSpec } from "./_action.ts";
import type { OnStage } from "./_execution.ts";
import type { Input } from "./_inputs.ts";
import type { Output } from "./_outputs.ts";

/** What `Client.run` is given. */
export interface RunOptions extends ActionSpec {
  /** Files, directories and links that the command finds below its root. */
  readonly inputs?: readonly Input[];
  /** Stops waiting; the grid then stops the action unless others wait for it. */
  readonly signal?: AbortSignal;
  /** Span that causes the run; the grid's spans become part of its trace. */
  readonly trace?: TraceContext;
  /** Told each time the stage of the execution changes. */
  readonly onStage?: OnStage;
  /** Told how far the upload of inputs is. */
  readonly onUpload?: (progress: TransferProgress) => void;
  /** Told when the connection broke and the execution is joined again. */
  readonly onResume?: (error: BrokkrError) => void;
}

/** Where the time of a run went, in milliseconds. */
export interface RunTimings {
  /** Reading and hashing inputs. */
  readonly buildMs: number;
  /** Asking the action cache. */
  readonly cacheMs: number;
  /** Finding out what the grid lacks and uploading it. */
  readonly uploadMs: number;
  /** From Execute to the result. */
  readonly executeMs: number;
  /** Fetching output streams that were too large for the result. */
  readonly fetchMs: number;
}

/** What came of a run. */
export interface RunResult {
  /** The command's exit code; 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Its standard output. */
  readonly stdout: Uint8Array;
  /** Its standard error. */
  readonly stderr: Uint8Array;
  /** True when nothing was run for this call. */
  readonly cacheHit: boolean;
  /** What it left behind. */
  readonly outputs: readonly Output[];
  /** Names the action; `brokk action show` takes it. */
  readonly actionDigest: Digest;
  /** Names the operation; `""` when the action cache answered. */
  readonly operationName: string;
  /** Worker and timestamps. */
  readonly metadata: ExecutedActionMetadata | undefined;
  /** Set when the action did not come to its end, as when it timed out; the rest is then partial. */
  readonly error: BrokkrError | undefined;
  /** Words of the grid for a person. */
  readonly message: string;
  /** What was uploaded. */
  readonly uploaded: TransferStat;
  /** Where the time went. */
  readonly timings: RunTimings;
}
