import { assert, assertEquals } from "@std/assert";
import { ByteBudget } from "@brokkr/common";
import { ReadRoom } from "./_file_reader.ts";

const KIB = 1 << 10, MIB = 1 << 20;

Deno.test("A reader that is alone reads longer and longer pieces, and gives all of its memory back", async () => {
  const budget = new ByteBudget(80 * MIB);
  const room = await ReadRoom.take(budget, 100 * MIB);
  const sizes = [];
  for (let piece = 0; piece < 10; piece++) {
    sizes.push(room.pieceBytes / KIB);
    assert(budget.usedBytes >= room.pieceBytes * (room.ahead ? 2 : 1), `${budget.usedBytes}`);
    room.adapt();
  }
  assertEquals(sizes, [16, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]);
  room[Symbol.dispose]();
  room[Symbol.dispose]();
  assertEquals(budget.usedBytes, 0);
});

Deno.test("A blob that is smaller than a piece takes no more than it has", async () => {
  const budget = new ByteBudget(MIB);
  using room = await ReadRoom.take(budget, 100);
  assertEquals([room.pieceBytes, budget.usedBytes], [100, 100]);
});

Deno.test("Readers give memory back when they become many, and a thousand hold a quarter of the budget", async () => {
  const budget = new ByteBudget(80 * MIB);
  using first = await ReadRoom.take(budget, 100 * MIB);
  for (let piece = 0; piece < 10; piece++) first.adapt();
  assertEquals(first.pieceBytes, MIB);
  using many = new DisposableStack();
  const rooms = [];
  for (let reader = 0; reader < 999; reader++) {
    const room = many.use(await ReadRoom.take(budget, 100 * MIB));
    for (let piece = 0; piece < 10; piece++) room.adapt();
    rooms.push(room);
  }
  assert(budget.availableBytes > 0, "somebody who comes now finds room, although nobody has read on");
  for (const room of [first, ...rooms]) for (let piece = 0; piece < 3; piece++) room.adapt();
  assertEquals([first.pieceBytes, first.ahead], [16 * KIB, false]);
  assert(budget.usedBytes <= budget.limitBytes / 4, `${budget.usedBytes / MIB} MiB`);
  many.dispose();
  for (let piece = 0; piece < 10; piece++) first.adapt();
  assertEquals(first.pieceBytes, MIB, "it is alone again");
});

Deno.test("A reader does without more memory while others wait for some", async () => {
  const budget = new ByteBudget(MIB);
  using room = await ReadRoom.take(budget, 100 * MIB);
  const all = budget.tryAcquire(budget.availableBytes);
  const waiting = budget.acquire(1000);
  room.adapt();
  assertEquals([room.pieceBytes, room.ahead], [16 * KIB, false]);
  all?.release();
  (await waiting).release();
});
