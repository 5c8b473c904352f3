/**
 * The outer form of zstd data (RFC 8878, section 3.1): where frames and blocks begin and end, what window a frame needs,
 * and how much a block can decompress to. What is compressed inside the blocks is not looked at.
 *
 * The decoder behind `node:zlib` takes data that was cut short for complete, and drops what follows the first frame that
 * ends inside a write. So every frame's end is found here, and nothing reaches the decoder that this has not allowed.
 *
 * @module
 */

/** Largest decompressed block, in bytes (RFC 8878, section 3.1.1.2.4). */
export const MAX_BLOCK_BYTES = 128 << 10;

const FRAME_MAGIC = 0xfd2fb528;
/** First of sixteen magic numbers of skippable frames. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Bodies (blocks, and what is in skippable frames) passed in one step at most: empty ones take three bytes each. */
const STEP_BODIES = 1024;

/** What a frame's header says. */
export interface FrameHeader {
  /** Bytes that its decoder must keep. */
  readonly windowBytes: number;
  /** Size of the decompressed frame, where it is told. */
  readonly contentBytes: number | undefined;
}

/** Limits of {@linkcode FrameScanner}. */
export interface FrameLimits {
  /** Largest window taken, in bytes. */
  readonly maxWindowBytes: number;
  /** Bytes of decompressed data, over all frames, that a header may promise. */
  readonly maxContentBytes: number;
  /** Frames taken, skippable ones too. */
  readonly maxFrames: number;
}

/** What one step of the scanner found. */
export interface ScanStep {
  /** Where the step ended; the data up to here belongs to one frame. */
  readonly to: number;
  /** Most that the blocks which end in the step decompress to, in bytes. */
  readonly maxOutputBytes: number;
  /** The header that ended here, when one did. */
  readonly header: FrameHeader | undefined;
}

/** Why zstd data was refused, in words that finish a sentence about it. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

const enum State {
  MAGIC,
  SKIP_SIZE,
  DESCRIPTOR,
  HEADER,
  BLOCK_HEADER,
  /** Bytes that are passed over: a block's content, a checksum, what is in a skippable frame. */
  BODY,
}

/** Reads frames from data that comes in any pieces. */
export class FrameScanner {
  readonly #limits: FrameLimits;
  #state = State.MAGIC;
  /** A field that is put together from several pieces. */
  readonly #field = new Uint8Array(14);
  #have = 0;
  #need = 4;
  /** Bytes of the current body that are yet to come. */
  #bodyBytes = 0;
  #afterBody = State.MAGIC;
  #descriptor = 0;
  #blockBytes = 0;
  /** What the block whose body is passed over decompresses to at most. */
  #blockOutput = 0;
  #checksum = false;
  #frames = 0;
  #bodies = 0;
  #promised = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Frames that have ended. */
  get frames(): number {
    return this.#frames;
  }

  /** Bodies that have ended: blocks, checksums, and what is in skippable frames. */
  get bodies(): number {
    return this.#bodies;
  }

  /** Whether the data so far ends where a frame ends (or has not begun). */
  get betweenFrames(): boolean {
    return this.#state === State.MAGIC && this.#have === 0;
  }

