// Run by real_work_test.ts as a user without privileges; prints how each piece of work went, or why there is no sandbox.
import { WORK, type WorkResult, Workshop } from "./_real_work.ts";

const results: Record<string, WorkResult> = {};
let unavailable: string | undefined;
try {
  await using workshop = await Workshop.open();
  for (const work of WORK) results[work.name] = await workshop.run(work);
} catch (error) {
  unavailable = String(error);
}
console.log(JSON.stringify({ uid: Deno.uid(), unavailable, results }));
