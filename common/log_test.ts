import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { createLogger, type LogFields } from "./log.ts";

function logged(format: "text" | "json", message: string, fields: LogFields): string {
  const lines: string[] = [];
  createLogger({ format, write: (line) => lines.push(line), wallMs: () => 0 }).with({ base: 1 }).info(
    message,
    fields,
  );
  assertEquals(lines.length, 1);
  return lines[0];
}

/** A line that nothing can take for two, or for an order to a terminal. */
// deno-lint-ignore no-control-regex -- control characters are what it looks for
const ONE_LINE = /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$/;

const FORGED = "a\n1970-01-01T00:00:00.000Z ERROR forged\r\u001b[2J\u0085\u2028\u202e\u0000b";

Deno.test("A log line stays one line whatever names clients choose, as text and as JSON", () => {
  for (const format of ["text", "json"] as const) {
    const line = logged(format, FORGED, {
      name: FORGED,
      list: [FORGED],
      map: { [FORGED]: FORGED },
      [FORGED]: 1,
    });
    assertMatch(line, ONE_LINE);
    assert(line.includes("\\u001b"), line);
  }
  const parsed = JSON.parse(logged("json", FORGED, { name: FORGED }));
  assertEquals([parsed.message, parsed.name, parsed.base], [FORGED, FORGED, 1]);
});

Deno.test("A text field cannot pass for another field", () => {
  const line = logged("text", "Hello", { name: "x trace=0af7", plain: "a-b/c:1" });
  assertEquals(line, '1970-01-01T00:00:00.000Z INFO  Hello base=1 name="x trace=0af7" plain=a-b/c:1');
});

Deno.test("Fields cannot take the place of the line's own in JSON", () => {
  const parsed = JSON.parse(logged("json", "Hello", { message: "Bye", time: 5, level: "error", other: 7 }));
  assertEquals(parsed, {
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "Hello",
    base: 1,
    other: 7,
  });
});

Deno.test("A log line has an end, and says when something was left out of it", () => {
  const long = "x".repeat(1 << 20);
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`f${i}`, long.slice(0, 100)]));
  for (const format of ["text", "json"] as const) {
    for (const fields of [{ long }, many, { list: Array(5000).fill(long.slice(0, 100)) }, { [long]: 1 }]) {
      const line = logged(format, long, { trace: "0af7", ...fields });
      assert(line.length <= 32_768, `${format} ${line.length}`);
      assert(line.includes("0af7"));
      if (format === "json") JSON.parse(line);
    }
    assert(logged(format, "Hello", many).includes("truncated"));
    assert(logged(format, "Hello", { long }).includes("1044480 more"));
  }
});

Deno.test("Logging never throws, whatever it is given", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const hostile = {
    toJSON() {
      throw new Error("No");
    },
  };
  for (const format of ["text", "json"] as const) {
    for (const value of [circle, hostile, 1n, { deep: [2n] }, Symbol("s"), () => {}, new Map(), null, NaN]) {
      const line = logged(format, "Hello", { value, after: 1 });
      assert(line.includes("after"), line);
      if (format === "json") JSON.parse(line);
    }
    const error = new Error("Out\ner", { cause: new Error("In\nner") });
    const line = logged(format, "Hello", { error });
    assert(line.includes("Out") && line.includes("In"), line);
    assertMatch(line, ONE_LINE);
  }
});

Deno.test("JSON lines hold texts as they are, whatever they are", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (message, value) => {
    const line = logged("json", message, { value });
    assertMatch(line, ONE_LINE);
    const parsed = JSON.parse(line);
    assertEquals([parsed.message, parsed.value], [message, value]);
    assertMatch(logged("text", message, { value }), ONE_LINE);
  }));
});