  /** Where the data broke off, for a message. */
  get place(): string {
    const places = ["its magic number", "the size of a skippable frame", "its header", "its header"];
    return places[this.#state] ?? (this.#state === State.BLOCK_HEADER ? "a block's header" : "a block");
  }

  /**
   * Moves on over `bytes` from `from`: to the end of a frame or of a frame's header, to where the blocks passed may
   * give `maxOutputBytes`, to `maxInputBytes` further, over a thousand blocks, or to the end of `bytes`, whichever comes
   * first.
   *
   * @throws {FrameError} when this is no zstd, or beyond the limits.
   */
  step(bytes: Uint8Array, from: number, maxOutputBytes: number, maxInputBytes: number): ScanStep {
    const end = Math.min(bytes.length, from + maxInputBytes);
    let at = from;
    let output = 0;
    const mostBodies = this.#bodies + STEP_BODIES;
    while (at < end && this.#bodies < mostBodies) {
      if (this.#state === State.BODY) {
        const passed = Math.min(this.#bodyBytes, end - at);
        at += passed;
        this.#bodyBytes -= passed;
        if (this.#bodyBytes > 0) break;
      } else {
        const taken = Math.min(this.#need - this.#have, end - at);
        this.#field.set(bytes.subarray(at, at + taken), this.#have);
        this.#have += taken;
        at += taken;
        if (this.#state === State.MAGIC && !beginsFrame(this.#field[0])) throw this.#noFrame();
        if (this.#have < this.#need) break;
        const header = this.#endField();
        if (header !== undefined) return { to: at, maxOutputBytes: output, header };
        if (!this.#bodyEnds()) continue;
      }
      output += this.#blockOutput;
      this.#endBody();
      if (this.betweenFrames || output >= maxOutputBytes) break;
    }
    return { to: at, maxOutputBytes: output, header: undefined };
  }

  /** Whether a body was reached that has no bytes. */
  #bodyEnds(): boolean {
    return this.#state === State.BODY && this.#bodyBytes === 0;
  }

  #expect(state: State, bytes: number): void {
    this.#state = state;
    this.#have = 0;
    this.#need = bytes;
  }

  #pass(bytes: number, then: State, output: number): void {
    this.#state = State.BODY;
    this.#bodyBytes = bytes;
    this.#afterBody = then;
    this.#blockOutput = output;
  }

  #endBody(): void {
    this.#bodies++;
    this.#blockOutput = 0;
    if (this.#afterBody === State.BODY) return this.#pass(4, State.MAGIC, 0); // the checksum
    if (this.#afterBody === State.BLOCK_HEADER) return this.#expect(State.BLOCK_HEADER, 3);
    this.#frames++;
    this.#expect(State.MAGIC, 4);
  }

  /** Takes in a field that is complete; gives the header that it ends. */
  #endField(): FrameHeader | undefined {
    switch (this.#state) {
      case State.MAGIC:
        this.#endMagic();
        return undefined;
      case State.SKIP_SIZE:
        this.#pass(this.#number(0, 4), State.MAGIC, 0);
        return undefined;
      case State.DESCRIPTOR:
        this.#endDescriptor();
        return undefined;
      case State.HEADER:
        return this.#endHeader();
      default:
        this.#endBlockHeader();
        return undefined;
    }
  }

  #number(at: number, bytes: number): number {
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + this.#field[at + i];
    return value;
  }

  #endMagic(): void {
    const magic = this.#number(0, 4);
    if (this.#frames >= this.#limits.maxFrames) {
      throw new FrameError(`holds more than ${this.#limits.maxFrames} frames, too many for its size`);
    }
    if (magic === FRAME_MAGIC) return this.#expect(State.DESCRIPTOR, 1);
    if (magic >= SKIPPABLE_MAGIC && magic < SKIPPABLE_MAGIC + 16) return this.#expect(State.SKIP_SIZE, 4);
    throw this.#noFrame();
  }

  #noFrame(): FrameError {
    return new FrameError(
      this.#frames === 0 ? "does not begin with a zstd frame" : "goes on after a frame with what is no frame",
    );
  }

  #endDescriptor(): void {
    const descriptor = this.#descriptor = this.#field[0];
    if ((descriptor & 0x08) !== 0) throw new FrameError("has a reserved bit set in a frame's header");
    this.#expect(
      State.HEADER,
      windowFieldBytes(descriptor) + dictionaryBytes(descriptor) + sizeBytes(descriptor),
    );
    // A frame of one segment tells its size in one byte at least, any other its window: no header ends here.
  }

  #endHeader(): FrameHeader {
    const descriptor = this.#descriptor;
    let at = windowFieldBytes(descriptor);
    const window = at === 0 ? undefined : windowBytes(this.#field[0]);
    const dictionary = this.#number(at, dictionaryBytes(descriptor));
    if (dictionary !== 0) throw new FrameError(`needs the dictionary ${dictionary}; send it without one`);
    at += dictionaryBytes(descriptor);
    const size = sizeBytes(descriptor);
    const content = size === 0 ? undefined : this.#number(at, size) + (size === 2 ? 256 : 0);
    const { maxContentBytes, maxWindowBytes } = this.#limits;
    this.#promised += content ?? 0;
    if (this.#promised > maxContentBytes) {
      throw new FrameError(`promises ${this.#promised} bytes where ${maxContentBytes} are expected`);
    }
    const needed = window ?? content ?? 0;
    if (needed > maxWindowBytes) {
      throw new FrameError(
        `needs a window of ${needed} bytes; at most ${maxWindowBytes} are taken, as levels up to 19 use`,
      );
    }
    this.#checksum = (descriptor & 0x04) !== 0;
    this.#blockBytes = Math.min(needed, MAX_BLOCK_BYTES);
    this.#expect(State.BLOCK_HEADER, 3);
    return { windowBytes: Math.min(needed, content ?? needed), contentBytes: content };
  }

  #endBlockHeader(): void {
    const value = this.#number(0, 3);
    const type = value >> 1 & 3;
    const size = value >> 3;
    if (type === 3) throw new FrameError("has a block of the reserved type");
    if (size > this.#blockBytes) {
      throw new FrameError(`has a block of ${size} bytes where at most ${this.#blockBytes} are allowed`);
    }
    const afterBlock = this.#checksum ? State.BODY : State.MAGIC;
    const last = (value & 1) !== 0;
    // Raw (0): as many bytes. RLE (1): one byte, so many times. Compressed (2): up to a full block.
    this.#pass(
      type === 1 ? 1 : size,
      last ? afterBlock : State.BLOCK_HEADER,
      type === 2 ? this.#blockBytes : size,
    );
  }
}

/** Whether a magic number may begin with `byte`. */
function beginsFrame(byte: number): boolean {
  return byte === (FRAME_MAGIC & 255) || (byte & 0xf0) === (SKIPPABLE_MAGIC & 0xf0);
}

/** Bytes of the field that tells the window; a frame of one segment has none. */
function windowFieldBytes(descriptor: number): number {
  return (descriptor & 0x20) === 0 ? 1 : 0;
}

function dictionaryBytes(descriptor: number): number {
  return [0, 1, 2, 4][descriptor & 3];
}

/** Bytes of the field that tells the decompressed size. */
function sizeBytes(descriptor: number): number {
  const flag = descriptor >> 6;
  return flag === 0 ? ((descriptor & 0x20) === 0 ? 0 : 1) : 1 << flag;
}

/** The window that a window descriptor means: 1 KiB to 3.75 TiB. */
function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}
