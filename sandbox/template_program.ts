/**
 * The programs that prepare what all actions of a slot share: a user namespace, and a mount namespace whose root holds
 * nothing but read-only views of what actions may see. They run once; an action starts from a copy.
 *
 * @module
 */

import type { Arch } from "./arch.ts";
import {
  cloneInto,
  detach,
  dieWithParent,
  enter,
  failure,
  makeDirectory,
  mapResult,
  mount,
} from "./_program_parts.ts";
import * as linux from "./linux.ts";
import { fieldOf, named, type Operand, param, type Program, ProgramBuilder } from "./program.ts";
import { RESULT } from "./result_page.ts";
import { SANDBOX_ID } from "./sandbox_options.ts";

/** Where a template keeps what its actions' set-up needs; gone before the action itself begins. */
export const HOST_PATH = "/host";

/** First of the numbers that copied trees get, above what a worker hands down. */
const TREE_FD = 200;

/** What is mounted into a template. */
export interface TemplateMount {
  /** A path of the host's, opened by the program, or a descriptor of a tree that was copied before. */
  readonly source: { readonly path: string } | { readonly fd: number };
  /** Where inside. */
  readonly target: string;
  /** Whether it is a file: then one is made to mount it on. */
  readonly file: boolean;
  /** Whether it may be written through; everything else is read-only. */
  readonly writable?: boolean;
  /** Whether it belongs to the worker, and is to be shown as belonging to the action. */
  readonly owned?: boolean;
  /** Whether devices work through it. */
  readonly device?: boolean;
}

/** What a template consists of. */
export interface TemplateShape {
  /** Whether the worker is root: other ids are taken, and groups dropped. */
  readonly root: boolean;
  /** Directories to make, parents first. */
  readonly directories: readonly { readonly path: string; readonly mode: number }[];
  /** Files to write. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** Symbolic links to make. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
  /** Mounts, in this order. */
  readonly mounts: readonly TemplateMount[];
  /** An existing directory of the host that the new root is first mounted on. */
  readonly base: string;
  /** What the user namespace may have at most, by the names below /proc/sys/user; as far as the host lets it be set. */
  readonly most: Readonly<Record<string, number>>;
}

/**
 * The program that makes a user namespace, tells so on descriptor 1, and waits until descriptor 0 ends.
 *
 * As root it becomes the user `$owner` first: what the kernel counts for each user (inotify instances, message queues,
 * signals) it counts for the owner of a namespace too, and actions must not use up what root has of it.
 */
