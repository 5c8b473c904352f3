/**
 * What the tests of this member share.
 *
 * @module
 */

import type { Launcher } from "./launcher.ts";
import type { LaunchOptions } from "./launch_options.ts";
import type { ExitReport, RunningProcess } from "./runner_process.ts";

/** A directory that goes away with its scope. */
export class TestDir implements Disposable {
  /** Its path. */
  readonly path: string = Deno.makeTempDirSync({ prefix: "brokkr_sandbox_" });

  /** A path in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Text of a file in it. */
  text(name: string): string {
    return Deno.readTextFileSync(this.file(name));
  }

  /** Removes it. */
  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Options that run `script` with /bin/sh in `dir`, writing to `stdout` and `stderr` there. */
export function shell(dir: TestDir, script: string, more: Partial<LaunchOptions> = {}): LaunchOptions {
  return {
    executable: "/bin/sh",
    argv: ["sh", "-c", script],
    env: { PATH: "/usr/bin:/bin" },
    cwd: dir.path,
    stdout: { path: dir.file("stdout") },
    stderr: { path: dir.file("stderr") },
    ...more,
  };
}

/** Runs `script`; its report and what it wrote. */
export async function run(
  launcher: Launcher,
  script: string,
  more: Partial<LaunchOptions> = {},
): Promise<{ report: ExitReport; stdout: string; stderr: string }> {
  using dir = new TestDir();
  const report = await launcher.launch(shell(dir, script, more)).done;
  return { report, stdout: dir.text("stdout"), stderr: dir.text("stderr") };
}

/** Waits until `condition` holds, looking again and again. */
export async function until(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > limitMs) throw new Error(`Waited ${limitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits until the action has made the file `ready` in `dir`. */
export async function ready(dir: TestDir, running?: RunningProcess): Promise<void> {
  let ended = false;
  running?.done.then(() => ended = true, () => ended = true);
  await until(() => {
    if (ended) throw new Error(`The action ended before it was ready: ${dir.text("stderr")}`);
    return exists(dir.file("ready"));
  }, "the action to be ready");
}

/** Whether there is such a file. */
export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Processes (dead ones aside) whose working directory is in `dir`: all that a test's action left. */
export function processesIn(dir: TestDir): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readLinkSync(`/proc/${name}/cwd`).startsWith(dir.path)) found.push(Number(name));
    } catch { /* it has gone, or belongs to somebody else */ }
  }
  return found;
}

/** How many descriptors this process has. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
