/**
 * Checks of namespaces and of what can be mounted in them.
 *
 * @module
 */

import { failureText, fromAttempt, sysctl } from "./_host_kernel.ts";
import { NamespaceHolder } from "./_host_holder.ts";
import { attempt, type Failure, type Namespace, type Steps } from "./_host_probe.ts";
import type { Finding } from "./host_finding.ts";
import * as linux from "./linux.ts";
import { fieldOf, named, type Operand } from "./program.ts";

/** A place that every host has, to mount on in a mount namespace of one's own. */
const SPOT = "/tmp";

function userRemedy(failure: Failure, root: boolean): string {
  if (sysctl("user.max_user_namespaces") === "0") return "sysctl -w user.max_user_namespaces=15000";
  if (!root && sysctl("kernel.unprivileged_userns_clone") === "0") {
    return "sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (!root && sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    return 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with "userns," for deno';
  }
  if (failure.reason === "ENOSPC") return "sysctl -w user.max_user_namespaces=15000";
  if (failure.reason === "EINVAL" || failure.reason === "ENOSYS") {
    return "use a kernel with CONFIG_USER_NS=y";
  }
  if (root && failure.reason === "EPERM" && failure.step.includes("uid_map")) {
    // user_namespaces(7): since Linux 5.12 mapping id 0 takes that.
    return "start the worker as an ordinary user, or with CAP_SETFCAP (docker run --cap-add SETFCAP)";
  }
  return "in a container: docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined " +
    "--security-opt systempaths=unconfined; in a chroot: start the worker outside of it";
}

/** User namespaces, and that one may do something in them. */
export async function checkUserNamespaces(root: boolean, hostId?: number): Promise<Finding> {
  const failure = await attempt((steps) => {
    steps.enterUser(["mount"]);
    steps.mount("tmpfs", steps.builder.string(SPOT), "size=4096");
  }, hostId);
  const most = sysctl("user.max_user_namespaces");
  return fromAttempt(
    { id: "user-namespaces", requirement: "User namespaces", kernel: "3.8" },
    failure,
    most === undefined ? "usable" : `usable, at most ${most}`,
    {
      meaning: "Everything that isolates an action begins with a user namespace",
      remedy: failure === undefined ? "" : userRemedy(failure, root),
    },
  );
}

interface Kind {
  readonly name: Exclude<Namespace, "user">;
  readonly kernel: string;
  readonly config: string;
  readonly meaning: string;
}

const KINDS: readonly Kind[] = [
  { name: "mount", kernel: "2.4", config: "NAMESPACES", meaning: "Actions would see the host's files" },
  { name: "pid", kernel: "2.6", config: "PID_NS", meaning: "Actions would see the host's processes" },
  { name: "network", kernel: "2.6", config: "NET_NS", meaning: "Actions would reach the network" },
  {
    name: "ipc",
    kernel: "2.6",
    config: "IPC_NS",
    meaning: "Actions would share memory and queues with the host",
  },
  { name: "uts", kernel: "2.6", config: "UTS_NS", meaning: "Actions would see the host's name" },
  {
    name: "cgroup",
    kernel: "4.6",
    config: "CGROUPS",
    meaning: "Actions would see the host's control groups",
  },
];
const SYSCTL_NAMES: Readonly<Partial<Record<Namespace, string>>> = { mount: "mnt", network: "net" };

/** Each other kind of namespace. */
export async function checkNamespaces(hostId?: number): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { name, kernel, config, meaning } of KINDS) {
    const limit = `user.max_${SYSCTL_NAMES[name] ?? name}_namespaces`;
    const failure = await attempt((steps) => {
      steps.enterUser([name]);
      steps.inChild();
    }, hostId);
    findings.push(fromAttempt(
      { id: `${name}-namespaces`, requirement: `Namespaces: ${name}`, kernel },
      failure,
      sysctl(limit) === undefined ? "usable" : `usable, at most ${sysctl(limit)}`,
      {
        meaning,
        remedy: sysctl(limit) === "0" || failure?.reason === "ENOSPC"
          ? `sysctl -w ${limit}=15000`
          : `use a kernel with CONFIG_${config}=y, or lift the filter around this process`,
      },
    ));
  }
  return findings;
}

