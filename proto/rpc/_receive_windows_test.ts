import { assertEquals } from "@std/assert";
import { ReceiveWindows } from "./_receive_windows.ts";

class FakeSession {
  destroyed = false;
  closed = false;
  readonly told: number[] = [];
  end = () => {};
  settings({ initialWindowSize }: { readonly initialWindowSize: number }): void {
    this.told.push(initialWindowSize);
  }
  once(_event: "close", listener: () => void): void {
    this.end = listener;
  }
}

const KIB = 1 << 10;

Deno.test("Windows shrink by halves, never below a frame, and grow only when they are told to relax", () => {
  const windows = new ReceiveWindows(1024 * KIB, 256 * KIB);
  const session = new FakeSession();
  windows.add(session);
  assertEquals(session.told, [], "it was told when it was made");
  for (let i = 0; i < 1000; i++) windows.began();
  assertEquals(
    session.told,
    [128, 64, 32, 16].map((kib) => kib * KIB),
    "a flood of calls is no flood of frames",
  );
  const late = new FakeSession();
  windows.add(late);
  assertEquals(late.told, [16 * KIB]);
  for (let i = 0; i < 1000; i++) windows.ended();
  assertEquals(session.told.length, 4);
  late.destroyed = true;
  windows.relax();
  windows.relax();
  assertEquals([session.told.length, session.told.at(-1), late.told.length], [5, 256 * KIB, 1]);
  session.end();
  for (let i = 0; i < 1000; i++) windows.began();
  assertEquals([session.told.length, windows.windowBytes], [5, 16 * KIB]);
});
