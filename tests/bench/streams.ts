/**
 * Two thousand streams at once: calls to Execute that wait in the queue, and reads of a MiB each; what time they take,
 * and what the server holds before, at the peak and afterwards.
 *
 * @module
 */

import { type Digest, digestOf, SHA256 } from "@brokkr/cas";
import { BrokkrError, Code } from "@brokkr/common";
import {
  ActionCodec,
  CommandCodec,
  ExecuteOperationMetadataCodec,
  Execution,
  ExecutionStage,
  type Operation,
  RawByteStream,
} from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { startGrid } from "@brokkr/cli/up";
import { startEmptyServer } from "./empty_server.ts";
import { type Bench, QUICK, residentMiB, rounds, type Row, summary } from "./harness.ts";
import { watchMemory } from "./_memory.ts";
import { clientOf, INSTANCE } from "./rpc.ts";

const STREAMS = QUICK ? 200 : 2000;
/** Below the 256 streams that a connection may have. */
const CONNECTIONS = 10;
const MIB = 2 ** 20;
/** Between the end of the streams and a look at what is left. */
const SETTLE_MS = 3000;

interface Server {
  readonly endpoint: string;
  readonly pid: number;
}

/** Figures of one server in one round. */
interface Figures {
  readonly ms: number;
  readonly beforeMiB: number;
  readonly peakMiB: number;
  readonly afterMiB: number;
}

function open(endpoint: string): Channel[] {
  return Array.from({ length: CONNECTIONS }, () => connect(endpoint));
}

async function measure(
  server: Server,
  fn: (channels: readonly Channel[]) => Promise<void>,
): Promise<Figures> {
  const channels = open(server.endpoint);
  const { ms, beforeMiB, peakMiB } = await watchMemory(server.pid, () => fn(channels));
  await Promise.all(channels.map((channel) => channel.close()));
  // A garbage collector has to find the time; that is what the figure is about.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return { ms, beforeMiB, peakMiB, afterMiB: residentMiB(server.pid) };
}

/** Distinct actions, so that none is merged with another. */
async function waitingActions(endpoint: string): Promise<readonly Digest[]> {
  await using channel = connect(endpoint);
  const root = { digest: digestOf(SHA256, new Uint8Array()), data: new Uint8Array() };
  const blobs: { readonly digest: Digest; readonly data: Uint8Array }[] = [root];
  const actions = Array.from({ length: STREAMS }, (_, i) => {
    const command = CommandCodec.encode({
      arguments: ["/bin/true", String(i)],
      platform: { properties: [{ name: "OSFamily", value: "linux" }] },
    });
    const commandDigest = digestOf(SHA256, command);
    const action = ActionCodec.encode({ commandDigest, inputRootDigest: root.digest });
    const digest = digestOf(SHA256, action);
    blobs.push({ digest: commandDigest, data: command }, { digest, data: action });
    return digest;
  });
  await clientOf(channel).upload(blobs);
  return actions;
}

/** Whether the next answer says that the action is in the queue. */
async function isQueued(answers: AsyncIterator<Operation>): Promise<boolean> {
  const { done, value } = await answers.next();
  if (done === true || value.done) throw new Error("An action that nobody can run ended");
  const { stage } = ExecuteOperationMetadataCodec.decode(value.metadata?.value ?? new Uint8Array());
  return stage === ExecutionStage.QUEUED;
}

/** Opens them all, and ends when each has said that it waits; gives them up then. */
function wait(actions: readonly Digest[]) {
  return async (channels: readonly Channel[]) => {
    const giveUp = new AbortController();
    const ends: Promise<unknown>[] = [];
    await Promise.all(actions.map(async (actionDigest, i) => {
      const channel = channels[i % channels.length];
      const request = { instanceName: INSTANCE, actionDigest, skipCacheLookup: true };
      const answers = channel.serverStream(Execution.execute, request, { signal: giveUp.signal });
      const stream = answers[Symbol.asyncIterator]();
      while (!await isQueued(stream));
      ends.push(stream.next().then(() => "went on", () => "given up"));
    }));
    giveUp.abort();
    const went = (await Promise.all(ends)).filter((end) => end !== "given up").length;
    if (went > 0) throw new Error(`${went} actions that nobody can run went on`);
  };
}

