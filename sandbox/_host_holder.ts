/**
 * A process that holds a user namespace while others look at it.
 *
 * @module
 */

import { asBrokkrError } from "@brokkr/common";
import { attemptProgram, namespaceFlags, startImage, type Steps } from "./_host_probe.ts";

/** Makes the namespace, says so with one byte, and stays until its standard input ends. */
function hold({ builder }: Steps): void {
  builder.call("unshare", [namespaceFlags(["user"])]);
  builder.call("write", [1, builder.string("x"), 1]);
  builder.call("read", [0, builder.room(8, "byte"), 1]);
}

/** Holds a user namespace in which root is a given id of the host; only root can make one. */
export class NamespaceHolder implements AsyncDisposable {
  /** Why there is none; undefined when there is one. */
  readonly failure: string | undefined;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, failure: string | undefined) {
    this.#child = child;
    this.failure = failure;
  }

  /** Where the namespace is. */
  get path(): string {
    return `/proc/${this.#child.pid}/ns/user`;
  }

  /** Makes one in which root is `hostId`. */
  static async open(hostId: number): Promise<NamespaceHolder> {
    const child = startImage(attemptProgram(hold).image, "piped");
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    if (value?.length !== 1) return new NamespaceHolder(child, "no user namespace could be made");
    try {
      for (const map of ["uid_map", "gid_map"]) {
        Deno.writeTextFileSync(`/proc/${child.pid}/${map}`, `0 ${hostId} 1`);
      }
      return new NamespaceHolder(child, undefined);
    } catch (error) {
      return new NamespaceHolder(child, `Id ${hostId} could not be mapped: ${asBrokkrError(error).message}`);
    }
  }

  /** Ends the process, and the namespace with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Closing may say that the other end is gone already: that is what it is for.
    await this.#child.stdin.close().catch(() => {});
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}
