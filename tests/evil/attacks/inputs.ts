/**
 * Writing to inputs: what is allowed is done to the action's own copy.
 *
 * @module
 */

import type { Probes } from "../_attack.ts";
import { all } from "./_all.ts";

/** Inputs that are attacked, one for each way. */
export const INPUT_NAMES: readonly string[] =
  ("write append truncate chmod setuid fchmod path chown link rename away exchange unlink utimes futimes xattr flags map " +
    "splice sendfile").split(" ");

/** The attacks. */
export const INPUTS: readonly Probes[] = [
  {
    name: "inputs_plain",
    why: "an input that changes makes the next result wrong",
    probes: all("write read_write append truncate truncate.call", "EACCES"),
  },
  {
    name: "inputs_chmod",
    why:
      "the owner of a file may give himself the right to write it, and a descriptor opened before leads beneath the copy",
    probes: {
      ...all("chmod write setuid fchmod reopen chmod.fd reopen.again directory chown.own", "OK"),
      o_path: "EACCES",
      chown: "EINVAL|EPERM",
    },
  },
  {
    name: "inputs_names",
    why: "a hard link shares its inode with the worker's cache, unless a layer is between",
    probes: {
      ...all("link link.write rename.over rename.away exchange unlink symlink", "OK"),
      // overlayfs leaves it to the caller to copy a directory.
      directory: "EXDEV|OK",
    },
  },
  {
    name: "inputs_metadata",
    why: "times, attributes and flags belong to the inode, too",
    probes: {
      ...all("utimens futimens directory", "OK"),
      xattr: "EACCES|EOPNOTSUPP",
      immutable: "EPERM|ENOTTY",
    },
  },
  {
    name: "inputs_memory",
    why: "CVE-2016-5195 and CVE-2022-0847 wrote to the page cache of files that were only open for reading",
    probes: {
      ...all("map mprotect", "EACCES"),
      ...all(
        "self_mem self_mem.private fallocate sendfile copy_range clone",
        "EBADF|EACCES|EPERM|ENOTTY|EOPNOTSUPP",
      ),
      ...all("splice splice.write", "OK"),
    },
  },
];

/** What the next action must find: mode, time, owner and content. */
export const ORIGINALS: Probes = {
  name: "inputs_original",
  why: "the next action gets what its client named",
  probes: Object.fromEntries(INPUT_NAMES.map((name) => [name, `444 946684800 1000:1000 original ${name}`])),
};
