/**
 * Putting contents into an encoded action result when a client asks for them, without encoding it anew: fields this
 * build does not know stay as they came.
 *
 * @module
 */

import { type ByteBudget, type Scope, Slices } from "@brokkr/common";
import { tagOf, WireReader, WireType, WireWriter } from "@brokkr/proto";
import type { BlobStore } from "../blob_store.ts";
import type { Digest, DigestFunction } from "../digest.ts";
import { readDigest } from "../tree/directory.ts";

/** What a client wants to see in the result itself. */
export interface InlineRequest {
  /** Standard output. */
  readonly stdout: boolean;
  /** Standard error. */
  readonly stderr: boolean;
  /** Paths of output files. */
  readonly files: readonly string[];
}

/** Whether anything is asked for. */
export function wantsInline(request: InlineRequest): boolean {
  return request.stdout || request.stderr || request.files.length > 0;
}

/** How much may be put into a result. */
export interface InlineLimits {
  /** Largest result with contents. */
  readonly limitBytes: number;
  /** Charged while contents are read; they are left out when it has no room. */
  readonly budget: ByteBudget | undefined;
}

/** Where something could be put in. */
interface Place {
  /** What belongs there. */
  readonly digest: Digest;
  /** An output file's field: its bytes, and its number and place in the result. Undefined for standard streams. */
  readonly file?: { readonly start: number; readonly end: number; readonly body: Uint8Array };
  /** Number of the bytes field that takes the contents. */
  readonly field: number;
}

const OUTPUT_FILE_TAG = tagOf(2, WireType.LENGTH);
const OUTPUT_FILE_CONTENTS = 5;
const STDOUT_RAW = 5;
const STDERR_RAW = 7;
/** Tags, lengths and a longer length of the output file around contents. */
const FRAME_BYTES = 16;

/**
 * `result` with the contents asked for, as far as they are in the store and within the limits.
 * Standard output and error go first.
 */
export async function inlineContents(
  store: BlobStore,
  scope: Scope,
  fn: DigestFunction,
  result: Uint8Array,
  request: InlineRequest,
  limits: InlineLimits,
): Promise<Uint8Array> {
  const { limitBytes, budget } = limits;
  let room = limitBytes - result.length;
  const chosen: Place[] = [];
  using leases = new DisposableStack();
  for (const place of await findPlaces(result, fn, request)) {
    const { sizeBytes } = place.digest;
    if (sizeBytes + FRAME_BYTES > room) continue;
    // Read, and copied into the result. Where memory is short, contents are left to the client's own reads.
    if (budget !== undefined && 2 * sizeBytes > budget.availableBytes) continue;
    const lease = budget?.tryAcquire(2 * sizeBytes);
    if (budget !== undefined && lease === undefined) continue;
    leases.use(lease);
    room -= sizeBytes + FRAME_BYTES;
    chosen.push(place);
  }
  if (chosen.length === 0) return result;
  const contents = await Promise.all(chosen.map((place) =>
    // Inlining is a convenience: a blob that cannot be read now is left to the client's own read, which tells why.
    store.get(scope, place.digest).catch(() => undefined)
  ));
  return splice(result, chosen, contents);
}

/** Places in the order of their importance. */
async function findPlaces(
  result: Uint8Array,
  fn: DigestFunction,
  request: InlineRequest,
): Promise<Place[]> {
  const wanted = new Set(request.files);
  const streams: Place[] = [];
  const files: Place[] = [];
  const present = new Set<number>();
  const reader = new WireReader(result, "build.bazel.remote.execution.v2.ActionResult");
  const slices = new Slices();
  while (!reader.done) {
    if (slices.spent) await slices.next();
    const start = reader.pos;
    const tag = reader.tag();
    const field = tag >>> 3;
    if (tag === OUTPUT_FILE_TAG && wanted.size > 0) {
      const body = reader.view();
      const digest = fileToInline(body, fn, wanted);
      if (digest !== undefined) {
        files.push({ digest, field: OUTPUT_FILE_CONTENTS, file: { start, end: reader.pos, body } });
      }
    } else if ((field === 6 && request.stdout) || (field === 8 && request.stderr)) {
      const outer = reader.enter();
      streams.push({ digest: readDigest(reader, fn), field: field === 6 ? STDOUT_RAW : STDERR_RAW });
      reader.leave(outer);
    } else {
      if (field === STDOUT_RAW || field === STDERR_RAW) present.add(field);
      reader.skip(tag);
    }
  }
  const all = [...streams.filter((place) => !present.has(place.field)), ...files];
  return all.filter((place) => place.digest.sizeBytes > 0);
}

/** The digest of an output file that is asked for and has no contents yet. */
function fileToInline(body: Uint8Array, fn: DigestFunction, wanted: ReadonlySet<string>): Digest | undefined {
  const reader = new WireReader(body, "build.bazel.remote.execution.v2.OutputFile");
  let path = "";
  let digest: Digest | undefined;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) path = reader.string();
    else if (tag === 0x12) {
      const outer = reader.enter();
      digest = readDigest(reader, fn);
      reader.leave(outer);
    } else if (tag >>> 3 === OUTPUT_FILE_CONTENTS) return undefined;
    else reader.skip(tag);
  }
  return wanted.has(path) ? digest : undefined;
}

function splice(
  result: Uint8Array,
  places: readonly Place[],
  contents: readonly (Uint8Array | undefined)[],
): Uint8Array {
  const total = contents.reduce((sum, each) => sum + (each?.length ?? 0) + FRAME_BYTES, result.length);
  const writer = new WireWriter(total);
  let copied = 0;
  places.forEach(({ file }, i) => {
    const data = contents[i];
    if (file === undefined || data === undefined) return;
    writer.raw(result.subarray(copied, file.start));
    const grown = new WireWriter(file.body.length + data.length + FRAME_BYTES);
    grown.raw(file.body);
    grown.bytesField(OUTPUT_FILE_CONTENTS, data);
    const body = grown.finish();
    writer.header(2, body.length);
    writer.raw(body);
    copied = file.end;
  });
  writer.raw(result.subarray(copied));
  // Of a scalar field the last occurrence counts, so that appending is enough.
  places.forEach(({ file, field }, i) => {
    const data = contents[i];
    if (file === undefined && data !== undefined) writer.bytesField(field, data);
  });
  return writer.finish();
}