export function userNamespaceProgram(arch: Arch, root: boolean): Program {
  const builder = new ProgramBuilder(arch);
  enter(builder, "outer");
  if (root) {
    // Where only the privileged may make user namespaces they still can; without CAP_SETPCAP, where everybody may.
    builder.call("prctl", [
      named(linux.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"),
      named(linux.SECBIT_NO_SETUID_FIXUP, "SECBIT_NO_SETUID_FIXUP"),
    ], { name: "prctl PR_SET_SECUREBITS", onError: "next" });
    const owner = param("owner");
    builder.call("setresgid", [owner, owner, owner]);
    builder.call("setresuid", [owner, owner, owner]);
  }
  dieWithParent(builder);
  builder.call("unshare", [named(linux.CLONE_NEWUSER, "CLONE_NEWUSER")], { name: "unshare CLONE_NEWUSER" });
  tellAndWait(builder);
  failure(builder, "outer");
  return builder.build();
}

function tellAndWait(builder: ProgramBuilder): void {
  const byte = builder.bytes(new Uint8Array(8), "byte");
  builder.call("write", [1, byte, 1], { name: "write ready" });
  builder.call("read", [0, byte, 1], { name: "read end" });
  builder.call("exit_group", [0]);
}

/**
 * The program that makes a template. Parameters: `result`, `user` (descriptors), `aroundLow`, `aroundHigh` (the
 * numbers beside `result`).
 */
export function templateProgram(arch: Arch, shape: TemplateShape): Program {
  const builder = new ProgramBuilder(arch);
  enter(builder, "outer");
  dieWithParent(builder);
  builder.call("umask", [0]);
  mapResult(builder);
  joinUser(builder, shape.root, param("user"));
  const flags = named(linux.CLONE_NEWNS + linux.CLONE_NEWPID, "CLONE_NEWNS|CLONE_NEWPID");
  builder.call("unshare", [flags], { name: `unshare ${flags.text}` });
  mount(builder, { target: builder.string("/") }, ["MS_REC", "MS_PRIVATE"], "mount / private");
  cloneInto(builder, "init", RESULT.initPid);
  builder.call("wait4", [-1, 0, 0, 0], { name: "wait4 init", store: RESULT.initReaped });
  builder.call("exit_group", [0]);
  failure(builder, "outer");
  buildRoot(builder, shape);
  return builder.build();
}

/** Enters the slot's user namespace as the one user it knows. */
export function joinUser(builder: ProgramBuilder, root: boolean, user: Operand): void {
  if (root) builder.call("setgroups", [0, 0]);
  builder.call("setns", [user, named(linux.CLONE_NEWUSER, "CLONE_NEWUSER")], { name: "setns user" });
  if (root) {
    // Capabilities stay: they go with uid 0, which this user namespace does not have.
    builder.call("setresgid", [SANDBOX_ID, SANDBOX_ID, SANDBOX_ID]);
    builder.call("setresuid", [SANDBOX_ID, SANDBOX_ID, SANDBOX_ID]);
  }
  // A change of user clears it.
  dieWithParent(builder);
}

function buildRoot(builder: ProgramBuilder, shape: TemplateShape): void {
  enter(builder, "init");
  builder.label("init");
  dieWithParent(builder);
  for (const [name, value] of Object.entries(shape.most)) setMost(builder, name, value);
  // Before anything is mounted: what the new root is put on may hide them.
  shape.mounts.forEach((item, index) => copyTree(builder, item, index));
  mount(
    builder,
    {
      type: "tmpfs",
      target: builder.string(shape.base),
      data: builder.string("mode=755,size=1m,nr_inodes=1k"),
    },
    ["MS_NOSUID", "MS_NODEV"],
    `mount tmpfs on ${shape.base}`,
  );
  builder.call("chdir", [builder.string(shape.base)], { name: `chdir ${shape.base}` });
  makeDirectory(builder, relative(HOST_PATH), 0o700);
  mount(
    builder,
    { type: "tmpfs", target: builder.string(relative(HOST_PATH)), data: builder.string("mode=700,size=64k") },
    ["MS_NOSUID", "MS_NODEV"],
    `mount tmpfs on ${HOST_PATH}`,
  );
  for (const { path, mode } of shape.directories) makeDirectory(builder, relative(path), mode);
  for (const { path, target } of shape.links) {
    builder.call("symlinkat", [
      builder.string(target),
      named(linux.AT_FDCWD, "AT_FDCWD"),
      builder.string(relative(path)),
    ], { name: `symlink ${path} to ${target}` });
  }
  shape.files.forEach(({ path, content }, index) => writeFile(builder, path, content, `file_${index}`));
  shape.mounts.forEach((item, index) => attachTree(builder, item, index));
  mount(
    builder,
    { type: "proc", target: builder.string("proc") },
    ["MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"],
    "mount /proc",
  );
  const here = builder.string(".");
  builder.call("pivot_root", [here, here]);
  detach(builder, ".");
  builder.call("chdir", [builder.string("/")], { name: "chdir /" });
  // Files that were written are open for it still, and would keep their file system writable.
  builder.call("close_range", [3, param("aroundLow"), 0], { onError: "next" });
  builder.call("close_range", [param("aroundHigh"), named(0xffffffff, "~0"), 0]);
  mount(
    builder,
    { target: builder.string("/") },
    ["MS_REMOUNT", "MS_BIND", "MS_RDONLY", "MS_NOSUID", "MS_NODEV"],
    "remount / read-only",
  );
  tellAndWait(builder);
  failure(builder, "init");
}

function setMost(builder: ProgramBuilder, name: string, value: number): void {
  const path = `/proc/sys/user/${name}`;
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(path),
    named(linux.O_WRONLY | linux.O_CLOEXEC, "O_WRONLY|O_CLOEXEC"),
  ], { name: `open ${path}`, store: fieldOf(`set_${name}`, 0), onError: `after_${name}` });
  builder.label(`set_${name}`);
  const text = `${value}`;
  builder.call("write", [0, builder.string(text), text.length], { name: `write ${path}`, onError: "next" });
  builder.label(`after_${name}`);
}

