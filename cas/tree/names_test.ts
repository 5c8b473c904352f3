import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { compareUtf8, utf8Length } from "./names.ts";

const utf8 = new TextEncoder();

Deno.test("compareUtf8 orders as the bytes do and utf8Length counts them", () => {
  const text = fc.string({ unit: "binary", maxLength: 6 }).filter((each) => each.isWellFormed());
  fc.assert(
    fc.property(text, text, (a, b) => {
      const x = utf8.encode(a), y = utf8.encode(b);
      assertEquals(utf8Length(a), x.length);
      let expected = x.length - y.length;
      for (let i = 0; i < Math.min(x.length, y.length); i++) {
        if (x[i] !== y[i]) {
          expected = x[i] - y[i];
          break;
        }
      }
      assertEquals(Math.sign(compareUtf8(a, b)), Math.sign(expected));
    }),
    { numRuns: 1000 },
  );
});
