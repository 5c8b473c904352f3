/**
 * The control plane: Execution, Capabilities, Workers and Admin services over the scheduler.
 *
 * @module
 */

export { type ControlHandle, type ControlOptions, startControl } from "./control.ts";
export type { SchedulerLimits } from "./scheduler/types.ts";
