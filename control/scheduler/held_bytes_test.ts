import { assertEquals } from "@std/assert";
import { Code, type OperationName } from "@brokkr/common";
import { Scheduler } from "./scheduler.ts";

Deno.test("Scheduler counts what operations cost to hold until they are finished, merged or not", () => {
  const scheduler = new Scheduler<string, string, string>(1, { maxPayloadBytes: 100 });
  const submit = (operation: string, twinKey: string | undefined, operationBytes: number) => {
    const effects = scheduler.step({
      type: "submit",
      operation: operation as OperationName,
      twinKey,
      platform: [],
      priority: 0,
      timeoutMs: 1000,
      sizeBytes: 10,
      operationBytes,
      payload: "",
    }, 0);
    scheduler.check();
    const refused = effects.find((effect) => effect.type === "refuse");
    return refused?.error.code ?? Code.OK;
  };
  const cancel = (operation: string) => {
    scheduler.step({ type: "cancel", operation: operation as OperationName, reason: "Asked to" }, 0);
    scheduler.check();
  };
  assertEquals(submit("a", "key", 40), Code.OK); // 50 with its payload
  assertEquals(submit("b", "key", 50), Code.OK); // 100: the payload is shared
  assertEquals(submit("c", "key", 1), Code.RESOURCE_EXHAUSTED);
  assertEquals(submit("d", undefined, 0), Code.RESOURCE_EXHAUSTED);
  cancel("b");
  assertEquals(submit("c", "key", 1), Code.OK);
  assertEquals(submit("d", undefined, 39), Code.OK);
  assertEquals(submit("e", undefined, 0), Code.RESOURCE_EXHAUSTED);
  for (const operation of ["a", "c", "d"]) cancel(operation);
  assertEquals(submit("e", undefined, 90), Code.OK);
});
