import { assert, assertEquals } from "@std/assert";
import * as http2 from "node:http2";
import { connect as connectSocket } from "node:net";
import { ReceiveWindows, type WindowedSession } from "./_receive_windows.ts";

class SlowSession implements WindowedSession {
  destroyed = false;
  readonly closed = false;
  readonly told: number[] = [];
  readonly unacknowledged: (() => void)[] = [];

  settings({ initialWindowSize }: { readonly initialWindowSize: number }, acknowledged: () => void): void {
    this.told.push(initialWindowSize);
    this.unacknowledged.push(acknowledged);
  }

  acknowledgeAll(): void {
    for (const each of this.unacknowledged.splice(0)) each();
  }

  destroy(): void {
    this.destroyed = true;
  }

  once(): void {}
}

const KIB = 1 << 10;

/** Many calls come and go, again and again. */
function swing(windows: ReceiveWindows, times: number): void {
  for (let i = 0; i < times; i++) {
    for (let call = 0; call < 100; call++) windows.began();
    for (let call = 0; call < 100; call++) windows.ended();
    windows.relax();
  }
}

Deno.test("A peer that is slow to acknowledge is told the last window only, when it has caught up", () => {
  const windows = new ReceiveWindows(1024 * KIB, 1024 * KIB, () => 0);
  const session = new SlowSession();
  windows.add(session);
  swing(windows, 50);
  assertEquals(session.told.length, 6);
  for (let call = 0; call < 5; call++) windows.began();
  assertEquals([session.told.length, windows.windowBytes], [6, 128 * KIB]);
  session.acknowledgeAll();
  assertEquals(session.told.slice(6), [128 * KIB]);
  session.acknowledgeAll();
  assertEquals(session.told.length, 7);
});

Deno.test("A peer that acknowledges no window for a minute is cut off, one that does is not", () => {
  let nowMs = 0;
  const windows = new ReceiveWindows(1024 * KIB, 1024 * KIB, () => nowMs);
  const [never, slow] = [new SlowSession(), new SlowSession()];
  windows.add(never);
  windows.add(slow);
  for (; nowMs <= 60_000; nowMs += 1000) {
    swing(windows, 1);
    assertEquals(never.destroyed, false);
    if (nowMs % 20_000 === 0) slow.acknowledgeAll();
  }
  windows.relax();
  assertEquals([never.destroyed, slow.destroyed], [true, false]);
});

Deno.test("A connection outlives more changes of its windows than a peer acknowledges meanwhile", async () => {
  const windows = new ReceiveWindows(1024 * KIB, 1024 * KIB);
  const server = http2.createServer();
  const opened = new Promise<http2.ServerHttp2Session>((resolve) => server.once("session", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  // The preface and empty SETTINGS; nothing is acknowledged.
  const peer = connectSocket(port, "127.0.0.1");
  peer.resume();
  const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  peer.write(new Uint8Array([...preface, 0, 0, 0, 4, 0, 0, 0, 0, 0]));
  const session = await opened;
  const errors: unknown[] = [];
  session.on("error", (error) => errors.push(error));
  windows.add(session);
  swing(windows, 20);
  // A ping goes through the connection and back: by then an error would have shown.
  const acknowledged = new Promise<void>((resolve) => session.ping((error) => resolve(void error)));
  peer.write(new Uint8Array([0, 0, 8, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
  await Promise.race([acknowledged, new Promise((resolve) => session.once("close", resolve))]);
  assertEquals(errors, []);
  assert(!session.destroyed);
  session.destroy();
  peer.destroy();
  await new Promise((resolve) => server.close(resolve));
});
