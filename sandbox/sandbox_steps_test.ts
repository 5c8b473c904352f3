import { assert, assertEquals } from "@std/assert";
import { BrokkrError } from "@brokkr/common";
import { descendants } from "./_process_tree.ts";
import { TestSandbox } from "./_sandbox_cases.ts";
import { openDescriptors, until } from "./_testing.ts";
import { currentArch } from "./arch.ts";
import { OP, OP_BYTES } from "./interpreter.ts";
import { firstOperation, type Op, Program } from "./program.ts";
import type { SandboxReport } from "./sandbox_options.ts";

// A program is data, so any step of it can be made to fail, or to be the last that its process does.

/** What becomes of one operation. */
interface Change {
  /** Its index. */
  readonly index: number;
  /** `die`: the process ends there. `fail`: the call is one that no kernel has. */
  readonly what: "die" | "fail";
}

/** A number that no architecture has a call for. */
const NO_CALL = 4000;

/** Runs `launch` with one operation of the program it starts changed. */
function changed<T>(
  change: Change | undefined,
  launch: () => T,
  see: (ops: readonly Op[]) => void = () => {},
): T {
  const original = Program.prototype.image;
  Program.prototype.image = function (values) {
    const image = original.call(this, values);
    // Not the zygote's, in case one is started now.
    if (!this.ops.some(({ name }) => name === "seccomp")) return image;
    see(this.ops);
    if (change !== undefined) {
      const at = firstOperation(0) + change.index * OP_BYTES;
      const view = new DataView(image.buffer, image.byteOffset);
      const number = change.what === "die" ? currentArch().syscalls.exit_group : NO_CALL;
      view.setBigUint64(at + OP.number, BigInt(number), true);
    }
    return image;
  };
  try {
    return launch();
  } finally {
    Program.prototype.image = original;
  }
}

async function whyNot(): Promise<string | undefined> {
  try {
    await using _ = await TestSandbox.open();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

const reason = await whyNot();
const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;

/** Runs the program once for each of its steps, eight at a time, with that step changed. */
async function eachStep(
  what: Change["what"],
  look: (op: Op, result: SandboxReport | BrokkrError) => void,
): Promise<number> {
  await using test = await TestSandbox.open();
  const request = () => test.request("(setsid sleep 1000 &) ; exit 5", { network: "loopback", aslr: false });
  let ops: readonly Op[] = [];
  const first = await changed(undefined, () => test.sandbox.launch(request()), (all) => ops = all).done;
  first.work?.[Symbol.dispose]();
  assertEquals(first.exitCode, 5);
  const before = openDescriptors();
  let next = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let index; (index = next++) < ops.length;) {
      // The interpreter does that again and again, since it cannot fail.
      if (what === "fail" && ops[index].syscall === "exit_group") continue;
      const running = changed({ index, what }, () => test.sandbox.launch(request()));
      const result = await running.done.catch((error) => {
        if (error instanceof BrokkrError) return error;
        throw error;
      });
      if (!(result instanceof BrokkrError)) result.work?.[Symbol.dispose]();
      look(ops[index], result);
    }
  }));
  await until(() => descendants(test.sandbox.zygotePid).length === 0, "all processes to go");
  await until(() => openDescriptors() <= before, "all descriptors to be closed");
  return ops.length;
}

Deno.test({
  name:
    `Sandbox: whichever step is the last that its process does, the action ends and nothing stays${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    const codes = new Map<string, number>();
    const steps = await eachStep("die", (op, result) => {
      const end = result instanceof BrokkrError ? result.message : String(result.exitCode);
      codes.set(end, (codes.get(end) ?? 0) + 1);
      // An action that ended by itself before the step did so for good: only that may look like a success.
      if (end === "5") {
        assert(/wait4|getpid|exit_group|write token|pwrite64/.test(op.name), `${op.role}: ${op.name}`);
      }
    });
    assert(steps > 100, `${steps} steps`);
    assertEquals([...codes.values()].reduce((a, b) => a + b), steps);
  },
});

Deno.test({
  name: `Sandbox: whichever step fails, that step is what the report names${skipped}`,
  ignore: reason !== undefined,
  fn: async () => {
    await eachStep("fail", (op, result) => {
      if (op.onError !== `${op.role}_failed`) return;
      const at = `${op.role}: ${op.name}`;
      if (result instanceof BrokkrError) throw new Error(`${at}: ${result.message}`);
      assertEquals([result.failedStep?.role, result.failedStep?.errnoName, result.exitCode], [
        op.role,
        "ENOSYS",
        127,
      ], at);
    });
  },
});
