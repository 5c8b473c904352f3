/**
 * What a machine wrote to a disk and when it flushed, as qemu's `blklogwrites` driver logs it (Linux's dm-log-writes format,
 * https://docs.kernel.org/admin-guide/device-mapper/log-writes.html), so that a disk can be made of it that lost its
 * write cache when the power went.
 *
 * @module
 */

/** "jsfwshr" and a zero, which the log begins with. */
const MAGIC = 0x6a736677736872n;
const FLUSH = 1n;
const DISCARD = 4n;
/** A sector as its numbers in the log count. */
const MAX_WRITE_BYTES = 64 << 20;

/** One thing that the machine did to the disk. */
interface Entry {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly flags: bigint;
  /** Where its bytes lie in the log. */
  readonly at: number;
}

/** What became of the writes of a log. */
export interface PowerCut {
  /** Writes that a flush had followed, all of them kept, */
  readonly flushed: number;
  /** flushes, */
  readonly flushes: number;
  /** later writes that were kept, */
  readonly kept: number;
  /** and those that were lost. */
  readonly lost: number;
}

async function readAt(file: Deno.FsFile, at: number, sizeBytes: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(sizeBytes);
  await file.seek(at, Deno.SeekMode.Start);
  for (let have = 0; have < sizeBytes;) {
    const read = await file.read(bytes.subarray(have));
    if (read === null) return undefined;
    have += read;
  }
  return bytes;
}

/** The entries of a log, as far as it was written. The machine was killed: what the log says of itself may be old. */
async function entriesOf(log: Deno.FsFile): Promise<Entry[]> {
  const head = await readAt(log, 0, 4096);
  if (head === undefined) return [];
  const view = new DataView(head.buffer);
  if (view.getBigUint64(0, true) !== MAGIC) throw new Error("This is no log of writes");
  const sectorBytes = view.getUint32(24, true);
  const entries: Entry[] = [];
  for (let at = sectorBytes;;) {
    const bytes = await readAt(log, at, 32);
    if (bytes === undefined) return entries;
    const entry = new DataView(bytes.buffer);
    const [sector, sectors, flags] = [0, 8, 16].map((offset) => entry.getBigUint64(offset, true));
    const sizeBytes = Number(sectors) * sectorBytes;
    // Never written, or its data were not.
    if (sectors === 0n && flags === 0n || sizeBytes > MAX_WRITE_BYTES) return entries;
    at += sectorBytes;
    entries.push({ offset: Number(sector) * sectorBytes, sizeBytes, flags, at });
    if ((flags & DISCARD) === 0n) at += sizeBytes;
  }
}

/**
 * Does to `image`, the disk as it was before, what the machine did up to its last flush, and those of the later writes
 * that `survives` says: a disk writes its cache in whatever order it likes, and loses the rest with the power.
 */
export async function replay(logPath: string, image: string, survives: () => boolean): Promise<PowerCut> {
  using log = await Deno.open(logPath);
  using disk = await Deno.open(image, { write: true, read: true });
  const entries = await entriesOf(log);
  const last = entries.findLastIndex(({ flags }) => (flags & FLUSH) !== 0n);
  let flushed = 0, kept = 0, lost = 0;
  for (const [i, entry] of entries.entries()) {
    if (entry.sizeBytes === 0 || (entry.flags & DISCARD) !== 0n) continue;
    if (i > last && !survives()) {
      lost++;
      continue;
    }
    const bytes = await readAt(log, entry.at, entry.sizeBytes);
    if (bytes === undefined) break;
    await disk.seek(entry.offset, Deno.SeekMode.Start);
    for (let done = 0; done < bytes.length;) done += await disk.write(bytes.subarray(done));
    if (i > last) kept++;
    else flushed++;
  }
  return { flushed, flushes: entries.filter(({ flags }) => (flags & FLUSH) !== 0n).length, kept, lost };
}
