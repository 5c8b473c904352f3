import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BrokkrError, Code } from "@brokkr/common";
import { sandboxEnvironment } from "./sandbox_environment.ts";

Deno.test("sandboxEnvironment adds time zone, locale and date to an empty environment", () => {
  assertEquals(Object.fromEntries(sandboxEnvironment([], false)), {
    TZ: "UTC",
    LANG: "C.UTF-8",
    SOURCE_DATE_EPOCH: "946684800",
  });
});

Deno.test("sandboxEnvironment keeps what the command sets, in its order, even when it is empty", () => {
  const env = [["TZ", ""], ["B", "1"], ["LC_CTYPE", "C"], ["A", "2"], ["SOURCE_DATE_EPOCH", "7"]] as const;
  assertEquals(sandboxEnvironment(env, false), env);
});

for (const name of ["LD_PRELOAD", "LD_AUDIT", "LD_PROFILE", "LD_DEBUG", "LD_DEBUG_OUTPUT"]) {
  Deno.test(`sandboxEnvironment refuses ${name} unless the operator allows it`, () => {
    const error = assertThrows(() => sandboxEnvironment([["A", "1"], [name, "x"]], false), BrokkrError);
    assertEquals(error.code, Code.INVALID_ARGUMENT);
    assertStringIncludes(error.message, "worker.sandbox_allow_preload");
    assertEquals(sandboxEnvironment([[name, "x"]], true)[0], [name, "x"]);
  });
}

Deno.test("sandboxEnvironment lets LD_LIBRARY_PATH through", () => {
  assertEquals(sandboxEnvironment([["LD_LIBRARY_PATH", "/work/lib"]], false)[0], [
    "LD_LIBRARY_PATH",
    "/work/lib",
  ]);
});
