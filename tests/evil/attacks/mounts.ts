/**
 * Namespaces, mounts and control groups.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all } from "./_all.ts";

/** The attacks. */
export const MOUNTS: readonly Probes[] = [
  {
    name: "mounts_new",
    why: "a file system of one's own brings devices, setuid programs, and the kernel's parsers",
    probes: {
      ...all("tmpfs proc sysfs cgroup2 devpts overlay bind bind.rec chroot", ["EPERM", "OK|EBUSY"]),
      fuse: ["EPERM", "EINVAL|ENODEV|EBUSY"],
    },
  },
  {
    name: "mounts_existing",
    why: "what was mounted read-only, or over something, can be mounted otherwise or taken away",
    probes: all(
      "remount.root remount.usr remount.proc move share umount.proc umount.usr umount.root pivot_root",
      "EPERM",
    ),
  },
  {
    name: "new_mounts",
    why: "CVE-2022-0185: a parameter of 4095 bytes for fsconfig overflowed a buffer of the kernel",
    probes: {
      ...all("fsopen.tmpfs fsopen.cgroup2 fsconfig.create fsmount fspick open_tree open_tree.path", [
        "EPERM",
        "OK",
      ]),
      fsconfig: ["EPERM", "EINVAL"],
      ...all("move_mount mount_setattr", ["EPERM", "ENOENT"]),
    },
  },
  {
    name: "unshare",
    why:
      "in a user namespace of its own a process has every capability, and the kernel shows it all its holes",
    probes: all("user mnt pid net ipc uts cgroup time user+mnt", ["EPERM", "OK"]),
  },
  {
    name: "clone",
    why: "the same by another call",
    probes: { ...all("user mnt pid net ipc uts cgroup user+mnt user.high", ["EPERM", "OK"]), plain: "OK" },
  },
  {
    name: "clone3",
    why: "its flags are in memory, where no filter can look: it must not be there at all",
    probes: {
      ...all("user mnt pid net ipc uts cgroup time user+mnt", ["ENOSYS", "OK"]),
      into_cgroup: ["ENOSYS", "EBADF|EINVAL"],
    },
  },
  {
    name: "setns",
    why: "entering namespaces of others, first of all those that PID 1 came from",
    probes: {
      ...all("mnt pid net ipc uts cgroup pidfd", ["EPERM", "OK"]),
      user: ["EPERM", "EINVAL"],
      ...all("init.user init.mnt init.pid init.net init.ipc init.uts init.cgroup", ["ENOENT|EACCES", "OK"]),
    },
  },
  {
    name: "release_agent",
    why: "CVE-2022-0492: who mounts a v1 hierarchy names a program that the host's root runs",
    probes: {
      unshare: ["EPERM", "OK"],
      ...all("mount.memory mount.rdma mount.pids mount.cpu mount.devices mount.misc", "EPERM"),
      write: "ENOENT",
    },
  },
  {
    name: "cgroups",
    why: "leaving one's control group is leaving one's limits",
    probes: {
      ...all(
        `/sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/memory/tasks
        /sys/fs/cgroup/unified/cgroup.procs /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cgroup.kill`,
        "ENOENT",
      ),
      ...all("/sys /sys/kernel", ["ENOENT", "OK"]),
      own: "NONE",
    },
  },
];
