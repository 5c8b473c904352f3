import { assert, assertEquals } from "@std/assert";
import { AARCH64 } from "../syscalls_aarch64.ts";
import { X86_64 } from "../syscalls_x86_64.ts";
import { AARCH64_CALLS } from "./calls_aarch64.ts";
import { X86_64_CALLS } from "./calls_x86_64.ts";
import { ARCHES, policy } from "./policy.ts";

const X86_64_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
const GENERIC_HEADER = "/usr/include/asm-generic/unistd.h";

/** The `__NR_` definitions of a header that are plain numbers, or undefined where it is not installed. */
function numbersIn(path: string): ReadonlyMap<string, number> | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
  return new Map(
    [...text.matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name, number]) => [name, Number(number)]),
  );
}

Deno.test("the tables name every number once, and every call has exactly one rule", () => {
  const ruled = policy().flatMap(({ rules }) => rules.flatMap(({ calls }) => [...calls]));
  assertEquals(ruled.length, new Set(ruled).size);
  const named = new Set<string>();
  for (const calls of [X86_64_CALLS, AARCH64_CALLS]) {
    assertEquals(new Set(Object.values(calls)).size, Object.keys(calls).length);
    Object.keys(calls).forEach((name) => named.add(name));
  }
  assertEquals([...named].sort(), [...ruled].sort());
});

Deno.test("the tables agree with the numbers that the sandbox's own programs use", () => {
  for (const { name, syscalls } of [X86_64, AARCH64]) {
    const known: Readonly<Record<string, number | undefined>> = ARCHES[name].calls;
    for (const [call, number] of Object.entries(syscalls)) {
      assertEquals(known[call], number, `${name}: ${call}`);
    }
  }
});

const x86 = numbersIn(X86_64_HEADER);
Deno.test({
  name: `the table of x86_64 holds all of the kernel's header (needs ${X86_64_HEADER})`,
  ignore: x86 === undefined,
  fn: () => {
    assert(x86 !== undefined && x86.size > 300);
    const known: Readonly<Record<string, number | undefined>> = X86_64_CALLS;
    for (const [name, number] of x86) {
      // A header newer than the table: whatever the policy does not know is ENOSYS.
      if (number > X86_64_CALLS.file_setattr) continue;
      assertEquals(known[name], number, name);
    }
  },
});

const generic = numbersIn(GENERIC_HEADER);
Deno.test({
  name: `the table of aarch64 agrees with the kernel's generic header (needs ${GENERIC_HEADER})`,
  ignore: generic === undefined,
  fn: () => {
    assert(generic !== undefined && generic.size > 250);
    let compared = 0;
    for (const [name, number] of Object.entries(AARCH64_CALLS)) {
      const found = generic.get(name);
      if (found === undefined) continue;
      assertEquals(number, found, name);
      compared++;
    }
    assert(compared > 250);
  },
});
