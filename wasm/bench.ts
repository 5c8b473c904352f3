/**
 * The benchmarks of the kernels, for who puts them beside others.
 *
 * @module
 */

export { benchFastCdc, type FastCdcBenchOptions, type FastCdcFigure } from "./fastcdc_bench.ts";
export { benchHashes, type HashBenchOptions, type HashFigure, type Way } from "./hash_bench.ts";
