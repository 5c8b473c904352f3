/**
 * Linux primitives over FFI, and programs of system calls that run one action in one process tree. Knows nothing of
 * remote execution.
 *
 * @module
 */

export { type RlimitName, type TreeMode } from "./action_program.ts";
export {
  Beneath,
  CHUNK_BYTES,
  type DirectoryEntry,
  MAX_DIRECTORY_ENTRIES,
  OpenFile,
  utf8OrUndefined,
} from "./beneath.ts";
export {
  type ActionCgroup,
  type CgroupLimits,
  type Cgroups,
  type CgroupsOptions,
  CgroupsUnavailable,
  type CgroupUsage,
  type Controller,
  type MissingController,
  openCgroups,
  stepAside,
} from "./cgroup/mod.ts";
export { type EnterOptions, type EnterReport, enterSandbox, SHELLS } from "./enter.ts";
export { errnoName, SyscallError } from "./errno.ts";
export { EXPLAINED_PARTS, type ExplainedPart, type ExplainOptions, explainSandbox } from "./explain.ts";
export { type FileStat, type FileType } from "./file_calls.ts";
export { createFile, type CreateFileOptions, linkFile, setMtime } from "./file_tools.ts";
export { type PathLike } from "./_libc.ts";
export { checkHost, type HostCheckOptions } from "./host_check.ts";
export { type Finding, type FindingLevel, hostReport, isFunctional } from "./host_finding.ts";
export {
  DEFAULT_OUTPUT_LIMIT_BYTES,
  type LaunchOptions,
  type OutputTarget,
  type Rlimit,
} from "./launch_options.ts";
export { Launcher, type LauncherOptions, type LauncherProbe, probeLauncher } from "./launcher.ts";
export { MemoryOutput } from "./memory_output.ts";
export { type FreeSpace } from "./mount_calls.ts";
export { removeTree } from "./remove_tree.ts";
export { type ExitReport, type FailedStep, type RunningProcess } from "./runner_process.ts";
export { type Role } from "./result_page.ts";
export { type RunningSandbox, runningSandboxes } from "./running.ts";
export { MAX_SLOTS, Sandbox } from "./sandbox.ts";
export * from "./sandbox_options.ts";
export { type SeccompArch, seccompFilter, type SeccompOptions } from "./seccomp/mod.ts";
export { defaultBinds } from "./template_plan.ts";
export { type TemplateMount, type TemplateShape } from "./template_program.ts";
