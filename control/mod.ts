/**
 * The control plane: Execution, Capabilities, Workers and Admin services over the scheduler.
 *
 * @module
 */

export { startControl } from "./control.ts";
export type { ControlHandle, ControlOptions } from "./control_options.ts";
export type { SchedulerLimits } from "./scheduler/types.ts";
