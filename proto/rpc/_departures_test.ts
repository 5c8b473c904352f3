import { assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import { Departures } from "./_departures.ts";

class FakeSocket extends EventEmitter {
  writableNeedDrain = false;
  writableLength = 0;
  destroyed = false;
}

function setup() {
  const socket = new FakeSocket();
  const session = new EventEmitter();
  const left: number[] = [];
  const departures = new Departures(socket, session);
  return { socket, session, left, departures, go: (n: number) => departures.after(() => left.push(n)) };
}

Deno.test("What is behind a long queue has left when the queue is empty, in order", () => {
  const { socket, left, go } = setup();
  go(1);
  Object.assign(socket, { writableNeedDrain: true, writableLength: 1 << 20 });
  go(2);
  go(3);
  assertEquals(left, [1]);
  Object.assign(socket, { writableNeedDrain: false, writableLength: 0 });
  go(4);
  assertEquals(left, [1], "not before what was handed over earlier");
  socket.emit("drain");
  assertEquals(left, [1, 2, 3, 4]);
  assertEquals(socket.listenerCount("drain"), 0);
});

for (const who of ["socket", "session"] as const) {
  Deno.test(`What waits to leave is let go of when its ${who} closes without a drain`, () => {
    const made = setup();
    Object.assign(made.socket, { writableNeedDrain: true, writableLength: 1 << 20 });
    made.go(1);
    made[who].emit("close");
    assertEquals(made.left, [1]);
    made.go(2);
    assertEquals(made.left, [1, 2], "nothing waits for a connection that has ended");
  });
}
