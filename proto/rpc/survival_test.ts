import { assert, assertEquals } from "@std/assert";
import { connect } from "./client.ts";
import {
  calls,
  frame,
  goaway,
  headers,
  join,
  message,
  PREFACE,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from "./_test_frames.ts";
import { Echo } from "./_test_service.ts";

const PROCESS = new URL("./_test_process.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const encoder = new TextEncoder();

function spawn(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, PROCESS, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.trim();
}

/** Sends `bytes`, reads up to `readBytes` of what comes back within a moment, then sends `last`, and closes. */
async function attack(port: number, bytes: Uint8Array, readBytes = 0, last?: Uint8Array): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(65536);
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), 200);
  try {
    await writeAll(connection, bytes);
    for (let seen = 0; seen < readBytes;) {
      const count = await Promise.race([connection.read(buffer), late]);
      if (count === null) break;
      seen += count;
    }
    if (last !== undefined) await writeAll(connection, last);
  } catch (error) {
    // The server may well close on such a peer while it still writes.
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) {
      throw error;
    }
  } finally {
    clearTimeout(timer);
    connection.close();
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

/** Reads frames: counts the streams that the server ended, and says when its SETTINGS want an answer. */
class Frames {
  #rest: Uint8Array = new Uint8Array();
  /** Streams that were ended by the server. */
  ended = 0;
  /** SETTINGS not acknowledged yet. */
  settings = 0;

  /** Looks at what came. */
  feed(bytes: Uint8Array): void {
    let data = join(this.#rest, bytes);
    while (data.length >= 9) {
      const size = 9 + (data[0] << 16 | data[1] << 8 | data[2]);
      if (data.length < size) break;
      if (data[3] <= 1 && (data[4] & 1) !== 0) this.ended++;
      if (data[3] === 4 && (data[4] & 1) === 0) this.settings++;
      data = data.subarray(size);
    }
    this.#rest = data;
  }
}

/** Makes calls in waves as a build does, and says GOAWAY and goodbye as soon as the last one is answered. */
async function burst(port: number, waves: number, width: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(65536);
  const frames = new Frames();
  await writeAll(connection, join(PREFACE, settings(), windowUpdate(0, 1 << 24)));
  for (let wave = 0; wave < waves; wave++) {
    const streams = Array.from({ length: width }, (_, i) => 2 * (wave * width + i) + 1);
    const opened = streams.map((stream) => headers(stream, UNARY));
    await writeAll(
      connection,
      join(...opened, ...streams.map((stream) => message(stream, encoder.encode("x")))),
    );
    while (frames.ended < (wave + 1) * width) {
      const count = await connection.read(buffer);
      if (count === null) throw new Error("The server closed the connection");
      frames.feed(buffer.subarray(0, count));
      for (; frames.settings > 0; frames.settings--) await writeAll(connection, settingsAck());
    }
  }
  await writeAll(connection, goaway(0, 0));
}

/** Says nothing more but keeps reading until the server closes or a moment has passed. */
async function halfClose(port: number, bytes: Uint8Array): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeAll(connection, bytes);
  await connection.closeWrite();
  const timer = setTimeout(() => connection.close(), 50);
  try {
    const buffer = new Uint8Array(65536);
    while (await connection.read(buffer) !== null);
  } catch {
    return; // closed by the timer or by the server
  } finally {
    clearTimeout(timer);
  }
}

const STREAM = "/test.Echo/ServerStream", BIDI = "/test.Echo/Bidi", UNARY = "/test.Echo/Unary";

function resets(): Uint8Array {
  const opened = calls(STREAM, 100);
  const ends = Array.from({ length: 100 }, (_, i) => reset(2 * i + 1));
  return join(opened, ...ends);
}

function immediateResets(): Uint8Array {
  const parts = [PREFACE, settings(), settingsAck()];
  for (let i = 0; i < 500; i++) parts.push(headers(2 * i + 1, UNARY), reset(2 * i + 1));
  return join(...parts);
}

const ATTACKS: Record<string, (port: number) => Promise<void>> = {
  "GOAWAY with NO_ERROR in mid-stream": (port) => attack(port, calls(STREAM, 20), 50_000, goaway(0, 0)),
  "GOAWAY with an error in mid-stream": (port) => attack(port, calls(STREAM, 20), 50_000, goaway(0, 2)),
  "GOAWAY with PROTOCOL_ERROR and open requests": (port) =>
    attack(port, join(PREFACE, settings(), headers(1, BIDI), headers(3, BIDI)), 20, goaway(3, 1)),
  "GOAWAY in the same packet as its calls": (port) =>
    attack(port, join(calls(STREAM, 50), goaway(99, 0)), 10_000),
  "GOAWAY after its calls were answered, as Bazel ends": (port) =>
    attack(port, calls(UNARY, 20), 1500, goaway(0, 0)),
  "GOAWAY with an error after its calls were answered": (port) =>
    attack(port, calls(UNARY, 20), 1500, goaway(0, 2)),
  "GOAWAY and more frames when idle": (port) =>
    attack(port, calls(UNARY, 20), 1500, join(goaway(0, 0), headers(41, UNARY), settings(), goaway(0, 1))),
  "GOAWAY before any call": (port) => attack(port, join(PREFACE, settings(), settingsAck(), goaway(0, 0)), 1),
  "GOAWAY with resets of all calls": (port) =>
    attack(
      port,
      calls(STREAM, 5),
      20_000,
      join(goaway(9, 0), reset(1), reset(3), reset(5), reset(7), reset(9)),
    ),
  "resets of all calls with GOAWAY": (port) =>
    attack(
      port,
      calls(STREAM, 5),
      20_000,
      join(reset(1), reset(3), reset(5), reset(7), reset(9), goaway(9, 0)),
    ),
  "two GOAWAYs and resets": (port) =>
    attack(port, calls(STREAM, 20), 50_000, join(goaway(39, 0), reset(1), reset(3), goaway(0, 11), reset(5))),
  "a burst of resets": (port) => attack(port, resets(), 100),
  "rapid resets": (port) => attack(port, immediateResets(), 100),
  "half-closed calls": (port) => halfClose(port, calls(STREAM, 10)),
  "a half-closed connection without a call": (port) => halfClose(port, join(PREFACE, settings())),
  "a connection cut in mid-stream": (port) => attack(port, calls(STREAM, 50), 100_000),
  "a connection that says nothing": (port) => attack(port, new Uint8Array()),
  "garbage": (port) => attack(port, crypto.getRandomValues(new Uint8Array(4096)), 1),
  "garbage after the preface": (port) =>
    attack(port, join(PREFACE, settings(), crypto.getRandomValues(new Uint8Array(4096))), 1),
  "an HTTP/1 request": (port) => attack(port, encoder.encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 1),
  "a truncated frame": (port) => attack(port, join(PREFACE, settings(), headers(1, UNARY).subarray(0, 30))),
  "a frame of a length that is not allowed": (port) =>
    attack(port, join(PREFACE, settings(), new Uint8Array([255, 255, 255, 0, 0, 0, 0, 0, 1])), 1),
  "DATA on a stream that is not open": (port) =>
    attack(port, join(PREFACE, settings(), message(7, encoder.encode("x"))), 50),
  "a gRPC message cut off": (port) =>
    attack(
      port,
      join(
        PREFACE,
        settings(),
        settingsAck(),
        headers(1, UNARY),
        frame(0, 1, 1, new Uint8Array([0, 0, 0, 1, 0, 1])),
      ),
      50,
    ),
  "a call without a message": (port) =>
    attack(port, join(PREFACE, settings(), settingsAck(), headers(1, UNARY, true)), 50),
  "two messages for a unary call": (port) =>
    attack(
      port,
      join(
        PREFACE,
        settings(),
        settingsAck(),
        headers(1, UNARY),
        message(1, encoder.encode("a"), false),
        message(1, encoder.encode("b")),
      ),
      50,
    ),
};

for (const kind of ["plain", "coalesced"]) {
  Deno.test(`A ${kind} server process lives through everything its peers do to it`, () => survive(kind));
}

async function survive(kind: string): Promise<void> {
  const server = spawn(kind);
  const log = new Response(server.stderr).text();
  let status: Deno.CommandStatus | undefined;
  void server.status.then((ended) => status = ended);
  try {
    const address = await firstLine(server.stdout);
    const port = Number(address.split(":")[1]);
    assert(port > 0, `the server said ${address}`);
    // Without the mend the server dies of these bursts, which end as Bazel and load generators do.
    for (const [waves, width] of [[150, 1], [16, 16], [150, 1]]) {
      await Promise.all(Array.from({ length: 8 }, () => burst(port, waves, width)));
      assertEquals(status, undefined, "the server died of a burst");
    }
    for (const [name, run] of Object.entries(ATTACKS)) {
      await Promise.all([run(port), run(port), run(port), run(port)]);
      assertEquals(status, undefined, `the server died of ${name}`);
    }
    // All at once, several times: the crash that the mend is for needs streams that are being walked.
    for (let round = 0; round < 3; round++) {
      await Promise.all(Object.values(ATTACKS).map((run) => run(port)));
      await using channel = connect(`grpc://${address}`, { retry: { retries: 0 } });
      assertEquals(await channel.unary(Echo.unary, "still here", { timeoutMs: 10_000 }), "still here");
      assertEquals(status, undefined);
    }
  } finally {
    if (status === undefined) server.kill("SIGTERM");
    status = await server.status;
  }
  const text = await log;
  assertEquals(status.code, 0, text);
  assertEquals(status.signal, null);
  assert(!/error|panic|abort|segfault|invalid pointer|Uncaught/i.test(text), text);
}

Deno.test("A client process lives through GOAWAYs of its server", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  const serving = (async () => {
    for await (const connection of listener) void serveBadly(connection, connections++);
  })();
  const client = spawn("call", `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`);
  const { success, signal, stdout, stderr } = await client.output();
  listener.close();
  await serving;
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assertEquals([success, signal], [true, null], text);
  assert(/^failed 160$/m.test(text), text);
  assert(connections > 2, `${connections} connections`);
});

/** Answers the first calls of a connection with GOAWAY, in one of several ways. */
async function serveBadly(connection: Deno.Conn, turn: number): Promise<void> {
  const buffer = new Uint8Array(65536);
  try {
    await writeAll(connection, join(settings(), settingsAck()));
    for (let seen = 0; seen < 400;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      seen += count;
    }
    const ways = [goaway(0, 0), goaway(0, 2), join(goaway(1, 0), reset(1)), goaway(15, 11)];
    await writeAll(connection, ways[turn % ways.length]);
    if (turn % 2 === 0) await connection.read(buffer);
  } catch {
    return; // the client went first
  } finally {
    try {
      connection.close();
    } catch {
      // Closed already.
    }
  }
}
