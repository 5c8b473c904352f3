import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { NewestFirst } from "./_newest_first.ts";

Deno.test("NewestFirst gives what a sorted list gives, whatever came and went", () => {
  const numbers = fc.uniqueArray(fc.nat(5000), { maxLength: 60 });
  fc.assert(fc.property(numbers, numbers, fc.nat(6000), (added, taken, before) => {
    const found = new NewestFirst<{ number: number }>(({ number }) => number);
    const items = new Map(added.map((number) => [number, { number }]));
    for (const item of items.values()) found.add(item);
    for (const number of taken) found.delete(items.get(number) ?? { number });
    const expected = added.filter((number) => !taken.includes(number)).sort((a, b) => b - a);
    assertEquals([...found.below(Infinity)].map(({ number }) => number), expected);
    assertEquals([...found.below(before)].map(({ number }) => number), expected.filter((n) => n < before));
  }));
});

Deno.test("NewestFirst touches no more than it gives, but for a block", () => {
  let asked = 0;
  const found = new NewestFirst<number>((number) => {
    asked++;
    return number;
  });
  for (let number = 0; number < 110_000; number++) found.add(number);
  asked = 0;
  const [first] = found.below(50_000);
  assertEquals(first, 49_999);
  assertEquals(asked < 20_000, true, `${asked} items were asked for their number`);
});
