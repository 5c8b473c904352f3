/**
 * Uploading blobs: small ones in batches, large ones as streams, or by their chunks where the server takes them.
 *
 * @module
 */

import { type OnSent, sendAll, sendStream } from "./_upload.ts";
import type { ClientContext, TransferOptions, UploadBlob } from "./types.ts";

/**
 * Sends every blob of `blobs`, which are distinct, whether the store has it or not. Gives how many of their bytes did not
 * have to be sent, as the store had them in other blobs.
 */
export async function sendBlobs(
  context: ClientContext,
  blobs: readonly UploadBlob[],
  options: TransferOptions,
): Promise<number> {
  return await sendAll(context, blobs, options, sendLarge);
}

async function sendLarge(
  context: ClientContext,
  blob: UploadBlob,
  options: TransferOptions,
  progress: OnSent,
): Promise<number> {
  const { digest } = blob;
  const { chunking } = context;
  const params = await chunking?.forUpload(digest.fn, digest.sizeBytes);
  if (chunking === undefined || params === undefined) {
    return await sendStream(context, blob, options, progress);
  }
  // Most commands send nothing large, and start sooner without it.
  const { sendChunked } = await import("./_chunked_upload.ts");
  let reportedBytes = 0;
  let reportedShared = 0;
  const upload = await sendChunked(context, chunking, params, blob, options, (bytes, sharedBytes) => {
    // A second pass begins anew; what was told stays told.
    if (bytes <= reportedBytes) return;
    progress(0, bytes - reportedBytes, sharedBytes - reportedShared);
    reportedBytes = bytes;
    reportedShared = sharedBytes;
  });
  if (upload.kind === "sent") {
    progress(1, digest.sizeBytes - reportedBytes, upload.sharedBytes - reportedShared);
    return upload.sharedBytes;
  }
  let sentBytes = 0;
  await sendStream(context, blob, options, (blobs, bytes) => {
    sentBytes += bytes;
    const more = Math.max(0, sentBytes - reportedBytes);
    reportedBytes += more;
    if (blobs > 0 || more > 0) progress(blobs, more, -reportedShared);
    reportedShared = 0;
  });
  if (upload.refused) await chunking.refuseSplice();
  return 0;
}
