import { assert, assertEquals } from "@std/assert";
import { digestOf, SHA256 } from "@brokkr/cas";
import { type Grid, startGrid } from "@brokkr/cli/up";

const MIB = 2 ** 20;
const BUDGET_MIB = 256;
const READERS = 200;
const WRITERS = 200;
const BLOB_BYTES = 20 * MIB;
const FAST_READS = 10;

const encoder = new TextEncoder();

/** Bytes that do not repeat. */
function noise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Resident memory of a process without pages of files, in MiB. */
async function ownMib(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** Looks at a process's memory until it is told to stop; gives the most it had. */
function watch(pid: number): { stop(): Promise<number> } {
  let most = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      most = Math.max(most, await ownMib(pid));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return most;
  })();
  return {
    stop() {
      stopped = true;
      return done;
    },
  };
}

/** The value of a gauge of the control plane. */
async function gauge(grid: Grid, name: string): Promise<number> {
  const text = await (await fetch(`${grid.httpUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 120_000; !await holds();) {
    if (performance.now() > end) throw new Error(`It never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All bytes until the server closes, counted. */
async function drain(connection: Deno.Conn): Promise<number> {
  const buffer = new Uint8Array(256 << 10);
  let total = 0;
  for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
    total += count;
  }
  return total;
}

async function connectTo(grid: Grid): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(grid.httpCacheUrl);
  return await Deno.connect({ hostname, port: Number(port) });
}

async function open(): Promise<Grid> {
  return await startGrid({
    workers: 0,
    httpCacheListen: "127.0.0.1:0",
    controlFlags: [`--memory-budget=${BUDGET_MIB}MiB`],
  });
}

Deno.test(`${READERS} readers of 20 MiB that take nothing hold little memory, and nobody up`, async () => {
  await using grid = await open();
  const pid = grid.control.pid ?? 0;
  const blob = noise(BLOB_BYTES);
  const url = `${grid.httpCacheUrl}/cas/${digestOf(SHA256, blob).hash}`;
  assertEquals((await fetch(url, { method: "PUT", body: blob })).status, 200);
  assertEquals((await (await fetch(url)).arrayBuffer()).byteLength, BLOB_BYTES);
  const idleMib = await ownMib(pid);
  const watching = watch(pid);
  const head = encoder.encode(
    `GET ${new URL(url).pathname} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n`,
  );
  const readers: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < READERS; i++) {
      const reader = await connectTo(grid);
      readers.push(reader);
      await reader.write(head);
    }
    await until("all are served", async () => await gauge(grid, "brokkr_http_cache_inflight") === READERS);
    for (let i = 0; i < FAST_READS; i++) {
      assertEquals((await (await fetch(url)).arrayBuffer()).byteLength, BLOB_BYTES);
    }
    // Half of them go away; the others take all after all.
    for (const reader of readers.splice(0, READERS / 2)) reader.close();
    for (let at = 0; at < readers.length; at += 10) {
      const taken = await Promise.all(readers.slice(at, at + 10).map(drain));
      assert(taken.every((bytes) => bytes > BLOB_BYTES), `${taken}`);
    }
    await until("nothing runs", async () => await gauge(grid, "brokkr_http_cache_inflight") === 0);
  } finally {
    for (const reader of readers) reader.close();
  }
  const grownMib = await watching.stop() - idleMib;
  console.log(`      idle ${Math.round(idleMib)} MiB, ${Math.round(grownMib)} MiB more at most`);
  assert(grownMib < BUDGET_MIB, `${grownMib} MiB beyond what it has when idle`);
});

Deno.test(`${WRITERS} writers that stop half-way hold little memory, and nobody up`, async () => {
  await using grid = await open();
  const pid = grid.control.pid ?? 0;
  const put = (data: Uint8Array<ArrayBuffer>) =>
    fetch(`${grid.httpCacheUrl}/cas/${digestOf(SHA256, data).hash}`, { method: "PUT", body: data });
  assertEquals((await put(noise(BLOB_BYTES))).status, 200);
  const idleMib = await ownMib(pid);
  const watching = watch(pid);
  const writers: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < WRITERS; i++) {
      const data = noise(i % 2 === 0 ? MIB : 4 * MIB);
      const writer = await connectTo(grid);
      writers.push(writer);
      const path = `/cas/${digestOf(SHA256, data).hash}`;
      await writer.write(
        encoder.encode(`PUT ${path} HTTP/1.1\r\nhost: test\r\ncontent-length: ${data.length}\r\n\r\n`),
      );
      // As much as it takes at once: one that is waited for by nobody must not be waited for here.
      void writer.write(data.subarray(0, data.length / 2)).catch(() => undefined);
    }
    await until("most have come", async () => await gauge(grid, "brokkr_http_cache_connections") >= WRITERS);
    // Those that hold memory are let go when others want it: a client that tries again as it is told gets through.
    for (let i = 0; i < FAST_READS; i++) {
      const data = noise(4 * MIB);
      await until("an upload gets through", async () => {
        const { status } = await put(data);
        assert(status === 200 || status === 503, `${status}`);
        return status === 200;
      });
    }
  } finally {
    for (const writer of writers) writer.close();
  }
  await until("nothing runs", async () => await gauge(grid, "brokkr_http_cache_inflight") === 0);
  const grownMib = await watching.stop() - idleMib;
  console.log(`      idle ${Math.round(idleMib)} MiB, ${Math.round(grownMib)} MiB more at most`);
  assert(grownMib < BUDGET_MIB, `${grownMib} MiB beyond what it has when idle`);
});
