/**
 * One unary call for a process that lives for one call.
 *
 * Loading grpc-js and making its first call take 60 of a cached run's 100 ms. A result from the action cache needs no
 * more than HTTP/2 itself, which Deno's `fetch` speaks to a plain-text endpoint. It does not show trailers, so only an
 * answer that is whole, or a status that came without one, counts; whatever else happens, the caller asks again through
 * the RPC layer, which is the one that knows how to retry and what to say.
 *
 * It imports nothing of grpc-js, directly or through others; a test of `brokk run` sees to that.
 *
 * @module
 */

import { Code, formatTraceparent, type TraceContext } from "@brokkr/common";
import type { Method } from "../codec.ts";
import { REQUEST_METADATA_KEY } from "./request_metadata.ts";

/** What a quick call came to. */
export type QuickAnswer<T> =
  | { readonly kind: "response"; readonly response: T }
  /** The server has no such thing. */
  | { readonly kind: "notFound" }
  /** It could not be told: ask in the usual way. */
  | { readonly kind: "unclear" };

/** Options of a quick call. */
export interface QuickCallOptions {
  /** Stops it. */
  readonly signal?: AbortSignal;
  /** Encoded RequestMetadata. */
  readonly clientMetadataBytes?: Uint8Array<ArrayBuffer>;
  /** Span that causes the call. */
  readonly trace?: TraceContext;
}

const TIMEOUT_MS = 5_000;
const FRAME_HEADER_BYTES = 5;
const MAX_RESPONSE_BYTES = 8 * 1024 * 1024;
const PROXY_VARIABLES = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/** Whether quick calls can go to an endpoint: plain text, and no proxy that `fetch` would take. */
export function quickCallsWork(endpoint: string): boolean {
  return endpoint.startsWith("grpc://") && PROXY_VARIABLES.every((name) => (Deno.env.get(name) ?? "") === "");
}

function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}

/** The one message in a body, or undefined when there is not exactly one, uncompressed and whole. */
function unframed(body: Uint8Array): Uint8Array | undefined {
  if (body.length < FRAME_HEADER_BYTES || body[0] !== 0) return undefined;
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  return body.length === FRAME_HEADER_BYTES + length ? body.subarray(FRAME_HEADER_BYTES) : undefined;
}

/** The body, or undefined when it is larger than any answer may be. */
async function bodyOf(response: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_RESPONSE_BYTES) return undefined;
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0];
  const body = new Uint8Array(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** Makes a unary call to a plain-text endpoint such as `grpc://127.0.0.1:8980`. Never throws. */
export async function quickCall<Req, Res, ReqInit, ResInit>(
  endpoint: string,
  method: Method<Req, Res, ReqInit, ResInit>,
  request: ReqInit,
  options: QuickCallOptions = {},
): Promise<QuickAnswer<Res>> {
  const { signal, clientMetadataBytes, trace } = options;
  try {
    using client = Deno.createHttpClient({ http1: false, http2: true });
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(endpoint.replace(/^grpc:/, "http:") + method.path, {
      client,
      method: "POST",
      redirect: "error",
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      headers: {
        "content-type": "application/grpc",
        te: "trailers",
        ...(trace === undefined ? {} : { traceparent: formatTraceparent(trace) }),
        ...(clientMetadataBytes === undefined
          ? {}
          : { [REQUEST_METADATA_KEY]: clientMetadataBytes.toBase64() }),
      },
      body: framed(method.request.encode(request)),
    });
    // A status among the headers means that nothing else comes.
    const status = response.headers.get("grpc-status");
    if (status === String(Code.NOT_FOUND)) return { kind: "notFound" };
    if (!response.ok || status !== null) return { kind: "unclear" };
    const body = await bodyOf(response);
    const message = body === undefined ? undefined : unframed(body);
    if (message === undefined) return { kind: "unclear" };
    return { kind: "response", response: method.response.decode(message) };
  } catch {
    return { kind: "unclear" }; // asked again in the usual way, which says what is wrong
  }
}
