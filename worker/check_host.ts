/**
 * `brokkr-worker --check-host`: whether a worker with these settings can isolate actions on this machine.
 *
 * @module
 */

import { asBrokkrError } from "@brokkr/common";
import { loadProcessConfig } from "@brokkr/common/config";
import { print } from "@brokkr/common/process";
import { checkHost, hostReport, isFunctional } from "@brokkr/sandbox";

/** The flag that asks for it; `--json` beside it prints the findings for scripts. */
export const CHECK_HOST_FLAG = "--check-host";

/** How the worker presents itself. */
export interface CheckedWorker {
  /** Its name in messages. */
  readonly name: string;
  /** Version of the software. */
  readonly version: string;
}

/**
 * Checks, prints what was found, and gives the exit code: 0 when actions can be isolated, 1 when not, 2 for settings that
 * are wrong.
 */
export async function checkHostCode(
  args: readonly string[],
  { name, version }: CheckedWorker,
): Promise<number> {
  const rest = args.filter((arg) => arg !== CHECK_HOST_FLAG && arg !== "--json");
  try {
    const about = {
      usage: `${name} ${CHECK_HOST_FLAG} [--json] [flags]`,
      about: "Checks this machine.",
      version,
    };
    const { config, print: text } = await loadProcessConfig("worker", rest, about);
    if (text !== undefined) {
      print(text);
      return 0;
    }
    const { dataDir, slots, sandboxUidBase: uidBase } = config.worker;
    const findings = await checkHost({
      dataDir,
      uidBase,
      slots: slots === 0 ? navigator.hardwareConcurrency : slots,
    });
    const colour = Deno.stdout.isTerminal() && !Deno.noColor;
    print(args.includes("--json") ? `${JSON.stringify(findings)}\n` : hostReport(findings, { colour }));
    return isFunctional(findings) ? 0 : 1;
  } catch (error) {
    console.error(`${name}: ${asBrokkrError(error).message}`);
    return 2;
  }
}
