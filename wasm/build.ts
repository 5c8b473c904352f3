/**
 * `deno task wasm` compiles the kernels of `wasm/gen` to `wasm/kernels/<name>.<build>.wasm`, which are committed, so that
 * nobody needs the compiler to run the project. Names as arguments compile only those, or kernels of other files;
 * `--to=DIR` writes elsewhere.
 *
 * The compiler is no part of the project's dependencies, which everybody downloads: it has 100 MB. So this runs without
 * the project's configuration, with a lock file of its own.
 *
 * @module
 */

import type { Build, Kernel } from "./gen/_kernel.ts";

/** Named so that only who builds resolves it. */
const COMPILER = "npm:assemblyscript@0.28.20/asc" as string;

/** What is used of the compiler. */
interface Compiler {
  createMemoryStream(): { toString(): string };
  main(argv: readonly string[], api: {
    readonly stdout: unknown;
    readonly stderr: unknown;
    readFile(name: string): string | null;
    writeFile(name: string, contents: Uint8Array | string): void;
    listFiles(): readonly string[];
  }): Promise<{ readonly error: Error | null }>;
}

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
  const features = build === "relaxed" ? ["simd", "relaxed-simd"] : ["simd"];
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
  options.push("--enable", features.join(","));
  return options;
}

/**
 * Compiles a kernel; the same source gives the same bytes.
 *
 * @throws {Error} with the compiler's messages.
 */
async function compileKernel(kernel: Kernel, build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const { default: asc }: { default: Compiler } = await import(COMPILER);
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

async function main(args: readonly string[]): Promise<void> {
  const flag = "--to=";
  const to = args.find((arg) => arg.startsWith(flag))?.slice(flag.length);
  const folder = to === undefined ? KERNELS : new URL(`file://${to}/`);
  const chosen = args.filter((arg) => !arg.startsWith(flag));
  await Deno.mkdir(folder, { recursive: true });
  const others = chosen.filter((arg) => arg.endsWith(".ts"));
  const kernels = others.length > 0
    ? await Promise.all(others.map(async (path) => (await import(`file://${path}`)).KERNEL as Kernel))
    : await listKernels();
  for (const kernel of kernels) {
    if (others.length === 0 && chosen.length > 0 && !chosen.includes(kernel.name)) continue;
    for (const build of kernel.builds) {
      const bytes = await compileKernel(kernel, build);
      await Deno.writeFile(new URL(kernelFile(kernel, build), folder), bytes);
      console.log(`${kernelFile(kernel, build)}: ${bytes.length} bytes`);
    }
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
