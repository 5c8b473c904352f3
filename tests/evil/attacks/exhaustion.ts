/**
 * Taking all there is.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Code, codeName } from "@brokkr/common";
import { LIMITS } from "../_arena.ts";
import type { Assault } from "../_attack.ts";

const FULL = codeName(Code.FAILED_PRECONDITION);
const EXHAUSTED = codeName(Code.RESOURCE_EXHAUSTED);

/** Memory that the limit of the group stops. */
function memory(attack: string, why: string): Assault {
  return {
    name: attack.replaceAll("_", " "),
    why,
    attacks: [attack],
    needs: "memory",
    ends: { status: "OK", exitCode: "137", outOfMemory: true, says: "Out of memory" },
  };
}

/** What the writable layer's limit stops: the action notices, and so does its client. */
function layer(attack: string, why: string, result: string, more: Partial<Assault> = {}): Assault {
  return {
    name: attack.replaceAll("_", " "),
    why,
    attacks: [attack],
    ends: { status: `OK|${FULL}|${EXHAUSTED}`, exitCode: "0" },
    probes: { [`${attack}.stopped_by`]: result },
    ...more,
  };
}

/** The attacks. */
export const EXHAUSTION: readonly Assault[] = [
  {
    name: "fork bomb",
    why: "a machine without processes left needs its switch",
    attacks: ["fork_bomb"],
    needs: "pids",
    ends: { status: "OK", exitCode: "0" },
    probes: { "fork_bomb.stopped_by": "EAGAIN" },
  },
  {
    name: "thread bomb",
    why: "threads count like processes",
    attacks: ["thread_bomb"],
    needs: "pids",
    ends: { status: "OK", exitCode: "0" },
    probes: { "thread_bomb.stopped_by": "EAGAIN" },
  },
  memory("memory_malloc", "100 GB are promised, and taken page by page"),
  memory("memory_processes", "many small processes instead of a large one"),
  {
    name: "memory memfd",
    why: "a file without a name and without a file system whose size is limited",
    attacks: ["memory_memfd"],
    needs: "memory",
    // With a layer on disk no file may be larger than that, and the attack ends before memory does.
    ends: { status: "OK", exitCode: "0|137" },
    probes: { "memory_memfd.attack": "SIGXFSZ|SIGKILL|ENOMEM|EFBIG" },
  },
  memory("memory_shared", "memory that belongs to no single process"),
  memory("memory_sysv", "memory that outlives all processes"),
  memory("memory_sockets", "the kernel's own memory, for what nobody reads"),
  memory("memory_tables", "a page table for each page: twice as much as it seems"),
  {
    name: "memory pipes",
    why: "the kernel's own memory, for what nobody reads",
    attacks: ["memory_pipes"],
    needs: "memory",
    // What a user may have in pipes is limited, too.
    ends: { status: "OK", exitCode: "0|137" },
  },
  layer("memory_tmpfs", "/tmp is memory", "ENOSPC"),
  layer("memory_shm", "/dev/shm is memory", "ENOSPC"),
  layer(
    "memory_attributes",
    "attributes of files are kept in memory, beside any size",
    "ENOSPC|EDQUOT|EOPNOTSUPP",
  ),
  layer("disk", "what is written to the input root", "ENOSPC"),
  layer("disk_unlinked", "a file that is gone still takes its place", "ENOSPC"),
  layer("inodes", "a disk can be full of nothing", "ENOSPC"),
  layer("inodes_tmp", "/tmp, too", "ENOSPC"),
  layer("links", "names take place, too", "ENOSPC|EMLINK"),
  {
    name: "disk on disk",
    why: "a writable layer on the host's disk, which has no limit of its own",
    attacks: ["disk"],
    properties: { "writable-layer": "disk", disk: "32MiB" },
    ends: { status: `OK|${FULL}|${EXHAUSTED}`, exitCode: "0|137|153" },
  },
  {
    name: "limits of a user",
    why: "descriptors, watches, timers, signals: counted for a user, whom no two actions share",
    attacks: ["limits"],
    ends: { status: "OK", exitCode: "0|137" },
    probes: {
      "limits.files": "EMFILE",
      "limits.inotify": "EMFILE",
      "limits.epoll": "EMFILE",
      "limits.sigqueue": "EAGAIN",
      "limits.timers": "EAGAIN",
      "limits.maps": "ENOMEM",
    },
  },
  {
    name: "descriptors in flight",
    why: "a descriptor in a message belongs to no process",
    attacks: ["descriptors_in_flight"],
    ends: { status: "OK", exitCode: "0|137" },
    probes: { "descriptors_in_flight.stopped_by": "ETOOMANYREFS|EMFILE|EAGAIN" },
  },
  {
    name: "2 GB of output",
    why: "what an action prints is kept by the worker",
    attacks: ["flood"],
    ends: { status: "OK" },
    check: ({ stdout, stderr }) => {
      // One line tells what was dropped.
      for (const kept of [stdout, stderr]) {
        assert(kept.length <= LIMITS.outputBytes + 200, `${kept.length} bytes`);
      }
    },
  },
  {
    name: "standard output's other end",
    why:
      "the file that takes it is the worker's: it can be opened again, made larger than any disk, closed to its owner",
    attacks: ["stdout_tricks"],
    ends: { status: `OK|${FULL}` },
    check: ({ results }) => {
      const told = new Map(results);
      for (const probe of ["fallocate.1", "fallocate.2", "ftruncate.1", "ftruncate.2"]) {
        const result = told.get(`stdout_tricks.${probe}`);
        if (result !== undefined) assertEquals(result === "OK", false, `${probe} gave ${result}`);
      }
    },
  },
];
