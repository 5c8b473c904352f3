import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkImports, importsOf, judge } from "./import_rules.ts";

const CASES: readonly { file: string; specifier: string; breaks?: string }[] = [
  { file: "cas/store/x.ts", specifier: "@brokkr/common" },
  { file: "cas/store/x.ts", specifier: "@brokkr/worker", breaks: "cas may not import worker" },
  { file: "common/x.ts", specifier: "@brokkr/proto", breaks: "common may not import proto" },
  { file: "control/x.ts", specifier: "@brokkr/sandbox", breaks: "control may not import sandbox" },
  { file: "cli/mod.ts", specifier: "@brokkr/control", breaks: "cli may not import control" },
  { file: "cli/up/grid.ts", specifier: "@brokkr/control" },
  { file: "cli/run.ts", specifier: "./up/mod.ts", breaks: "only the commands may load cli/up" },
  { file: "cli/main.ts", specifier: "./up/mod.ts" },
  { file: "worker/a/b.ts", specifier: "../../cas/mod.ts", breaks: "import @brokkr/cas" },
  { file: "worker/x.ts", specifier: "@brokkr/worker", breaks: "imports itself by name" },
  { file: "worker/x.ts", specifier: "npm:zod", breaks: "deno.json's imports" },
  { file: "worker/x.ts", specifier: "jsr:@std/assert", breaks: "import map" },
  { file: "tests/e2e/x_test.ts", specifier: "@brokkr/control" },
];

for (const { file, specifier, breaks } of CASES) {
  Deno.test(`import rules ${breaks === undefined ? "allow" : "refuse"} ${specifier} in ${file}`, () => {
    const reason = judge(file, specifier);
    if (breaks === undefined) assertEquals(reason, undefined);
    else assertStringIncludes(reason ?? "", breaks);
  });
}

Deno.test("importsOf finds static, bare, re-exported and dynamic imports, and no comments", () => {
  const source = [
    'import { a } from "./a.ts";',
    'import "./b.ts";',
    'export * from "./c.ts";',
    '// import "./no.ts";',
    '/** import { x } from "./nor_this.ts"; */',
    "import {",
    "  d,",
    '} from "./d.ts";',
    'const e = await import("./e.ts");',
  ].join("\n");
  assertEquals(importsOf(source).map(({ specifier, line }) => `${line} ${specifier}`), [
    "1 ./a.ts",
    "2 ./b.ts",
    "3 ./c.ts",
    "8 ./d.ts",
    "9 ./e.ts",
  ]);
});

Deno.test("every member of this workspace keeps the import rules", async () => {
  const { files, violations } = await checkImports(new URL("..", import.meta.url).pathname);
  assertEquals(violations, []);
  assertEquals(files > 20, true);
});