function relative(path: string): string {
  return path.replace(/^\/+/, "");
}

/** A copy of the source that is mounted nowhere yet, with its rights taken away. */
function copyTree(builder: ProgramBuilder, item: TemplateMount, index: number): void {
  if (!("path" in item.source)) return;
  builder.call("open_tree", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(item.source.path),
    named(
      linux.OPEN_TREE_CLONE | linux.AT_RECURSIVE | linux.O_CLOEXEC,
      "OPEN_TREE_CLONE|AT_RECURSIVE|OPEN_TREE_CLOEXEC",
    ),
  ], { name: `open_tree ${item.source.path}`, store: fieldOf(`tree_${index}`, 0) });
  builder.label(`tree_${index}`);
  // To a number that is known: the tree is named twice below.
  builder.call("dup3", [0, TREE_FD + index, named(linux.O_CLOEXEC, "O_CLOEXEC")], { name: "dup3 tree" });
  builder.call("mount_setattr", [
    TREE_FD + index,
    builder.string(""),
    named(linux.AT_EMPTY_PATH | linux.AT_RECURSIVE, "AT_EMPTY_PATH|AT_RECURSIVE"),
    builder.words([mountAttributes(item), 0, 0, 0], attributesText(item)),
    32,
  ], { name: `mount_setattr ${item.source.path}` });
}

/** The rights that are taken from a mount, as mount_setattr(2) has them. */
export function mountAttributes({ writable = false, device = false }: TemplateMount): number {
  return linux.MOUNT_ATTR_NOSUID | (writable ? 0 : linux.MOUNT_ATTR_RDONLY) |
    (device ? linux.MOUNT_ATTR_NOEXEC : linux.MOUNT_ATTR_NODEV);
}

function attributesText({ writable = false, device = false }: TemplateMount): string {
  return `{set: nosuid${writable ? "" : "|rdonly"}${device ? "|noexec" : "|nodev"}}`;
}

function attachTree(builder: ProgramBuilder, item: TemplateMount, index: number): void {
  const { source, target, file } = item;
  if (file) {
    builder.call("openat", [
      named(linux.AT_FDCWD, "AT_FDCWD"),
      builder.string(relative(target)),
      named(linux.O_WRONLY | linux.O_CREAT | linux.O_CLOEXEC, "O_WRONLY|O_CREAT|O_CLOEXEC"),
      named(0o444, "0444"),
    ], { name: `create ${target}` });
  }
  builder.call("move_mount", [
    "path" in source ? TREE_FD + index : source.fd,
    builder.string(""),
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(relative(target)),
    named(linux.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"),
  ], { name: `move_mount ${target}` });
}

function writeFile(builder: ProgramBuilder, path: string, content: string, label: string): void {
  builder.call("openat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    builder.string(relative(path)),
    named(linux.O_WRONLY | linux.O_CREAT | linux.O_CLOEXEC, "O_WRONLY|O_CREAT|O_CLOEXEC"),
    named(0o444, "0444"),
  ], { name: `create ${path}`, store: fieldOf(label, 0) });
  builder.label(label);
  builder.call("write", [0, builder.string(content), new TextEncoder().encode(content).length], {
    name: `write ${path}`,
  });
}
