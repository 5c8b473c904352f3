/**
 * What the kernels cost a process that starts: `deno run -A wasm/start_bench.ts`. Each round is a process of its own, as an
 * engine keeps what it has compiled.
 *
 * @module
 */

/** Milliseconds of a first use, the fastest of the rounds. */
export interface StartFigure {
  /** `import` for the member itself, or the kernel. */
  readonly name: string;
  /** To read and compile a kernel, or to import the member where node:crypto is there already. */
  readonly loadMs: number;
  /** To instantiate it. */
  readonly instantiateMs?: number;
  /** The first hash by another instance, which compiles what it calls; FastCDC has none. */
  readonly firstHashMs?: number;
}

const MOD = new URL("./mod.ts", import.meta.url).href;
const LOAD = new URL("./_load.ts", import.meta.url).href;

/** Runs in the process that is measured. */
const SCRIPT = `
await import("node:crypto");
const { instantiateKernel, kernelModule } = await import(${JSON.stringify(LOAD)});
const figures = [];
for (const [name, build] of [["sha256", "simd"], ["blake3", undefined], ["fastcdc", "simd"]]) {
  const t0 = performance.now();
  kernelModule(name, build);
  const t1 = performance.now();
  instantiateKernel(name, build);
  figures.push({ name, loadMs: t1 - t0, instantiateMs: performance.now() - t1 });
}
const t2 = performance.now();
const { hash } = await import(${JSON.stringify(MOD)});
figures.push({ name: "import", loadMs: performance.now() - t2 });
for (const figure of figures) {
  if (figure.name !== "sha256" && figure.name !== "blake3") continue;
  const t3 = performance.now();
  hash(figure.name, new Uint8Array(64), { engine: "wasm" });
  figure.firstHashMs = performance.now() - t3;
}
console.log(JSON.stringify(figures));
`;

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? a ?? b : Math.min(a, b);
}

/** Measures all in `rounds` processes. */
export async function benchStarts(rounds = 10): Promise<readonly StartFigure[]> {
  const best = new Map<string, StartFigure>();
  for (let round = 0; round < rounds; round++) {
    const { stdout, success } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", `data:text/javascript,${encodeURIComponent(SCRIPT)}`],
      stderr: "inherit",
    }).output();
    if (!success) throw new Error("The process that was to be measured has failed");
    for (const figure of JSON.parse(new TextDecoder().decode(stdout)) as StartFigure[]) {
      const before = best.get(figure.name);
      best.set(figure.name, {
        name: figure.name,
        loadMs: Math.min(figure.loadMs, before?.loadMs ?? Infinity),
        instantiateMs: least(figure.instantiateMs, before?.instantiateMs),
        firstHashMs: least(figure.firstHashMs, before?.firstHashMs),
      });
    }
  }
  return [...best.values()];
}

if (import.meta.main) {
  for (const { name, ...figures } of await benchStarts()) {
    console.log(
      name,
      Object.entries(figures).filter(([, ms]) => ms !== undefined)
        .map(([what, ms]) => `${what.slice(0, -2)} ${ms.toFixed(2)} ms`).join(", "),
    );
  }
}
