import { assertEquals, assertStringIncludes } from "@std/assert";
import { asBrokkrError, BrokkrError, Code, codeName, resourceExhausted, throwIfAborted } from "./mod.ts";

const CASES: readonly { what: string; thrown: unknown; code: Code; says: string }[] = [
  { what: "a string", thrown: "boom", code: Code.INTERNAL, says: "boom" },
  { what: "undefined", thrown: undefined, code: Code.INTERNAL, says: "undefined" },
  { what: "an error", thrown: new Error("boom"), code: Code.INTERNAL, says: "boom" },
  {
    what: "an aborted signal's reason",
    thrown: new DOMException("x", "AbortError"),
    code: Code.CANCELLED,
    says: "cancelled",
  },
  {
    what: "a timeout",
    thrown: new DOMException("x", "TimeoutError"),
    code: Code.DEADLINE_EXCEEDED,
    says: "deadline",
  },
  {
    what: "a full disk",
    thrown: Object.assign(new Error("write"), { code: "ENOSPC" }),
    code: Code.RESOURCE_EXHAUSTED,
    says: "No space left",
  },
  {
    what: "exhausted descriptors",
    thrown: Object.assign(new Error("open"), { code: "EMFILE" }),
    code: Code.RESOURCE_EXHAUSTED,
    says: "ulimit -n",
  },
];

for (const { what, thrown, code, says } of CASES) {
  Deno.test(`asBrokkrError turns ${what} into ${codeName(code)}`, () => {
    const error = asBrokkrError(thrown);
    assertEquals(error.code, code);
    assertStringIncludes(error.message, says);
  });
}

Deno.test("asBrokkrError leaves a BrokkrError as it is", () => {
  const error = new BrokkrError(Code.NOT_FOUND, "No such thing");
  assertEquals(asBrokkrError(error), error);
});

Deno.test("asBrokkrError recognises the real ENOSPC of /dev/full", () => {
  const file = Deno.openSync("/dev/full", { write: true });
  try {
    file.writeSync(new Uint8Array(1));
    throw new Error("/dev/full took a byte");
  } catch (error) {
    assertEquals(asBrokkrError(error).code, Code.RESOURCE_EXHAUSTED);
  } finally {
    file.close();
  }
});

Deno.test("throwIfAborted throws the reason an owner gave", () => {
  const abort = new AbortController();
  throwIfAborted(abort.signal);
  abort.abort(resourceExhausted("Too much", 7));
  try {
    throwIfAborted(abort.signal);
    throw new Error("did not throw");
  } catch (error) {
    assertEquals((error as BrokkrError).retryDelayMs, 7);
  }
});
