/**
 * What the tests of control groups share.
 *
 * @module
 */

import { duplicate } from "../libc.ts";
import { close } from "../libc.ts";
import { findPlaces, parseCgroupMounts, parseMemberships, pathAt } from "./proc_files.ts";
import { PREFIX } from "./home.ts";
import { openCgroups } from "./open.ts";
import type { ActionCgroup, Cgroups, Controller } from "./types.ts";

/** A worker's name that no other test has. */
export function uniqueName(what: string): string {
  return `test-${what}-${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

/** What this machine has, or why it has none. */
export interface Machine {
  readonly unavailable?: string;
  readonly version: "v1" | "v2";
  readonly controllers: ReadonlySet<Controller>;
}

/** Looks at what this machine has. */
export function lookAtMachine(): Machine {
  try {
    using groups: Cgroups = openCgroups({ name: uniqueName("look") });
    return { version: groups.version, controllers: new Set(groups.controllers) };
  } catch (error) {
    return { unavailable: String(error), version: "v2", controllers: new Set() };
  }
}

/** A process that runs a bash script in a group. */
export interface Inside extends AsyncDisposable {
  /** Its number. */
  readonly pid: number;
  /** How it ended, and what it printed. */
  readonly output: Promise<Deno.CommandOutput>;
}

/** Runs `script` with bash in a group; `before` are words of a command that bash is started with. */
export function runInside(group: ActionCgroup, script: string, before: readonly string[] = []): Inside {
  // Copies that the child inherits; bash knows descriptors of more than one digit.
  const copies = group.joinFds.map((fd) => duplicate(fd, 100));
  const join = copies.map((fd) => `echo 0 >&${fd} || exit 99; exec ${fd}>&-; `).join("");
  const words = [...before, "bash", "-c", join + script];
  const child = new Deno.Command(words[0], {
    args: words.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  copies.forEach(close);
  const output = child.output();
  return {
    pid: child.pid,
    output,
    [Symbol.asyncDispose]: async () => {
      group.kill();
      try {
        child.kill("SIGKILL"); // should the group's killing be what is broken
      } catch { /* it has ended */ }
      await child.status;
    },
  };
}

/** Groups anywhere on this machine that belong to workers of that name. */
export function groupsOf(name: string): string[] {
  const found: string[] = [];
  const memberships = parseMemberships(Deno.readTextFileSync("/proc/self/cgroup"));
  const mounts = parseCgroupMounts(Deno.readTextFileSync("/proc/self/mountinfo"));
  for (const place of findPlaces(memberships, mounts).places) {
    // Where it is, and the groups above: with version 2 this process may be in a leaf.
    const parts = place.ownPath === "/" ? [] : place.ownPath.slice(1).split("/");
    for (let depth = 0; depth <= parts.length; depth++) {
      const path = pathAt(place, `/${parts.slice(0, depth).join("/")}`);
      for (const entry of Deno.readDirSync(path)) {
        if (entry.isDirectory && entry.name.startsWith(`${PREFIX}${name}`)) {
          found.push(`${path}/${entry.name}`);
        }
      }
    }
  }
  return found;
}
