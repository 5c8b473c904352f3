/**
 * Becoming somebody else, and raising limits.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all } from "./_all.ts";

const NO_CAPABILITIES = "0000000000000000";

/** The attacks. */
export const IDENTITY: readonly Probes[] = [
  {
    name: "identity",
    why: "the same on every worker, and nobody",
    probes: {
      ...all("Uid Gid", ["1000 1000 1000 1000", "0 0 0 0"]),
      Groups: " | 1000 ",
      ...all("CapPrm CapEff CapBnd", [NO_CAPABILITIES, "0*"]),
      ...all("CapInh CapAmb", NO_CAPABILITIES),
      Seccomp: ["2", "0"],
      NoNewPrivs: ["1", "0"],
      hostname: "brokkr",
    },
  },
  {
    name: "privileges",
    why: "taking back what was given up",
    probes: {
      ...all("setuid.0 setgid.0 setresuid.0 setresgid.0 setuid.next setuid.nobody chown", "EINVAL|EPERM"),
      ...all(
        "setgroups capset ambient capbset securebits set_mm mce_kill sethostname setdomainname",
        "EPERM",
      ),
      "setfsuid.0": "REFUSED",
      "no_new_privs.unset": "EINVAL|EPERM",
    },
  },
  {
    name: "setuid_programs",
    why: "the old way to become root; a copy with the same bits, and with the capabilities of files",
    probes: {
      ...all("su sudo mount umount passwd newgrp chage unix_chkpwd", "REFUSED|ABSENT"),
      "copy.chown": "EINVAL|EPERM",
      "copy.chmod": "OK",
      "copy.capabilities": "EPERM",
    },
  },
  {
    name: "identity_after",
    why: "what a setuid copy finds itself to be",
    probes: { who: "SAME", CapEff: NO_CAPABILITIES },
  },
  {
    name: "raises",
    why: "limits that can be raised are none",
    probes: {
      ...all("nofile memlock", "LIMITED"),
      core: "NONE",
      ...all("nofile.raise core.raise rtprio.raise fifo rr ioprio", "EPERM"),
      nice: "EACCES|EPERM",
      deadline: "ENOSYS|EPERM",
      ...all("mlock mlockall", "ENOMEM|EPERM"),
    },
  },
  {
    name: "attributes",
    why:
      "overlayfs keeps its books in attributes: CVE-2023-0386 is one of many by which a layer became another",
    probes: {
      ...all("trusted.overlay.redirect trusted.overlay.opaque trusted.evil", "EPERM"),
      // From 6.7 on overlayfs gives them other names on the layer; before, it refuses them.
      ...all("user.overlay.redirect user.overlay.opaque user.overlay.metacopy", "OK|EPERM|EOPNOTSUPP"),
      "security.capability": "EINVAL|EPERM",
      // Where the kernel has BPF as security module, it forgets to ask; it is an attribute of the action's own file.
      "security.evil": "EPERM|OK",
    },
  },
];
