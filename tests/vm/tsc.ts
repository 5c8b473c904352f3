/**
 * How fast this processor's time stamp counter counts, by calling `rdtsc`.
 *
 * An emulated machine reads the host's counter, and its kernel measures the rate against an emulated timer. On a busy
 * host that fails, and without the counter a microvm has no clock but its ticks, or hangs early in its boot. So it is
 * told.
 *
 * @module
 */

const PAGE_BYTES = 4096n;
const PROT_ALL = 7;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const SAMPLES = 50;
const SPAN_MS = 100;

/** rdtsc; shl rdx, 32; or rax, rdx; ret */
const CODE = new Uint8Array([0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3]);

/** A moment on both clocks: of many readings, the one during which the least time went by. */
function moment(rdtsc: () => bigint): { readonly ms: number; readonly ticks: bigint } {
  let best = { ms: 0, ticks: 0n, width: Infinity };
  for (let i = 0; i < SAMPLES; i++) {
    const before = performance.now();
    const ticks = rdtsc();
    const after = performance.now();
    if (after - before < best.width) best = { ms: (before + after) / 2, ticks, width: after - before };
  }
  return best;
}

/**
 * Measures the counter's rate in kHz. x86_64 only.
 *
 * @throws {Error} When the memory for the code cannot be had.
 */
export async function tscKhz(): Promise<number> {
  const c = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    munmap: { parameters: ["pointer", "usize"], result: "i32" },
  });
  try {
    return await measure(c.symbols.mmap, c.symbols.munmap);
  } finally {
    c.close();
  }
}

type Mmap = (
  at: bigint,
  size: bigint,
  prot: number,
  flags: number,
  fd: number,
  from: bigint,
) => Deno.PointerValue;
type Munmap = (at: Deno.PointerValue, size: bigint) => number;

async function measure(mmap: Mmap, munmap: Munmap): Promise<number> {
  // SAFETY: a fresh page of our own, anywhere.
  const page = mmap(0n, PAGE_BYTES, PROT_ALL, MAP_PRIVATE_ANONYMOUS, -1, 0n);
  if (page === null || Deno.UnsafePointer.value(page) === 0xffff_ffff_ffff_ffffn) {
    throw new Error("No memory that may be executed");
  }
  try {
    // SAFETY: the code is shorter than the page.
    new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(page, CODE.length)).set(CODE);
    // SAFETY: the code takes nothing, returns rax, changes only registers the caller may lose, and stays until munmap.
    const call = new Deno.UnsafeFnPointer(page as Deno.PointerObject<never>, {
      parameters: [],
      result: "u64",
    });
    const rdtsc = () => call.call() as bigint;
    const from = moment(rdtsc);
    await new Promise((resolve) => setTimeout(resolve, SPAN_MS));
    const to = moment(rdtsc);
    return Math.round(Number(to.ticks - from.ticks) / (to.ms - from.ms));
  } finally {
    // SAFETY: nobody calls the code any more.
    munmap(page, PAGE_BYTES);
  }
}
