/**
 * What the tests ask of a grid: blobs put and read, actions run.
 *
 * @module
 */

import { type BrokkrError, Code } from "@brokkr/common";
import {
  ActionCodec,
  ByteStream,
  CommandCodec,
  ContentAddressableStorage as Cas,
  type ExecuteResponse,
  ExecuteResponseCodec,
  Execution,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { digest, EMPTY, failure, sh, type WireDigest } from "../e2e/_grid.ts";

const INSTANCE = "main";

/** Bytes that do not repeat. */
export function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Puts a blob, through ByteStream. */
export async function put(channel: Channel, data: Uint8Array): Promise<WireDigest> {
  const own = digest(data);
  const resourceName = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${own.hash}/${own.sizeBytes}`;
  async function* messages() {
    for (let at = 0; at < Math.max(1, data.length); at += 1 << 20) {
      const chunk = data.subarray(at, at + (1 << 20));
      yield { resourceName, writeOffset: at, data: chunk, finishWrite: at + chunk.length === data.length };
    }
  }
  await channel.clientStream(ByteStream.write, messages(), { timeoutMs: 60_000 });
  return own;
}

/** Reads a blob. */
export async function get(channel: Channel, { hash, sizeBytes }: WireDigest): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const resourceName = `${INSTANCE}/blobs/${hash}/${sizeBytes}`;
  for await (const { data } of channel.serverStream(ByteStream.read, { resourceName })) parts.push(data);
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

/** Whether a blob is there, which promises that it stays. */
export async function isThere(channel: Channel, blob: WireDigest): Promise<boolean> {
  const { missingBlobDigests } = await channel.unary(Cas.findMissingBlobs, {
    instanceName: INSTANCE,
    blobDigests: [blob],
  });
  return missingBlobDigests.length === 0;
}

/** Stores an action of a script. */
export async function storeAction(
  channel: Channel,
  script: string,
  inputRootDigest: WireDigest = EMPTY,
  timeoutSeconds = 0,
): Promise<WireDigest> {
  const command = CommandCodec.encode(sh(script, { outputPaths: ["out"] }));
  const action = ActionCodec.encode({
    commandDigest: digest(command),
    inputRootDigest,
    ...(timeoutSeconds === 0 ? {} : { timeout: { seconds: timeoutSeconds } }),
  });
  const { responses } = await channel.unary(Cas.batchUpdateBlobs, {
    instanceName: INSTANCE,
    requests: [command, action].map((data) => ({ digest: digest(data), data })),
  });
  for (const { status } of responses) {
    if ((status?.code ?? Code.OK) !== Code.OK) throw new Error(status?.message);
  }
  return digest(action);
}

/** Runs a stored action to its end. */
export async function execute(channel: Channel, actionDigest: WireDigest): Promise<ExecuteResponse> {
  for await (
    const { response } of channel.serverStream(Execution.execute, { instanceName: INSTANCE, actionDigest })
  ) if (response !== undefined) return ExecuteResponseCodec.decode(response.value);
  throw new Error("The stream ended without a response");
}

/** Runs a script. */
export async function run(channel: Channel, script: string): Promise<ExecuteResponse> {
  return await execute(channel, await storeAction(channel, `${script} # ${crypto.randomUUID()}`));
}

/** How putting a blob of this size fails. */
export function putFailure(channel: Channel, sizeBytes: number): Promise<BrokkrError> {
  return failure(() => put(channel, noise(sizeBytes)));
}
