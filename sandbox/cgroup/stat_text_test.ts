import { assertEquals } from "@std/assert";
import { parseFlat, parseIoStat, parseNumber, parsePids, parseServiceBytes } from "./stat_text.ts";

Deno.test("parseNumber reads numbers and nothing else", () => {
  const cases: [string | undefined, number | undefined][] = [
    ["123\n", 123],
    ["0\n", 0],
    ["max\n", undefined],
    ["", undefined],
    ["-1\n", undefined],
    ["1 2\n", undefined],
    [undefined, undefined],
  ];
  for (const [text, value] of cases) assertEquals(parseNumber(text), value, JSON.stringify(text));
});

Deno.test("parseFlat reads names and numbers, and leaves out what has none", () => {
  const text = "usage_usec 5\nuser_usec 3\nodd\nlimit max\n\n";
  assertEquals([...parseFlat(text)], [["usage_usec", 5], ["user_usec", 3]]);
  assertEquals(parseFlat(undefined).size, 0);
});

Deno.test("parseIoStat adds up the devices", () => {
  const text =
    "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:0 rbytes=1 wbytes=2 rios=0 wios=0\n7:0 \n";
  assertEquals(parseIoStat(text), { read: 4097, written: 8194 });
  assertEquals(parseIoStat(""), { read: 0, written: 0 });
});

Deno.test("parseServiceBytes adds up the devices, and not the totals", () => {
  const text =
    "254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 4096\n254:0 Total 12288\n8:0 Read 1\nTotal 12289\n";
  assertEquals(parseServiceBytes(text), { read: 4097, written: 8192 });
  assertEquals(parseServiceBytes("Total 0\n"), { read: 0, written: 0 });
});

Deno.test("parsePids leaves out 0, which stands for processes of another PID namespace", () => {
  assertEquals(parsePids("12\n0\n7\n"), [12, 7]);
  assertEquals(parsePids(""), []);
  assertEquals(parsePids(undefined), []);
});
