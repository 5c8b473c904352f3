/**
 * What is planted as an output.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Code, codeName } from "@brokkr/common";
import type { Assault } from "../_attack.ts";

const REFUSED = codeName(Code.FAILED_PRECONDITION);

/** An attack that leaves outputs. */
function planted(
  attack: string,
  why: string,
  outputPaths: readonly string[],
  ends: Assault["ends"],
  more: Partial<Assault> = {},
): Assault {
  return {
    name: attack.replaceAll("_", " "),
    why,
    attacks: [attack],
    ends,
    ...more,
    command: { outputPaths: [...outputPaths], ...more.command },
  };
}

/** The attacks. */
export const OUTPUTS: readonly Assault[] = [
  planted(
    "output_symlinks",
    "a collector that follows them uploads the host's files",
    ["shadow", "secret", "up", "proc", "fd", "loop"],
    { status: "OK", exitCode: "0" },
    {
      check: ({ outputs }) => {
        assertEquals(outputs.length, 6, outputs.join("\n"));
        for (const output of outputs) assert(output.includes("->"), `${output} is no link`);
      },
    },
  ),
  planted(
    "output_swapped",
    "the directory of an output becomes a link when nobody looks any more",
    ["swapped/passwd"],
    { status: REFUSED, says: "symbolic link" },
  ),
  {
    name: "output symlink as file",
    why: "declared as files they are more likely to be read",
    attacks: ["output_symlinks"],
    command: { outputFiles: ["shadow", "proc", "secret"] },
    ends: { status: `OK|${REFUSED}`, exitCode: "0" },
    outputs: [],
  },
  planted(
    "output_hard_links",
    "a hard link of a file that may not be read",
    ["hard", "hard_input"],
    { status: "OK", exitCode: "0" },
    {
      probes: { "output_hard_links.passwd": "EXDEV|EPERM|EROFS", "output_hard_links.input": "OK" },
      outputs: ["hard_input=original link\n"],
    },
  ),
  planted("output_fifo", "opening it waits for a writer who never comes", ["fifo"], {
    status: REFUSED,
    says: "FIFO",
  }),
  planted("output_socket", "what cannot be read cannot be uploaded", ["socket"], {
    status: REFUSED,
    says: "socket",
  }),
  planted(
    "output_whiteout",
    "to overlayfs a device 0:0 says that what lies below is gone",
    ["whiteout"],
    { status: `OK|${REFUSED}` },
    {
      probes: {
        "output_whiteout.work": "EPERM",
        "output_whiteout.tmp": "EPERM",
        "output_whiteout.move": "EXDEV|ENOENT",
      },
    },
  ),
  planted(
    "output_setuid",
    "a setuid file in the worker's or the store's directory is a setuid program of the host",
    ["setuid", "setuid_directory"],
    { status: "OK", exitCode: "0" },
    {
      probes: { "output_setuid.chmod": "OK", "output_setuid.directory": "OK" },
      outputs: ["setuid*=#!/bin/sh\n", "setuid_directory/"],
    },
  ),
  planted(
    "output_unreadable",
    "what its owner closed the worker cannot read, where both are one user",
    ["unreadable"],
    { status: `OK|${REFUSED}`, exitCode: "0" },
    { probes: { "output_unreadable.file": "OK", "output_unreadable.directory": "OK" } },
  ),
  planted(
    "output_deep",
    "deeper than any path is long, and than any stack",
    ["deep"],
    { status: REFUSED, says: "below one another" },
    { probes: { "output_deep.depth": "OK|ENOSPC" } },
  ),
  planted(
    "output_names",
    "names that a shell, a terminal or a list of lines would take for something else",
    ["names"],
    { status: "OK", exitCode: "0" },
    { check: ({ outputs }) => assertEquals(outputs.length, 11, outputs.join("\n")) },
  ),
  planted(
    "output_bad_names",
    "a name that is not UTF-8 cannot be told to the client",
    ["bad_names"],
    { status: REFUSED, says: "UTF-8" },
  ),
  planted(
    "output_sparse",
    "a terabyte of nothing, which somebody has to read, or eight times a gigabyte",
    ["sparse"],
    { status: REFUSED, says: "mostly holes" },
    { probes: { "output_sparse.truncate": "EFBIG", "output_sparse.largest": "*" } },
  ),
  {
    name: "leavings",
    why: "what cannot be removed fills the disk in the end",
    attacks: ["leavings"],
    ends: { status: "OK", exitCode: "0" },
    probes: { "leavings.left": "OK" },
  },
];
