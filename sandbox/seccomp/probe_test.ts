import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { currentArch } from "../arch.ts";
import { AARCH64 } from "../syscalls_aarch64.ts";
import { X86_64 } from "../syscalls_x86_64.ts";
import { BPF, INSTRUCTION_BYTES } from "./bpf.ts";
import { ANSWER, answerOf, seccompFilter } from "./filter.ts";
import { ARCHES, decide, policy } from "./policy.ts";
import {
  answersProgram,
  everyNumber,
  expectedProbe,
  PROBED_NUMBERS,
  probeProgram,
  probeTable,
  readProbe,
  readResults,
  type Try,
} from "./probe.ts";
import { TestDir } from "../_testing.ts";
import { allowedThoughMissing, start, underFilterProgram, withFilter } from "./_under_filter.ts";

const arch = currentArch();

async function run(image: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const { code, stdout } = await start(image).output();
  assertEquals(code, 0);
  return stdout;
}

for (const each of [X86_64, AARCH64]) {
  Deno.test(`the committed table of every system call of ${each.name} is what the policy says`, async () => {
    const golden = new URL(`./testdata/probe_${each.name}.txt`, import.meta.url);
    const text = probeTable(each, expectedProbe(each));
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, text);
    assertEquals(text, await Deno.readTextFile(golden));
  });
}

Deno.test("the kernel under the filter answers every system call number as the committed table says", async () => {
  const tries = everyNumber(arch);
  const found = readProbe(
    await run(probeProgram(arch, tries, { filter: true }).image(withFilter(seccompFilter(arch.name)))),
  );
  assertEquals(found.length, PROBED_NUMBERS);
  const outcomes = await allowedThoughMissing(arch, found);
  const golden = new URL(`./testdata/probe_${arch.name}.txt`, import.meta.url);
  assertEquals(probeTable(arch, outcomes), await Deno.readTextFile(golden));
});

Deno.test("the probe tells a filter that refuses nothing from the real one", async () => {
  const all = new Uint8Array(INSTRUCTION_BYTES);
  all[0] = BPF.RETURN;
  new DataView(all.buffer).setUint32(4, ANSWER.ALLOW, true);
  const { calls } = ARCHES[arch.name];
  const tries: readonly Try[] = [
    { number: calls.io_uring_enter ?? -1, args: [] },
    { number: calls.pidfd_getfd ?? -1, args: [] },
    { number: calls.getpid ?? -1, args: [] },
  ];
  const program = probeProgram(arch, tries, { filter: true });
  assertEquals(readProbe(await run(program.image(withFilter(all)))).slice(1), ["allowed", "allowed"]);
  assertEquals(readProbe(await run(program.image(withFilter(seccompFilter(arch.name))))), [
    "ENOSYS",
    "EPERM",
    "allowed",
  ]);
});

/** Stands for "allow" where nothing may be let through. */
const LET_THROUGH = 4094;

/** The same filter, but that it answers an error where it would let a call through. */
function answering(filter: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const changed = filter.slice();
  const view = new DataView(changed.buffer);
  for (let at = 0; at < changed.length; at += INSTRUCTION_BYTES) {
    if (view.getUint16(at, true) === BPF.RETURN && view.getUint32(at + 4, true) === ANSWER.ALLOW) {
      view.setUint32(at + 4, ANSWER.ERRNO + LET_THROUGH, true);
    }
  }
  return changed;
}

Deno.test("the kernel runs the filter as the policy says, whatever the arguments", async () => {
  const telling = policy().flatMap(({ rules }) =>
    rules.flatMap(({ cases = [] }) =>
      cases.flatMap(({ when }) => when.flatMap(({ is }) => Object.values(is)))
    )
  );
  const filtered = policy().flatMap(({ rules }) => rules).filter(({ cases }) => cases !== undefined)
    .flatMap(({ calls }) => calls.flatMap((name) => ARCHES[arch.name].calls[name] ?? []));
  const argument = fc.tuple(
    fc.oneof(fc.constantFrom(...telling), fc.integer({ min: 0, max: 300 }), fc.nat(0xffffffff)),
    fc.constantFrom(0, 0, 1, 0x1fffff),
  ).map(([low, high]) => high * 2 ** 32 + low);
  const one = fc.record({
    number: fc.oneof(fc.integer({ min: 0, max: 1023 }), fc.constantFrom(...filtered)),
    args: fc.array(argument, { minLength: 6, maxLength: 6 }),
  });
  const seed = crypto.getRandomValues(new Int32Array(1))[0];
  const { uretprobe, uprobe } = ARCHES[arch.name].calls;
  // Newer kernels do not ask filters about these two, and they end whoever calls them.
  const tries = [...everyNumber(arch), ...fc.sample(one, { numRuns: 4000, seed })]
    .filter(({ number }) => number !== uretprobe && number !== uprobe);
  const image = answersProgram(arch, tries).image(withFilter(answering(seccompFilter(arch.name))));
  const results = readResults(await run(image));
  const { auditArch } = ARCHES[arch.name];
  tries.forEach(({ number, args }, index) => {
    const full = Array.from({ length: 6 }, (_, position) => BigInt.asUintN(64, BigInt(args[position] ?? -1)));
    const action = decide(arch.name, { auditArch, number, args: full });
    const errno = action === "allow" ? LET_THROUGH : answerOf(action) - ANSWER.ERRNO;
    assertEquals(-results[index].result, errno, `call ${number}(${args}), seed ${seed}`);
  });
});

/** Runs a program under the filter. */
async function under(path: string): Promise<Deno.CommandOutput> {
  const image = underFilterProgram(arch).image({
    ...withFilter(seccompFilter(arch.name)),
    executable: path,
    argv: [path],
    env: [],
  });
  return await start(image).output();
}

/** Exits with 0 if the call through the entry of 32-bit programs (getpid there) comes back. */
const I386_ENTRY = `int main(void) { int n = 20; __asm__ volatile("int $0x80" : "+a"(n)); return n < 0; }`;
/** Puts x32's bit on getpid, and a negative number. */
const X32_CALL = `#include <unistd.h>
#include <errno.h>
int main(void) {
  if (syscall(0x40000000 + 39) != -1 || errno != ENOSYS) return 1;
  return syscall(-5) == -1 && errno == ENOSYS ? 0 : 2;
}`;

const gcc = arch.name === "x86_64" && await Deno.stat("/usr/bin/gcc").then(() => true, () => false);
Deno.test({
  name: "entries of other architectures kill the process or say ENOSYS (needs x86_64 and gcc)",
  ignore: !gcc,
  fn: async () => {
    using dir = new TestDir();
    for (const [name, source] of [["i386", I386_ENTRY], ["x32", X32_CALL]]) {
      await Deno.writeTextFile(dir.file(`${name}.c`), source);
      const { success } = await new Deno.Command("gcc", {
        args: ["-o", dir.file(name), dir.file(`${name}.c`)],
      }).output();
      assert(success);
    }
    const i386 = await under(dir.file("i386"));
    assertEquals(i386.signal, "SIGSYS");
    const x32 = await under(dir.file("x32"));
    assertEquals({ code: x32.code, signal: x32.signal }, { code: 0, signal: null });
  },
});
