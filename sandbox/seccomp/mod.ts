/**
 * Which system calls actions may make: the policy, the filter that the kernel runs, and a listing of both.
 *
 * @module
 */

export { seccompFilter } from "./filter.ts";
export { seccompListing } from "./listing.ts";
export { type SeccompArch } from "./policy.ts";
export { type SeccompOptions } from "./policy_types.ts";
