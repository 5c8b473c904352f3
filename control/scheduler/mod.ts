/**
 * The scheduler, a pure state machine.
 *
 * @module
 */

export * from "./job_queue.ts";
export * from "./platform.ts";
export * from "./scheduler.ts";
export * from "./types.ts";
