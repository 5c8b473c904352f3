/**
 * What an action prints, kept in memory.
 *
 * @module
 */

import { openPath, statx } from "./file_calls.ts";
import { close, fchmod, memfdCreate } from "./libc.ts";
import { MFD_CLOEXEC, O_APPEND, O_CLOEXEC, O_WRONLY } from "./linux.ts";

/** Everybody may write it: an action opens its /dev/stdout anew, as another user than who made it. */
const MODE = 0o666;
/** What is kept is the worker's alone. */
const KEPT_MODE = 0o600;

/**
 * A file in memory that takes the output of one action. Most print nothing, and making and removing a file on disk costs
 * more than all else that a short action needs there. What it holds is charged to who wrote it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryOutput } from "@brokkr/sandbox";
 * using output = new MemoryOutput("stdout");
 * await new Deno.Command("/bin/sh", { args: ["-c", `echo hello > /proc/${Deno.pid}/fd/${output.fd}`] }).output();
 * const path = await Deno.makeTempFile();
 * assertEquals(output.sizeBytes, 6);
 * await output.saveTo(path);
 * assertEquals(await Deno.readTextFile(path), "hello\n");
 * await Deno.remove(path);
 * ```
 */
export class MemoryOutput implements Disposable {
  /** Its descriptor: close-on-exec, open for appending. */
  readonly fd: number;
  #open = true;

  /** Makes an empty one; `name` is for people who look into /proc. */
  constructor(name: string) {
    const made = memfdCreate(name, MFD_CLOEXEC);
    try {
      fchmod(made, MODE);
      // Opened anew: what is cut off at the end must not leave a hole.
      this.fd = openPath(`/proc/self/fd/${made}`, O_WRONLY | O_APPEND | O_CLOEXEC);
    } finally {
      close(made);
    }
  }

  /** Bytes in it. */
  get sizeBytes(): number {
    return statx(this.fd, "").sizeBytes;
  }

  /** Copies it to a file, which is made or replaced; other threads do that. */
  async saveTo(path: string): Promise<void> {
    // Whoever wrote it may have closed it to its owner, and what is copied keeps the mode.
    fchmod(this.fd, KEPT_MODE);
    await Deno.copyFile(`/proc/self/fd/${this.fd}`, path);
  }

  /** Lets it go. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fd);
  }
}
