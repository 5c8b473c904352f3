import { assertEquals } from "@std/assert";
import { type Arch, currentArch } from "./arch.ts";
import { interpreterCode, interpreterListing } from "./interpreter.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";

const TABLE = 0x411010;
const FAULT = 0x411000;

interface Case {
  readonly arch: Arch;
  readonly machine: readonly string[];
  readonly tools: readonly string[];
}

const CASES: readonly Case[] = [
  {
    arch: X86_64,
    machine: ["-m", "i386:x86-64", "-M", "intel"],
    tools: ["x86_64-linux-gnu-objdump", "objdump"],
  },
  { arch: AARCH64, machine: ["-m", "aarch64"], tools: ["aarch64-linux-gnu-objdump", "objdump"] },
];

/** The first of `tools` that there is; this machine's own objdump only disassembles its own machine. */
async function findTool({ arch, tools }: Case): Promise<string | undefined> {
  for (const tool of tools) {
    if (tool === "objdump" && arch.name !== currentArch().name) continue;
    try {
      if ((await new Deno.Command(tool, { args: ["--version"], stdout: "null" }).output()).success) {
        return tool;
      }
    } catch {
      // not installed
    }
  }
  return undefined;
}

/** What a disassembler reads in the bytes: address, bytes and text of each instruction. */
async function disassemble(tool: string, machine: readonly string[], code: Uint8Array): Promise<string[][]> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, code);
    const { stdout } = await new Deno.Command(tool, {
      args: ["-D", "-b", "binary", ...machine, "--insn-width=16", path],
    }).output();
    return [...new TextDecoder().decode(stdout).matchAll(/^\s*([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(.*)$/gm)]
      .map(([, address, bytes, text]) => [address, bytes, text]);
  } finally {
    await Deno.remove(path);
  }
}

/** One way of writing an instruction: no sizes, no comments, decimal numbers, labels for addresses. */
function plain(text: string, labels: ReadonlyMap<number, string>): string {
  return text.replace(/\s*(\/\/|#(?!\d|0x|-)|<).*$/, "").replace(/QWORD PTR /g, "").replace(/[\s,]+/g, " ")
    .replace(
      /^(j\w+|b(?:\.\w+)?|cbz x\d+) (?:0x)?([0-9a-f]+)$/,
      (_, jump: string, to: string) => `${jump} ${labels.get(parseInt(to, 16)) ?? to}`,
    )
    .replace(
      /-?0x[0-9a-f]+/g,
      (hex) => hex.startsWith("-") ? `-${BigInt(hex.slice(1))}` : String(BigInt.asIntN(64, BigInt(hex))),
    )
    .replace(/#/g, "").trim();
}

/** Other names for the same instruction. */
const SAME: Readonly<Record<string, string>> = { jz: "je", "b.lo": "b.cc", "b.cc": "b.cc" };

function canonical(text: string): string {
  return text.replace(/^[\w.]+/, (name) => SAME[name] ?? name).replace(
    "rax 18446744073709547521",
    "rax -4095",
  );
}

for (const item of CASES) {
  const tool = await findTool(item);
  Deno.test({
    name: `interpreterListing explains every byte for ${item.arch.name} as a disassembler does` +
      (tool === undefined ? ` (skipped: ${item.tools[0]} of binutils is not installed)` : ""),
    ignore: tool === undefined,
    fn: async () => {
      if (tool === undefined) return;
      const code = interpreterCode(item.arch, TABLE, FAULT);
      const listed = interpreterListing(item.arch, TABLE, FAULT).trimEnd().split("\n").map((line) => {
        const [, bytes, label, text] = /^((?:[0-9a-f]{2} )*[0-9a-f]{2})\s+(?:(\w+):)?\s*(.*)$/.exec(line) ??
          [];
        return { bytes, label, text };
      });
      const labels = new Map<number, string>();
      let at = 0;
      for (const { bytes, label } of listed) {
        if (label !== undefined) labels.set(at, label);
        at += bytes.split(" ").length;
      }
      assertEquals(at, code.length);
      const read = await disassemble(tool, item.machine, code);
      const values = new Map([["table", TABLE], ["fault", FAULT]]);
      const resolved = (text: string) =>
        text.replace(/(table|fault) (?:& 0xffff|>> 16)/g, (expression) => {
          const [name, operator] = expression.split(" ");
          const value = values.get(name) ?? 0;
          return String(operator === "&" ? value & 0xffff : value >>> 16);
        }).replace(/table|fault/g, (name) => String(values.get(name)));
      assertEquals(
        listed.map(({ text }) => canonical(plain(resolved(text), labels))),
        read.map(([, , text]) => canonical(plain(text, labels))),
      );
      const bytesRead = read.map(([, bytes]) =>
        item.arch.name === "aarch64"
          ? (bytes.match(/../g) ?? []).reverse().join(" ") // shown as words, kept as bytes
          : bytes.trim()
      );
      assertEquals(listed.map(({ bytes }) => bytes), bytesRead);
    },
  });
}
