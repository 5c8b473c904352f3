/**
 * What every process of a grid measures of itself: memory, processor time, open files, how late its event loop is, and
 * which build it is.
 *
 * @module
 */

import type { Metrics } from "./metrics.ts";
import { Recent } from "./recent.ts";

/** How often it is looked whether the event loop is late. Shorter stalls than this are seen in part. */
const LAG_EVERY_MS = 50;
/** What the gauge of the greatest lag looks back on: longer than the time between two scrapes. */
const LAG_WINDOW_MS = 60_000;
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
/** Clock ticks in a second, in which Linux tells processor times to programs (`USER_HZ`). */
const TICKS_PER_SECOND = 100;

/** Registers the instruments and watches the event loop until the result is disposed of. */
export function instrumentProcess(
  metrics: Metrics,
  about: { readonly process: string; readonly version: string },
): Disposable {
  metrics.gauge("brokkr_build_info", "Always 1; its labels say what runs", ["process", "version", "deno"])
    .set(1, { ...about, deno: Deno.version.deno });
  // These four have the names that Prometheus's own client libraries give them.
  metrics.gauge(
    "process_resident_memory_bytes",
    "Memory of the process that is in RAM, in bytes",
    [],
    () => Deno.memoryUsage().rss,
  );
  metrics.gauge("process_open_fds", "Open file descriptors", [], openFiles);
  metrics.counter("process_cpu_seconds_total", "Processor time used, in seconds", [], cpuSeconds);
  metrics.gauge("process_start_time_seconds", "When the process started, in seconds since 1970")
    .set(performance.timeOrigin / 1000);
  return watchLoop(metrics);
}

function watchLoop(metrics: Metrics): Disposable {
  const lag = metrics.histogram(
    "brokkr_event_loop_lag_seconds",
    "How late a timer of 50 ms came, in seconds",
    [],
    LAG_BUCKETS,
  );
  const recent = new Recent(LAG_WINDOW_MS, 12);
  metrics.gauge(
    "brokkr_event_loop_lag_max_seconds",
    "The longest that the event loop was held up within the last minute, in seconds",
    [],
    () => recent.read(performance.now()).max / 1000,
  );
  let dueMs = performance.now() + LAG_EVERY_MS;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - dueMs);
    dueMs = nowMs + LAG_EVERY_MS;
    lag.observe(lateMs / 1000);
    recent.add(nowMs, lateMs);
  }, LAG_EVERY_MS);
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function openFiles(): number {
  // Since Linux 6.2 the directory's size is the number of its entries; before, it is 0.
  const { size } = Deno.statSync("/proc/self/fd");
  if (size > 0) return size;
  let count = 0;
  for (const _entry of Deno.readDirSync("/proc/self/fd")) count++;
  return count;
}

function cpuSeconds(): number {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  // The program's name is in parentheses and may hold anything; behind it fields are counted from 3, see proc_pid_stat(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[14 - 3]) + Number(fields[15 - 3])) / TICKS_PER_SECOND;
}
