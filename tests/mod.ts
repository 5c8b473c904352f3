/**
 * What crosses members: real Bazel, end to end, benchmarks, soak.
 *
 * @module
 */

export {};
