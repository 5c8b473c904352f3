/**
 * Buffers in a kernel's memory that are lent out, so that what is read into them is hashed where it lies.
 *
 * @module
 */

/** A buffer that is lent; dispose of it when its bytes are no longer needed. */
export interface KernelBuffer extends Disposable {
  /** The bytes; they hold whatever was there before, and must not be used after the end. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A few slots of one size in a memory. */
export class Arena {
  readonly #memory: WebAssembly.Memory;
  readonly #start: number;
  readonly #slotBytes: number;
  readonly #free: number[];
  readonly #slots: number;

  /**
   * @param memory the memory; neither shared nor growing
   * @param start the address of the first slot
   */
  constructor(memory: WebAssembly.Memory, start: number, slots: number, slotBytes: number) {
    this.#memory = memory;
    this.#start = start;
    this.#slotBytes = slotBytes;
    this.#slots = slots;
    this.#free = Array.from({ length: slots }, (_, i) => slots - 1 - i);
  }

  /** A buffer of `sizeBytes`, or `undefined` if all slots are lent or too small. */
  acquire(sizeBytes: number): KernelBuffer | undefined {
    if (sizeBytes > this.#slotBytes) return undefined;
    const slot = this.#free.pop();
    if (slot === undefined) return undefined;
    let lent = true;
    return {
      bytes: new Uint8Array(
        this.#memory.buffer as ArrayBuffer,
        this.#start + slot * this.#slotBytes,
        sizeBytes,
      ),
      [Symbol.dispose]: () => {
        if (lent) this.#free.push(slot);
        lent = false;
      },
    };
  }

  /** Whether `bytes` lie in a slot, which means that the kernel can read them without a copy. */
  holds(bytes: Uint8Array): boolean {
    // Asking a small array for its buffer makes the engine create one, so that is not done for nothing.
    if (this.#free.length === this.#slots) return false;
    return bytes.buffer === this.#memory.buffer && bytes.byteOffset >= this.#start;
  }
}
