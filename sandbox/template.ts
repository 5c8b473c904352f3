/**
 * Templates: what the actions of a slot start from. See {@linkcode templateProgram}.
 *
 * @module
 */

import { BrokkrError, Code } from "@brokkr/common";
import { currentArch } from "./arch.ts";
import { openPath } from "./file_calls.ts";
import { close, ftruncate, memfdCreate } from "./libc.ts";
import { MFD_CLOEXEC, O_CLOEXEC, O_RDONLY } from "./linux.ts";
import { copyTree, restrictTree } from "./mount_calls.ts";
import { readResultPage, RESULT_BYTES } from "./result_page.ts";
import { stepOf } from "./runner_process.ts";
import { SANDBOX_ID } from "./sandbox_options.ts";
import { spawnImage } from "./_spawn.ts";
import { mountAttributes, templateProgram, type TemplateShape } from "./template_program.ts";
import { templateShape, type TemplateSources } from "./template_plan.ts";
import { endChild, makeUserNamespace, readByte } from "./user_namespace.ts";

/** The namespaces that actions of a slot start from. */
export interface Template extends Disposable {
  /** Descriptor of the user namespace. */
  readonly userFd: number;
  /** Descriptor of the mount namespace. */
  readonly mountsFd: number;
}

/** What a template is made of. */
export interface TemplateOptions extends TemplateSources {
  /** As root: the user and group id of the host's that its actions run as. */
  readonly hostId?: number;
}

/**
 * Makes one.
 *
 * @throws {BrokkrError} FAILED_PRECONDITION naming the step that this host refuses.
 */
export async function makeTemplate(options: TemplateOptions): Promise<Template> {
  const { hostId } = options;
  const root = hostId !== undefined;
  const fds: number[] = [];
  const own = (fd: number) => (fds.push(fd), fd);
  let userFd: number | undefined;
  try {
    userFd = await makeUserNamespace(
      { inside: SANDBOX_ID, outside: hostId ?? Deno.uid() ?? 0 },
      { inside: SANDBOX_ID, outside: hostId ?? Deno.gid() ?? 0 },
      root,
    );
    let shape = templateShape(options, root);
    if (root) shape = await copyTrees(shape, hostId, own);
    const mountsFd = await runProgram(shape, userFd, fds, own);
    const kept = [userFd, mountsFd];
    return { userFd, mountsFd, [Symbol.dispose]: () => kept.splice(0).forEach(close) };
  } catch (error) {
    if (userFd !== undefined) close(userFd);
    throw error;
  } finally {
    fds.forEach(close);
  }
}

/**
 * As root what is mounted is copied here: the program gives up root before it mounts. Directories of the worker's are
 * shown as belonging to the slot.
 */
async function copyTrees(
  shape: TemplateShape,
  hostId: number,
  own: (fd: number) => number,
): Promise<TemplateShape> {
  const mounts = [];
  const mappings = new Map<string, number>();
  for (const item of shape.mounts) {
    if (!("path" in item.source)) throw new BrokkrError(Code.INTERNAL, `${item.target} was copied already`);
    const { path } = item.source;
    let mapping: number | undefined;
    if (item.owned) {
      const { uid, gid } = Deno.statSync(path);
      const key = `${uid}:${gid}`;
      mapping = mappings.get(key);
      if (mapping === undefined) {
        const made = await makeUserNamespace(
          { inside: uid ?? 0, outside: hostId },
          { inside: gid ?? 0, outside: hostId },
          true,
        );
        mappings.set(key, mapping = own(made));
      }
    }
    const fd = own(copyTree(path));
    try {
      restrictTree(fd, mountAttributes(item), path, mapping);
    } catch (error) {
      if (mapping === undefined) throw error;
      throw new BrokkrError(
        Code.FAILED_PRECONDITION,
        `Owners of files below ${path} cannot be mapped: as root the sandbox needs Linux 5.19 and a file system that ` +
          "supports it (ext4, xfs, btrfs, from 6.3 tmpfs). Put the worker's data directory on one, or run the worker as an " +
          "ordinary user",
        { cause: error },
      );
    }
    mounts.push({ ...item, source: { fd } });
  }
  return { ...shape, mounts };
}

async function runProgram(
  shape: TemplateShape,
  userFd: number,
  fds: readonly number[],
  own: (fd: number) => number,
): Promise<number> {
  const resultFd = own(memfdCreate("brokkr-result", MFD_CLOEXEC));
  ftruncate(resultFd, RESULT_BYTES);
  const program = templateProgram(currentArch(), shape);
  const child = spawnImage(
    program.image({ result: resultFd, aroundLow: resultFd - 1, aroundHigh: resultFd + 1, user: userFd }),
    [...fds, userFd],
    { stdin: "piped", stdout: "piped", stderr: "null" },
  );
  try {
    if (await readByte(child)) return openPath(`/proc/${child.pid}/ns/mnt`, O_RDONLY | O_CLOEXEC);
  } finally {
    await endChild(child);
  }
  const step = stepOf(program, {}, readResultPage(resultFd).faults[0]);
  throw new BrokkrError(
    Code.FAILED_PRECONDITION,
    step === undefined
      ? "The root of sandboxes could not be prepared: its process ended early"
      : `The root of sandboxes could not be prepared: ${step.message}`,
  );
}
