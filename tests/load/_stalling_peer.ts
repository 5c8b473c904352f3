/**
 * A peer that opens many calls and then stands still, on HTTP/2 frames written by hand (RFC 9113): what a client library
 * would do of its own accord (reading, granting windows, ending) it does only when told.
 *
 * @module
 */

const encoder = new TextEncoder();
const PREFACE = encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FRAME_HEADER_BYTES = 9;
/** SETTINGS_MAX_FRAME_SIZE that nobody has to announce. */
const MAX_FRAME_BYTES = 16_384;
const DEFAULT_WINDOW_BYTES = 65_535;

const enum Frame {
  DATA = 0,
  HEADERS = 1,
  RST_STREAM = 3,
  SETTINGS = 4,
  PING = 6,
  WINDOW_UPDATE = 8,
}

/** Joins byte arrays. */
export function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
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

function frame(type: Frame, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  return join(new Uint8Array([length >> 16, length >> 8, length, type, flags]), u32(stream), payload);
}

/** The five bytes before a gRPC message, and the message. */
export function grpcMessage(body: Uint8Array, announcedBytes: number = body.length): Uint8Array {
  return join(new Uint8Array([0]), u32(announcedBytes), body);
}

function headerBlock(path: string): Uint8Array {
  const literal = (name: string, value: string) =>
    join(
      new Uint8Array([0, name.length]),
      encoder.encode(name),
      new Uint8Array([value.length]),
      encoder.encode(value),
    );
  return join(
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal(":authority", "localhost"),
    literal("te", "trailers"),
    literal("content-type", "application/grpc"),
  );
}

interface Sending {
  readonly stream: number;
  readonly body: Uint8Array;
  readonly end: boolean;
  sentBytes: number;
  windowBytes: number;
}

/** What a peer is set up with. */
export interface PeerOptions {
  /** Window of each stream that it grants the server at the start, in bytes. Refilled only by {@linkcode StallingPeer.grant}. */
  readonly streamWindowBytes: number;
  /** Window of the connection that it grants, in bytes. */
  readonly connectionWindowBytes: number;
}

