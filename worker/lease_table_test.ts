import { assertEquals } from "@std/assert";
import { killMarginMs, LeaseTable } from "./lease_table.ts";

const result = (leaseId: string) => ({ leaseId, outcome: 1 });

Deno.test("LeaseTable takes as many leases as there are slots", () => {
  const table = new LeaseTable(2);
  assertEquals(["a", "b", "c", "a"].map((id) => table.take(id)), ["run", "run", "full", "held"]);
  assertEquals([table.running, table.ids()], [2, ["a", "b"]]);
});

Deno.test("LeaseTable frees the slot when the action ends and holds the lease until the result is acknowledged", () => {
  const table = new LeaseTable(1);
  table.take("a");
  assertEquals(table.finish("a", result("a")), true);
  assertEquals([table.running, table.ids(), table.unacknowledged()], [0, ["a"], [result("a")]]);
  assertEquals(table.take("b"), "run");
  table.acknowledge("a");
  assertEquals([table.ids(), table.unacknowledged()], [["b"], []]);
});

Deno.test("LeaseTable does not take an acknowledgement for a lease that still runs", () => {
  const table = new LeaseTable(1);
  table.take("a");
  table.acknowledge("a");
  assertEquals(table.ids(), ["a"]);
});

Deno.test("LeaseTable says whether a lease that is given up must be killed", () => {
  const table = new LeaseTable(2);
  table.take("runs");
  table.take("ended");
  table.finish("ended", result("ended"));
  assertEquals([table.drop("runs"), table.drop("ended"), table.drop("unknown")], [true, false, false]);
  assertEquals([table.finish("runs", result("runs")), table.running, table.size], [false, 0, 0]);
});

Deno.test("LeaseTable takes nothing when draining", () => {
  const table = new LeaseTable(1);
  table.drain();
  assertEquals([table.take("a"), table.draining], ["draining", true]);
});

Deno.test("LeaseTable counts a lease's life from the sending of the last heartbeat that control got", () => {
  const table = new LeaseTable(2);
  table.welcomed(1000, 10_000);
  assertEquals(table.deadlineMs(), Infinity, "Nothing is held");
  table.take("a");
  table.take("b");
  table.finish("b", result("b"));
  const margin = killMarginMs(10_000);
  assertEquals(table.deadlineMs(), 11_000 - margin);
  table.confirm(4000);
  table.confirm(3000); // the answer to an earlier one, come late
  assertEquals(table.deadlineMs(), 14_000 - margin);
  assertEquals(table.expire(14_000 - margin - 1), []);
  assertEquals(table.expire(14_000 - margin), ["a"]);
  assertEquals([table.size, table.expire(99_000)], [0, []]);
});

Deno.test("LeaseTable leaves time for killing, whatever the lease's life", () => {
  assertEquals([killMarginMs(1000), killMarginMs(60_000)], [250, 5000]);
});
