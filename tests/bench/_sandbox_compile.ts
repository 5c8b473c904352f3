/**
 * The same compilation with a sandbox and without, in pairs.
 *
 * @module
 */

import type { Arena } from "./_sandbox_rivals.ts";

/** C that is written like C is: the attacks of the test of hostile actions. */
const SOURCES = new URL("../evil/programs/", import.meta.url);

/** struct rusage: two struct timeval, then what is not looked at. */
const RUSAGE_BYTES = 144;
const RUSAGE_CHILDREN = -1;

const LIBC = {
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

function childrenMs(libc: Deno.DynamicLibrary<typeof LIBC>): number {
  const usage = new BigInt64Array(RUSAGE_BYTES / 8);
  // SAFETY: the kernel writes a struct rusage, for which there is room, during the call.
  libc.symbols.getrusage(RUSAGE_CHILDREN, new Uint8Array(usage.buffer));
  return Number(usage[0] + usage[2]) * 1000 + Number(usage[1] + usage[3]) / 1000;
}

/** Runs pairs in alternating order. */
export async function compilePairs(
  arena: Arena,
  pairs: number,
): Promise<{ readonly sandboxMs: number[]; readonly plainMs: number[] }> {
  const libc = Deno.dlopen("libc.so.6", LIBC);
  try {
    const names = [...Deno.readDirSync(SOURCES)].map(({ name }) => name).filter((name) =>
      /\.[ch]$/.test(name)
    );
    for (const name of names) Deno.copyFileSync(new URL(name, SOURCES), `${arena.input}/${name}`);
    const argv = [
      "/usr/bin/gcc",
      "-D_GNU_SOURCE",
      "-O2",
      "-g",
      "-c",
      ...names.filter((name) => name.endsWith(".c")),
    ];
    const out = await Deno.makeTempDir({ prefix: "brokkr_compile_" });
    for (const name of names) Deno.copyFileSync(`${arena.input}/${name}`, `${out}/${name}`);
    const env = { PATH: "/usr/bin:/bin" };
    const sandboxMs: number[] = [];
    const plainMs: number[] = [];
    const sides = [
      async () => sandboxMs.push(await arena.sandbox.launch(argv) ?? NaN),
      async () => {
        const before = childrenMs(libc);
        const { success } = await new Deno.Command(argv[0], {
          args: argv.slice(1),
          cwd: out,
          clearEnv: true,
          env,
          stdin: "null",
          stdout: "null",
          stderr: "null",
        }).spawn().status;
        if (!success) throw new Error("gcc failed");
        plainMs.push(childrenMs(libc) - before);
      },
    ];
    // The first of each reads from the disk.
    for (const side of sides) await side();
    sandboxMs.length = 0;
    plainMs.length = 0;
    for (let pair = 0; pair < pairs; pair++) {
      for (const side of pair % 2 === 0 ? sides : sides.toReversed()) await side();
    }
    await Deno.remove(out, { recursive: true });
    return { sandboxMs, plainMs };
  } finally {
    libc.close();
  }
}
