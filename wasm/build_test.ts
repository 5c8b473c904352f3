import { assert, assertEquals } from "@std/assert";
import { compileKernel, kernelFile, listKernels } from "./build.ts";

const KERNELS = new URL("./kernels/", import.meta.url);
const kernels = await listKernels();

for (const kernel of kernels) {
  for (const build of kernel.builds) {
    Deno.test(`building ${kernelFile(kernel, build)} again gives the committed bytes`, async () => {
      const committed = await Deno.readFile(new URL(kernelFile(kernel, build), KERNELS));
      const compiled = await compileKernel(kernel, build);
      assert(
        committed.length === compiled.length && committed.every((byte, i) => byte === compiled[i]),
        `${
          kernelFile(kernel, build)
        } is not what its source gives: run \`deno task wasm\` and commit the result`,
      );
    });
  }
}

Deno.test("there is no kernel without a source", async () => {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(KERNELS)) found.push(name);
  const expected = kernels.flatMap((kernel) => kernel.builds.map((build) => kernelFile(kernel, build)));
  assertEquals(found.sort(), expected.sort());
});

Deno.test("a kernel with a mistake is refused with the compiler's words", async () => {
  const error = await compileKernel(
    { name: "wrong", builds: ["simd"], initialPages: 1, source: () => "export const x: i32 = nothing;" },
    "simd",
  ).then(() => undefined, (thrown: unknown) => thrown);
  assert(error instanceof Error && error.message.includes("Cannot find name 'nothing'"));
});
