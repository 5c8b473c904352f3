import { assertEquals } from "@std/assert";
import { ManualClock } from "@brokkr/common";
import { TestDir } from "./_testing.ts";
import { openPath } from "./file_calls.ts";
import { close } from "./libc.ts";
import { O_APPEND, O_CLOEXEC, O_CREAT, O_WRONLY } from "./linux.ts";
import { OutputWatch, RUNAWAY_FACTOR, WATCH_INTERVAL_MS } from "./output_watch.ts";

/** A writer as an action is one: a descriptor open for appending. */
class Writer implements Disposable {
  readonly fd: number;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.fd = openPath(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600);
  }

  write(text: string): void {
    Deno.writeTextFileSync(this.#path, text, { append: true });
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

Deno.test("OutputWatch keeps the first bytes, counts the others, and lets the writer go on", () => {
  using dir = new TestDir();
  using out = new Writer(dir.file("out"));
  using err = new Writer(dir.file("err"));
  const clock = new ManualClock();
  {
    using watch = new OutputWatch(clock, [out, err], 10, () => {
      throw new Error("no runaway");
    });
    out.write("0123456789");
    err.write("short");
    clock.advance(WATCH_INTERVAL_MS);
    assertEquals([watch.droppedBytes(out.fd), watch.droppedBytes(err.fd)], [0, 0]);
    out.write("abc");
    assertEquals(watch.droppedBytes(out.fd), 0);
    clock.advance(WATCH_INTERVAL_MS);
    assertEquals(watch.droppedBytes(out.fd), 3);
    out.write("defgh");
    clock.advance(WATCH_INTERVAL_MS);
    assertEquals(watch.droppedBytes(out.fd), 8);
    assertEquals([dir.text("out"), dir.text("err")], ["0123456789", "short"]);
    out.write("x");
    watch.check();
    assertEquals([watch.droppedBytes(out.fd), watch.runaway], [9, false]);
  }
  assertEquals(clock.pendingTimers, 0);
});

Deno.test("OutputWatch reports a runaway once", () => {
  using dir = new TestDir();
  using out = new Writer(dir.file("out"));
  const clock = new ManualClock();
  let runaways = 0;
  using watch = new OutputWatch(clock, [out], 10, () => runaways++);
  for (let round = 0; round < RUNAWAY_FACTOR * 2; round++) {
    out.write("0123456789");
    clock.advance(WATCH_INTERVAL_MS);
    // The first ten bytes fit, and sixteen times as many may be dropped.
    assertEquals(watch.runaway, round > RUNAWAY_FACTOR, `round ${round}`);
  }
  assertEquals(runaways, 1);
});

Deno.test("OutputWatch leaves alone what is no regular file", () => {
  const fd = openPath("/dev/null", O_WRONLY | O_CLOEXEC);
  const clock = new ManualClock();
  using watch = new OutputWatch(clock, [{ fd }], 0, () => {});
  assertEquals(clock.pendingTimers, 0);
  watch.check();
  assertEquals(watch.droppedBytes(fd), 0);
  close(fd);
});
