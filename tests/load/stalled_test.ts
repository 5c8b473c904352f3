import { assert, assertEquals } from "@std/assert";
import { BrokkrError, Code, systemRandom } from "@brokkr/common";
import { CasClient, digestOf, SHA256 } from "@brokkr/cas/client";
import { Admin, ReadRequestCodec, WriteRequestCodec } from "@brokkr/proto";
import { TestGrid } from "../e2e/_grid.ts";
import { grpcMessage, StallingPeer } from "./_stalling_peer.ts";

const MIB = 2 ** 20;
const BUDGET_MIB = 256;
/** What a call that stands still takes besides its bytes: objects of HTTP/2 and gRPC, on both their heaps. */
const CALL_MIB = 0.2;
const CONNECTIONS = 5;
const CALLS_PER_CONNECTION = 200;
const MOST_MIB = BUDGET_MIB + CALL_MIB * CONNECTIONS * CALLS_PER_CONNECTION;
const WARM_CALLS = 40;
const SMALL_WINDOW_BYTES = 65_535;

/** Resident memory of a process, in MiB. */
async function residentMib(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** The least memory within some seconds, or until it is small enough: it is given back a little after the last work. */
async function restingMib(pid: number, goalMib: number, seconds: number): Promise<number> {
  let least = await residentMib(pid);
  for (let tries = 0; tries < seconds && least > goalMib; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    least = Math.min(least, await residentMib(pid));
  }
  return least;
}

/** Bytes that do not repeat. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Asks again and again, one question at a time, until it is disposed of; knows the longest wait and the highest memory. */
class Watch implements AsyncDisposable {
  worstMs = 0;
  mostMib = 0;
  readonly #stop = Promise.withResolvers<void>();
  readonly #done: Promise<void>;

  constructor(grid: TestGrid, pid: number) {
    let going = true;
    this.#stop.promise.then(() => going = false);
    this.#done = (async () => {
      while (going) {
        const startMs = performance.now();
        const live = await fetch(`${grid.grid.httpUrl}/livez`);
        await live.body?.cancel();
        assertEquals(live.status, 200);
        await grid.channel.unary(Admin.getStatus, {}, { retries: 0 });
        this.worstMs = Math.max(this.worstMs, performance.now() - startMs);
        this.mostMib = Math.max(this.mostMib, await residentMib(pid));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.resolve();
    await this.#done;
  }
}

/** Does as clients do that are told to come back. */
async function persist(action: () => Promise<unknown>): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      await action();
      return;
    } catch (error) {
      const busy = error instanceof BrokkrError &&
        (error.code === Code.RESOURCE_EXHAUSTED || error.code === Code.UNAVAILABLE);
      if (!busy || tries === 30) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

/** Opens the calls of one peer. */
type Crowd = (peer: StallingPeer) => void;

const big = noise(64 * MIB);
const bigDigest = digestOf(SHA256, big);

function reads(peer: StallingPeer): void {
  const resourceName = `e2e/blobs/${bigDigest.hash}/${bigDigest.sizeBytes}`;
  peer.open(
    "/google.bytestream.ByteStream/Read",
    grpcMessage(ReadRequestCodec.encode({ resourceName })),
    true,
  );
}

/** The first message of an upload of 100 MB that nobody has, of which `cutBytes` never come. */
function write(peer: StallingPeer, sizeBytes: number, cutBytes: number): void {
  const hash = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const message = grpcMessage(WriteRequestCodec.encode({
    resourceName: `e2e/uploads/${crypto.randomUUID()}/blobs/${hash}/100000000`,
    data: big.subarray(0, sizeBytes),
  }));
  peer.open("/google.bytestream.ByteStream/Write", message.subarray(0, message.length - cutBytes), false);
}

/** Reads with large windows from a peer that then stops to read its socket. */
function deafReads(peer: StallingPeer): void {
  peer.goDeaf();
  reads(peer);
}

const CROWDS: Record<string, { readonly open: Crowd; readonly streamWindowBytes: number }> = {
  "readers that take nothing": { open: reads, streamWindowBytes: SMALL_WINDOW_BYTES },
  "readers that stop after 2 MiB": { open: reads, streamWindowBytes: 2 * MIB },
  "readers that stop to read their socket": { open: deafReads, streamWindowBytes: 2 * MIB },
  "uploads that stop after a message": {
    open: (peer) => write(peer, 1_000_000, 0),
    streamWindowBytes: SMALL_WINDOW_BYTES,
  },
  "uploads that stop shortly before the end of a message": {
    open: (peer) => write(peer, 4_000_000, 100_000),
    streamWindowBytes: SMALL_WINDOW_BYTES,
  },
};

Deno.test("A thousand peers that stand still cost the budget and what a call takes, and nobody else their service", async (t) => {
  await using grid = await TestGrid.start({
    slots: 1,
    controlFlags: [`--memory-budget=${BUDGET_MIB}MiB`, "--heartbeat-interval=500ms", "--lease-ttl=10s"],
  });
  const pid = grid.grid.control.pid ?? 0;
  const port = Number(new URL(grid.grid.endpoint.replace("grpc:", "http:")).port);
  const cas = new CasClient({
    channel: grid.channel,
    instance: grid.instance,
    fn: SHA256,
    random: systemRandom,
  });
  await cas.upload([{ digest: bigDigest, data: big }]);
  // What a process has when idle is what it has after it has done everything once.
  for (const { open, streamWindowBytes } of Object.values(CROWDS)) {
    const connectionWindowBytes = streamWindowBytes * WARM_CALLS;
    await using peer = await StallingPeer.connect(port, { streamWindowBytes, connectionWindowBytes });
    for (let call = 0; call < WARM_CALLS; call++) open(peer);
    await grid.assertGood();
  }
  const idleMib = await restingMib(pid, 0, 8);
  for (const [who, { open, streamWindowBytes }] of Object.entries(CROWDS)) {
    await t.step(`a thousand ${who}`, async () => {
      const startMs = performance.now();
      await using crowd = new AsyncDisposableStack();
      await using watch = new Watch(grid, pid);
      for (let connection = 0; connection < CONNECTIONS; connection++) {
        const connectionWindowBytes = streamWindowBytes * CALLS_PER_CONNECTION;
        const peer = crowd.use(
          await StallingPeer.connect(port, { streamWindowBytes, connectionWindowBytes }),
        );
        for (let call = 0; call < CALLS_PER_CONNECTION; call++) open(peer);
      }
      // Among them, others are served: an action with its uploads and downloads, and a blob of 64 MiB.
      await persist(() => grid.assertGood());
      await persist(async () => assertEquals((await cas.get(bigDigest)).length, big.length));
      await persist(() => grid.assertGood());
      const held = await restingMib(pid, idleMib + MOST_MIB, 15) - idleMib;
      const most = watch.mostMib - idleMib;
      console.log(
        `      idle ${Math.round(idleMib)} MiB, ${Math.round(held)} MiB more, ${
          Math.round(most)
        } MiB at most, slowest answer ${Math.round(watch.worstMs)} ms, all served after ${
          Math.round(performance.now() - startMs)
        } ms`,
      );
      assert(
        held < MOST_MIB,
        `${held} MiB beyond what it has when idle, with a budget of ${BUDGET_MIB} MiB and a thousand calls`,
      );
      assert(most < 2 * MOST_MIB, `${most} MiB for a moment: garbage was not collected`);
      // Some hundreds of milliseconds on a quiet machine; others may keep this one busy.
      assert(watch.worstMs < 15_000, `Somebody waited ${watch.worstMs} ms for /livez and GetStatus`);
    });
    await t.step(`and is back to normal after they went`, async () => {
      // A tenth more; growth of less than 24 MiB is not worth a collection to a process that has nothing to do.
      const goalMib = Math.max(1.1 * idleMib, idleMib + 24);
      // Collections are the rarer the longer they take, and on a busy machine they take long.
      const nowMib = await restingMib(pid, goalMib, 240);
      assert(nowMib <= goalMib, `${nowMib} MiB are resident, ${idleMib} MiB were before`);
    });
  }
  const [worker] = (await grid.channel.unary(Admin.listWorkers, {})).workers;
  assertEquals(worker.connected, true);
  assertEquals(grid.lines.filter((line) => line.includes("was lost")), [], "no heartbeat came too late");
});
