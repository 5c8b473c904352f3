/**
 * Linux primitives over FFI, and programs of system calls that run one action in one process tree. Knows nothing of
 * remote execution.
 *
 * @module
 */

export { type RlimitName, type TreeMode } from "./action_program.ts";
export { errnoName, SyscallError } from "./errno.ts";
export { type LaunchOptions, type OutputTarget, type Rlimit } from "./launch_options.ts";
export { Launcher, type LauncherOptions, type LauncherProbe, probeLauncher } from "./launcher.ts";
export { type ExitReport, type FailedStep, type RunningProcess } from "./runner_process.ts";
export { type Role } from "./result_page.ts";
