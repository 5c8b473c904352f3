/**
 * What of the host can be seen or changed from inside.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all, CLOSED } from "./_all.ts";

/** The attacks. */
export const HOST: readonly Probes[] = [
  {
    name: "host_files",
    why: "an action that reads /etc/shadow has everybody's passwords to try at leisure",
    probes: {
      ...all("/etc/gshadow /etc/sudoers /etc/machine-id /etc/ssh /boot /var/lib", "ENOENT"),
      ...all("/etc/shadow", ["ENOENT", "READ"]),
      ...all("/root /home /run", ["ENOENT", "EISDIR"]),
      // Its own.
      "/etc/hostname": "READ|ENOENT",
    },
  },
  {
    name: "passwd",
    why: "names of the host's users are half of a login",
    probes: { names: "root,brokkr,nobody" },
  },
  {
    name: "secrets",
    why:
      "files of the host that everybody may read, the worker's cache and the store of the CAS, by every path to them",
    probes: { ...all("0 1 2 3 4 5 7", ["ENOENT", "SECRET|READ|ENOENT|ENOTDIR"]), "6": "ENOTDIR|ENOENT" },
  },
  {
    name: "processes",
    why:
      "environment, memory, descriptors and directories of whoever runs on the host; CVE-2019-5736 overwrites its program",
    probes: {
      ...all("strangers opened secrets", "NONE"),
      ...all("init.environ init.maps init.exe init.root init.cwd init.fd", ["ENOENT", "OK"]),
      ...all("init.mem init.stack init.io init.exe.write init.mem.write", "ENOENT"),
      ...all("worker.environ worker.mem", "ENOENT"),
      "self.exe.write": ["EACCES", "ETXTBSY"],
    },
  },
  {
    name: "proc_files",
    why:
      "/proc/sys and its like set the whole machine: core_pattern and modprobe name programs that root runs",
    probes: {
      ...all(
        `/proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/kernel/modprobe /proc/sys/kernel/ns_last_pid
        /proc/sys/vm/overcommit_memory /proc/sys/vm/drop_caches /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/sysrq
        /proc/sys/fs/binfmt_misc/register /proc/sys/user/max_user_namespaces /proc/sysrq-trigger
        /proc/irq/default_smp_affinity /proc/self/oom_score_adj /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
        /proc/self/loginuid /proc/self/attr/current /proc/self/coredump_filter /proc/self/timerslack_ns
        /proc/self/clear_refs /proc/1/oom_score_adj /proc/1/clear_refs`,
        CLOSED,
      ),
      ...all("/proc/kcore /proc/kmsg /proc/kpagemap /proc/sched_debug", "ENOENT|EACCES|EPERM"),
      ...all("/proc/timer_list /proc/vmallocinfo /proc/slabinfo", "ENOENT|EACCES"),
      ...all("/proc/kallsyms /proc/keys /proc/self/pagemap /proc/iomem", "EMPTY|ENOENT|EACCES|EPERM"),
      ...all("/proc/acpi /proc/scsi", "EISDIR|ENOENT|EACCES"),
    },
  },
  {
    name: "lists",
    why: "what is there at all: a file more is a way more",
    probes: {
      "/": "bin,dev,etc,host,lib,lib64,proc,sbin,tmp,usr,work|bin,dev,etc,host,lib,proc,sbin,tmp,usr,work",
      "/host": "|EACCES",
      "/dev": "fd,full,null,random,shm,stderr,stdin,stdout,urandom,zero",
      ...all("/tmp /dev/shm", ""),
    },
  },
  {
    name: "devices",
    why: "the machine's memory and disks, as files",
    probes: {
      ...all(
        `/dev/mem /dev/kmsg /dev/port /dev/sda /dev/vda /dev/nvme0n1 /dev/loop-control /dev/fuse /dev/kvm /dev/net/tun
        /dev/ptmx /dev/cpu/0/msr /dev/vhost-vsock /dev/vsock /dev/hwrng /dev/snapshot /dev/mapper/control /dev/mqueue`,
        "ENOENT",
      ),
      ...all("mem disk disk.virtio fuse tmp.mem shm.mem whiteout", "EPERM"),
      ...all("dev dev.remove dev.chmod", "EROFS"),
    },
  },
  {
    name: "descriptors",
    why: "CVE-2024-21626: an open directory of the host, even as working directory, leads back to it",
    probes: all("open directories reached", "NONE"),
  },
  {
    name: "mount_table",
    why:
      "a mount that can be written to, that honours setuid, or that has devices; paths of the host in its options",
    probes: {
      writable: "/work /tmp /dev/shm ",
      suid: ["NONE", "/ *"],
      dev: ["/dev/null /dev/zero /dev/full /dev/random /dev/urandom ", "/ *"],
      paths: "NONE",
    },
  },
  {
    name: "read_only",
    why: "what all actions share must not be changed by any",
    probes: {
      ...all("/ /usr /usr/bin /etc /dev chmod chown rename unlink", "EROFS"),
      ...all("work.remove work.rename", "EROFS|EBUSY|EACCES"),
      ...all("/usr/bin/env passwd", "EROFS|EACCES"),
      "/proc": "ENOENT|EROFS|EACCES",
      link: "EXDEV|EPERM",
      map: "EACCES",
    },
  },
  {
    name: "environment",
    why: "what the worker was started with is often a password",
    probes: { names: "LANG,PATH,SOURCE_DATE_EPOCH,TZ", secret: "NONE" },
  },
];
