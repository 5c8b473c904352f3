import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { tomlPositions } from "./_toml_positions.ts";

const DOCUMENT = `# comment [not] = "a table"
top = 1

[a]  # comment
b = "x # no comment ] = "
c.d = '''
[fake]
fake = 1
'''
e = """
quote \\""" [fake2]
""""
f = [ 1, # comment
  [ "]", '}' ],
  { g = 1 },
]
h = { i = "1", "j k" = { l = 2 } }
"quoted.key" = 1
[x."y z".w]
v = 1979-05-27T07:32:00Z
[[many]]
n = ""
[[many]]
n = 2
m = ''
`;

Deno.test("tomlPositions finds each key's line past strings, arrays and comments", () => {
  parse(DOCUMENT);
  const positions = tomlPositions(DOCUMENT);
  for (
    const [path, line] of [
      ["top", 2],
      ["a", 4],
      ["a/b", 5],
      ["a/c", 6],
      ["a/c/d", 6],
      ["a/e", 10],
      ["a/f", 13],
      ["a/f/g", 15],
      ["a/h", 17],
      ["a/h/i", 17],
      ["a/h/j k/l", 17],
      ["a/quoted.key", 18],
      ["x", 19],
      ["x/y z/w/v", 20],
      ["many/n", 22],
      ["many/m", 25],
      ["a/unknown", 4],
      ["fake", 1],
      ["fake2", 1],
    ] as const
  ) {
    assertEquals(positions.lineOf(path.split("/")), line, path);
  }
});

Deno.test("tomlPositions ends on any text and finds every top-level key of a valid document", () => {
  fc.assert(fc.property(fc.string({ maxLength: 200, unit: "binary" }), (text) => {
    tomlPositions(text).lineOf(["a"]);
  }));
  const keys = fc.stringMatching(/^[a-z]{1,5}$/);
  fc.assert(fc.property(fc.dictionary(keys, fc.oneof(fc.string(), fc.array(fc.string()))), (table) => {
    const lines = stringify(table).split("\n");
    const positions = tomlPositions(stringify(table));
    for (const key of Object.keys(table)) {
      assertEquals(lines[positions.lineOf([key]) - 1].startsWith(`${key} = `), true);
    }
  }));
});