async function read(channel: Channel, resourceName: string): Promise<void> {
  let bytes = 0;
  for await (const { data } of channel.serverStream(RawByteStream.read, { resourceName })) {
    bytes += data.length;
  }
  if (bytes !== MIB) throw new Error(`Read ${bytes} bytes`);
}

/** Reads that a server short of memory puts off are begun again after a pause, as clients do; `putOff` counts them. */
function readAll(names: readonly string[], putOff: { count: number }) {
  return async (channels: readonly Channel[]) => {
    await Promise.all(Array.from({ length: STREAMS }, async (_, i) => {
      for (;;) {
        try {
          return await read(channels[i % channels.length], names[i % names.length]);
        } catch (error) {
          if (!(error instanceof BrokkrError) || error.code !== Code.RESOURCE_EXHAUSTED) throw error;
          putOff.count++;
          await new Promise((resolve) => setTimeout(resolve, error.retryDelayMs ?? 1000));
        }
      }
    }));
  };
}

async function storeMiBs(endpoint: string): Promise<readonly string[]> {
  await using channel = connect(endpoint);
  const blobs = Array.from({ length: 64 }, (_, i) => {
    const data = new Uint8Array(MIB).fill(i);
    return { digest: digestOf(SHA256, data), data };
  });
  await clientOf(channel).upload(blobs);
  return blobs.map(({ digest }) => `${INSTANCE}/blobs/${digest.hash}/${MIB}`);
}

function rowsOf(what: string, ours: readonly Figures[], theirs: readonly Figures[], bound: string): Row[] {
  const row = (name: string, unit: string, pick: (figures: Figures) => number): Row => ({
    name: `${what}: ${name}`,
    ...summary(ours.map(pick)),
    unit,
    yardstick: { name: "the same of bare grpc-js", value: summary(theirs.map(pick)).value },
    bound,
  });
  return [
    row("time", "ms", ({ ms }) => ms),
    row("memory of the server before", "MiB", ({ beforeMiB }) => beforeMiB),
    row("at its peak", "MiB", ({ peakMiB }) => peakMiB),
    row(`${SETTLE_MS / 1000} s after`, "MiB", ({ afterMiB }) => afterMiB),
  ];
}

async function streams(): Promise<Row[]> {
  const waiting = { ours: [] as Figures[], theirs: [] as Figures[] };
  const reading = { ours: [] as Figures[], theirs: [] as Figures[] };
  const putOff = { count: 0 };
  // New processes in each round: what one round left is no part of the next one's figures.
  for (let round = 0; round < rounds(3); round++) {
    await using grid = await startGrid({ workers: 0 });
    await using empty = await startEmptyServer();
    const ours = { endpoint: grid.endpoint, pid: grid.control.pid ?? 0 };
    const theirs = { endpoint: `grpc://127.0.0.1:${empty.port}`, pid: empty.pid };
    const actions = await waitingActions(grid.endpoint);
    waiting.theirs.push(await measure(theirs, wait(actions)));
    waiting.ours.push(await measure(ours, wait(actions)));
    const names = await storeMiBs(grid.endpoint);
    reading.theirs.push(await measure(theirs, readAll(names, putOff)));
    reading.ours.push(await measure(ours, readAll(names, putOff)));
  }
  const { format } = new Intl.NumberFormat("en-US");
  return [
    ...rowsOf(
      `${format(STREAMS)} calls to Execute that wait in the queue`,
      waiting.ours,
      waiting.theirs,
      "grpc-js on Deno for each stream; reading and checking the action, two synced writes",
    ),
    ...rowsOf(
      `${format(STREAMS)} reads of 1 MiB at once`,
      reading.ours,
      reading.theirs,
      `HTTP/2 in Deno on both sides; for want of memory ${
        (putOff.count / waiting.ours.length).toFixed(0)
      } reads a round were put off and begun again`,
    ),
  ];
}

/** The benchmarks of this file. */
export const STREAMS_AT_ONCE: readonly Bench[] = [{ name: "streams", run: streams }];
