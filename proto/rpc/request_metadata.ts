/**
 * What a client tells of itself, in `build.bazel.remote.execution.v2.requestmetadata-bin`.
 *
 * @module
 */

import { RequestMetadataCodec } from "../gen/messages.ts";
import type { ClientMetadata } from "./types.ts";

export type { ClientMetadata } from "./types.ts";

/** The metadata key. */
export const REQUEST_METADATA_KEY = "build.bazel.remote.execution.v2.requestmetadata-bin";

/** The content of that key; undefined when malformed, which is no reason to refuse a call. */
export function parseRequestMetadata(bytes: Uint8Array): ClientMetadata | undefined {
  try {
    const message = RequestMetadataCodec.decode(bytes);
    return {
      toolName: message.toolDetails?.toolName ?? "",
      toolVersion: message.toolDetails?.toolVersion ?? "",
      actionId: message.actionId,
      toolInvocationId: message.toolInvocationId,
      correlatedInvocationsId: message.correlatedInvocationsId,
      actionMnemonic: message.actionMnemonic,
      targetId: message.targetId,
      configurationId: message.configurationId,
    };
  } catch {
    return undefined;
  }
}

/** What of it tells one call from another, as attributes of spans and fields of logs; what is empty is left out. */
export function clientAttributes(metadata: ClientMetadata | undefined): Readonly<Record<string, string>> {
  if (metadata === undefined) return {};
  const all = {
    "brokkr.tool": `${metadata.toolName} ${metadata.toolVersion}`.trim(),
    "brokkr.invocation": metadata.toolInvocationId,
    "brokkr.correlated_invocations": metadata.correlatedInvocationsId,
    "brokkr.action_id": metadata.actionId,
    "brokkr.target": metadata.targetId,
    "brokkr.mnemonic": metadata.actionMnemonic,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
}
