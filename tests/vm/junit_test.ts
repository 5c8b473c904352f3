import { assertEquals } from "@std/assert";
import { readJunit } from "./junit.ts";

const SOURCE = `
Deno.test('quotes " & <brackets>', () => {});
Deno.test("fails", () => { throw new Error("Bad <thing>\\nsecond line"); });
Deno.test({ name: "is ignored", ignore: true, fn() {} });
Deno.test("has steps", async (t) => {
  await t.step("good", () => {});
  await t.step("outer", async (t) => void await t.step("inner", () => { throw new Error("Deep") }));
});
`;

Deno.test("readJunit folds what this deno writes into one outcome for each test", async () => {
  const directory = await Deno.makeTempDir({ prefix: "brokkr_junit_" });
  try {
    await Deno.writeTextFile(`${directory}/some_test.ts`, SOURCE);
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", "--junit-path=report.xml", "some_test.ts"],
      cwd: directory,
      stdout: "null",
      stderr: "null",
    }).output();
    assertEquals(code, 1);
    const tests = readJunit(await Deno.readTextFile(`${directory}/report.xml`));
    assertEquals(tests.map(({ file, name, state }) => [file, name, state]), [
      ["./some_test.ts", 'quotes " & <brackets>', "passed"],
      ["./some_test.ts", "fails", "failed"],
      ["./some_test.ts", "is ignored", "ignored"],
      ["./some_test.ts", "has steps", "failed"],
    ]);
    assertEquals(tests[1].message.split("\n").slice(0, 2), ["Error: Bad <thing>", "second line"]);
    assertEquals(tests[3].message.includes("step outer > inner: Error: Deep"), true, tests[3].message);
    assertEquals(tests[0].message, "");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
