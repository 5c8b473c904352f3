/**
 * The kernel of BLAKE3 with a memory of its own.
 *
 * @module
 */

import { OWN_PAGES } from "../_blake3_layout.ts";
import { blake3Source } from "./_blake3_source.ts";
import type { Kernel } from "./_kernel.ts";

/** The kernel. */
export const KERNEL: Kernel = {
  name: "blake3",
  builds: ["relaxed", "simd"],
  initialPages: OWN_PAGES,
  maximumPages: OWN_PAGES,
  source: blake3Source,
};
