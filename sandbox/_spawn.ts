/**
 * Starting a program of system calls as a process of its own.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { check, libc } from "./_libc.ts";
import { close, memfdCreate, setCloseOnExec, writeAll } from "./libc.ts";
import { F_ADD_SEALS, F_SEAL_ALL, MFD_ALLOW_SEALING, MFD_CLOEXEC } from "./linux.ts";

/** An image in a memfd that nobody can change any more, not even who runs in it. */
export function sealedImage(image: Uint8Array<ArrayBuffer>): number {
  const fd = memfdCreate("brokkr", MFD_CLOEXEC | MFD_ALLOW_SEALING, true);
  try {
    writeAll(fd, image);
    check(libc().c.fcntl(fd, F_ADD_SEALS, BigInt(F_SEAL_ALL)), "fcntl");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Starts the image with descriptors it inherits under their numbers, which are closed in every other child.
 *
 * @throws {BrokkrError} UNAVAILABLE when no process could be made.
 */
export function spawnImage(
  image: Uint8Array<ArrayBuffer>,
  inherited: readonly number[],
  stdio: Pick<Deno.CommandOptions, "stdin" | "stdout" | "stderr">,
): Deno.ChildProcess {
  const imageFd = sealedImage(image);
  try {
    for (const fd of inherited) setCloseOnExec(fd, false);
    return new Deno.Command(`/proc/self/fd/${imageFd}`, { clearEnv: true, ...stdio }).spawn();
  } catch (error) {
    if (error instanceof BrokkrError) throw error;
    throw new BrokkrError(
      Code.UNAVAILABLE,
      `A program of system calls could not be started (${error instanceof Error ? error.message : error})`,
      { cause: error },
    );
  } finally {
    for (const fd of inherited) setCloseOnExec(fd, true);
    close(imageFd);
  }
}
