import { assert, assertEquals } from "@std/assert";
import { createLogger } from "@brokkr/common";
import { connectionsWithin, descriptorLimit } from "./_descriptors.ts";

Deno.test("Connections leave file descriptors for everything else, and it is told when they are fewer than wanted", () => {
  const cases: [wanted: number, descriptors: number | undefined, expected: number][] = [
    [1024, undefined, 1024],
    [1024, 20_000, 1024],
    [1024, 1280, 1024],
    [1024, 1279, 1023],
    [1024, 1024, 768],
    [1024, 96, 48],
    [16, 96, 16],
    [1024, 1, 1],
  ];
  for (const [wanted, descriptors, expected] of cases) {
    const lines: string[] = [];
    const log = createLogger({ level: "info", format: "text", write: (line) => void lines.push(line) });
    assertEquals(connectionsWithin(wanted, descriptors, log), expected, `${wanted} ${descriptors}`);
    assertEquals(lines.length, expected < wanted ? 1 : 0);
  }
});

Deno.test(
  { name: "The limit of file descriptors is the system's", ignore: Deno.build.os !== "linux" },
  () => {
    assert((descriptorLimit() ?? 0) > 0);
  },
);
