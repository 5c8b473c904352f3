/**
 * Ways out through sockets and shared objects.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all } from "./_all.ts";

/** The attacks. */
export const NETWORK: readonly Probes[] = [
  {
    name: "families",
    why:
      "every family is a piece of the kernel; vsock and unix know no network namespaces, alg has no end of holes",
    probes: {
      ...all("raw raw6 packet", ["EPERM", "OK"]),
      ping: "EPROTONOSUPPORT|EACCES|EPERM",
      ...all("packet.old netlink.audit netlink.kobject netlink.netfilter", ["EPROTONOSUPPORT", "OK"]),
      vsock: ["EAFNOSUPPORT", "OK"],
      ...all("alg key bluetooth can tipc xdp rds x25 ax25 pppox qrtr smc kcm nfc appletalk", "EAFNOSUPPORT"),
      // getaddrinfo and os.networkInterfaces ask by it which addresses there are: here, none.
      "netlink.route": "OK",
      unix: "OK",
    },
  },
  {
    name: "connections",
    why: "services of the host that trust whoever reaches them, the grid's own control plane among them",
    probes: {
      ...all("loopback any control", ["ENETUNREACH", "OK"]),
      "loopback.other": "ENETUNREACH",
      loopback6: "EADDRNOTAVAIL|ENETUNREACH|EAFNOSUPPORT",
      abstract: ["ECONNREFUSED", "OK"],
      path: ["ENOENT", "OK"],
    },
  },
  {
    name: "connections_world",
    why:
      "what was read can be sent, names in DNS are enough; 169.254.169.254 gives a machine's passwords away",
    probes: {
      ...all("metadata world dns dns.world broadcast multicast", "ENETUNREACH"),
      ...all("dbus docker log", "ENOENT"),
    },
  },
  {
    name: "interfaces",
    why: "a device that is down, and stays so",
    probes: { names: "lo", up: "ENOTTY|EPERM", "bind.22": "EACCES" },
  },
  {
    name: "shared_objects",
    why: "memory and queues with names outlive processes and cross between actions",
    probes: {
      shm: ["ENOENT", "OK"],
      ...all("sem msg", "ENOENT"),
      "shm.any": ["NONE", "SOME"],
      mqueue: "ENOENT|ENOSYS|EPERM",
    },
  },
];