/** A process file system of one's own, in which other users' processes are hidden. */
export async function checkProc(hostId?: number): Promise<readonly Finding[]> {
  const tryIt = (options: string) =>
    attempt((steps) => {
      steps.enterUser(["mount", "pid"]);
      steps.inChild();
      steps.mount("proc", steps.builder.string("/proc"), options, 0, "mount of /proc");
    }, hostId);
  const failure = await tryIt("");
  const proc = fromAttempt(
    { id: "proc", requirement: "/proc of its own", kernel: "3.8" },
    failure,
    "can be mounted in a PID namespace",
    {
      meaning:
        "Most programs need /proc, and the host's would show the host. The kernel refuses a new one where parts " +
        "of the host's are hidden, as containers do",
      remedy:
        "docker run --security-opt systempaths=unconfined, or podman run --security-opt unmask=ALL; in a systemd unit: no " +
        "ProtectKernelTunables, ProtectKernelLogs or ProcSubset",
    },
  );
  if (failure !== undefined) return [proc];
  return [
    proc,
    fromAttempt(
      { id: "hidepid", requirement: "/proc hides others", kernel: "5.8" },
      await tryIt("hidepid=2"),
      "hidepid=2",
      {
        meaning: "An action could see that it has a PID 1 and read what /proc says of it",
        remedy: "install a newer kernel",
      },
    ),
  ];
}

function overlayOn(steps: Steps, base: string, options: string, flags = 0): void {
  const path = (name: string) => steps.builder.string(`${base}/${name}`);
  steps.mount(
    "overlay",
    path("merged"),
    `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work,userxattr${options}`,
    flags,
  );
}

/** Replaces a directory of the lower layer: this is what needs extended attributes. */
function replaceLower(steps: Steps, base: string): void {
  const { builder } = steps;
  const path = builder.string(`${base}/merged/d`);
  const name = "replacing a directory of the lower layer";
  builder.call("unlinkat", [
    named(linux.AT_FDCWD, "AT_FDCWD"),
    path,
    named(linux.AT_REMOVEDIR, "AT_REMOVEDIR"),
  ], {
    name,
  });
  builder.call("mkdirat", [named(linux.AT_FDCWD, "AT_FDCWD"), path, 0o755], { name });
}

const MOUNT_ATTR_BYTES = 32;

const LAYERS = ["lower", "lower/d", "upper", "work", "merged"] as const;

function tmpfsLayers(steps: Steps): void {
  steps.enterUser(["mount"]);
  steps.mount("tmpfs", steps.builder.string(SPOT), "size=1m");
  for (const name of LAYERS) steps.mkdir(steps.builder.string(`${SPOT}/${name}`));
}

/** Layers over inputs: in memory, and what that kind of file system can. */
export async function checkOverlay(hostId?: number): Promise<readonly Finding[]> {
  const failure = await attempt((steps) => {
    tmpfsLayers(steps);
    overlayOn(steps, SPOT, "");
  }, hostId);
  const overlay = fromAttempt(
    { id: "overlayfs", requirement: "Layers over inputs", kernel: "5.11" },
    failure,
    "overlayfs in a user namespace",
    {
      meaning:
        "Actions write into a layer over their inputs, which they cannot change; without it none can run",
      remedy: failure?.reason === "ENODEV"
        ? 'modprobe overlay (and a line with "overlay" in /etc/modules-load.d/brokkr.conf)'
        : "install a newer kernel",
    },
  );
  if (failure !== undefined) return [overlay];
  const memory = await attempt((steps) => {
    tmpfsLayers(steps);
    overlayOn(steps, SPOT, "");
    replaceLower(steps, SPOT);
  }, hostId);
  return [
    overlay,
    fromAttempt(
      { id: "memory-layer", requirement: "Layers in memory", kernel: "6.6" },
      memory,
      "tmpfs with extended attributes",
      {
        level: "WARN",
        meaning:
          "In a layer in memory an action cannot replace a directory that is among its inputs (the error is EIO)",
        remedy: "give such actions the property writable-layer=disk, or install a newer kernel",
      },
    ),
  ];
}

