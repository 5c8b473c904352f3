/**
 * Gets the kernels. A kernel is read, compiled and instantiated when it is first used, synchronously, as hashing is
 * synchronous and a start of the command line pays for nothing that it does not use.
 *
 * They are read as files beside this one: `import source` is not known to the type checker, a static wasm import compiles
 * at start whatever is used, and imports of bytes are still behind a flag. `deno compile` takes them with
 * `--include wasm/kernels`.
 *
 * @module
 */

/** Which instructions a kernel may use. */
export type SimdBuild = "relaxed" | "simd";

/**
 * The smallest module that is valid only with relaxed SIMD: a function that drops
 * `i8x16.relaxed_swizzle(i32x4.splat(0), i32x4.splat(0))`.
 */
const RELAXED_PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00], // types: one, () -> ()
  ...[0x03, 0x02, 0x01, 0x00], // functions: one, of type 0
  ...[0x0a, 0x10, 0x01, 0x0e, 0x00], // code: one body of 14 bytes without locals
  ...[0x41, 0x00, 0xfd, 0x11, 0x41, 0x00, 0xfd, 0x11], // i32.const 0, i32x4.splat, twice
  ...[0xfd, 0x80, 0x02, 0x1a, 0x0b], // i8x16.relaxed_swizzle, drop, end
);

let chosen: SimdBuild | undefined;

function environment(name: string): string | undefined {
  const granted = Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
  return granted ? Deno.env.get(name) : undefined;
}

/**
 * The build that this engine runs: with relaxed SIMD where the engine has it. `BROKKR_WASM=simd` or `relaxed` in the
 * environment forces one.
 *
 * @throws {RangeError} if the variable has another value.
 */
export function simdBuild(): SimdBuild {
  if (chosen !== undefined) return chosen;
  const forced = environment("BROKKR_WASM") ?? "";
  if (forced !== "" && forced !== "simd" && forced !== "relaxed") {
    throw new RangeError(
      `The environment variable BROKKR_WASM is ${forced}, but only simd and relaxed exist`,
    );
  }
  chosen = forced !== "" ? forced : WebAssembly.validate(RELAXED_PROBE) ? "relaxed" : "simd";
  return chosen;
}

const modules = new Map<string, WebAssembly.Module>();

function readKernel(file: string): Uint8Array<ArrayBuffer> {
  const url = new URL(`./kernels/${file}`, import.meta.url);
  try {
    return Deno.readFileSync(url);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new TypeError(
      `There is no kernel ${file} at ${url.pathname}; deno compile takes the kernels with --include wasm/kernels`,
      { cause: error },
    );
  }
}

/**
 * The compiled module of a kernel; it can be posted to a worker thread.
 *
 * @throws {TypeError} if there is no such kernel
 */
export function kernelModule(name: string, build: SimdBuild = simdBuild()): WebAssembly.Module {
  const file = `${name}.${build}.wasm`;
  let module = modules.get(file);
  if (module === undefined) {
    module = new WebAssembly.Module(readKernel(file));
    modules.set(file, module);
  }
  return module;
}

/** A new instance of a kernel, with a memory of its own. */
export function instantiateKernel<Exports>(name: string, build?: SimdBuild): Exports {
  return new WebAssembly.Instance(kernelModule(name, build)).exports as Exports;
}
