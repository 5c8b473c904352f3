/**
 * Making user namespaces. A process with threads cannot enter a new one, so each is made by a small process that ends
 * once a descriptor keeps what it made.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { openPath } from "./file_calls.ts";
import { close, writeAll } from "./libc.ts";
import { O_CLOEXEC, O_RDONLY, O_WRONLY } from "./linux.ts";
import { spawnImage } from "./_spawn.ts";
import { userNamespaceProgram } from "./template_program.ts";

/** One id inside and the id it is outside. */
export interface IdMap {
  /** As seen inside. */
  readonly inside: number;
  /** As seen from here. */
  readonly outside: number;
}

/** Writes all of a file of /proc in one call. */
function writeProc(path: string, text: string): void {
  const fd = openPath(path, O_WRONLY | O_CLOEXEC);
  try {
    writeAll(fd, new TextEncoder().encode(text));
  } finally {
    close(fd);
  }
}

/**
 * A new user namespace with one user and one group. As root it belongs to that user, too.
 *
 * @returns its descriptor, close-on-exec.
 * @throws {BrokkrError} FAILED_PRECONDITION when this host does not allow it, saying what does.
 */
export async function makeUserNamespace(uid: IdMap, gid: IdMap, privileged: boolean): Promise<number> {
  const image = userNamespaceProgram(currentArch(), privileged).image({
    result: -1,
    ...(privileged ? { owner: uid.outside } : {}),
  });
  const child = spawnImage(image, [], { stdin: "piped", stdout: "piped", stderr: "null" });
  try {
    if (!await readByte(child)) {
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        "This machine does not let this user make user namespaces: see user.max_user_namespaces, " +
          "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns in sysctl, or the seccomp " +
          "profile of the container this runs in",
      );
    }
    const proc = `/proc/${child.pid}`;
    if (!privileged) writeProc(`${proc}/setgroups`, "deny");
    writeProc(`${proc}/uid_map`, `${uid.inside} ${uid.outside} 1`);
    writeProc(`${proc}/gid_map`, `${gid.inside} ${gid.outside} 1`);
    return openPath(`${proc}/ns/user`, O_RDONLY | O_CLOEXEC);
  } finally {
    await endChild(child);
  }
}

/** Whether a child wrote something, and did not just end. */
export async function readByte(child: Deno.ChildProcess): Promise<boolean> {
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  reader.releaseLock();
  return !done;
}

/** Lets a child that waits for the end of its input go, and waits until it has. */
export async function endChild(child: Deno.ChildProcess): Promise<void> {
  await child.stdin.close().catch(() => undefined);
  await child.stdout.cancel().catch(() => undefined);
  await child.status;
}
