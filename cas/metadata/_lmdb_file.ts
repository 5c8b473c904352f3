/**
 * Looks at an LMDB data file before LMDB maps it: LMDB trusts what it maps, and a file that is something else, or lost
 * most of its pages, ends the process with a signal instead of an error.
 *
 * The layout is that of LMDB's data format 2 (liblmdb/mdb.c, MDB_page and MDB_meta): a page header of 24 bytes, then
 * magic, version, and further on page size, last page and transaction id.
 *
 * @module
 */

const MAGIC = 0xbeefc0de;
const META_BYTES = 160;
const AT_MAGIC = 24;
const AT_PAGE_SIZE = 48;
const AT_LAST_PAGE = 144;
const AT_TXN_ID = 152;

interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly txnId: number;
}

function readMeta(file: Deno.FsFile, offset: number): Meta | undefined {
  const bytes = new Uint8Array(META_BYTES);
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let done = 0; done < META_BYTES;) {
    const read = file.readSync(bytes.subarray(done));
    if (read === null) return undefined;
    done += read;
  }
  const view = new DataView(bytes.buffer);
  if (view.getUint32(AT_MAGIC, true) !== MAGIC) return undefined;
  return {
    pageSize: view.getUint32(AT_PAGE_SIZE, true),
    lastPage: Number(view.getBigUint64(AT_LAST_PAGE, true)),
    txnId: Number(view.getBigUint64(AT_TXN_ID, true)),
  };
}

/** What is wrong with the LMDB data file at `path`, or undefined when it is absent, empty or looks right. */
export function lmdbFileFault(path: string): string | undefined {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  using _file = file;
  const { size } = file.statSync();
  if (size === 0) return undefined;
  const first = readMeta(file, 0);
  if (first === undefined) return "its first page is not LMDB's";
  const { pageSize } = first;
  if (pageSize < 512 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
    return "its page size is damaged";
  }
  const second = readMeta(file, pageSize);
  if (second === undefined) return "its second page is not LMDB's";
  const newest = second.txnId > first.txnId ? second : first;
  // Pages at the end that a transaction took and gave back are not written, so some may be absent, never half of them.
  if (size < (newest.lastPage * pageSize) / 2) return `it was truncated to ${size} bytes`;
  return undefined;
}
