/**
 * What a file of this folder says about a kernel: `wasm/build.ts` compiles every `wasm/gen/<name>.ts` that exports `KERNEL`.
 *
 * @module
 */

/**
 * For which engine a kernel is compiled: `relaxed` uses relaxed SIMD, `simd` plain 128-bit SIMD. A kernel with a `relaxed`
 * build has a `simd` one too, for engines that do not know relaxed SIMD.
 */
export type Build = "relaxed" | "simd";

/** A kernel. */
export interface Kernel {
  /** The base of the file names, `kernels/<name>.<build>.wasm`. */
  readonly name: string;
  /** Those that differ: no `relaxed` where relaxed SIMD has nothing to give. */
  readonly builds: readonly Build[];
  /** Pages of 64 KiB of the memory at the start; it is exported as `memory`. */
  readonly initialPages: number;
  /** The most pages; equal to `initialPages` where the memory never grows. Shared memories need it. */
  readonly maximumPages?: number;
  /**
   * The memory is handed in as `env.memory` and may be shared between threads: `true` makes it a shared memory with atomic
   * instructions.
   */
  readonly importMemory?: { readonly shared: boolean };
  /** Where static data begins, if the source has any; addresses below it are the kernel's own to lay out. */
  readonly memoryBase?: number;
  /** The AssemblyScript source, without imports. */
  source(build: Build): string;
}
