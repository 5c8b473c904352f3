import { assertEquals } from "@std/assert";
import { ManualClock } from "@brokkr/common";
import { type GridView, QUEUE_SILENCE_MS, QueueNote, whyQueued } from "./_queue_note.ts";

const BUSY: GridView = { queued: 3, workers: 1, slots: 2, warnings: ["Nothing isolates the actions on w"] };

const CASES: readonly { readonly name: string; readonly view: GridView; readonly why: string }[] = [
  { name: "a busy grid", view: BUSY, why: "3 actions are queued for 2 slots" },
  { name: "a grid without workers", view: { ...BUSY, workers: 0, slots: 0 }, why: "no worker is connected" },
  {
    name: "a platform that nobody offers",
    view: { ...BUSY, warnings: [...BUSY.warnings, "1 action waits: no worker offers Pool=none"] },
    why: "1 action waits: no worker offers Pool=none",
  },
];

for (const { name, view, why } of CASES) {
  Deno.test(`whyQueued explains ${name}`, () => assertEquals(whyQueued(view), why));
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

Deno.test("QueueNote speaks once when an action stays queued", async () => {
  const clock = new ManualClock();
  const said: string[] = [];
  using note = new QueueNote(clock, () => Promise.resolve(BUSY), (text) => said.push(text));
  note.stage("cache-check");
  note.stage("queued");
  clock.advance(QUEUE_SILENCE_MS - 1);
  note.stage("queued");
  await turns();
  assertEquals(said, []);
  clock.advance(10 * QUEUE_SILENCE_MS);
  await turns();
  assertEquals(said, ["still waiting for a worker: 3 actions are queued for 2 slots"]);
});

Deno.test("QueueNote keeps quiet about an action that began, and about a grid that cannot be asked", async () => {
  const clock = new ManualClock();
  const said: string[] = [];
  using note = new QueueNote(clock, () => Promise.resolve(BUSY), (text) => said.push(text));
  note.stage("queued");
  note.stage("executing");
  clock.advance(2 * QUEUE_SILENCE_MS);
  using other = new QueueNote(clock, () => Promise.reject(new Error("gone")), (text) => said.push(text));
  other.stage("queued");
  clock.advance(QUEUE_SILENCE_MS);
  await turns();
  assertEquals(said, ["still waiting for a worker: the grid does not say why"]);
});
