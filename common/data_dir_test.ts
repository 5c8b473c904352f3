import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code, openDataDirectory } from "./mod.ts";

Deno.test("openDataDirectory makes the directory and lets one owner in at a time", () => {
  const base = Deno.makeTempDirSync();
  try {
    const path = `${base}/a/b`;
    {
      using first = openDataDirectory(path, "control");
      const error = assertThrows(() => openDataDirectory(path, "worker"), BrokkrError, "in use by control");
      assertEquals(error.code, Code.FAILED_PRECONDITION);
      assertStringIncludes(error.message, String(Deno.pid));
      assertEquals(first.path, Deno.realPathSync(path));
    }
    using _second = openDataDirectory(path, "worker");
  } finally {
    Deno.removeSync(base, { recursive: true });
  }
});

Deno.test("openDataDirectory takes over from an owner that was killed", async () => {
  const base = Deno.makeTempDirSync();
  try {
    const code = `const { openDataDirectory } = await import(${
      JSON.stringify(new URL("./data_dir.ts", import.meta.url).href)
    });
      openDataDirectory(${
      JSON.stringify(base)
    }, "control"); console.log("held"); setInterval(() => {}, 1000);`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-lock", code], stdout: "piped" })
      .spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const error = assertThrows(() => openDataDirectory(base, "control"), BrokkrError, "in use");
    assertStringIncludes(error.message, String(child.pid));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using _ours = openDataDirectory(base, "control");
  } finally {
    Deno.removeSync(base, { recursive: true });
  }
});

Deno.test("openDataDirectory says what to do when the path is a file", () => {
  const file = Deno.makeTempFileSync();
  try {
    assertThrows(
      () => openDataDirectory(`${file}/x`, "control"),
      BrokkrError,
      "name one that this user may write",
    );
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test({
  name: "openDataDirectory says that the disk is full, and needs no room where it was open before" +
    (Deno.uid() === 0 ? "" : " (skipped: mounting a small tmpfs needs root)"),
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const base = Deno.makeTempDirSync();
    const mount = await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", base] })
      .output();
    try {
      if (!mount.success) return console.log("Skipped: a tmpfs cannot be mounted here");
      openDataDirectory(`${base}/old`, "control, under a name that is longer than the next one's").release();
      Deno.mkdirSync(`${base}/new`);
      assertThrows(() => Deno.writeFileSync(`${base}/ballast`, new Uint8Array(1 << 20)));
      const error = assertThrows(() => openDataDirectory(`${base}/new`, "control"), BrokkrError);
      assertEquals(error.code, Code.RESOURCE_EXHAUSTED);
      assertStringIncludes(error.message, `${base}/new`);
      assertStringIncludes(error.message, "No space left");
      using _old = openDataDirectory(`${base}/old`, "worker");
      assertEquals(Deno.readTextFileSync(`${base}/old/LOCK`), `worker with process id ${Deno.pid}\n`);
      Deno.removeSync(`${base}/ballast`);
      using _new = openDataDirectory(`${base}/new`, "control");
    } finally {
      if (mount.success) await new Deno.Command("umount", { args: ["-l", base] }).output();
      Deno.removeSync(base, { recursive: true });
    }
  },
});
