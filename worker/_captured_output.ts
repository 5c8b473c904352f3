/**
 * Standard output and error of an action, as blobs.
 *
 * @module
 */

import type { Digest, DigestFunction, UploadBlob } from "@brokkr/cas/client";
import { BrokkrError, Code } from "@brokkr/common";
import { Beneath } from "@brokkr/sandbox";
import { BlobHasher } from "./_blob_hasher.ts";
import { asRefusal } from "./_refusal.ts";
import type { RunOutcome } from "./runner.ts";

/** Name of the file that takes standard output, beside the input root. */
export const STDOUT_NAME = "stdout";
/** Name of the file that takes standard error. */
export const STDERR_NAME = "stderr";

/** What an action printed. Disposing of it ends the reading; blobs must have been uploaded by then. */
export interface CapturedOutput extends Disposable {
  /** Standard output; undefined when there was none. */
  readonly stdout: Digest | undefined;
  /** Standard error; undefined when there was none. */
  readonly stderr: Digest | undefined;
  /** Their contents. */
  readonly blobs: readonly UploadBlob[];
}

/**
 * Reads what an action printed. What was cut off is told in a last line.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION when the action put something else in the place of these files, or made them
 * unreadable: without a sandbox it can.
 */
export async function captureOutput(
  scratchPath: string,
  fn: DigestFunction,
  outcome: RunOutcome,
  limitBytes: number,
  signal?: AbortSignal,
): Promise<CapturedOutput> {
  const scratch = Beneath.open(scratchPath);
  try {
    const hasher = new BlobHasher(scratch, fn, signal);
    const read = async (name: string, what: string, droppedBytes: number): Promise<Digest | undefined> => {
      const stat = scratch.tryStat(name);
      if (stat?.type !== "file" || stat.sizeBytes === 0) return undefined;
      if (stat.sizeBytes > limitBytes) {
        throw new BrokkrError(
          Code.FAILED_PRECONDITION,
          `The file that takes ${what} was replaced: it has ${stat.sizeBytes} bytes, and at most ${limitBytes} are kept`,
        );
      }
      if (droppedBytes > 0) {
        const note =
          `\n[brokkr] ${droppedBytes} bytes of ${what} were dropped; at most ${limitBytes} are kept\n`;
        await Deno.writeTextFile(`${scratchPath}/${name}`, note, { append: true, create: false });
      }
      return (await hasher.file(name)).digest;
    };
    const stdout = await read(STDOUT_NAME, "standard output", outcome.stdoutDroppedBytes);
    const stderr = await read(STDERR_NAME, "standard error", outcome.stderrDroppedBytes);
    return { stdout, stderr, blobs: hasher.blobs, [Symbol.dispose]: () => scratch.close() };
  } catch (error) {
    scratch.close();
    throw asRefusal(error);
  }
}