/** One connection of calls that stand still. */
export class StallingPeer implements AsyncDisposable {
  /** Bytes of answers that came. */
  receivedBytes = 0;
  /** Streams that the server ended or reset. */
  readonly ended: Set<number> = new Set();
  /** Whether the server closed the connection. */
  closed = false;
  readonly #connection: Deno.TcpConn;
  readonly #reading: Promise<void>;
  readonly #sending = new Map<number, Sending>();
  readonly #waiters = new Set<() => void>();
  #writing: Promise<unknown> = Promise.resolve();
  #nextStream = 1;
  #connectionWindow = DEFAULT_WINDOW_BYTES;
  #streamWindow = DEFAULT_WINDOW_BYTES;
  #settled = false;
  #deaf = false;
  readonly #cut = Promise.withResolvers<void>();

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#reading = this.#read();
  }

  /** Connects to `127.0.0.1:port`. */
  static async connect(port: number, options: PeerOptions): Promise<StallingPeer> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const peer = new StallingPeer(connection);
    const windowSetting = join(new Uint8Array([0, 4]), u32(options.streamWindowBytes));
    peer.#write(PREFACE);
    peer.#write(frame(Frame.SETTINGS, 0, 0, windowSetting));
    const more = options.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) peer.#write(frame(Frame.WINDOW_UPDATE, 0, 0, u32(more)));
    await peer.until(() => peer.#settled);
    return peer;
  }

  /** Opens a call and sends `body` (framed already) as far as the server's windows allow. */
  open(path: string, body: Uint8Array, end: boolean): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#write(frame(Frame.HEADERS, 4, stream, headerBlock(path)));
    this.#sending.set(stream, { stream, body, end, sentBytes: 0, windowBytes: this.#streamWindow });
    this.#pump();
    return stream;
  }

  /** Allows the server to send `sizeBytes` more on each of `streams`, and as much as all that on the connection. */
  grant(sizeBytes: number, streams: readonly number[]): void {
    const updates = streams.map((stream) => frame(Frame.WINDOW_UPDATE, 0, stream, u32(sizeBytes)));
    this.#write(join(frame(Frame.WINDOW_UPDATE, 0, 0, u32(sizeBytes * streams.length)), ...updates));
  }

  /** Stops to read the socket, whatever windows were granted: as a process does that was stopped. */
  goDeaf(): void {
    this.#deaf = true;
  }

  /** Bytes that the server's windows have kept back. */
  get heldBackBytes(): number {
    let bytes = 0;
    for (const { body, sentBytes } of this.#sending.values()) bytes += body.length - sentBytes;
    return bytes;
  }

  /** Resolves when `condition` holds after something arrived; rejects when the connection ends before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed) throw new Error("The server closed the connection");
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
  }

  /** Cuts the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut.resolve();
    try {
      this.#connection.close();
    } catch { /* the server was first */ }
    await Promise.allSettled([this.#reading, this.#writing]);
  }

  #write(bytes: Uint8Array): void {
    this.#writing = this.#writing.then(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
    });
    // A cut connection is seen by the reader.
    this.#writing.catch(() => {});
  }

  #pump(): void {
    for (const sending of this.#sending.values()) {
      if (this.ended.has(sending.stream)) {
        this.#sending.delete(sending.stream);
        continue;
      }
      for (;;) {
        const leftBytes = sending.body.length - sending.sentBytes;
        const bytes = Math.min(leftBytes, MAX_FRAME_BYTES, sending.windowBytes, this.#connectionWindow);
        if (bytes <= 0) break;
        const piece = sending.body.subarray(sending.sentBytes, sending.sentBytes + bytes);
        this.#write(frame(Frame.DATA, sending.end && bytes === leftBytes ? 1 : 0, sending.stream, piece));
        sending.sentBytes += bytes;
        sending.windowBytes -= bytes;
        this.#connectionWindow -= bytes;
      }
      if (sending.sentBytes === sending.body.length) this.#sending.delete(sending.stream);
    }
  }

  async #read(): Promise<void> {
    let held = new Uint8Array();
    const chunk = new Uint8Array(256 << 10);
    try {
      for (;;) {
        if (this.#deaf) return await this.#cut.promise;
        const count = await this.#connection.read(chunk);
        if (count === null) break;
        held = join(held, chunk.subarray(0, count));
        let at = 0;
        while (held.length - at >= FRAME_HEADER_BYTES) {
          const length = held[at] << 16 | held[at + 1] << 8 | held[at + 2];
          if (held.length - at < FRAME_HEADER_BYTES + length) break;
          const payload = held.subarray(at + FRAME_HEADER_BYTES, at + FRAME_HEADER_BYTES + length);
          const view = new DataView(held.buffer, held.byteOffset + at + 5, 4);
          this.#take(held[at + 3], held[at + 4], view.getUint32(0) & 0x7fff_ffff, payload);
          at += FRAME_HEADER_BYTES + length;
        }
        held = held.slice(at);
        this.#wake();
      }
    } catch { /* cut */ }
    this.closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #take(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    if (type === Frame.DATA) this.receivedBytes += payload.length;
    if ((type === Frame.DATA || type === Frame.HEADERS) && (flags & 1) !== 0) this.ended.add(stream);
    if (type === Frame.RST_STREAM) this.ended.add(stream);
    if (type === Frame.PING && (flags & 1) === 0) this.#write(frame(Frame.PING, 1, 0, payload.slice()));
    if (type === Frame.SETTINGS && (flags & 1) === 0) {
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        if (view.getUint16(at) !== 4) continue;
        // It changes the windows of open streams too, which may become negative (RFC 9113, 6.9.2).
        const more = view.getUint32(at + 2) - this.#streamWindow;
        this.#streamWindow += more;
        for (const sending of this.#sending.values()) sending.windowBytes += more;
      }
      this.#settled = true;
      this.#write(frame(Frame.SETTINGS, 1, 0, new Uint8Array()));
    }
    if (type === Frame.WINDOW_UPDATE) {
      const bytes = view.getUint32(0);
      const sending = this.#sending.get(stream);
      if (stream === 0) this.#connectionWindow += bytes;
      else if (sending !== undefined) sending.windowBytes += bytes;
      this.#pump();
    }
  }
}
