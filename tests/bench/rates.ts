/**
 * Calls a second of the hot methods, by calls in flight and connections, against bare grpc-js with empty handlers.
 *
 * @module
 */

import { digestOf, SHA256 } from "@brokkr/cas";
import {
  encodeBatchReadRequest,
  encodeFindMissing,
  encodeReadRequest,
  GetActionResultRequestCodec,
} from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { startEmptyServer } from "./empty_server.ts";
import { type Bench, portOf, QUICK, rounds, type Row, summary } from "./harness.ts";
import { type LoadJob, type LoadResult, startLoad } from "./h2_load.ts";
import type { Load } from "./_load_requests.ts";
import { clientOf, INSTANCE, storeResult } from "./rpc.ts";

const CELLS = [
  { inFlight: 1, connections: 1 },
  ...[16, 64, 256].flatMap((inFlight) => [1, 8].map((connections) => ({ inFlight, connections }))),
];
const SECONDS = QUICK ? 0.2 : 0.5;
/** With hundreds of MiBs under way it takes a second until the first of them are complete. */
const LONG_SECONDS = QUICK ? 0.5 : 1.5;
const MIB = 2 ** 20;
const BATCH = 20;
const SMALL_BYTES = 1024;
const REAPI = "/build.bazel.remote.execution.v2";
const STREAM = "/google.bytestream.ByteStream";

interface Method {
  readonly name: string;
  readonly path: string;
  readonly load: Load;
  readonly bound: string;
}

const same = (message: Uint8Array): Load => ({ kind: "same", message: message.toBase64() });

/** How many calls were put off for want of memory. */
function noteOf(results: readonly LoadResult[]): { readonly note?: string } {
  const refused = results.reduce((sum, each) => sum + each.refused, 0);
  const all = results.reduce((sum, { ok }) => sum + ok, refused);
  return refused === 0 ? {} : { note: `${(100 * refused / all).toFixed(0)}% put off` };
}

/** Stores what is asked for, and makes the requests. */
async function methods(endpoint: string): Promise<readonly Method[]> {
  await using channel = connect(endpoint);
  const client = clientOf(channel);
  const actionDigest = await storeResult(client);
  const blob = (bytes: number, seed: number) => {
    const data = new Uint8Array(bytes).fill(seed);
    return { digest: digestOf(SHA256, data), data };
  };
  const small = Array.from({ length: 100 }, (_, i) => blob(SMALL_BYTES, i));
  const large = blob(MIB, 200);
  await client.upload([...small, large]);
  const digests = small.map(({ digest }) => digest);
  return [{
    name: "GetActionResult, a hit",
    path: `${REAPI}.ActionCache/GetActionResult`,
    load: same(GetActionResultRequestCodec.encode({ instanceName: INSTANCE, actionDigest })),
    bound: "grpc-js on Deno",
  }, {
    name: "FindMissingBlobs of 100",
    path: `${REAPI}.ContentAddressableStorage/FindMissingBlobs`,
    load: same(encodeFindMissing({ instanceName: INSTANCE, digests })),
    bound: "grpc-js on Deno",
  }, {
    name: "BatchReadBlobs, 20 of 1 KiB",
    path: `${REAPI}.ContentAddressableStorage/BatchReadBlobs`,
    load: same(encodeBatchReadRequest({ instanceName: INSTANCE, digests: digests.slice(0, BATCH) })),
    bound: "grpc-js on Deno; reads of the segment log",
  }, {
    name: "BatchUpdateBlobs, 20 new of 1 KiB",
    path: `${REAPI}.ContentAddressableStorage/BatchUpdateBlobs`,
    load: { kind: "batch-update", instance: INSTANCE, blobs: BATCH, bytes: SMALL_BYTES },
    bound: "the disk: what is acknowledged is synced",
  }, {
    name: "ByteStream read of 1 MiB",
    path: `${STREAM}/Read`,
    load: same(encodeReadRequest({ resourceName: `${INSTANCE}/blobs/${large.digest.hash}/${MIB}` })),
    bound: "HTTP/2 in Deno",
  }, {
    name: "ByteStream write of a new MiB",
    path: `${STREAM}/Write`,
    load: { kind: "write", instance: INSTANCE, bytes: MIB },
    bound: "the disk, which the yardstick has none of: what is acknowledged is synced",
  }];
}

async function rates(): Promise<Row[]> {
  await using grid = await startGrid({ workers: 0 });
  await using empty = await startEmptyServer();
  await using generator = startLoad();
  const all = await methods(grid.endpoint);
  const figures = new Map<string, { readonly ours: LoadResult[]; readonly theirs: number[] }>();
  const key = (method: Method, cell: (typeof CELLS)[number]) =>
    `${method.name} ${cell.inFlight} ${cell.connections}`;
  for (let round = 0; round < rounds(3); round++) {
    for (const method of all) {
      for (const cell of CELLS) {
        const { path, load } = method;
        const job: Omit<LoadJob, "port"> = {
          ...{ path, load, ...cell },
          seconds: path.startsWith(STREAM) && cell.inFlight >= 64 ? LONG_SECONDS : SECONDS,
          warmUpSeconds: 0.15,
        };
        const pair = figures.get(key(method, cell)) ?? { ours: [], theirs: [] };
        figures.set(key(method, cell), pair);
        pair.theirs.push((await generator.runNative({ ...job, port: empty.port })).perSecond);
        pair.ours.push(await generator.runNative({ ...job, port: portOf(grid.endpoint) }));
      }
    }
  }
  return all.flatMap((method) =>
    CELLS.map((cell) => {
      const { ours, theirs } = figures.get(key(method, cell)) ?? { ours: [], theirs: [] };
      const column = `${cell.inFlight} in flight, ${cell.connections} conn.`;
      return {
        name: `${method.name}; ${column}`,
        ...summary(ours.map(({ perSecond }) => perSecond)),
        unit: "calls/s",
        yardstick: { name: "empty grpc-js handler", value: summary(theirs).value },
        cell: {
          table: "Calls a second, and how many times the empty grpc-js handler's",
          row: method.name,
          column,
        },
        ...noteOf(ours),
        bound: method.bound,
      };
    })
  );
}

/** The benchmarks of this file. */
export const RATES: readonly Bench[] = [{ name: "rates", run: rates }];
