import { assertEquals } from "@std/assert";
import { listing } from "./listing.ts";
import type { Program } from "./program.ts";
import { sandboxProgram, type SandboxShape } from "./sandbox_program.ts";
import { AARCH64 } from "./syscalls_aarch64.ts";
import { X86_64 } from "./syscalls_x86_64.ts";
import { templateProgram, type TemplateShape, userNamespaceProgram } from "./template_program.ts";
import { zygoteProgram } from "./zygote_program.ts";
import type { Arch } from "./arch.ts";

const TEMPLATE: TemplateShape = {
  root: false,
  base: "/tmp",
  most: { max_inotify_instances: 8 },
  directories: [{ path: "/dev", mode: 0o755 }, { path: "/usr", mode: 0o755 }],
  links: [{ path: "/bin", target: "usr/bin" }],
  files: [{ path: "/etc/hostname", content: "brokkr\n" }],
  mounts: [
    { source: { path: "/usr" }, target: "/usr", file: false },
    { source: { path: "/dev/null" }, target: "/dev/null", file: true, device: true },
    { source: { path: "/data/disk" }, target: "/host/disk", file: false, owned: true, writable: true },
  ],
};

const SHAPE: SandboxShape = {
  root: false,
  layered: true,
  writable: "memory",
  network: "none",
  groups: 1,
  executables: 2,
  rlimits: ["core"],
  aslr: true,
  rdtsc: true,
  lastCapability: 1,
};

const PROGRAMS: Readonly<Record<string, (arch: Arch) => Program>> = {
  user_namespace_plain_user: (arch) => userNamespaceProgram(arch, false),
  user_namespace_root: (arch) => userNamespaceProgram(arch, true),
  template_plain_user: (arch) => templateProgram(arch, TEMPLATE),
  template_root: (arch) => {
    const mounts = TEMPLATE.mounts.map((item, index) => ({ ...item, source: { fd: 20 + index } }));
    return templateProgram(arch, { ...TEMPLATE, root: true, mounts });
  },
  zygote: (arch) => zygoteProgram(arch).program,
  sandbox_plain_user: (arch) => sandboxProgram(arch, SHAPE),
  sandbox_root: (arch) =>
    sandboxProgram(arch, {
      ...SHAPE,
      root: true,
      layered: false,
      writable: "disk",
      network: "loopback",
      aslr: false,
      rdtsc: false,
    }),
  sandbox_host_network: (arch) => sandboxProgram(arch, { ...SHAPE, network: "host", groups: 0 }),
};

for (const [name, build] of Object.entries(PROGRAMS)) {
  Deno.test(`listing of the ${name} program is the one reviewed, on both architectures`, async () => {
    const text = listing(build(X86_64));
    // O_DIRECTORY is another number there, and has the same name.
    assertEquals(listing(build(AARCH64)), text);
    const golden = new URL(`./testdata/${name}.txt`, import.meta.url);
    if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(golden, text);
    assertEquals(text, await Deno.readTextFile(golden));
  });
}
