/**
 * zstd frames made and undone without a new context each: setting one up takes longer than compressing a few KiB.
 *
 * The binding behind `node:zlib` is used as `compression/_zlib.ts` uses it, piece by piece and on this thread.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import zlib from "node:zlib";
import { FrameError, FrameScanner } from "../compression/_frames.ts";
import { MAX_RECORD_DATA } from "./_record.ts";

/**
 * On sources and machine code level 2 takes as long as level 1 and gives 3 % less; level 3 gives another 4 % for a third
 * more time, which is the event loop's.
 */
const LEVEL = 2;
/** Most bytes of a frame's header that tells a size below 4 GiB and nothing else. */
const HEADER_BYTES = 9;
/** Bytes of the header that the binding writes: magic number, descriptor, window. */
const OWN_HEADER_BYTES = 6;
/** Where the binding's output goes, so that a longer header has room before it. */
const OUTPUT_AT = HEADER_BYTES - OWN_HEADER_BYTES;
/** What data of the largest size is compressed to at most, with some to spare. */
const OUTPUT_BYTES = MAX_RECORD_DATA + (MAX_RECORD_DATA >> 7) + 1024;
/** What is taken for a frame of this store: one, that needs no more memory than its blob. */
const LIMITS = { maxWindowBytes: MAX_RECORD_DATA, maxFrames: 1 };

/** What a transform of `node:zlib` does its work with. */
interface NativeHandle {
  onerror: (message: string, errno: number, code: string) => void;
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputBytes: number,
    output: Uint8Array,
    outputOffset: number,
    outputBytes: number,
  ): void;
}

function isHandle(value: unknown): value is NativeHandle {
  return typeof value === "object" && value !== null && "onerror" in value && "writeSync" in value &&
    typeof value.writeSync === "function";
}

/** One context of the binding. */
class Context {
  readonly #transform: zlib.ZstdCompress | zlib.ZstdDecompress;
  readonly #handle: NativeHandle;
  /** Room left in the output and bytes left of the input after a write. */
  readonly #left: Uint32Array;
  #failure: Error | undefined;

