/**
 * Names of a simulated disk: what they mean now, what they mean on the disk, and every step in between.
 *
 * @module
 */

import type { Random } from "@brokkr/common";
import { pick, type SimulatedFile, type Survival } from "./_simulated_file.ts";

/** What a name can mean. */
export type Node = SimulatedFile | SimulatedDirectory;

/** A name that was given or taken. */
export interface NameChange {
  /** Place among the changes of all directories. */
  readonly sequence: number;
  /** The name. */
  readonly name: string;
  /** What the name means from here on. */
  readonly node: Node | undefined;
}

/** A directory. */
export class SimulatedDirectory {
  /** Entries as a program sees them. */
  readonly entries = new Map<string, Node>();
  /** Entries as they are on the disk. */
  durable = new Map<string, Node>();
  /** What was changed since. */
  changes: NameChange[] = [];
}

/**
 * Names of a directory after a cut. With `journal`, a mixed cut keeps what was done before that moment; without, each name
 * has any of its meanings.
 */
export function survivors(
  directory: SimulatedDirectory,
  random: Random,
  survival: Survival,
  journal: number | undefined,
): Map<string, Node> {
  if (survival === "lost") return directory.durable;
  if (survival === "kept") return directory.entries;
  const left = new Map(directory.durable);
  const apply = (name: string, node: Node | undefined) => {
    if (node === undefined) left.delete(name);
    else left.set(name, node);
  };
  if (journal !== undefined) {
    for (const { sequence, name, node } of directory.changes) if (sequence < journal) apply(name, node);
    return left;
  }
  const versions = new Map<string, (Node | undefined)[]>();
  for (const { name, node } of directory.changes) {
    const those = versions.get(name);
    if (those === undefined) versions.set(name, [directory.durable.get(name), node]);
    else those.push(node);
  }
  for (const [name, those] of versions) apply(name, pick(those, random));
  return left;
}

/** Names along an absolute path, without `.` and `..`. */
export function partsOf(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}
