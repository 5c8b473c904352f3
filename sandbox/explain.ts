/**
 * Prints what a sandbox is made of, for review: the programs of system calls, the code that runs them, the filter.
 *
 * @module
 */

import { currentArch } from "./arch.ts";
import { DATA_ADDRESS } from "./elf.ts";
import { FAULT_BYTES, interpreterListing } from "./interpreter.ts";
import { listing } from "./listing.ts";
import type { SandboxNetwork } from "./sandbox_options.ts";
import { DISK_PATH, LOWERS_PATH, sandboxProgram, type SandboxShape } from "./sandbox_program.ts";
import { seccompListing } from "./seccomp/mod.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";
import { defaultBinds, templateShape } from "./template_plan.ts";
import { templateProgram, type TemplateShape, userNamespaceProgram } from "./template_program.ts";
import { zygoteProgram } from "./zygote_program.ts";

/** Parts of the sandbox, in the order in which they come into play. */
export const EXPLAINED_PARTS = ["template", "zygote", "action", "interpreter", "filter"] as const;

/** One of them. */
export type ExplainedPart = typeof EXPLAINED_PARTS[number];

/** What is explained. */
export interface ExplainOptions {
  /** For which processor; this machine's by default. */
  readonly arch?: "x86_64" | "aarch64";
  /** Whether the worker is root; whether this process is by default. */
  readonly root?: boolean;
  /** The action's network. */
  readonly network?: SandboxNetwork;
  /** Where the action writes. */
  readonly writable?: "memory" | "disk";
  /** What the root of a sandbox holds; what this machine's would by default. */
  readonly template?: TemplateShape;
  /** Highest capability the kernel knows; this kernel's by default. */
  readonly lastCapability?: number;
}

const LEGEND =
  `Each line is one system call: its number in the program, the call with its arguments, what happens with its result,
and behind # what an error message calls it. "$name" is filled in for each action.

`;

const ABOUT: Readonly<Record<ExplainedPart, string>> = {
  template: "Made once for each slot: a user namespace, and a root that holds nothing but read-only " +
    "views.",
  zygote: "Started once: it waits for programs of actions and forks a child for each.",
  action: "What a child of the zygote does for one action.",
  interpreter: "The machine code that walks through a program: all of it.",
  filter: "Which system calls an action may make.",
};

/** What a template of this machine holds; where the worker keeps its data is another thing. */
function exampleTemplate(root: boolean): TemplateShape {
  const shape = templateShape({ binds: defaultBinds(), lowersPath: "/", diskPath: "/" }, root);
  const shown: Readonly<Record<string, string>> = {
    [LOWERS_PATH]: "<layers of inputs>",
    [DISK_PATH]: "<layers on disk>",
  };
  const mounts = shape.mounts.map((item) =>
    shown[item.target] === undefined ? item : { ...item, source: { path: shown[item.target] } }
  );
  return { ...shape, mounts };
}

function actionShape(options: ExplainOptions, root: boolean): SandboxShape {
  return {
    root,
    layered: true,
    writable: options.writable ?? "memory",
    network: options.network ?? "none",
    groups: 1,
    executables: 2,
    rlimits: ["core", "nofile"],
    aslr: true,
    rdtsc: true,
    lastCapability: options.lastCapability ?? Number(Deno.readTextFileSync("/proc/sys/kernel/cap_last_cap")),
  };
}

function explainPart(part: ExplainedPart, options: ExplainOptions): string {
  const arch = options.arch === undefined ? currentArch() : options.arch === "x86_64" ? X86_64 : AARCH64;
  const root = options.root ?? Deno.uid() === 0;
  const shown = (program: Parameters<typeof listing>[0]) => LEGEND + listing(program, { steps: true });
  switch (part) {
    case "template": {
      const user = `The user namespace:\n\n${listing(userNamespaceProgram(arch, root), { steps: true })}\n`;
      const template = options.template ?? exampleTemplate(root);
      return `${LEGEND}${user}The root:\n\n${listing(templateProgram(arch, template), { steps: true })}`;
    }
    case "zygote":
      return shown(zygoteProgram(arch).program);
    case "action":
      return shown(sandboxProgram(arch, actionShape(options, root)));
    case "interpreter":
      return interpreterListing(arch, DATA_ADDRESS + FAULT_BYTES, DATA_ADDRESS);
    case "filter":
      return seccompListing(arch.name);
  }
}

/**
 * The given parts of the sandbox as text.
 *
 * @example
 * ```ts
 * import { assertMatch } from "@std/assert";
 * import { explainSandbox } from "@brokkr/sandbox";
 * assertMatch(explainSandbox(["action"], { arch: "x86_64" }), /execve\(/);
 * ```
 */
export function explainSandbox(
  parts: readonly ExplainedPart[] = EXPLAINED_PARTS,
  options: ExplainOptions = {},
): string {
  return parts.map((part) => `== ${part} ==\n\n${ABOUT[part]}\n\n${explainPart(part, options)}`).join("\n");
}
