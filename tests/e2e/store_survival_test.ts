// What a real control plane does when it is killed under an upload, and when its blobs are removed under it.

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { ByteStream, ContentAddressableStorage as Cas, type Init, type WriteRequest } from "@brokkr/proto";
import type { Channel } from "@brokkr/proto/rpc";
import { connect } from "@brokkr/proto/rpc/client";
import { digest } from "./_grid.ts";
import { start } from "./_processes.ts";

const MIB = 1 << 20;

interface Running extends AsyncDisposable {
  readonly channel: Channel;
  readonly http: string;
  /** Ends it at once, as if the power failed. */
  kill(): Promise<void>;
}

async function startControl(dir: string): Promise<Running> {
  const args = [`--data-dir=${dir}/data`, "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
  const child = start("control", { args, cwd: dir });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const errors = new Response(child.stderr).text();
  let said = "";
  while (!/READY .*\n/.test(said)) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`Control ended before it was ready: ${await errors}`);
    said += value;
  }
  const { grpc, http } = JSON.parse(/READY (.*)\n/.exec(said)?.[1] ?? "{}");
  const channel = connect(`grpc://${grpc}`, { retry: { retries: 0 } });
  let killed = false;
  const kill = async () => {
    if (killed) return;
    killed = true;
    child.kill("SIGKILL");
    await child.status;
    await channel.close();
    await lines.cancel();
    await errors;
  };
  return { channel, http: `http://${http}`, kill, [Symbol.asyncDispose]: kill };
}

/** Bytes that do not repeat. */
function bytesOf(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + seed, 0x9e3779b1) ^ seed;
  return new Uint8Array(words.buffer, 0, length);
}

function messagesOf(resourceName: string, data: Uint8Array, from: number): Init<WriteRequest>[] {
  const messages: Init<WriteRequest>[] = [];
  for (let at = from; at < data.length; at += MIB) {
    const finishWrite = at + MIB >= data.length;
    messages.push({ resourceName, writeOffset: at, data: data.subarray(at, at + MIB), finishWrite });
  }
  return messages;
}

/** Gives messages; those from `untilBytes` on only when `gate` opens. */
async function* held(messages: readonly Init<WriteRequest>[], untilBytes = Infinity, gate?: Promise<void>) {
  for (const message of messages) {
    if ((message.writeOffset ?? 0) >= untilBytes) await gate;
    yield message;
  }
}

async function withDir(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "brokkr-survival-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("an upload goes on where it stood when control is killed under it and started again", () =>
  withDir(async (dir) => {
    const data = bytesOf(20 * MIB, 1);
    const { hash, sizeBytes } = digest(data);
    const resourceName = `main/uploads/kept/blobs/${hash}/${sizeBytes}`;
    const status = ({ channel }: Running) => channel.unary(ByteStream.queryWriteStatus, { resourceName });
    let from = 0;
    for (const untilBytes of [6 * MIB, 13 * MIB]) {
      await using control = await startControl(dir);
      const before = await status(control);
      assert(before.committedSize <= from && !before.complete, `${before.committedSize}`);
      const { promise: killed, resolve } = Promise.withResolvers<void>();
      const rest = messagesOf(resourceName, data, before.committedSize);
      const write = control.channel.clientStream(ByteStream.write, held(rest, untilBytes, killed));
      write.catch(() => undefined);
      while ((from = (await status(control)).committedSize) < untilBytes - MIB);
      await control.kill();
      resolve();
      await write.catch(() => undefined);
    }
    await using control = await startControl(dir);
    const { committedSize } = await status(control);
    // Of what was said before the kill, at most what waits in two buffers is lost.
    assert(committedSize >= from - MIB && committedSize < sizeBytes, `${committedSize} of ${from}`);
    const rest = messagesOf(resourceName, data, committedSize);
    assertEquals(await control.channel.clientStream(ByteStream.write, held(rest)), {
      committedSize: sizeBytes,
    });
    assertEquals(await status(control), { committedSize: sizeBytes, complete: true });
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const read = control.channel.serverStream(ByteStream.read, {
      resourceName: `main/blobs/${hash}/${sizeBytes}`,
    });
    for await (const piece of read) pieces.push(piece.data.slice());
    assertEquals(digest(new Uint8Array(await new Blob(pieces).arrayBuffer())), { hash, sizeBytes });
  }));

Deno.test("control is unready while its blobs' directory cannot be made again, says why, and takes blobs after", () =>
  withDir(async (dir) => {
    await using control = await startControl(dir);
    const instanceName = "main";
    const data = bytesOf(1000, 2);
    const put = async (bytes: Uint8Array) => {
      const requests = [{ digest: digest(bytes), data: bytes }];
      const { responses } = await control.channel.unary(Cas.batchUpdateBlobs, { instanceName, requests });
      return responses[0].status?.code;
    };
    const ready = async () => {
      const response = await fetch(`${control.http}/readyz`);
      return { status: response.status, text: await response.text() };
    };
    assertEquals(await put(data), Code.OK);
    assertEquals((await ready()).status, 200);
    await Deno.remove(`${dir}/data/cas`, { recursive: true });
    await Deno.writeTextFile(`${dir}/data/cas`, "in the way");
    // Nothing is acknowledged from here on: the first write finds out.
    assertEquals(await put(bytesOf(1000, 3)), Code.UNAVAILABLE);
    let report = await ready();
    while (report.status === 200) report = await ready();
    assertEquals(report.status, 503);
    assertStringIncludes(report.text, `${dir}/data/cas`);
    const find = () =>
      control.channel.unary(Cas.findMissingBlobs, { instanceName, blobDigests: [digest(data)] });
    try {
      await find();
      throw new Error("FindMissingBlobs answered without a store");
    } catch (error) {
      assert(error instanceof BrokkrError && error.code === Code.UNAVAILABLE, String(error));
    }
    await Deno.remove(`${dir}/data/cas`);
    while ((await ready()).status !== 200) await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals((await find()).missingBlobDigests, [digest(data)]);
    assertEquals(await put(data), Code.OK);
    assertEquals((await find()).missingBlobDigests, []);
  }));