/** Changing the attributes of whole trees of mounts. */
export async function checkMountAttributes(hostId?: number): Promise<Finding> {
  const failure = await attempt((steps) => {
    steps.enterUser(["mount"]);
    const { builder } = steps;
    const attributes = builder.bytes(
      mountAttributes(linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID),
      "ro,nosuid",
    );
    steps.mount("tmpfs", builder.string(SPOT), "size=4096");
    builder.call("mount_setattr", [
      named(linux.AT_FDCWD, "AT_FDCWD"),
      builder.string(SPOT),
      named(linux.AT_RECURSIVE, "AT_RECURSIVE"),
      attributes,
      MOUNT_ATTR_BYTES,
    ]);
  }, hostId);
  return fromAttempt(
    { id: "mount-attributes", requirement: "Mount attributes", kernel: "5.12" },
    failure,
    "mount_setattr",
    {
      meaning:
        "The host's files that actions see could not be made read-only with all that is mounted below them",
      remedy:
        "install a newer kernel, or lift the filter around this process (in a container: its seccomp profile)",
    },
  );
}

/** struct mount_attr. */
function mountAttributes(set: number, userFd = 0): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(set), 0n, 0n, BigInt(userFd)]).buffer);
}

/** Makes the directories of an overlay below `base`, which exists; as root for the user `hostId`. */
export function makeLayers(base: string, hostId?: number): void {
  const paths = ["", ...LAYERS].map((name) => `${base}/${name}`);
  for (const path of paths.slice(1)) Deno.mkdirSync(path);
  if (hostId !== undefined) { for (const path of paths) Deno.chownSync(path, hostId, hostId); }
}

/** A writable layer in `base`, a directory made by {@linkcode makeLayers}. */
export function tryDiskLayer(base: string, hostId?: number): Promise<Failure | undefined> {
  return attempt((steps) => {
    const { builder } = steps;
    if (hostId === undefined) {
      steps.enterUser(["mount"]);
      overlayOn(steps, base, "");
      return replaceLower(steps, base);
    }
    // The slot's user need not be able to get there by name.
    copyTree(steps, base);
    steps.enterUser(["mount"]);
    attachTree(steps, builder.string(SPOT));
    overlayOn(steps, SPOT, "");
    replaceLower(steps, SPOT);
  }, hostId);
}

const TREE_FD = 200;
const USER_FD = 201;

/**
 * As root: shows `base`/lower with another owner, beneath an overlay, as the inputs of slots are.
 *
 * @returns why that does not work, or undefined.
 */
export async function tryIdmapped(base: string, hostId: number): Promise<string | undefined> {
  await using holder = await NamespaceHolder.open(hostId);
  if (holder.failure !== undefined) return holder.failure;
  const failure = await attempt((steps) => idmapped(steps, `${base}/lower`, holder.path), hostId);
  return failure === undefined ? undefined : failureText(failure);
}

/** A copy of a mount, not mounted anywhere, as {@linkcode TREE_FD}. */
function copyTree({ builder }: Steps, source: string): void {
  const flags = linux.OPEN_TREE_CLONE | linux.O_CLOEXEC;
  builder.call("open_tree", [named(linux.AT_FDCWD, "AT_FDCWD"), builder.string(source), flags], {
    store: fieldOf("keep_tree", 0),
  });
  builder.label("keep_tree");
  builder.call("dup3", [0, TREE_FD, linux.O_CLOEXEC]);
}

function attachTree({ builder }: Steps, target: Operand): void {
  builder.call("move_mount", [
    TREE_FD,
    builder.string(""),
    named(linux.AT_FDCWD, "AT_FDCWD"),
    target,
    named(linux.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"),
  ]);
}

function idmapped(steps: Steps, source: string, userPath: string): void {
  const { builder } = steps;
  steps.open(builder.string(userPath), linux.O_RDONLY, "keep_user", 0, "open of a user namespace");
  builder.label("keep_user");
  builder.call("dup3", [0, USER_FD, linux.O_CLOEXEC]);
  copyTree(steps, source);
  builder.call("mount_setattr", [
    TREE_FD,
    builder.string(""),
    named(linux.AT_EMPTY_PATH, "AT_EMPTY_PATH"),
    builder.bytes(mountAttributes(linux.MOUNT_ATTR_IDMAP | linux.MOUNT_ATTR_RDONLY, USER_FD), "idmap"),
    MOUNT_ATTR_BYTES,
  ], { name: "mount_setattr with other owners" });
  tmpfsLayers(steps);
  attachTree(steps, builder.string(`${SPOT}/lower`));
  overlayOn(steps, SPOT, "");
}
