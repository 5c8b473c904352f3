// Run by sandbox_test.ts as a user without privileges; prints what each case saw, or why there is no sandbox.
import { SANDBOX_CASES, TestSandbox } from "../_sandbox_cases.ts";

const seen: Record<string, unknown> = {};
let unavailable: string | undefined;
try {
  await using test = await TestSandbox.open();
  for (const { name, sees } of SANDBOX_CASES) {
    seen[name] = await sees(test).catch((error) => `${error instanceof Error ? error.stack : error}`);
  }
} catch (error) {
  unavailable = String(error);
}
console.log(JSON.stringify({ uid: Deno.uid(), unavailable, seen }));
