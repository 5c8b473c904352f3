import { assert, assertEquals } from "@std/assert";
import { systemRandom } from "@brokkr/common";
import { CasClient, digestOf, SHA256 } from "@brokkr/cas/client";
import { ByteStream, ReadRequestCodec } from "@brokkr/proto";
import { connect } from "@brokkr/proto/rpc/client";
import { TestGrid } from "../e2e/_grid.ts";
import { GrowthWatch, ownMib } from "./_growth.ts";
import { grpcMessage, StallingPeer } from "./_stalling_peer.ts";

const MIB = 2 ** 20;
/** The default, said here because it is what is tested. */
const BUDGET_MIB = 256;
const BLOB_BYTES = 100_000_000;
const CONNECTIONS = 5;
const READS_PER_CONNECTION = 200;
/** Window of each slow reader at the start, what it takes at a time, and how often. */
const WINDOW_BYTES = 256 << 10;
const SIP_BYTES = 64 << 10;
const SIPS = 12;
const SIP_EVERY_MS = 1000;
const FAST_READS = 10;
/** None of ten reads of 100 MB may take longer beside the others: some ten times what they take alone on two cores. */
const FAST_LIMIT_MS = 60_000;

/** Bytes that do not repeat. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

const blob = noise(BLOB_BYTES);
const digest = digestOf(SHA256, blob);
const resourceName = `e2e/blobs/${digest.hash}/${digest.sizeBytes}`;

/** Reads all of the blob over a connection of its own, checks it, and tells how long it took. */
async function readAll(endpoint: string): Promise<number> {
  const startMs = performance.now();
  await using channel = connect(endpoint);
  const hasher = SHA256.hasher();
  for await (const { data } of channel.serverStream(ByteStream.read, { resourceName })) hasher.update(data);
  assertEquals(hasher.digestHex(), digest.hash);
  return performance.now() - startMs;
}

/** The least memory within some seconds, in MiB: what a process has when idle after it has done everything once. */
async function leastMib(pid: number): Promise<number> {
  let least = Infinity;
  for (let look = 0; look < 8; look++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    least = Math.min(least, await ownMib(pid));
  }
  return least;
}

/** Opens the reads of one connection: gives what lets each take a little more. */
function openReads(peer: StallingPeer): number[] {
  const request = grpcMessage(ReadRequestCodec.encode({ resourceName }));
  const path = "/google.bytestream.ByteStream/Read";
  return Array.from({ length: READS_PER_CONNECTION }, () => peer.open(path, request, true));
}

Deno.test("A thousand slow readers of 100 MB and ten fast ones take no more memory than the budget", async () => {
  await using grid = await TestGrid.start({
    slots: 1,
    controlFlags: [`--memory-budget=${BUDGET_MIB}MiB`, "--heartbeat-interval=500ms", "--lease-ttl=10s"],
  });
  const pid = grid.grid.control.pid ?? 0;
  const port = Number(new URL(grid.grid.endpoint.replace("grpc:", "http:")).port);
  const { channel, instance } = grid;
  const cas = new CasClient({ channel, instance, fn: SHA256, random: systemRandom });
  await cas.upload([{ digest, data: blob }]);
  await readAll(grid.grid.endpoint);
  const idleMib = await leastMib(pid);

  const startMs = performance.now();
  await using watch = new GrowthWatch(pid);
  await using crowd = new AsyncDisposableStack();
  const peers: { readonly peer: StallingPeer; readonly reads: readonly number[] }[] = [];
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    const peer = crowd.use(
      await StallingPeer.connect(port, {
        streamWindowBytes: WINDOW_BYTES,
        connectionWindowBytes: WINDOW_BYTES * READS_PER_CONNECTION,
      }),
    );
    peers.push({ peer, reads: openReads(peer) });
  }
  const everyMs = Promise.all(Array.from({ length: FAST_READS }, () => readAll(grid.grid.endpoint)));
  let wantedBytes = WINDOW_BYTES * READS_PER_CONNECTION;
  for (let sip = 0; sip < SIPS; sip++) {
    await Promise.all(peers.map(({ peer }) => peer.until(() => peer.receivedBytes >= wantedBytes)));
    await new Promise((resolve) => setTimeout(resolve, SIP_EVERY_MS));
    for (const { peer, reads } of peers) peer.grant(SIP_BYTES, reads);
    wantedBytes += SIP_BYTES * READS_PER_CONNECTION;
  }
  await Promise.all(peers.map(({ peer }) => peer.until(() => peer.receivedBytes >= wantedBytes)));
  const fastMs = await everyMs;
  const ended = peers.reduce((sum, { peer }) => sum + peer.ended.size, 0);
  const receivedMib = peers.reduce((sum, { peer }) => sum + peer.receivedBytes, 0) / MIB;
  const grownMib = watch.mostMib - idleMib;
  console.log(
    `      idle ${Math.round(idleMib)} MiB, ${
      Math.round(grownMib)
    } MiB more at most in ${watch.looks} looks, ` +
      `${Math.round(receivedMib)} MiB to slow readers and a blob to each fast one in ${
        Math.round(performance.now() - startMs)
      } ms, slowest ${Math.round(Math.max(...fastMs))} ms`,
  );
  assertEquals(ended, 0, "Readers that take something are not let go");
  assert(
    grownMib < BUDGET_MIB,
    `${grownMib} MiB beyond what it has when idle, with a budget of ${BUDGET_MIB} MiB`,
  );
  assert(Math.max(...fastMs) < FAST_LIMIT_MS, `A fast reader needed ${Math.max(...fastMs)} ms`);
});