  constructor(transform: zlib.ZstdCompress | zlib.ZstdDecompress) {
    const handle: unknown = Reflect.get(transform, "_handle");
    const left: unknown = Reflect.get(transform, "_writeState");
    if (!isHandle(handle) || !(left instanceof Uint32Array)) {
      transform.destroy();
      throw new BrokkrError(Code.INTERNAL, "The zstd binding of this Deno has another form; 2.9 is needed");
    }
    this.#transform = transform;
    this.#handle = handle;
    this.#left = left;
    handle.onerror = (message) => void (this.#failure ??= new Error(message));
    transform.on("error", (error: Error) => void (this.#failure ??= error));
  }

  /**
   * Works all of `input` into `output` from `at`; returns where that ends.
   *
   * @throws {Error} when it is damaged, or does not fit. The context is of no use then.
   */
  run(flush: number, input: Uint8Array, output: Uint8Array, at: number): number {
    this.#handle.writeSync(flush, input, 0, input.length, output, at, output.length - at);
    if (this.#failure !== undefined) throw this.#failure;
    const inputLeft = this.#left[1];
    if (inputLeft !== 0) throw new Error(`has ${inputLeft} bytes more than it can have`);
    return output.length - this.#left[0];
  }

  close(): void {
    this.#transform.destroy();
  }
}

/** Makes frames, one at a time. */
export class FrameMaker {
  #context: Context | undefined;
  #output = new Uint8Array(0);
  #end = OUTPUT_AT;
  #sizeBytes = 0;

  /** Compresses the next of what is to be one frame, of {@linkcode MAX_RECORD_DATA} bytes at most. */
  add(data: Uint8Array): void {
    this.#run(zlib.constants.ZSTD_e_continue, data);
  }

  /** Compresses the last of it and gives the frame, as a view that lasts until the next begins. */
  end(data: Uint8Array): Uint8Array {
    this.#run(zlib.constants.ZSTD_e_end, data);
    const frame = this.#output.subarray(tellSize(this.#output, this.#sizeBytes), this.#end);
    this.#reset();
    return frame;
  }

  /** Gives up what was begun. */
  drop(): void {
    this.#context?.close();
    this.#context = undefined;
    this.#reset();
  }

  #reset(): void {
    this.#end = OUTPUT_AT;
    this.#sizeBytes = 0;
  }

  #run(flush: number, data: Uint8Array): void {
    const sizeBytes = this.#sizeBytes + data.length;
    if (sizeBytes > MAX_RECORD_DATA) {
      this.drop();
      throw new RangeError(`A frame of ${sizeBytes} bytes; at most ${MAX_RECORD_DATA} are made`);
    }
    this.#sizeBytes = sizeBytes;
    const { ZSTD_c_compressionLevel: level } = zlib.constants;
    if (this.#output.length === 0) this.#output = new Uint8Array(OUTPUT_AT + OUTPUT_BYTES);
    this.#context ??= new Context(zlib.createZstdCompress({ chunkSize: 1024, params: { [level]: LEVEL } }));
    try {
      this.#end = this.#context.run(flush, data, this.#output, this.#end);
    } catch (error) {
      this.drop();
      throw error;
    }
  }
}

/**
 * Puts a header that tells the size in the place of the binding's, which tells only a window (it asks for the size when a
 * context is made, not for each frame). Decoders then know how much room is needed, and need no window beside it
 * (RFC 8878, section 3.1.1.1). Returns where the frame begins.
 */
function tellSize(output: Uint8Array, sizeBytes: number): number {
  const blocksAt = OUTPUT_AT + OWN_HEADER_BYTES;
  if (output[OUTPUT_AT] !== 0x28 || output[OUTPUT_AT + 4] !== 0) {
    throw new BrokkrError(
      Code.INTERNAL,
      "The zstd binding of this Deno begins frames otherwise; 2.9 is needed",
    );
  }
  // One segment (0x20), and the size in 1, 2 or 4 bytes.
  const [flag, bytes, value] = sizeBytes < 256
    ? [0x20, 1, sizeBytes]
    : sizeBytes < 65_792
    ? [0x60, 2, sizeBytes - 256]
    : [0xa0, 4, sizeBytes];
  const at = blocksAt - bytes - 5;
  output.set([0x28, 0xb5, 0x2f, 0xfd, flag], at);
  for (let i = 0; i < bytes; i++) output[at + 5 + i] = value >>> (8 * i);
  return at;
}

/** Undoes frames. */
export class FrameReader {
  #context: Context | undefined;

  /**
   * What a frame holds, which is `sizeBytes` long.
   *
   * @throws {Error} when it is not one whole frame of that size; the message ends a sentence about it.
   */
  read(frame: Uint8Array, sizeBytes: number): Uint8Array {
    if (sizeBytes > MAX_RECORD_DATA) throw new FrameError(`is of ${sizeBytes} bytes, more than any record's`);
    const scanner = new FrameScanner({ ...LIMITS, maxContentBytes: sizeBytes });
    // Nothing reaches the decoder that does not have the outer form of a frame.
    let content: number | undefined;
    for (let at = 0; at < frame.length;) {
      const { to, header } = scanner.step(frame, at, Infinity, Infinity);
      if (header !== undefined) content = header.contentBytes;
      at = to;
    }
    if (!scanner.betweenFrames || scanner.frames !== 1) throw new FrameError("is cut short");
    if (content !== sizeBytes) {
      throw new FrameError(`says that it holds ${content} bytes instead of ${sizeBytes}`);
    }
    this.#context ??= new Context(zlib.createZstdDecompress({ chunkSize: 1024 }));
    const output = new Uint8Array(sizeBytes);
    try {
      const end = this.#context.run(zlib.constants.ZSTD_e_continue, frame, output, 0);
      if (end !== sizeBytes) throw new FrameError(`gives ${end} bytes instead of ${sizeBytes}`);
    } catch (error) {
      // What a failure left behind must not meet the next frame.
      this.#context.close();
      this.#context = undefined;
      throw error;
    }
    return output;
  }
}
