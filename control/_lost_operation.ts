/**
 * Operations that went with an earlier run of control: nobody knows any more what became of them.
 *
 * WaitExecution says NOT_FOUND of what it does not know, and newer clients execute again then. Bazel 2.1 and 4.2 fail the
 * build instead. What every client takes as a call to execute again is an operation that ended with UNAVAILABLE, and that
 * is the truth about these: their names carry the boot epoch of the control plane that made them.
 *
 * @module
 */

import type { OperationName } from "@brokkr/common";
import { unavailable } from "@brokkr/common";
import { ExecutionStage } from "@brokkr/proto";
import { encodeOperation } from "./_messages.ts";
import { failedEnd } from "./grid.ts";

const NAME = /^operations\/([1-9][0-9]{0,14})-[0-9]{1,15}-[0-9a-f]{16}$/;

/** The encoded end of an operation that a control plane before `epoch` began; undefined for all other names. */
export function lostOperation(name: string, epoch: number): Uint8Array | undefined {
  const own = NAME.exec(name)?.[1];
  if (own === undefined || Number(own) >= epoch) return undefined;
  const error = unavailable(`Control restarted and lost operation ${name}: execute the action again`);
  return encodeOperation(name as OperationName, {
    stage: ExecutionStage.COMPLETED,
    digest: undefined,
    worker: "",
    queuedWallMs: undefined,
    clientMetadata: undefined,
  }, failedEnd(error).response);
}
