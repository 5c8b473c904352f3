import { assertEquals } from "@std/assert";
import { explainMismatch, firstMismatch, platformKey, platformOffer } from "./platform.ts";
import type { PlatformProperty, WorkerSpec } from "./types.ts";

function properties(...pairs: readonly string[]): PlatformProperty[] {
  return pairs.map((pair) => ({ name: pair.split("=")[0], value: pair.split("=")[1] }));
}

function worker(id: string, ...pairs: readonly string[]): WorkerSpec {
  return { id: id as WorkerSpec["id"], platform: properties(...pairs), slots: 1, environment: "test" };
}

Deno.test("platformKey is the same for any order and tells alike platforms apart", () => {
  assertEquals(platformKey(properties("a=1", "b=2")), platformKey(properties("b=2", "a=1")));
  const tricky = [[{ name: "a1:", value: "b" }], [{ name: "a", value: "1:b" }], properties("a=b", "a=b")];
  assertEquals(new Set(tricky.map(platformKey)).size, tricky.length);
});

for (
  const [name, wanted, offered, mismatch] of [
    ["nothing of nobody", [], [], undefined],
    ["one of several values", ["ISA=avx2"], ["ISA=x86-64", "ISA=avx2"], undefined],
    ["all of several values", ["ISA=avx2", "ISA=x86-64"], ["ISA=x86-64", "ISA=avx2"], undefined],
    ["not all of several values", ["ISA=avx2", "ISA=neon"], ["ISA=avx2"], { name: "ISA", value: "neon" }],
    ["exactly the system", ["OSFamily=linux"], ["OSFamily=Linux"], { name: "OSFamily", value: "linux" }],
    ["a name nobody knows", ["Pool=big"], [], { name: "Pool", value: "big" }],
  ] as const
) {
  Deno.test(`firstMismatch finds what is lacking when an action wants ${name}`, () => {
    assertEquals(firstMismatch(properties(...wanted), platformOffer(properties(...offered))), mismatch);
  });
}

const SANDBOX = [
  { name: "network", words: ["none", "loopback"], most: 0 },
  { name: "memory", words: [], most: 2 ** 30 },
];

for (
  const [name, wanted, offered, mismatch, ungranted] of [
    ["what it grants", ["network=loopback", "memory=1GiB"], [], undefined, undefined],
    ["a word that it does not grant", ["network=host"], [], "network", undefined],
    ["more than it grants", ["memory=1025MiB"], [], "memory", undefined],
    ["what nobody can read", ["memory=much"], [], "memory", undefined],
    ["a property that it does not take", ["cpu=1"], [], "cpu", "cpu"],
    ["its own plain value", ["network=fast"], ["network=fast"], undefined, undefined],
    ["a word where the name is a plain property", ["network=none"], ["network=fast"], "network", "network"],
    ["two words of which it grants one", ["network=none", "network=host"], [], "network", undefined],
  ] as const
) {
  Deno.test(`firstMismatch finds what a sandbox does not grant when an action asks for ${name}`, () => {
    const offer = platformOffer(properties(...offered), SANDBOX);
    assertEquals(firstMismatch(properties(...wanted), offer)?.name, mismatch);
    assertEquals(firstMismatch(properties(...wanted), offer, true)?.name, ungranted);
  });
}

Deno.test("explainMismatch tells what sandboxes grant", () => {
  const sandboxed = { ...worker("a"), grants: SANDBOX };
  const why = (wanted: string, ungranted?: boolean) =>
    explainMismatch(properties(wanted), undefined, [sandboxed, worker("b")], ungranted);
  assertEquals(why("memory=1GiB"), undefined);
  assertEquals(why("memory=2GiB"), "No connected worker offers memory=2GiB; offered are up to 1GiB");
  assertEquals(why("memory=2GiB", true), undefined);
  assertEquals(why("network=host"), "No connected worker offers network=host; offered are none, loopback");
  assertEquals(why("pids=1", true), "No connected worker offers pids=1; none offers any pids");
});

Deno.test("explainMismatch says why no worker can run an action", () => {
  const why = (wanted: readonly string[], workers: readonly WorkerSpec[], environments?: readonly string[]) =>
    explainMismatch(properties(...wanted), environments, workers);
  assertEquals(why([], []), "No worker is connected");
  assertEquals(why([], [worker("a")]), undefined);
  assertEquals(
    why([], [worker("a")], ["sandbox-1"]),
    "No connected worker has one of the environments sandbox-1",
  );
  assertEquals(
    why(["x=1"], [worker("a", "x=2"), worker("b", "x=3")]),
    "No connected worker offers x=1; offered are 2, 3",
  );
  assertEquals(
    why(["x=1", "y=1"], [worker("a", "x=1"), worker("b", "y=1")]),
    "No one connected worker offers all of x=1, y=1",
  );
});
