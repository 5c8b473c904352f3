import { assertEquals, assertMatch } from "@std/assert";
import { type ExplainedPart, explainSandbox } from "./explain.ts";
import type { TemplateShape } from "./template_program.ts";

/** The same on every machine. */
const TEMPLATE: TemplateShape = {
  root: true,
  directories: [{ path: "/dev", mode: 0o755 }, { path: "/usr", mode: 0o755 }, { path: "/work", mode: 0o755 }],
  files: [{ path: "/etc/hostname", content: "brokkr\n" }],
  links: [{ path: "/bin", target: "usr/bin" }],
  mounts: [
    { source: { path: "/usr" }, target: "/usr", file: false },
    { source: { path: "/dev/null" }, target: "/dev/null", file: true, device: true },
  ],
  base: "/tmp",
  most: {},
};

for (const part of ["template", "zygote", "action", "interpreter"] as const satisfies ExplainedPart[]) {
  for (const arch of ["x86_64", "aarch64"] as const) {
    Deno.test(`What is explained of the ${part} on ${arch} is what was reviewed; UPDATE_SNAPSHOTS=1 writes it anew`, async () => {
      const text = explainSandbox([part], { arch, root: true, template: TEMPLATE, lastCapability: 1 });
      const golden = new URL(`./testdata/explain_${part}_${arch}.txt`, import.meta.url);
      if (Deno.env.get("UPDATE_SNAPSHOTS") === "1") await Deno.writeTextFile(golden, text);
      assertEquals(text, await Deno.readTextFile(golden));
    });
  }
}

Deno.test("Everything that this machine's sandbox is made of is explained", () => {
  const text = explainSandbox();
  for (const part of ["template", "zygote", "action", "interpreter", "filter"]) {
    assertMatch(text, new RegExp(`^== ${part} ==$`, "m"));
  }
  assertMatch(text, /pivot_root\(/);
  assertMatch(explainSandbox(["action"], { network: "host" }), /bind .* to \/etc\/resolv\.conf/);
});
