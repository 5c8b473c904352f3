import { assert, assertEquals } from "@std/assert";
import { type Arch, currentArch } from "./arch.ts";
import { close, memfdCreate, setCloseOnExec, writeAll } from "./libc.ts";
import { MFD_CLOEXEC } from "./linux.ts";
import { DescriptorMessages, socketPair } from "./passing.ts";
import { param, ProgramBuilder } from "./program.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { FIRST_PASSED, PASSED_ADDRESS, ZYGOTE_SOCKET, zygoteProgram } from "./zygote_program.ts";
import { TestDir } from "./_testing.ts";

/** A program that writes a text to the descriptor passed behind it, sends that back, and tells that it ended. */
function passedProgram(arch: Arch) {
  const builder = new ProgramBuilder(arch);
  builder.call("write", [FIRST_PASSED + 1, param("text"), param("length")]);
  const control = builder.words([20, 1 + 2 ** 32, FIRST_PASSED + 1], "[SCM_RIGHTS]");
  const iov = builder.words([param("token"), 8], "[token, 8]");
  const message = builder.words([0, 0, iov, 1, control, 24, 0], "message");
  builder.call("sendmsg", [ZYGOTE_SOCKET, message, 0]);
  builder.label("failed");
  builder.call("write", [1, param("token"), 8], { onError: "next" });
  builder.call("exit_group", [0]);
  return builder.buildMapped(PASSED_ADDRESS);
}

const qemu = "/usr/bin/qemu-aarch64-static";
const hasQemu = await Deno.stat(qemu).then(() => true, () => false);
const CASES: readonly { arch: Arch; emulator?: string; missing: boolean }[] = [
  { arch: currentArch(), missing: false },
  { arch: AARCH64, emulator: qemu, missing: !hasQemu || currentArch().name === "aarch64" },
];

for (const { arch, emulator, missing } of CASES) {
  const how = emulator === undefined ? "" : ` under ${emulator}${missing ? " (skipped: not installed)" : ""}`;
  Deno.test({
    name: `the zygote for ${arch.name} forks children that go on in the programs passed${how}`,
    ignore: missing,
    fn: async () => {
      using dir = new TestDir();
      const [mine, its] = socketPair();
      const { program, headerOffset } = zygoteProgram(arch);
      await Deno.writeFile(dir.file("zygote"), program.image({ socket: its, header: headerOffset }), {
        mode: 0o700,
      });
      setCloseOnExec(its, false);
      const child = new Deno.Command(emulator ?? dir.file("zygote"), {
        args: emulator === undefined ? [] : [dir.file("zygote")],
        stdin: "null",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      close(its);
      const messages = new DescriptorMessages();
      const passed = passedProgram(arch);
      const reader = child.stdout.getReader();
      for (let token = 1n; token <= 20n; token++) {
        const text = `child ${token}`;
        const image = passed.image({
          token: new Uint8Array(new BigUint64Array([token]).buffer),
          text,
          length: text.length,
        });
        const imageFd = memfdCreate("program", MFD_CLOEXEC);
        writeAll(imageFd, image);
        const fileFd = memfdCreate("text", MFD_CLOEXEC);
        messages.send(mine, token, [imageFd, fileFd]);
        close(imageFd);
        const { value } = await reader.read();
        assert(value !== undefined, "the zygote ended");
        assertEquals(new DataView(value.buffer, value.byteOffset).getBigUint64(0, true), token);
        assertEquals(Deno.readTextFileSync(`/proc/self/fd/${fileFd}`), text);
        const received = messages.receive(mine);
        assertEquals([received?.token, received?.fds.length], [token, 1]);
        assertEquals(Deno.readTextFileSync(`/proc/self/fd/${received?.fds[0]}`), text);
        received?.fds.forEach(close);
        close(fileFd);
        assertEquals(messages.receive(mine), undefined);
      }
      // It ends when nobody is left to send anything.
      close(mine);
      assertEquals((await reader.read()).done, true);
      assertEquals((await child.status).code, 127);
    },
  });
}
