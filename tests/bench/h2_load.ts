/**
 * A load generator on bare HTTP/2: it sends one prepared gRPC request over and over on one connection with a fixed
 * number in flight, and counts what comes back with grpc-status 0. Cheaper than a gRPC client, so that the server is
 * what is measured. Run as a process of its own: `h2_load.ts <port> <path> <body file> <in flight> <seconds>`.
 *
 * @module
 */

import * as http2 from "node:http2";
import { Buffer } from "node:buffer";

/** What a run saw. */
export interface LoadResult {
  /** Calls answered with status 0. */
  readonly ok: number;
  /** Calls answered otherwise. */
  readonly failed: number;
  /** Calls a second. */
  readonly perSecond: number;
  /** Latencies in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function main(): Promise<void> {
  const [port, path, file, inFlight, seconds] = Deno.args;
  const body = Buffer.from(framed(Deno.readFileSync(file)));
  const session = http2.connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 << 24 } });
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", "te": "trailers" };
  const latencies: number[] = [];
  let ok = 0;
  let failed = 0;
  const end = performance.now() + Number(seconds) * 1000;
  const call = () =>
    new Promise<void>((resolve) => {
      const start = performance.now();
      const stream = session.request(headers);
      let status = "";
      stream.on("response", (h) => status = String(h["grpc-status"] ?? status));
      stream.on("trailers", (h) => status = String(h["grpc-status"] ?? status));
      stream.on("error", () => {});
      stream.on("close", () => {
        latencies.push(performance.now() - start);
        if (status === "0") ok++;
        else failed++;
        resolve();
      });
      stream.resume();
      stream.end(body);
    });
  const start = performance.now();
  await Promise.all(Array.from({ length: Number(inFlight) }, async () => {
    while (performance.now() < end) await call();
  }));
  const elapsed = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (p: number) => latencies[Math.floor((latencies.length - 1) * p)];
  const result: LoadResult = { ok, failed, perSecond: ok / elapsed, p50Ms: at(0.5), p99Ms: at(0.99) };
  console.log(JSON.stringify(result));
  session.destroy();
}

/** nghttp2's h2load, where it is installed: cheaper still, so that one core is left to the server. */
async function nativeLoad(
  port: number,
  path: string,
  framedFile: string,
  options: { readonly inFlight: number; readonly seconds: number },
): Promise<number | undefined> {
  try {
    const { stdout, success } = await new Deno.Command("h2load", {
      args: [
        ...["-D", String(options.seconds), "--warm-up-time", "1", "-c", "1", "-m", String(options.inFlight)],
        ...["-d", framedFile, "-H", "content-type: application/grpc", "-H", "te: trailers"],
        `http://127.0.0.1:${port}${path}`,
      ],
      stdout: "piped",
      stderr: "null",
    }).output();
    const perSecond = Number(
      /finished in [^,]+, ([\d.]+) req\/s/.exec(new TextDecoder().decode(stdout))?.[1],
    );
    return success && perSecond > 0 ? perSecond : undefined;
  } catch {
    return undefined;
  }
}

/** A message in gRPC's five-byte frame. */
function framed(message: Uint8Array): Uint8Array {
  const body = new Uint8Array(message.length + 5);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  return body;
}

/**
 * Loads a method and checks that every call succeeds; the rate is h2load's where that is installed (it does not look
 * at the status, so the checked run comes first).
 */
export async function h2Load(
  port: number,
  path: string,
  message: Uint8Array,
  options: { readonly inFlight: number; readonly seconds: number },
): Promise<LoadResult> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, message);
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        new URL(import.meta.url).pathname,
        String(port),
        path,
        file,
        String(options.inFlight),
        String(options.seconds),
      ],
      stdout: "piped",
      stderr: "inherit",
    }).output();
    if (!success) throw new Error("The load generator failed");
    const result = JSON.parse(new TextDecoder().decode(stdout)) as LoadResult;
    if (result.failed > 0 || result.ok === 0) {
      throw new Error(`${result.failed} calls failed, ${result.ok} succeeded`);
    }
    await Deno.writeFile(file, framed(message));
    const native = await nativeLoad(port, path, file, options);
    return native === undefined ? result : { ...result, perSecond: native };
  } finally {
    await Deno.remove(file);
  }
}

if (import.meta.main) await main();
