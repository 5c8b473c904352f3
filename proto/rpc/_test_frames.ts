/**
 * HTTP/2 frames by hand (RFC 9113), for peers that misbehave.
 *
 * @module
 */

const encoder = new TextEncoder();

/** What a client sends first. */
export const PREFACE: Uint8Array = encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Joins byte arrays. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function u32(value: number): Uint8Array {
  return new Uint8Array([value >>> 24, value >>> 16, value >>> 8, value]);
}

/** One frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const { length } = payload;
  return join(new Uint8Array([length >> 16, length >> 8, length, type, flags]), u32(stream), payload);
}

/** An empty SETTINGS frame. */
export const settings = (): Uint8Array => frame(4, 0, 0);
/** The acknowledgement of the peer's SETTINGS. */
export const settingsAck = (): Uint8Array => frame(4, 1, 0);
/** GOAWAY with the last stream that was processed and an error code. */
export const goaway = (last: number, code: number): Uint8Array => frame(7, 0, 0, join(u32(last), u32(code)));
/** RST_STREAM. */
export const reset = (stream: number, code = 8): Uint8Array => frame(3, 0, stream, u32(code));
/** WINDOW_UPDATE. */
export const windowUpdate = (stream: number, bytes: number): Uint8Array => frame(8, 0, stream, u32(bytes));

/** HEADERS of a gRPC call, in HPACK's literal form without indexing. */
export function headers(stream: number, path: string, endStream = false): Uint8Array {
  const literal = (name: string, value: string) =>
    join(
      new Uint8Array([0, name.length]),
      encoder.encode(name),
      new Uint8Array([value.length]),
      encoder.encode(value),
    );
  const block = join(
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", "localhost"),
    literal("te", "trailers"),
    literal("content-type", "application/grpc"),
  );
  return frame(1, endStream ? 5 : 4, stream, block);
}

/** DATA with one gRPC message. */
export function message(stream: number, body: Uint8Array, endStream = true): Uint8Array {
  return frame(0, endStream ? 1 : 0, stream, join(new Uint8Array([0]), u32(body.length), body));
}

/** What opens a connection and one call on each of the streams 1, 3, 5... */
export function calls(path: string, count: number, body = "x"): Uint8Array {
  const opened = [PREFACE, settings(), settingsAck(), windowUpdate(0, 1 << 20)];
  for (let i = 0; i < count; i++) {
    opened.push(headers(2 * i + 1, path), message(2 * i + 1, encoder.encode(body)));
  }
  return join(...opened);
}
