import { assert, assertEquals, assertThrows } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import { actionProgram } from "./action_program.ts";
import type { Arch, SyscallName } from "./arch.ts";
import { currentArch } from "./arch.ts";
import { CODE_OFFSET, DATA_ADDRESS, DATA_OFFSET } from "./elf.ts";
import { FAULT_BYTES, interpreterCode, interpreterListing, OP_BYTES } from "./interpreter.ts";
import { close, memfdCreate, writeAll } from "./libc.ts";
import { MFD_CLOEXEC } from "./linux.ts";
import { listing } from "./listing.ts";
import { FAULT, fieldOf, MAX_PARAMETER_BYTES, named, param, ProgramBuilder } from "./program.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";

const ARCHES: readonly Arch[] = [X86_64, AARCH64];

/** What GNU as makes of the assembly beside the bytes, with table = 0x411010 and fault = 0x411000. */
const ASSEMBLED: Readonly<Record<Arch["name"], string>> = {
  x86_64: "bb10104100bd00104100488b03488b7b08488b7310488b53184c8b53204c8b43284c8b4b300f0548894338488b4b58" +
    "4885c97403488901483b43487506488b5b50ebc7483d01f0ffff720e48895d0048894508488b5b40ebb1488b5b60ebab",
  aarch64:
    "130282d23308a0f2140082d23408a0f2680240a9610a41a9631242a9651a40f9010000d4601e00f9692e40f9490000b4" +
    "200100f9692640f91f0009eb61000054732a40f9f3ffff171ffc3fb183000054930200a9732240f9eeffff17733240f9" +
    "ecffff17",
};

