/**
 * The kernel of BLAKE3 for a second thread: the same, in a memory that both threads see.
 *
 * @module
 */

import { SHARED_PAGES } from "../_blake3_layout.ts";
import { blake3Source } from "./_blake3_source.ts";
import type { Kernel } from "./_kernel.ts";

/** The kernel. */
export const KERNEL: Kernel = {
  name: "blake3_shared",
  builds: ["relaxed", "simd"],
  initialPages: SHARED_PAGES,
  maximumPages: SHARED_PAGES,
  importMemory: { shared: true },
  source: blake3Source,
};
