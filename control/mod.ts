/**
 * The control plane: Execution, Capabilities, Workers and Admin services over the scheduler.
 *
 * @module
 */

export * from "./scheduler/mod.ts";
export { type ControlHandle, type ControlOptions, startControl } from "./control.ts";
