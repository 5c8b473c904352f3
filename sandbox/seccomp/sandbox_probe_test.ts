import { assertEquals } from "@std/assert";
import { TestSandbox } from "../_sandbox_cases.ts";
import { currentArch } from "../arch.ts";
import { everyNumber, probeProgram, probeTable, readProbe } from "./probe.ts";
import { allowedThoughMissing } from "./_under_filter.ts";

const arch = currentArch();

async function whyNot(): Promise<string | undefined> {
  try {
    await using _ = await TestSandbox.open();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const reason = await whyNot();

Deno.test({
  name: "inside a sandbox every system call number is answered as the committed table says" +
    (reason === undefined ? "" : ` (skipped: ${reason})`),
  ignore: reason !== undefined,
  fn: async () => {
    await using test = await TestSandbox.open();
    await Deno.writeFile(
      `${test.input}/probe`,
      probeProgram(arch, everyNumber(arch), { filter: false }).image({}),
    );
    await Deno.chmod(`${test.input}/probe`, 0o555);
    const request = test.request("", { executables: ["/work/probe"], argv: ["probe"] });
    const report = await test.sandbox.launch(request).done;
    report.work?.[Symbol.dispose]();
    assertEquals({ code: report.exitCode, signal: report.signal }, { code: 0, signal: undefined });
    const outcomes = await allowedThoughMissing(
      arch,
      readProbe(await Deno.readFile(`${request.out}.stdout`)),
    );
    const golden = new URL(`./testdata/probe_${arch.name}.txt`, import.meta.url);
    assertEquals(probeTable(arch, outcomes), await Deno.readTextFile(golden));
  },
});
