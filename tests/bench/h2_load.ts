/**
 * A load generator on bare HTTP/2: it keeps a fixed number of gRPC calls in flight and counts what comes back with
 * grpc-status 0. Cheaper than a gRPC client, so that the server is what is measured. It runs as a process of its own
 * that takes jobs as lines of JSON, so that its start is not part of any figure.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import * as http2 from "node:http2";
import { TextLineStream } from "./_lines.ts";
import { type Load, requests } from "./_load_requests.ts";

/** What the generator is to do. */
export interface LoadJob {
  /** Port of loopback. */
  readonly port: number;
  /** The method's path. */
  readonly path: string;
  /** What is sent. */
  readonly load: Load;
  /** Calls in flight, over all connections. */
  readonly inFlight: number;
  /** Connections; 1 by default. */
  readonly connections?: number;
  /** For how long. */
  readonly seconds: number;
  /** Not counted, ahead of it; a tenth of a second by default. */
  readonly warmUpSeconds?: number;
  /** Speaks TLS and believes every certificate. */
  readonly tls?: boolean;
}

/** What a run saw. */
export interface LoadResult {
  /** Calls answered with status 0. */
  readonly ok: number;
  /** Calls answered otherwise. */
  readonly failed: number;
  /** Calls that a server short of memory put off with RESOURCE_EXHAUSTED; sent again after a pause. */
  readonly refused: number;
  /** Calls a second. */
  readonly perSecond: number;
  /** Latencies in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** The generator's process. */
export interface LoadGenerator extends AsyncDisposable {
  /** Does a job; every call must succeed, or be put off. */
  run(job: LoadJob): Promise<LoadResult>;
  /** The same by nghttp2's h2load where that is installed and the load is always the same: cheaper still. */
  runNative(job: LoadJob): Promise<LoadResult>;
}

const WINDOW_BYTES = 1 << 24;
/** RESOURCE_EXHAUSTED. */
const REFUSED = "8 ";
const REFUSED_PAUSE_MS = 100;

async function open(job: LoadJob): Promise<http2.ClientHttp2Session> {
  const origin = `${job.tls === true ? "https" : "http"}://127.0.0.1:${job.port}`;
  const session = http2.connect(origin, {
    settings: { initialWindowSize: WINDOW_BYTES },
    ...(job.tls === true ? { rejectUnauthorized: false } : {}),
  });
  await new Promise((resolve, reject) => {
    session.once("connect", resolve);
    session.once("error", reject);
  });
  // Of the connection: without it 64 KiB are in flight at most, over all streams.
  session.setLocalWindowSize(WINDOW_BYTES);
  return session;
}

/** One call; its grpc-status. */
function call(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  pieces: readonly Uint8Array[],
): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request(headers);
    let status = "none";
    const take = (got: http2.IncomingHttpHeaders) => {
      if (got["grpc-status"] === undefined) return;
      status = String(got["grpc-status"]);
      if (status !== "0") status += ` ${got["grpc-message"]}`;
    };
    stream.on("response", take);
    stream.on("trailers", take);
    stream.on("error", (error: Error) => status = error.message);
    stream.on("close", () => resolve(status));
    stream.resume();
    for (const [i, piece] of pieces.entries()) {
      if (i === pieces.length - 1) stream.end(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
      else stream.write(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
    }
  });
}

async function generate(job: LoadJob): Promise<LoadResult & { readonly why?: string }> {
  const { connections = 1, warmUpSeconds = 0.1 } = job;
  const sessions = await Promise.all(Array.from({ length: connections }, () => open(job)));
  const headers = {
    ":method": "POST",
    ":path": job.path,
    "content-type": "application/grpc",
    "te": "trailers",
  };
  const next = requests(job.load);
  const latencies: number[] = [];
  let failed = 0;
  let refused = 0;
  let why: string | undefined;
  const start = performance.now() + warmUpSeconds * 1000;
  const end = start + job.seconds * 1000;
  let last = start;
  await Promise.all(Array.from({ length: job.inFlight }, async (_, lane) => {
    const session = sessions[lane % sessions.length];
    while (performance.now() < end && failed < 100) {
      const pieces = next();
      const from = performance.now();
      const status = await call(session, headers, pieces);
      const to = performance.now();
      if (status.startsWith(REFUSED)) {
        if (to >= start) refused++;
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
      } else if (status !== "0") {
        failed++;
        why ??= status;
      } else if (to >= start) {
        latencies.push(to - from);
        last = to;
      }
    }
  }));
  for (const session of sessions) session.destroy();
  latencies.sort((a, b) => a - b);
  const at = (p: number) => latencies[Math.floor((latencies.length - 1) * p)];
  const perSecond = latencies.length / ((last - start) / 1000);
  return { ok: latencies.length, failed, refused, why, perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function native(job: LoadJob): Promise<number | undefined> {
  if (job.load.kind !== "same" || job.tls === true) return undefined;
  const message = Uint8Array.fromBase64(job.load.message);
  const body = new Uint8Array(message.length + 5);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const file = await Deno.makeTempFile();
  const { connections = 1, warmUpSeconds = 0.1 } = job;
  try {
    await Deno.writeFile(file, body);
    const { stdout, success } = await new Deno.Command("h2load", {
      args: [
        ...["-D", `${Math.round(job.seconds * 1000)}ms`],
        ...["--warm-up-time", `${Math.round(warmUpSeconds * 1000)}ms`],
        ...["-c", String(connections), "-m", String(job.inFlight / connections), "-d", file],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        `http://127.0.0.1:${job.port}${job.path}`,
      ],
      stdout: "piped",
      stderr: "null",
    }).output();
    const text = new TextDecoder().decode(stdout);
    const perSecond = Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(text)?.[1]);
    return success && perSecond > 0 ? perSecond : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  } finally {
    await Deno.remove(file);
  }
}

/** Starts a generator. */
export function startLoad(): LoadGenerator {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", new URL(import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = child.stdin.getWriter();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
    .getReader();
  const run = async (job: LoadJob): Promise<LoadResult> => {
    await input.write(new TextEncoder().encode(`${JSON.stringify(job)}\n`));
    const { value } = await lines.read();
    if (value === undefined) throw new Error("The load generator ended");
    const result = JSON.parse(value) as LoadResult & { readonly why?: string };
    if (result.failed > 0 || result.ok === 0) {
      throw new Error(`${job.path}: ${result.failed} calls failed (${result.why}), ${result.ok} succeeded`);
    }
    return result;
  };
  return {
    run,
    async runNative(job) {
      const perSecond = await native(job);
      // h2load does not look at the status, so that a checked run comes first, or instead.
      const checked = await run(perSecond === undefined ? job : { ...job, seconds: 0.1, warmUpSeconds: 0 });
      return perSecond === undefined ? checked : { ...checked, perSecond };
    },
    async [Symbol.asyncDispose]() {
      await input.close();
      await child.status;
    },
  };
}

if (import.meta.main) {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) console.log(JSON.stringify(await generate(JSON.parse(line) as LoadJob)));
}
