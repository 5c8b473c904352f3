import { assertEquals } from "@std/assert";
import { createLogger, ManualClock } from "@brokkr/common";
import { Connections } from "./_connections.ts";

class Session {
  destroyed = false;
  #closed = () => {};

  once(_event: "close", listener: () => void): void {
    this.#closed = listener;
  }

  destroy(): void {
    this.destroyed = true;
    this.#closed();
  }
}

/** Which of `count` sessions are open after they came, when those in `busy` have calls. */
function open(count: number, busy: readonly number[]): { readonly open: number[]; readonly lines: string[] } {
  const sessions = Array.from({ length: count }, () => new Session());
  const lines: string[] = [];
  const log = createLogger({ level: "info", format: "text", write: (line) => void lines.push(line) });
  const connections = new Connections(
    3,
    () => new Set(busy.map((index) => sessions[index])),
    new ManualClock(),
    log,
  );
  for (const session of sessions) {
    assertEquals(connections.admit(session), !session.destroyed);
  }
  return { open: [...sessions.keys()].filter((index) => !sessions[index].destroyed), lines };
}

Deno.test("Connections without calls make room for new ones, the oldest first", () => {
  const cases: [count: number, busy: number[], expected: number[]][] = [
    [3, [], [0, 1, 2]],
    [4, [], [1, 2, 3]],
    [4, [0], [0, 2, 3]],
    [5, [0, 1], [0, 1, 4]],
    [5, [0, 1, 2], [0, 1, 2]],
  ];
  for (const [count, busy, expected] of cases) {
    assertEquals(open(count, busy).open, expected, `${count} ${busy}`);
  }
});

Deno.test("Connections beyond the limit leave one line, however many they are", () => {
  assertEquals(open(1000, []).lines.length, 1);
});

Deno.test("Connections that ended make room by themselves", () => {
  const connections = new Connections(
    1,
    () => new Set(),
    new ManualClock(),
    createLogger({ write: () => {} }),
  );
  const [first, second] = [new Session(), new Session()];
  connections.admit(first);
  first.destroy();
  assertEquals([connections.admit(second), second.destroyed], [true, false]);
});
