/**
 * The version of the software.
 *
 * @module
 */

/** Version of `brokk` and of the processes it starts. */
export const VERSION = "0.1.0";