/** Runs an image; its exit status and what it wrote to stdout. */
async function runImage(image: Uint8Array<ArrayBuffer>): Promise<{ code: number; stdout: string }> {
  const fd = memfdCreate("test", MFD_CLOEXEC, true);
  let child: Deno.ChildProcess;
  try {
    writeAll(fd, image);
    child = new Deno.Command(`/proc/self/fd/${fd}`, { stdin: "null", stdout: "piped", stderr: "null" })
      .spawn();
  } finally {
    close(fd);
  }
  const { code, stdout } = await child.output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

/** A program that uses all that the interpreter can do: stores, comparisons, errors, forks, parameters. */
function everything(arch: Arch) {
  const builder = new ProgramBuilder(arch);
  const say = (text: string) => builder.call("write", [1, builder.string(text), text.length]);
  const status = builder.room(8, "status");
  builder.call("clone", [17, 0, 0, 0, 0], {
    onEqual: { value: 0, goto: "child" },
    store: fieldOf("wait", "equals"),
  });
  builder.label("wait");
  builder.call("wait4", [-1, status, 0, 0], { onEqual: { value: -1, goto: "reaped" }, next: "wait" });
  builder.label("reaped");
  builder.call("write", [1, param("words"), param("wordsBytes")]);
  builder.call("openat", [-100, builder.string("/proc/self/stat"), 0], { store: fieldOf("read", 0) });
  const buffer = builder.room(64, "buffer");
  builder.label("read");
  builder.call("read", [-1, buffer, 1], { onEqual: { value: 1, goto: "was_read" } });
  builder.call("exit_group", [90]);
  builder.label("was_read");
  builder.call("close", [999], { onError: "next" });
  builder.call("close", [999], { onEqual: { value: -9, goto: "bad_fd" } });
  builder.call("exit_group", [91]);
  builder.label("bad_fd");
  say("parent\n");
  builder.call("chdir", [builder.string("/does/not/exist")]);
  builder.call("exit_group", [92]);
  builder.label("child");
  say("child\n");
  builder.call("exit_group", [3]);
  builder.label("failed");
  builder.call("write", [1, FAULT, FAULT_BYTES]);
  builder.call("exit_group", [7]);
  return builder.build();
}

const EXPECTED = /^child\nwords\nparent\n/;

Deno.test("Program runs: stores, comparisons, ignored errors, children and parameters", async () => {
  const program = everything(currentArch());
  const { code, stdout } = await runImage(program.image({ words: "words\n", wordsBytes: 6 }));
  assertEquals(code, 7);
  assert(EXPECTED.test(stdout), stdout);
});

Deno.test("Program records the operation that failed and its error", async () => {
  const builder = new ProgramBuilder(currentArch());
  builder.call("getpid", []);
  builder.call("chdir", [param("where")], { name: "chdir $where" });
  builder.call("exit_group", [0]);
  builder.label("failed");
  builder.call("write", [1, FAULT, FAULT_BYTES]);
  builder.call("exit_group", [1]);
  const program = builder.build();
  const fd = memfdCreate("test", MFD_CLOEXEC, true);
  writeAll(fd, program.image({ where: "/does/not/exist" }));
  const child = new Deno.Command(`/proc/self/fd/${fd}`, { stdout: "piped", stderr: "null" }).spawn();
  close(fd);
  const { stdout } = await child.output();
  const view = new DataView(stdout.buffer, stdout.byteOffset);
  assertEquals(program.opAt(Number(view.getBigUint64(0, true)))?.name, "chdir $where");
  assertEquals(view.getBigInt64(8, true), -2n);
});

const qemu = "/usr/bin/qemu-aarch64-static";
Deno.test({
  name: "Program for aarch64 runs under qemu-user, where that is installed",
  ignore: currentArch().name === "aarch64" || !(await Deno.stat(qemu).then(() => true, () => false)),
  fn: async () => {
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeFile(path, everything(AARCH64).image({ words: "words\n", wordsBytes: 6 }), {
        mode: 0o700,
      });
      const { code, stdout } = await new Deno.Command(qemu, { args: [path] }).output();
      assertEquals(code, 7);
      assert(EXPECTED.test(new TextDecoder().decode(stdout)));
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test("interpreterCode gives the bytes the assembler gives", () => {
  for (const arch of ARCHES) {
    assertEquals(interpreterCode(arch, 0x411010, 0x411000).toHex(), ASSEMBLED[arch.name], arch.name);
    const lines = interpreterListing(arch, 0x411010, 0x411000).split("\n");
    assertEquals(lines[0].endsWith("table") || lines[0].endsWith("table & 0xffff"), true);
  }
});

Deno.test("Program image is an ELF file whose code cannot be written and whose data cannot be run", () => {
  for (const arch of ARCHES) {
    const image = everything(arch).image({ words: "x".repeat(10_000), wordsBytes: 1 });
    const view = new DataView(image.buffer, image.byteOffset);
    assertEquals(view.getUint32(0, false), 0x7f454c46);
    assertEquals(view.getUint16(18, true), arch.elfMachine);
    assertEquals(view.getBigUint64(24, true), BigInt(0x400000 + CODE_OFFSET));
    const headers = [0, 1, 2].map((index) => {
      const at = 64 + index * 56;
      return {
        flags: view.getUint32(at + 4, true),
        offset: Number(view.getBigUint64(at + 8, true)),
        address: Number(view.getBigUint64(at + 16, true)),
        bytes: Number(view.getBigUint64(at + 32, true)),
      };
    });
    assertEquals(headers.map(({ flags }) => flags), [4 | 1, 4 | 2, 4 | 2]);
    assertEquals(headers[1].offset, DATA_OFFSET);
    assertEquals(headers[1].address, DATA_ADDRESS);
    assertEquals(headers[1].offset + headers[1].bytes, image.length);
    for (const { offset, address } of headers.slice(0, 2)) assertEquals(address % 65536, offset % 65536);
  }
});

Deno.test("Program image leaves the template as it was", () => {
  const program = everything(X86_64);
  const first = program.image({ words: "one", wordsBytes: 3 });
  program.image({ words: "something else", wordsBytes: 14 });
  assertEquals(program.image({ words: "one", wordsBytes: 3 }), first);
});

Deno.test("Program image holds a list of strings as execve wants it", () => {
  const builder = new ProgramBuilder(X86_64);
  builder.errorHandler = "end";
  builder.call("execve", [0, param("list"), 0]);
  builder.label("end");
  builder.call("exit_group", [0]);
  const image = builder.build().image({ list: ["a", "", "ü\u{1f980}"] });
  const view = new DataView(image.buffer, image.byteOffset);
  const offsetOf = (address: number) => address - DATA_ADDRESS + DATA_OFFSET;
  const list = offsetOf(Number(view.getBigUint64(DATA_OFFSET + FAULT_BYTES + 16, true)));
  const strings = [0, 1, 2].map((index) => {
    const start = offsetOf(Number(view.getBigUint64(list + index * 8, true)));
    return new TextDecoder().decode(image.subarray(start, image.indexOf(0, start)));
  });
  assertEquals(strings, ["a", "", "ü\u{1f980}"]);
  assertEquals(view.getBigUint64(list + 24, true), 0n);
});

Deno.test("Program writes negative and large arguments as 64 bits", () => {
  const values = [0, 1, -1, -100, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 40 + 5, -(2 ** 40) - 5, 0xffffffff];
  for (const value of values) {
    const builder = new ProgramBuilder(X86_64);
    builder.errorHandler = "end";
    builder.call("close", [value, param("value"), named(value, "value")]);
    builder.label("end");
    builder.call("exit_group", [0]);
    const image = builder.build().image({ value });
    const view = new DataView(image.buffer, image.byteOffset);
    for (const at of [8, 16, 24]) {
      assertEquals(view.getBigInt64(DATA_OFFSET + FAULT_BYTES + at, true), BigInt(value));
    }
  }
});

Deno.test("ProgramBuilder refuses labels that are not there, twice there, and a table one can run off", () => {
  const missing = new ProgramBuilder(X86_64);
  missing.call("getpid", []);
  missing.call("exit_group", [0]);
  assertThrows(() => missing.build(), Error, "goes to failed, which is not there");
  const twice = new ProgramBuilder(X86_64);
  twice.label("a");
  assertThrows(() => twice.label("a"), Error, "Label a is taken");
  const open = new ProgramBuilder(X86_64);
  open.label("failed");
  open.call("getpid", []);
  assertThrows(() => open.build(), Error, "goes to next, which is not there");
});

Deno.test("Program image refuses missing parameters and more bytes than any execve takes", () => {
  const program = everything(X86_64);
  assertThrows(() => program.image({ words: "x" }), BrokkrError, "Parameter $wordsBytes has no value");
  assertThrows(
    () => program.image({ words: "x".repeat(MAX_PARAMETER_BYTES / 3), wordsBytes: 1 }),
    BrokkrError,
    "Arguments and environment take up to",
  );
});

Deno.test("the tables of both architectures have every call, each number once", () => {
  for (const arch of ARCHES) {
    const numbers = Object.values(arch.syscalls);
    assertEquals(new Set(numbers).size, numbers.length, arch.name);
  }
  const names = (arch: Arch) => Object.keys(arch.syscalls) as SyscallName[];
  assertEquals(names(X86_64), names(AARCH64));
});

for (
  const [name, options] of [
    ["pid_namespace", { mode: "pid-namespace", userNamespace: true }],
    ["subreaper", { mode: "subreaper", userNamespace: false }],
  ] as const
) {
  Deno.test(`listing of the action's program (${name}) is the one reviewed`, async () => {
    const shape = { ...options, stdinFile: true, rlimits: ["core"], probe: false } as const;
    const text = listing(actionProgram(X86_64, shape));
    assertEquals(listing(actionProgram(AARCH64, shape)), text);
    const golden = new URL(`./testdata/${name}.txt`, import.meta.url);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, text);
    assertEquals(text, await Deno.readTextFile(golden));
  });
}

Deno.test("the action's program fits a few pages", () => {
  const shape = {
    mode: "pid-namespace",
    userNamespace: true,
    stdinFile: true,
    rlimits: [],
    probe: false,
  } as const;
  assert(actionProgram(X86_64, shape).ops.length * OP_BYTES < 16 * 1024);
});
