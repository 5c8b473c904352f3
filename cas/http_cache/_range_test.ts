import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseRange } from "./_range.ts";

const CASES: readonly [header: string | undefined, size: number, want: ReturnType<typeof parseRange>][] = [
  [undefined, 10, "whole"],
  ["bytes=0-0", 10, { start: 0, end: 1 }],
  ["bytes=2-4", 10, { start: 2, end: 5 }],
  ["bytes=2-", 10, { start: 2, end: 10 }],
  ["bytes=2-99", 10, { start: 2, end: 10 }],
  ["bytes=9-9", 10, { start: 9, end: 10 }],
  ["bytes=10-10", 10, "unsatisfiable"],
  ["bytes=10-", 10, "unsatisfiable"],
  ["bytes=-4", 10, { start: 6, end: 10 }],
  ["bytes=-10", 10, { start: 0, end: 10 }],
  ["bytes=-99", 10, { start: 0, end: 10 }],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=-1", 0, "whole"],
  ["bytes=4-2", 10, "whole"],
  ["bytes=-", 10, "whole"],
  ["bytes=", 10, "whole"],
  ["bytes", 10, "whole"],
  ["", 10, "whole"],
  ["items=0-1", 10, "whole"],
  ["bytes=0-1,4-5", 10, "whole"],
  ["bytes=a-b", 10, "whole"],
  ["bytes=1.5-2", 10, "whole"],
  ["bytes=0x1-2", 10, "whole"],
  ["bytes=+1-2", 10, "whole"],
  ["Bytes = 1 - 2 ", 10, { start: 1, end: 3 }],
  ["bytes=0-99999999999999999999999999999999", 10, { start: 0, end: 10 }],
  ["bytes=99999999999999999999999999999999-", 10, "unsatisfiable"],
  ["bytes=-99999999999999999999999999999999", 10, { start: 0, end: 10 }],
  [`bytes=0-${"9".repeat(200)}`, 10, "whole"],
];

Deno.test("parseRange answers as RFC 9110 says", () => {
  for (const [header, size, want] of CASES) {
    assertEquals(parseRange(header, size), want, `${header} of ${size}`);
  }
});

Deno.test("parseRange gives the bytes that a range names, or what is wrong with it", () => {
  const digits = fc.option(fc.nat(40), { nil: undefined });
  fc.assert(fc.property(digits, digits, fc.nat(30), (first, last, size) => {
    const all = Array.from({ length: size }, (_, i) => i);
    const got = parseRange(`bytes=${first ?? ""}-${last ?? ""}`, size);
    if (got === "whole") {
      assert(
        (first === undefined && (last === undefined || size === 0)) || (last ?? Infinity) < (first ?? 0),
      );
      return;
    }
    const want = first === undefined
      ? all.slice(Math.max(0, size - (last ?? 0)))
      : all.filter((i) => i >= first && i <= (last ?? Infinity));
    assertEquals(got === "unsatisfiable" ? [] : all.slice(got.start, got.end), want);
    if (got !== "unsatisfiable") assert(got.start < got.end);
  }));
});

Deno.test("parseRange takes any text and stays within the blob", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."bytes=-,0123456789 ") }));
  fc.assert(fc.property(text, fc.nat(), (header, size) => {
    const got = parseRange(header, size);
    if (typeof got === "string") return;
    assert(Number.isSafeInteger(got.start) && Number.isSafeInteger(got.end));
    assert(got.start >= 0 && got.start < got.end && got.end <= size);
  }));
});
