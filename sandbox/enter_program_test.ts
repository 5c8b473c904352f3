import { assert, assertEquals } from "@std/assert";
import { enterProgram, type EnterShape } from "./enter_program.ts";
import { listing } from "./listing.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";

const SHAPE: EnterShape = {
  namespaces: ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"],
  groups: 2,
  executables: 2,
  terminal: true,
  lastCapability: 2,
};
const GOLDEN = new URL("./testdata/enter.txt", import.meta.url);

Deno.test("listing of the program that joins is the one reviewed; UPDATE_SNAPSHOTS=1 writes it anew", async () => {
  const text = listing(enterProgram(X86_64, SHAPE), { steps: true });
  assertEquals(listing(enterProgram(AARCH64, SHAPE), { steps: true }), text);
  if (Deno.env.get("UPDATE_SNAPSHOTS") === "1") await Deno.writeTextFile(GOLDEN, text);
  assertEquals(text, await Deno.readTextFile(GOLDEN));
});

Deno.test("Who joins has given up everything, and must have, before a program is executed", () => {
  const { ops, labels } = enterProgram(X86_64, SHAPE);
  const start = labels.get("action");
  assert(start !== undefined);
  const child = ops.slice(start);
  const exec = child.findIndex(({ syscall }) => syscall === "execve");
  const before = child.slice(0, exec);
  for (const step of ["capset", "prctl PR_SET_NO_NEW_PRIVS", "seccomp", "close_range"]) {
    const found = before.filter(({ name, onError, onEqual, next }) =>
      (name === step || step === "capset" && name.startsWith("capset")) && onError === "failed" &&
      onEqual === undefined && next === "next"
    );
    assert(found.length > 0, `${step} may be passed by`);
  }
  assertEquals(before.at(-1)?.syscall, "seccomp");
});
