/**
 * The control plane's hot calls: GetActionResult, FindMissingBlobs, ByteStream.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { type Digest, digestOf, SHA256, TreeBuilder } from "@brokkr/cas";
import { CasClient } from "@brokkr/cas/client";
import { systemRandom } from "@brokkr/common";
import {
  type ActionResult,
  encodeFindMissing,
  GetActionResultRequestCodec,
  type Init,
  RawByteStream,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { type Grid, startGrid } from "@brokkr/cli/up";
import { startEmptyServer } from "./empty_server.ts";
import { type Bench, median, portOf, type Row, summary, timeMs } from "./harness.ts";
import { startLoad } from "./h2_load.ts";

/** The instance name of these benchmarks. */
export const INSTANCE = "bench";
const ROUNDS = 3;
const SECONDS = 4;
const STREAM_BYTES = 64 * 2 ** 20;

const text = (value: string) => new TextEncoder().encode(value);

/** A client of the benchmarks' instance. */
export function clientOf(channel: Channel): CasClient {
  return new CasClient({ channel, instance: INSTANCE, fn: SHA256, random: systemRandom });
}

/** An action result of three files and a tree of twenty, its blobs uploaded. */
export async function storeResult(client: CasClient): Promise<Digest> {
  const files = Array.from({ length: 3 }, (_, i) => text(`output file ${i}\n`));
  const builder = new TreeBuilder();
  const leaves = Array.from({ length: 20 }, (_, i) => text(`leaf ${i}\n`));
  for (const [i, leaf] of leaves.entries()) builder.addFile(`dir${i % 4}/leaf${i}`, digestOf(SHA256, leaf));
  const tree = builder.buildTree(SHA256);
  const blobs = [...files, ...leaves].map((data) => ({ digest: digestOf(SHA256, data), data }));
  await client.upload([...blobs, { digest: tree.digest, data: tree.data }]);
  const result: Init<ActionResult> = {
    outputFiles: files.map((data, i) => ({ path: `out/file${i}`, digest: digestOf(SHA256, data) })),
    outputDirectories: [{ path: "out/tree", treeDigest: tree.digest, isTopologicallySorted: true }],
  };
  const action = digestOf(SHA256, text("the action of the benchmark"));
  await client.updateActionResult(action, result);
  return action;
}

async function actionResult(): Promise<Row[]> {
  await using grid = await startGrid({ workers: 0 });
  await using empty = await startEmptyServer();
  await using channel = connect(grid.endpoint);
  const action = await storeResult(clientOf(channel));
  const message = GetActionResultRequestCodec.encode({
    instanceName: INSTANCE,
    actionDigest: { hash: action.hash, sizeBytes: action.sizeBytes },
  });
  const path = "/build.bazel.remote.execution.v2.ActionCache/GetActionResult";
  const load = { kind: "same" as const, message: message.toBase64() };
  const job = { path, load, inFlight: 64, seconds: SECONDS, warmUpSeconds: 1 };
  await using generator = startLoad();
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    theirs.push((await generator.runNative({ ...job, port: empty.port })).perSecond);
    ours.push((await generator.runNative({ ...job, port: portOf(grid.endpoint) })).perSecond);
  }
  return [{
    name: "GetActionResult, 3 files and a 20-file Tree, completeness on",
    ...summary(ours),
    unit: "calls/s",
    yardstick: { name: "empty grpc-js handler", value: median(theirs) },
    aim: { of: "ratio", atLeast: 0.7 },
    bound: "grpc-js on Deno; joined socket writes are why it can beat the bare handler",
  }];
}

const MILLION = 1_000_000;

async function fillStore(client: CasClient): Promise<void> {
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  for (let base = 0; base < MILLION; base += 20_000) {
    const blobs = Array.from({ length: 20_000 }, (_, i) => {
      view.setUint32(0, base + i);
      const copy = data.slice();
      return { digest: digestOf(SHA256, copy), data: copy };
    });
    await client.uploadKnownMissing(blobs);
  }
}

async function findMissing(): Promise<Row[]> {
  await using grid = await startGrid({ workers: 0 });
  await using channel = connect(grid.endpoint);
  await fillStore(clientOf(channel));
  const digests = Array.from({ length: 10_000 }, () => {
    const blob = new Uint8Array(8);
    new DataView(blob.buffer).setUint32(0, Math.floor(Math.random() * MILLION));
    return digestOf(SHA256, blob);
  });
  // Real clients ask mostly for what is there; a hundredth is not.
  for (let i = 0; i < 100; i++) digests[i * 100] = digestOf(SHA256, text(`missing ${i}`));
  const message = encodeFindMissing({ instanceName: INSTANCE, digests });
  const path = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs";
  await using generator = startLoad();
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { perSecond } = await generator.runNative({
      port: portOf(grid.endpoint),
      path,
      load: { kind: "same", message: message.toBase64() },
      inFlight: 4,
      seconds: SECONDS,
      warmUpSeconds: 1,
    });
    rates.push(perSecond * digests.length);
  }
  return [{
    name: "FindMissingBlobs of 10,000 at a million blobs",
    value: median(rates),
    unit: "digests/s",
    aim: { of: "value", atLeast: 2_000_000 },
    bound: "receiving 720 KB for each call; then parsing hex and asking the table",
  }];
}

