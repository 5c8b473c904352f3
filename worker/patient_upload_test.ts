import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { BrokkrError, type Clock, Code, codeName, noLog, systemClock } from "@brokkr/common";
import { digestOf, SHA256 } from "@brokkr/cas/client";
import { StoreFullError, uploadPatiently } from "./patient_upload.ts";
import type { ActionStore } from "./store.ts";

/** A clock on which waiting takes no time but passes some. */
function hasty(): Clock {
  let nowMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => nowMs,
    setTimer: (delayMs, fn) => {
      nowMs += delayMs;
      const id = setTimeout(fn, 0);
      const cancel = () => clearTimeout(id);
      return { cancel, [Symbol.dispose]: cancel };
    },
  };
}

const NOT_LONG: readonly { code: Code; full: boolean; says: RegExp }[] = [
  { code: Code.UNAVAILABLE, full: false, says: /^It is away$/ },
  {
    code: Code.RESOURCE_EXHAUSTED,
    full: true,
    says: /^The action ran, but the store cannot take its outputs: It is away$/,
  },
];

for (const { code, full, says } of NOT_LONG) {
  Deno.test(`uploadPatiently outlasts a store that answers ${codeName(code)} for a moment, and not for ever`, async () => {
    let calls = 0;
    const store = (failures: number): ActionStore => ({
      getMany: () => Promise.resolve([]),
      read: () => {
        throw new Error("Nothing is read");
      },
      upload: () =>
        ++calls <= failures ? Promise.reject(new BrokkrError(code, "It is away")) : Promise.resolve(),
    });
    const data = new Uint8Array(3);
    const blobs = [{ digest: digestOf(SHA256, data), data }];
    const signal = new AbortController().signal;
    await uploadPatiently(store(5), blobs, signal, { clock: hasty(), log: noLog });
    assertEquals(calls, 6);
    calls = 0;
    const error = await assertRejects(
      () => uploadPatiently(store(Infinity), blobs, signal, { clock: hasty(), log: noLog }),
      BrokkrError,
    );
    assertEquals(error.code, code);
    assertMatch(error.message, says);
    assertEquals(error instanceof StoreFullError, full);
    assert(calls > 5 && calls < 100, `${calls} calls`);
    const abort = new AbortController();
    abort.abort(new BrokkrError(Code.CANCELLED, "Enough"));
    const stopped = await assertRejects(
      () => uploadPatiently(store(Infinity), blobs, abort.signal, { clock: hasty(), log: noLog }),
      BrokkrError,
    );
    assertEquals(stopped.code, Code.CANCELLED);
  });
}
