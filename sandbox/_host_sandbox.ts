/**
 * The check that decides: a program run in the sandbox as workers run actions in it.
 *
 * @module
 */

import { asBrokkrError } from "@brokkr/common";
import type { Finding } from "./host_finding.ts";
import { removeTree } from "./remove_tree.ts";
import { Sandbox } from "./sandbox.ts";

const LAYER_BYTES = 1 << 20;
const LAYER_INODES = 64;

/** Runs one; why that did not work, or undefined. */
async function runTrue(spot: string, uidBase: number): Promise<string | undefined> {
  await using sandbox = await Sandbox.open({ slots: 1, lowersPath: spot, uidBase });
  const report = await sandbox.launch({
    executables: ["/bin/true", "/usr/bin/true"],
    argv: ["true"],
    env: [],
    cwd: "",
    stdout: { path: "/dev/null" },
    stderr: { path: "/dev/null" },
    lowers: [spot],
    writable: { kind: "memory", bytes: LAYER_BYTES, inodes: LAYER_INODES },
  }).done;
  report.work?.[Symbol.dispose]();
  if (report.failedStep !== undefined) return report.failedStep.message;
  return report.exitCode === 0 ? undefined : `The program ended with ${report.exitCode}`;
}

/** Runs /bin/true in the sandbox, with inputs in a directory `dir` makes, which is removed again. */
export async function checkSandbox(dir: string | undefined, uidBase: number): Promise<Finding> {
  const about = { id: "sandbox", requirement: "The sandbox itself" };
  const spot = await Deno.makeTempDir({ ...(dir === undefined ? {} : { dir }), prefix: ".brokkr-check-" });
  try {
    const startMs = performance.now();
    const failure = await runTrue(spot, uidBase).catch((error) => asBrokkrError(error).message);
    if (failure === undefined) {
      const ms = (performance.now() - startMs).toFixed(0);
      return { ...about, level: "OK", found: `/bin/true ran in it; set up, run and taken down in ${ms} ms` };
    }
    return {
      ...about,
      level: "FAIL",
      found: failure,
      meaning: "No action can be isolated on this machine",
      remedy: "see to what is said above first; then report this with the output of brokk doctor",
    };
  } finally {
    await removeTree(spot);
  }
}