async function readOnce(channel: Channel, resourceName: string): Promise<number> {
  let bytes = 0;
  const ms = await timeMs(async () => {
    for await (const { data } of channel.serverStream(RawByteStream.read, { resourceName })) {
      bytes += data.length;
    }
  });
  if (bytes !== STREAM_BYTES) throw new Error(`read ${bytes} bytes`);
  return ms;
}

async function writeOnce(channel: Channel, resourceName: string, blob: Uint8Array): Promise<number> {
  async function* chunks() {
    for (let at = 0; at < blob.length; at += 2 ** 20) {
      const data = blob.subarray(at, at + 2 ** 20);
      const finishWrite = at + data.length === blob.length;
      yield { resourceName: at === 0 ? resourceName : "", writeOffset: at, data, finishWrite };
      await Promise.resolve();
    }
  }
  let committed = 0;
  const ms = await timeMs(async () => {
    committed = (await channel.clientStream(RawByteStream.write, chunks())).committedSize;
  });
  if (committed !== blob.length) throw new Error(`committed ${committed} bytes`);
  return ms;
}

async function dd(...args: string[]): Promise<number> {
  return await timeMs(async () => {
    const { success } = await new Deno.Command("dd", { args, stdout: "null", stderr: "null" }).output();
    if (!success) throw new Error("dd failed");
  });
}

/** Durable sequential writing, and reading, as the system does them. */
async function diskMs(dir: string): Promise<{ readonly write: number; readonly read: number }> {
  const file = `${dir}/dd`;
  const write = await dd("if=/dev/zero", `of=${file}`, "bs=1M", "count=64", "conv=fsync");
  const read = await dd(`if=${file}`, "of=/dev/null", "bs=1M");
  await Deno.remove(file);
  return { write, read };
}

const rate = (ms: number) => STREAM_BYTES / 1e6 / (ms / 1000);

async function streams(): Promise<Row[]> {
  await using grid: Grid = await startGrid({ workers: 0 });
  await using empty = await startEmptyServer();
  await using ours = connect(grid.endpoint);
  await using theirs = connect(`grpc://127.0.0.1:${empty.port}`);
  const blob = new Uint8Array(STREAM_BYTES);
  const reads: number[] = [], writes: number[] = [], wireReads: number[] = [], wireWrites: number[] = [];
  const hashes: number[] = [], disks: number[] = [], diskReads: number[] = [];
  for (let round = 0; round < 11; round++) {
    blob.fill(round + 1);
    const { hash } = digestOf(SHA256, blob);
    const upload = `${INSTANCE}/uploads/${crypto.randomUUID()}/blobs/${hash}/${STREAM_BYTES}`;
    wireWrites.push(await writeOnce(theirs, upload, blob));
    hashes.push(await timeMs(() => createHash("sha256").update(blob).digest()));
    const disk = await diskMs(grid.dataDir);
    disks.push(disk.write);
    diskReads.push(disk.read);
    writes.push(await writeOnce(ours, upload, blob));
    const name = `${INSTANCE}/blobs/${hash}/${STREAM_BYTES}`;
    wireReads.push(await readOnce(theirs, name));
    reads.push(await readOnce(ours, name));
  }
  const bound = median(wireWrites) + median(hashes) + median(disks);
  return [{
    name: "ByteStream read of 64 MiB",
    value: rate(median(reads)),
    unit: "MB/s",
    yardstick: {
      name: `wire ${median(wireReads).toFixed(0)} + dd ${
        median(diskReads).toFixed(0)
      } ms, one after the other`,
      value: rate(median(wireReads) + median(diskReads)),
    },
    aim: { of: "ratio", atLeast: 0.8 },
    bound: "the wire: HTTP/2 in Deno on both sides of one machine",
  }, {
    name: "ByteStream durable write of 64 MiB",
    value: rate(median(writes)),
    unit: "MB/s",
    yardstick: {
      name: `wire ${median(wireWrites).toFixed(0)} + hash ${median(hashes).toFixed(0)} + dd conv=fsync ${
        median(disks).toFixed(0)
      } ms, one after the other`,
      value: rate(bound),
    },
    aim: { of: "ratio", atLeast: 0.8 },
    bound: "the wire; hashing and writing overlap with it",
  }];
}

/** The benchmarks of this file. */
export const RPC: readonly Bench[] = [
  { name: "action-result", run: actionResult },
  { name: "find-missing", run: findMissing },
  { name: "byte-stream", run: streams },
];
