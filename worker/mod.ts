/**
 * The worker: leases actions from control, fetches and lays out their inputs, runs them, collects and uploads what they
 * left. What lays out, runs and collects are three interfaces ({@linkcode Materializer}, {@linkcode Runner},
 * {@linkcode Collector}), so that sandboxes and file systems can join without the rest knowing.
 *
 * @module
 */

export * from "./action_executor.ts";
export * from "./blob_cache.ts";
export * from "./cache_entry.ts";
export * from "./collector.ts";
export * from "./command_plan.ts";
export * from "./control_link.ts";
export * from "./copy_materializer.ts";
export * from "./input_fetcher.ts";
export * from "./input_tree.ts";
export * from "./isolation.ts";
export * from "./layer_builder.ts";
export * from "./layer_materializer.ts";
export * from "./layers.ts";
export * from "./lease_runner.ts";
export * from "./lease_table.ts";
export * from "./link_sources.ts";
export * from "./machine.ts";
export * from "./materializer.ts";
export * from "./metadata.ts";
export * from "./program_lookup.ts";
export * from "./runner.ts";
export * from "./sandbox_environment.ts";
export * from "./sandbox_policy.ts";
export * from "./sandbox_runner.ts";
export * from "./scratch.ts";
export * from "./store.ts";
export * from "./worker.ts";
