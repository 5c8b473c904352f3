/**
 * Where things lie in the memory of the BLAKE3 kernel. The generator of the kernel and its drivers share it.
 *
 * @module
 */

/** Bytes of a chunk, BLAKE3's leaf. */
export const CHUNK_BYTES = 1024;
/** Chunks of the largest subtree that the kernel computes in one call: 64 KiB, which stay in the second-level cache. */
export const SUBTREE_CHUNKS = 64;
/** Bytes of that subtree. */
export const SUBTREE_BYTES: number = SUBTREE_CHUNKS * CHUNK_BYTES;
/** Blobs of a run of a batch. */
export const RUN_BLOBS = 2048;
/** Bytes of the inputs of a run of a batch; each begins at a multiple of 64. */
export const RUN_BYTES: number = 256 * 1024;
/**
 * The most chunks of the blobs of a run that have more than one, as the smallest of those, of 1025 bytes, has two. Smaller
 * blobs write their hash at once and need no room for chaining values.
 */
export const RUN_CHUNKS: number = 2 * RUN_BYTES / CHUNK_BYTES;
/** What the driver writes instead of a length for a blob that it has hashed in another way. */
export const SKIPPED = 0xffffffff;
/** Bytes of an entry of the job table: pointer, length, counter (2 words), first flags, last flags, target, nothing. */
export const JOB_BYTES = 32;

/** Addresses, all multiples of 64. */
export const LAYOUT = {
  /** The message words of four blocks, a vector each. */
  words: 0,
  /** Byte shuffles that rotate by 16 and by 8, then 16 ones and 16 zeros that cut masks for the ends of blobs. */
  masks: 256,
  /** Blocks that are padded with zeros, one for each lane. */
  blocks: 320,
  /** Two chaining values that are to become one, 64 bytes; the driver's stack passes through here. */
  pair: 576,
  /** The result of a call, 32 bytes. */
  result: 640,
  /** Chaining values of the chunks of a subtree. */
  values: 1024,
  /** The job table: the chunks of a run, or the parents of a level of it. */
  jobs: 4096,
  /** Chaining values of the larger blobs of a run. */
  runValues: 4096 + JOB_BYTES * (RUN_BLOBS + RUN_CHUNKS),
  /** The larger blobs of a run: address of the chaining values, how many there are, target of the hash, nothing. */
  larger: 4096 + JOB_BYTES * (RUN_BLOBS + RUN_CHUNKS) + 32 * RUN_CHUNKS,
  /** Lengths of the blobs of a run, a word each. */
  lengths: 4096 + JOB_BYTES * (RUN_BLOBS + RUN_CHUNKS) + 48 * RUN_CHUNKS,
  /** Hashes of the blobs of a run. */
  hashes: 4096 + JOB_BYTES * (RUN_BLOBS + RUN_CHUNKS) + 48 * RUN_CHUNKS + 4 * RUN_BLOBS,
  /** Where the bytes of a stream are put, a subtree at most. */
  stream: 256 * 1024,
  /** Where the blobs of a run are put. */
  run: 256 * 1024 + SUBTREE_CHUNKS * CHUNK_BYTES,
} as const;

/** Pages of 64 KiB that all of this takes, with one behind it as blocks are read beyond the ends of blobs. */
const PAGES: number = (LAYOUT.run + RUN_BYTES) / 65536 + 1;

/** Buffers that are lent out, and their size. */
export const ARENA = { start: PAGES * 65536, slots: 4, slotBytes: 1024 * 1024 } as const;

/** Pages of the memory of a kernel that a thread has for itself. */
export const OWN_PAGES: number = PAGES + (ARENA.slots * ARENA.slotBytes) / 65536 + 1;

/** Subtrees that wait for the second thread or are with it. */
export const SLOTS = 16;

/** Addresses in the memory that two threads share; {@linkcode LAYOUT} is the second thread's own there. */
export const SHARED_LAYOUT = {
  /** The bytes of the subtrees, one slot behind the other. */
  slots: PAGES * 65536,
  /** A word for each slot: who has it. */
  states: PAGES * 65536 + SLOTS * SUBTREE_BYTES,
  /** A word that counts the times that something was put into a slot; the second thread waits for it to change. */
  bell: PAGES * 65536 + SLOTS * SUBTREE_BYTES + 64,
  /** A word: 1 while the second thread does not wait for the bell but for a message. */
  asleep: PAGES * 65536 + SLOTS * SUBTREE_BYTES + 128,
  /** A word: 1 once the second thread is there. */
  alive: PAGES * 65536 + SLOTS * SUBTREE_BYTES + 192,
  /** The number of the first chunk of each slot, a double each. */
  counters: PAGES * 65536 + SLOTS * SUBTREE_BYTES + 1024,
  /** The chaining value of each slot. */
  values: PAGES * 65536 + SLOTS * SUBTREE_BYTES + 2048,
} as const;

/** Pages of that memory. */
export const SHARED_PAGES: number = PAGES + (SLOTS * SUBTREE_BYTES) / 65536 + 1;

/** Who has a slot. */
export const SLOT_STATE = {
  /** The first thread, which may fill it. */
  free: 0,
  /** Whoever takes it. */
  ready: 1,
  /** The second thread. */
  busy: 2,
  /** The first thread, for which the value is there. */
  done: 3,
} as const;
