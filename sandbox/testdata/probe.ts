// Run by launcher_test.ts where namespaces are refused; prints what the launcher found and an exit code.
import { run } from "../_testing.ts";
import { Launcher } from "../mod.ts";

using launcher = await Launcher.open();
console.log(
  JSON.stringify({ probe: launcher.probe, exitCode: (await run(launcher, "exit 3")).report.exitCode }),
);
