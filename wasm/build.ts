/**
 * `deno task wasm` compiles the kernels of `wasm/gen` to `wasm/kernels/<name>.<build>.wasm`, which are committed, so that
 * nobody needs the compiler to run the project. Names as arguments compile only those.
 *
 * @module
 */

import asc from "assemblyscript/asc";
import type { Build, Kernel } from "./gen/_kernel.ts";

const GEN = new URL("./gen/", import.meta.url);
const KERNELS = new URL("./kernels/", import.meta.url);

/** The kernels, by name. */
export async function listKernels(): Promise<readonly Kernel[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(GEN)) {
    if (name.endsWith(".ts") && !name.startsWith("_") && !name.endsWith("_test.ts")) names.push(name);
  }
  const modules = await Promise.all(names.sort().map((name) => import(new URL(name, GEN).href)));
  return modules.filter((module) => "KERNEL" in module).map((module) => module.KERNEL as Kernel);
}

/** The name of the file of a build, in `wasm/kernels`. */
export function kernelFile(kernel: Kernel, build: Build): string {
  return `${kernel.name}.${build}.wasm`;
}

function optionsOf(kernel: Kernel, build: Build): string[] {
  const features = build === "relaxed" ? ["simd", "relaxed-simd"] : build === "simd" ? ["simd"] : [];
  const options = ["-O3", "--noAssert", "--noColors", "--runtime", "stub"];
  options.push("--initialMemory", `${kernel.initialPages}`);
  if (kernel.maximumPages !== undefined) options.push("--maximumMemory", `${kernel.maximumPages}`);
  if (kernel.memoryBase !== undefined) options.push("--memoryBase", `${kernel.memoryBase}`);
  if (kernel.importMemory !== undefined) {
    options.push("--importMemory", "--noExportMemory");
    if (kernel.importMemory.shared) {
      options.push("--sharedMemory");
      features.push("threads");
    }
  }
  if (features.length > 0) options.push("--enable", features.join(","));
  return options;
}

/**
 * Compiles a kernel; the same source gives the same bytes.
 *
 * @throws {Error} with the compiler's messages.
 */
export async function compileKernel(kernel: Kernel, build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const messages = asc.createMemoryStream();
  const source = kernel.source(build);
  let compiled: Uint8Array | undefined;
  const { error } = await asc.main(
    [`${kernel.name}.ts`, "--outFile", "out.wasm", ...optionsOf(kernel, build)],
    {
      stdout: messages,
      stderr: messages,
      readFile: (name) => name === `${kernel.name}.ts` ? source : null,
      writeFile: (name, contents) => {
        if (name === "out.wasm" && contents instanceof Uint8Array) compiled = contents;
      },
      listFiles: () => [],
    },
  );
  if (error !== null || compiled === undefined) {
    throw new Error(`Kernel ${kernel.name} (${build}) does not compile: ${messages.toString()}`, {
      cause: error,
    });
  }
  return new Uint8Array(compiled);
}

if (import.meta.main) {
  await Deno.mkdir(KERNELS, { recursive: true });
  for (const kernel of await listKernels()) {
    if (Deno.args.length > 0 && !Deno.args.includes(kernel.name)) continue;
    for (const build of kernel.builds) {
      const bytes = await compileKernel(kernel, build);
      await Deno.writeFile(new URL(kernelFile(kernel, build), KERNELS), bytes);
      console.log(`${kernelFile(kernel, build)}: ${bytes.length} bytes`);
    }
  }
}
