import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { JobQueue, type Queued } from "./job_queue.ts";

Deno.test("JobQueue gives what a sorted list gives, whatever is added, taken or raised", () => {
  const operation = fc.record({ kind: fc.constantFrom("add", "shift", "remove", "raise"), n: fc.nat(20) });
  fc.assert(fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    const queue = new JobQueue<Queued>();
    const model: Queued[] = [];
    const sort = () => model.sort((a, b) => a.priority - b.priority || a.seq - b.seq);
    let seq = 0;
    for (const { kind, n } of operations) {
      const chosen = model[n % Math.max(1, model.length)];
      if (kind === "add") {
        const item = { priority: n % 5, seq: ++seq, queueIndex: -1 };
        queue.add(item);
        model.push(item);
      } else if (kind === "shift") {
        assertEquals(queue.shift(), model.shift());
      } else if (chosen !== undefined && kind === "remove") {
        queue.remove(chosen);
        model.splice(model.indexOf(chosen), 1);
      } else if (chosen !== undefined) {
        chosen.priority -= 2;
        queue.raise(chosen);
      }
      sort();
      assertEquals(queue.size, model.length);
      assertEquals(queue.peek(), model[0]);
    }
  }));
});
